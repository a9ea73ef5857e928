"""A network as a function: other constants, weights, inputs and seeds through one program, and spikes come out."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from brian2 import second
from brian2.units.fundamentalunits import get_dimensions

from brianlearn.errors import SpecError, UnitError
from brianlearn.learning.engine import TrialRecord
from brianlearn.learning.recording import records, wanted
from brianlearn.learning.state import LearnerState
from brianlearn.learning.weights import initial_weights
from brianlearn.machine.cores import core_count
from brianlearn.network.record import Record
from brianlearn.network.samples.samples import Samples
from brianlearn.network.spec import NetworkSpec
from brianlearn.study.axes import Axis
from brianlearn.study.parameters import spec_with
from brianlearn.study.simulated import Simulated
from brianlearn.training.learner import Learner
from brianlearn.training.recording import FEWER, Gathered, as_slice, bytes_of, check_memory

__all__ = ["Simulation", "simulate"]


@dataclass(frozen=True, eq=False)
class _Seeded(LearnerState):
    """A state whose samples have seeds of their own: sample k is sample ``ids[k]`` of ``seeds[k]``."""

    seeds: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    ids: np.ndarray = field(default_factory=lambda: np.zeros(0, int))

    def sample_keys(self, ids: np.ndarray, *, learning: bool) -> np.ndarray:
        keys = super().sample_keys(self.ids[ids], learning=learning)
        keys[:, 0] |= (np.asarray(self.seeds[ids], np.uint64) % np.uint64(2**32)) << np.uint64(32)
        return keys


def simulate(
    spec: NetworkSpec,
    *,
    device: str = "auto",
    engine: str = "auto",
    record: str | Record | Sequence[str | Record] = ("spikes",),
    dtype: str = "float64",
    workers: int | None = None,
) -> Simulation:
    """Make a network a function of its constants, weights, inputs and seeds.

    The first call builds the program (or takes it from the cache); all others run it, in parallel processes.

    Parameters
    ----------
    spec : NetworkSpec
        ``spec.duration`` is the longest duration of a call.
    device, engine, dtype : str, optional
        As in `Learner`.
    record : str, Record, or sequence of these, optional
        What calls return: ``"spikes"``, ``"readout"``, any state variable (docs/recording.md).
    workers : int, optional
        Programs that run at the same time (cpp_standalone); one per core where it is not given.

    Returns
    -------
    Simulation

    Raises
    ------
    SpecError
        Settings that cannot be right.

    Examples
    --------
    >>> import brianlearn as bl
    >>> from brian2 import ms
    >>> lif = bl.LIF(tau_m=10*ms)
    >>> weights = bl.Uniform(0.0)
    >>> spec = bl.NetworkSpec(bl.Input((1,), bl.DirectCurrent()), [bl.Dense(1, lif)], None, duration=100*ms)
    >>> f = bl.simulate(spec, device="numpy")
    >>> found = f(weights={"dense1": [[1.0]]}, inputs=[[0.5], [1.0]], tau_m=[5, 10, 20]*ms)
    >>> found.rates["dense1"].shape  # tau_m, trial, neuron
    (3, 2, 1)
    """
    return Simulation(spec, device, engine, record, dtype, workers)


class Simulation:
    """A network as a function; made by `simulate`.

    Parameters
    ----------
    spec : NetworkSpec
    device, engine, dtype : str
        As of `simulate`.
    record : tuple of {"spikes", "readout"}
    workers : int or None
        Processes; one for each core where it is None.

    Attributes
    ----------
    spec : NetworkSpec
    device : str
        What runs.

    Raises
    ------
    SpecError
        What is no network; a record that is none.
    """

    def __init__(
        self, spec: NetworkSpec, device: str, engine: str, record: Any, dtype: str, workers: int | None
    ) -> None:
        if not isinstance(spec, NetworkSpec):
            raise SpecError("simulate", "spec is of the wrong type", got=repr(spec), expected="a NetworkSpec")
        asked = records("simulate", record)
        if not asked:
            raise SpecError("simulate", "cannot record this", got=repr(record), expected="e.g. record=('spikes',)")
        if spec.readout is None and any(each.variable == "readout" for each in asked):
            raise SpecError("simulate", "the network has no readout to record", remedy="record=('spikes',)")
        self._wanted = wanted("simulate", asked, spec, None, None)
        if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 1):
            raise SpecError("simulate", "workers is wrong", got=repr(workers), expected="a whole number >= 1")
        self.spec, self._workers = spec, workers or core_count()
        self._options: dict[str, Any] = dict(engine=engine, device=device, dtype=dtype)
        self.device = self._learner(spec).device

    def _learner(self, spec: NetworkSpec) -> Learner:
        return Learner(spec, None, **self._options)

    def __call__(
        self,
        parameters: Mapping[str, Any] | None = None,
        /,
        *,
        weights: Any = None,
        inputs: Any = None,
        seed: Any = 0,
        duration: Any = None,
        **constants: Any,
    ) -> Simulated:
        """Run the network.

        Parameters
        ----------
        parameters : mapping, optional
            Parameters whose names are paths, ``{"dense1.neuron.tau_m": [5, 10]*ms}`` (see `with_parameters`).
        weights : mapping, or sequence of mappings, optional
            Layer name -> array. Where it is not given they are drawn from the seed, as the network says.
        inputs : array_like, Recordings or Samples, optional
            One trial for each; values (n, *input shape). One trial without input where it is not given.
        seed : int, or sequence of int, optional
            Of random encoders, noise, and of weights that are not given.
        duration : brian2.Quantity, optional
            At most the network's.
        **constants
            Neuron constants by name. A list or a one-dimensional array is an axis of the result; in a two-dimensional
            one each row has one value per neuron.

        Returns
        -------
        Simulated
            Its axes are those arguments that have several values, in the order in which they are given: constants,
            then weights, then seed; then the trials.

        Raises
        ------
        SpecError, UnitError, WeightsError, DataError
            Arguments that do not fit, each named.
        """
        axes = _axes({**(parameters or {}), **constants})
        samples = self._samples(inputs)
        steps = self._steps(duration)
        given, weight_axis = _weights(weights)
        seeds, seed_axis = _seeds(seed)
        cells = []
        for values in itertools.product(*(axis for axis in axes.values())):
            spec = spec_with(self.spec, dict(zip(axes, values, strict=True)))
            for own in given:
                # seeds share a run where the weights are the same
                for group in [seeds] if own is not None else [[s] for s in seeds]:
                    cells.append((spec, own, group))
        runs = len(samples) * sum(len(group) for _, _, group in cells)
        check_memory("simulate", bytes_of(self._wanted, self.spec, runs, self._options["dtype"]), FEWER)
        results = self._run(cells, samples)
        names = {
            name: Axis.make(name, values) for name, values in axes.items() if _labelled(values) and len(values) > 1
        }
        dims: dict[str, Any] = {
            name: names[name] if name in names else len(values) for name, values in axes.items() if len(values) > 1
        }
        dims |= {"weights": len(given)} if weight_axis else {}
        dims |= {"seed": Axis.make("seed", seeds)} if seed_axis else {}
        return Simulated.join(results, dims, len(samples), steps, self.spec, self._wanted)

    def _samples(self, inputs: Any) -> Samples:
        if inputs is None:
            inputs = np.zeros((1, *self.spec.input.shape))
        samples = inputs if isinstance(inputs, Samples) else Samples(inputs)
        samples.check(self.spec, labels=False)
        if len(samples) == 0:
            raise SpecError("simulate", "there are no inputs", got="0 trials", expected="at least one")
        return samples

    def _steps(self, duration: Any) -> int:
        if duration is None:
            return self.spec.n_steps
        if get_dimensions(duration) is not second.dim:
            raise UnitError("simulate", "duration has the wrong unit", got=repr(duration), expected="a time")
        steps = float(duration) / float(self.spec.dt)
        if (
            np.ndim(duration)
            or abs(steps - round(steps)) > 1e-6 * max(1.0, steps)
            or not 1 <= round(steps) <= (self.spec.n_steps)
        ):
            raise SpecError(
                "simulate",
                "duration is wrong",
                got=str(duration),
                expected=f"a multiple of {self.spec.dt}, at most {self.spec.duration}",
                remedy="make the function from a network with the longest duration that you need",
            )
        return round(steps)

    def _run(self, cells: list[tuple[NetworkSpec, Any, list[int]]], samples: Samples) -> list[TrialRecord]:
        def one(cell: tuple[NetworkSpec, Any, list[int]]) -> TrialRecord:
            return self._cell(*cell, samples)

        first = one(cells[0])  # alone: it may have to build the program
        if self.device != "cpp_standalone" or self._workers == 1:
            return [first, *map(one, cells[1:])]
        with ThreadPoolExecutor(self._workers, thread_name_prefix="brianlearn-simulate") as pool:
            return [first, *pool.map(one, cells[1:])]

    def _cell(
        self, spec: NetworkSpec, weights: Mapping[str, Any] | None, seeds: list[int], samples: Samples
    ) -> TrialRecord:
        learner = self._learner(spec)
        start = dict(initial_weights(spec, None, seeds[0]))
        state = learner.init({**start, **({} if weights is None else weights)})
        n = len(samples)
        together = Samples(_repeated(samples.inputs, len(seeds)), ids=np.arange(n * len(seeds)))
        seeded = _Seeded(
            state.weights, seeds=np.repeat(np.asarray(seeds), n), ids=np.tile(np.asarray(samples.ids), len(seeds))
        )
        gathered = Gathered("simulate", self._wanted, spec, len(together), learner.dtype)
        parts = []
        for positions, taps in gathered.parts(learner.engine.chunk_size):
            parts.append(learner.engine.infer(seeded, together[as_slice(positions)], taps))
            gathered.add(positions, parts[-1])
        return gathered.whole(parts)


def _repeated(inputs: Any, times: int) -> Any:
    if times == 1:
        return inputs
    index = np.tile(np.arange(len(inputs)), times)
    return inputs[index]


def _labelled(values: Sequence[Any]) -> bool:
    return all(np.ndim(value) == 0 for value in values)


def _axes(given: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Parameter -> its values; one where it has only one."""
    found: dict[str, list[Any]] = {}
    for name, values in given.items():
        several = np.ndim(values) >= 1 and not isinstance(values, str) if not isinstance(values, range) else True
        found[name] = list(values) if several else [values]
        if not found[name]:
            raise SpecError("simulate", f"{name} has no values", got=repr(values), expected="at least one")
    return found


def _weights(given: Any) -> tuple[list[Mapping[str, Any] | None], bool]:
    if given is None:
        return [None], False
    if isinstance(given, Mapping):
        return [given], False
    given = list(given) if isinstance(given, Iterable) else []
    if not given or not all(isinstance(one, Mapping) for one in given):
        raise SpecError(
            "simulate", "weights are of the wrong type", got=repr(given)[:200], expected="a mapping, or a list of them"
        )
    return given, True


def _seeds(given: Any) -> tuple[list[int], bool]:
    several = np.ndim(given) == 1 or isinstance(given, range)
    found = list(given) if several else [given]
    wrong = [s for s in found if isinstance(s, bool) or not isinstance(s, int | np.integer) or not 0 <= s < 2**32]
    if wrong or not found:
        raise SpecError("simulate", "seed is wrong", got=repr(given), expected="whole numbers >= 0")
    return [int(s) for s in found], several
