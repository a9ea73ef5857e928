"""Where the time of the discrete engine goes: torch's operations, and the kernels of this package among them."""

from __future__ import annotations

import time

from brianlearn.training.experiment import Experiment
from brianlearn.training.learner import Learner
from brianlearn.training.profile import Part
from brianlearn.training.splits import split
from brianlearn.work import working

__all__ = ["torch_profile"]


@working()
def torch_profile(experiment: Experiment, *, samples: int = 200) -> tuple[tuple[Part, ...], float, int]:
    """Measure the operations of the discrete engine while it learns, with `torch.profiler`.

    Parameters
    ----------
    experiment : Experiment
        For the discrete engine.
    samples : int, optional
        Training samples to learn from.

    Returns
    -------
    parts : tuple of Part
        Operations by their names in torch, the slowest first, each without those that it calls.
    outside : float
        Share of the time outside of them.
    samples : int
        That were learned from.

    Raises
    ------
    RuleError, DeviceError, DataError
        What the engine, the machine or the data refuse.
    """
    from torch.profiler import ProfilerActivity, profile

    spec = experiment.spec
    data = split(experiment.data, spec, limit=samples, validation=0, test_limit=None, seed=experiment.seed).train
    learner = Learner(
        spec,
        experiment.rule,
        experiment.optimiser,
        engine="discrete",
        device=experiment.device,
        dtype=experiment.dtype,
        batch_size=experiment.batch_size,
        engine_options=experiment.engine_options,
    )
    state, rate = learner.init(), experiment.optimiser.rate_at(0)
    learner.engine.learn(state, data, rate)  # compiles, and fills the caches
    with profile(activities=[ProfilerActivity.CPU]) as measured:
        started = time.perf_counter()
        learner.engine.learn(state, data, rate)
        seconds = time.perf_counter() - started
    times = {row.key: row.self_cpu_time_total / 1e6 for row in measured.key_averages()}
    total = sum(times.values())
    parts = [
        Part(name, "", 1000 * t / len(data), t / total) for name, t in sorted(times.items(), key=lambda item: -item[1])
    ]
    return tuple(parts), max(0.0, 1 - total / seconds), len(data)
