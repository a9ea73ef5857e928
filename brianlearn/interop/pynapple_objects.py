"""Recordings as objects of pynapple, a package for neural data analysis (https://pynapple.org)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from brianlearn.interop.by_trial import ByTrial, package
from brianlearn.network.samples.samples import Activity

if TYPE_CHECKING:
    from brianlearn.study.simulated import Simulated

__all__ = ["to_pynapple"]


def to_pynapple(activity: Activity | Simulated) -> dict[str, Any]:
    """Recordings as objects of pynapple, one sample (trial) after another.

    Sample k begins at k times the duration of a trial.

    Parameters
    ----------
    activity : Activity or Simulated
        What was recorded: of `Learner.infer`, or of a call of a `Simulation`. Inputs that carry a current
        (`Activity.currents`) have no spikes.

    Returns
    -------
    dict
        ``"trials"``: a `pynapple.IntervalSet` of the samples of which something was recorded, which end half a time
        step before the next begins, with their positions as metadata ``sample``. ``"spikes"``: layer ->
        `pynapple.TsGroup`, where recorded; its keys are neurons. Every other variable: layer -> `pynapple.TsdFrame`,
        whose columns are neurons; numbers in base units, as pynapple has no units.

    Raises
    ------
    BrianLearnError
        If pynapple is not installed.
    DataError
        If nothing was recorded.

    Examples
    --------
    >>> import brianlearn as bl
    >>> from brian2 import ms
    >>> spec = bl.NetworkSpec(bl.Input((4,)), [bl.Dense(8, bl.CubaLIF())], bl.Readout(3), duration=10*ms)
    >>> learner = bl.Learner(spec, device="numpy")
    >>> samples = bl.Samples([[0.2, 0.4, 0.6, 0.8], [0.8, 0.6, 0.4, 0.2]])
    >>> activity = learner.infer(learner.init(), samples, record=["spikes", bl.Record("v", neurons=[0, 5])])
    >>> found = bl.to_pynapple(activity)
    >>> found["v"]["dense1"].shape
    (20, 2)
    """
    found = ByTrial("to_pynapple", activity)
    nap = package("pynapple", "to_pynapple")

    def intervals(trials: np.ndarray) -> Any:
        start = np.sort(trials) * found.duration
        return nap.IntervalSet(start, start + found.duration - found.dt / 2, metadata={"sample": np.sort(trials)})

    result: dict[str, Any] = {"trials": intervals(found.trials)}
    for layer in found.spikes:
        times: dict[int, list[np.ndarray]] = {}
        shown = []
        for trial, trains in sorted(found.trains(layer)):
            shown.append(trial)
            for i, mine in trains.items():
                times.setdefault(i, []).append(mine + trial * found.duration)
        support = intervals(np.array(shown))
        group = {i: nap.Ts(np.concatenate(parts), time_support=support) for i, parts in times.items()}
        result.setdefault("spikes", {})[layer] = nap.TsGroup(group, time_support=support)
    for one in found.over_time:
        order = np.argsort(one.trials)
        values, trials = one.values[order], one.trials[order]
        t = (trials[:, None] * found.duration + np.asarray(one.recorded.times)).ravel()
        frame = nap.TsdFrame(
            t, values.reshape(len(t), -1), columns=one.recorded.neurons, time_support=intervals(trials)
        )
        result.setdefault(one.recorded.variable, {})[one.recorded.layer] = frame
    return result
