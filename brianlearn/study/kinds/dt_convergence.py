"""Convergence in the time step: whether what a network does is a matter of its equations or of dt."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from brian2 import ms, second
from brian2.units.fundamentalunits import Quantity
from brian2.utils.stringtools import get_identifiers, word_substitute

from brianlearn.errors import DataError, SpecError
from brianlearn.network.neurons.neuron import Neuron
from brianlearn.network.samples.samples import Activity, Recordings, Samples
from brianlearn.network.spec import NetworkSpec
from brianlearn.study.kinds.base import Values, axis
from brianlearn.study.kinds.tested import rates, subject_of, tested
from brianlearn.study.study import Study
from brianlearn.training.learner import Learner

if TYPE_CHECKING:
    import xarray

__all__ = ["against_finest", "dt_convergence", "with_step"]

#: The constant that stands for dt where a neuron's equations name it.
STEP = "dt_of_model"


def dt_convergence(
    run: str | os.PathLike[str] | NetworkSpec,
    dts: Values = (0.05 * ms, 0.1 * ms, 0.2 * ms, 0.5 * ms, 1.0 * ms),
    inputs: Any = None,
    seed: int = 0,
    engine: str | None = None,
    device: str | None = None,
    limit: int | None = None,
) -> Study:
    """Whether rates, readout and accuracy are those of the equations, or of the time step.

    The same weights run with each time step. What the network says *per step* is turned into what it says *per time*,
    with the network's own dt as the reference: gain and bias of the encoders ``IntegrateAndFireEncoder`` and
    ``DirectCurrent``, the probability of ``PoissonEncoder``, the bias of ``IntegrateEvents``; a memoryless readout is
    divided by dt; and ``dt`` in a neuron's equations (``DaltonIF``, ``STBPNeuron``) stays the network's own.
    ``TimeToFirstSpikeEncoder`` and ``Spikes`` give times anyway. Spikes of ``PoissonEncoder`` are drawn anew for each
    dt: its differences are statistical. Under pipelined timing each layer delays by one dt.

    Parameters
    ----------
    run : path-like or NetworkSpec
        A run folder, whose test samples are used, or a network, whose weights are drawn from the seed.
    dts : sequence of brian2.Quantity or str, optional
        Time steps; duration and burn-in are whole numbers of each.
    inputs : array_like, optional
        Of a network: values (n, *shape of its input).
    seed : int, optional
        Of a network's weights and its random encoders.
    engine, device, limit : optional
        As in `evaluate`.

    Returns
    -------
    Study
        Axis ``dt``; metrics ``firing_rate``, ``firing_rate_<layer>`` and, of a run, ``test_accuracy``; the array
        ``output``, one row for each sample: the mean readout, or the rate of each output neuron in Hz. See
        `against_finest`.

    Raises
    ------
    SpecError, UnitError
        Time steps that do not fit, an encoder or neuron without a meaning in them, each named.
    RunFolderError, RuleError
        As `robustness`.

    Examples
    --------
    >>> import brianlearn as bl
    >>> study = bl.dt_convergence("runs/...", dts="0.1ms,0.5ms,1ms")  # doctest: +SKIP
    >>> study.run()  # doctest: +SKIP
    >>> bl.against_finest(study.results())["output_error"]  # doctest: +SKIP
    """
    made = axis("dt", dts, low=0.0, open_low=True, dimensions=second.dim)
    fixed: dict[str, Any]
    if isinstance(run, NetworkSpec):
        spec = run
        values = Samples(np.zeros((1, *spec.input.shape)) if inputs is None else inputs)
        values.check(spec, labels=False)
        if isinstance(values.inputs, Recordings):
            raise SpecError(
                "dt_convergence",
                "inputs are events, whose time steps belong to one dt",
                expected="values, or a run on a data set of events, which is loaded for each dt",
            )
        options = {"engine": engine or "auto", "device": device or "auto", "seed": seed}
        Learner(spec, None, **options)  # type: ignore[arg-type]  # refuses what is wrong
        fixed = {"network": {"spec": spec, "inputs": np.asarray(values.inputs[:limit]), **options}}
    else:
        if inputs is not None:
            raise SpecError("dt_convergence", "inputs are of a network", got="a run", expected="its test samples")
        subject, trained = subject_of(run, engine, device, limit)
        spec, fixed = trained.spec, {"subject": subject}
    for dt in made.values:
        with_step(spec, dt)  # refuses what does not fit
    return Study(dt_trial, {"dt": made}, fixed=fixed, metric="firing_rate", name="dt-convergence")


def dt_trial(
    dt: Quantity, subject: Mapping[str, Any] | None = None, network: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """One trial of `dt_convergence`."""
    if subject is not None:
        trained = tested(subject).trained
        own, spec = trained.spec, with_step(trained.spec, dt)
        learner = trained.learner(spec)
        activity = learner.infer(learner.init(trained.weights), trained.samples(spec))
        return {"test_accuracy": activity.accuracy, **rates(spec, activity), "output": _output(own, spec, activity)}
    assert network is not None
    own = network["spec"]
    spec = with_step(own, dt)
    options = {name: network[name] for name in ("engine", "device", "seed")}
    learner = Learner(spec, None, dtype="float64", **options)
    activity = learner.infer(learner.init(), Samples(network["inputs"]))
    return {**rates(spec, activity), "output": _output(own, spec, activity)}


def _output(own: NetworkSpec, spec: NetworkSpec, activity: Activity) -> np.ndarray:
    """The mean readout per time, or rates of the output neurons in Hz."""
    if spec.readout is None:
        return activity.logits / float(spec.duration - spec.burn_in)
    if spec.readout.tau is None:  # what a spike adds lasts for one step
        return activity.logits * float(own.dt / spec.dt)
    return activity.logits


def with_step(spec: NetworkSpec, dt: Any) -> NetworkSpec:
    """The network with another time step, doing the same per time; see `dt_convergence`.

    Parameters
    ----------
    spec : NetworkSpec
    dt : brian2.Quantity

    Returns
    -------
    NetworkSpec

    Raises
    ------
    SpecError
        A duration or burn-in that is no whole number of steps; an encoder that does not say what it does per time.
    """
    ratio = float(dt) / float(spec.dt)
    encoder = spec.input.encoder.with_step(ratio)
    spec.check_chain("dt_convergence")
    layers = [dataclasses.replace(layer, neuron=_timed(layer.neuron, spec.dt)) for layer in spec.layers]  # type: ignore[type-var]
    return dataclasses.replace(spec, dt=dt, input=dataclasses.replace(spec.input, encoder=encoder), layers=layers)


def _timed(neuron: Neuron, dt: Any) -> Neuron:
    """The neuron with its equations' ``dt`` as a constant, so that they stay the same with another time step."""
    parsed = neuron.parsed
    texts = [neuron.threshold, neuron.reset, *(eq.expr.code for eq in parsed.equations.values() if eq.expr is not None)]
    if not any("dt" in get_identifiers(text) for text in texts):
        return neuron
    if STEP in parsed.constants or STEP in parsed.equations.names:
        raise SpecError("neuron", f"it has {STEP!r} already", got=neuron.equations, expected="a name that is free")
    equations = parsed.equations.substitute(dt=STEP)
    return dataclasses.replace(
        neuron,
        equations="\n".join(map(str, equations.values())),
        threshold=word_substitute(neuron.threshold, {"dt": STEP}),
        reset=word_substitute(neuron.reset, {"dt": STEP}),
        constants={**neuron.constants, STEP: dt},
    )


def against_finest(results: xarray.Dataset) -> xarray.Dataset:
    """Results of `dt_convergence`, against those of the smallest dt.

    Parameters
    ----------
    results : xarray.Dataset
        From ``study.results()``.

    Returns
    -------
    xarray.Dataset
        Along ``dt``: for each rate ``<rate>_error``, relative (NaN where the rate of the smallest dt is 0);
        ``output_error``, the root mean square of the difference over that of the output; ``decisions_changed``, the
        fraction of samples whose largest output is another one; and ``test_accuracy_error``, where there is one.

    Raises
    ------
    DataError
        Results of another study, or without the smallest dt.
    """
    import xarray as xr

    if "dt" not in results.dims or "output" not in results:
        raise DataError(
            "against_finest", "these are no results of dt_convergence", got=", ".join(map(str, results.dims))
        )
    finest = results.isel(dt=int(np.argmin(results["dt"].values)))
    if not np.isfinite(finest["output"].values).all():
        raise DataError(
            "against_finest",
            "the trial with the smallest dt has no result",
            got=str(finest["state"].values),
            expected="a finished one",
            remedy="study.resume()",
        )
    made: dict[str, Any] = {}
    for name in map(str, results.data_vars):
        if name.startswith("firing_rate"):
            reference = finest[name]
            made[f"{name}_error"] = (results[name] / reference.where(reference != 0) - 1.0).drop_attrs()
    if "test_accuracy" in results:
        made["test_accuracy_error"] = results["test_accuracy"] - finest["test_accuracy"]
    output, reference = results["output"], finest["output"]
    each = [dim for dim in output.dims if dim != "dt"]
    size = float(np.sqrt((reference**2).mean()))
    error = np.sqrt(((output - reference) ** 2).mean(each, skipna=False))
    made["output_error"] = error / size if size else error * np.nan
    decided = output.fillna(-np.inf).argmax(str(each[-1])) != reference.argmax(str(each[-1]))
    made["decisions_changed"] = decided.mean(each[:-1]).where(output.notnull().all(each))
    return xr.Dataset({name: values.drop_vars("dt_", errors="ignore") for name, values in made.items()}).drop_vars(
        [name for name in finest.coords if name != "dt"], errors="ignore"
    )
