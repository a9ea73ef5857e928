"""Networks that a user has written with Brian2: taught here, compared, and written back."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from brian2 import Network, PoissonGroup, SpikeGeneratorGroup, SpikeMonitor
from brian2.core.base import BrianObject

from brianlearn.errors import SpecError, WeightsError
from brianlearn.learning.weights import check_weights, initial_weights
from brianlearn.network.layers import Readout
from brianlearn.network.learned_delays import UNIT, LearnedDelays
from brianlearn.network.neurons.learned import Learned
from brianlearn.network.neurons.surrogates import FastSigmoid, Surrogate
from brianlearn.network.samples.events import Events
from brianlearn.network.samples.samples import Samples
from brianlearn.network.spec import NetworkSpec

if TYPE_CHECKING:
    from brianlearn.brian.adopt.reading import Read
    from brianlearn.brian.adopt.synapses import Projected
    from brianlearn.training.verify import Verification

__all__ = ["Adopted", "adopt"]

#: Where the files of this package lie: the first frame of another file is the one that calls. (Examples in docstrings
#: run with the names of this module.)
PACKAGE = str(Path(__file__).parents[1])


class Adopted:
    """A network of the user's Brian2 objects, as this package sees it. Made by `adopt`.

    Parameters
    ----------
    read : Read
        What was read.

    Attributes
    ----------
    spec : NetworkSpec
        With the timing ``"brian2"``. Populations have the names of groups, projections those of Synapses objects.
    weights : dict
        Projection -> what its synapses have, in units of the target's ``weight_unit``; drawn for a readout.
    """

    def __init__(self, read: Read) -> None:
        self.spec: NetworkSpec = read.spec
        self.weights: dict[str, np.ndarray] = dict(initial_weights(read.spec))
        self._read = read

    def __repr__(self) -> str:
        return f"Adopted({self.spec.describe()})"

    @property
    def written_back(self) -> tuple[str, ...]:
        """The projections whose weights `write_back` can put into the user's objects."""
        return tuple(name for name, one in self._read.adopted.items() if one.delivery.weight is not None)

    def samples(self, n: int = 1, *, targets: Any = None, seed: int = 0) -> Samples:
        """What the inputs of the script present: the spikes of generators, and Poisson spikes that are drawn.

        Parameters
        ----------
        n : int, optional
            Number of samples: the same spikes of generators in each, other ones of Poisson groups.
        targets : array_like, optional
            As in `Samples`.
        seed : int, optional
            Of Poisson groups. Brian2 would draw other numbers.

        Returns
        -------
        Samples

        Raises
        ------
        SpecError
            Groups named as ``inputs`` that bring no spikes of their own; rates that cannot be computed.
        """
        rng, parts = np.random.default_rng(seed), {}
        for p in self.spec.graph.fed:
            draw = self._trains(self._read.inputs.get(p.name))
            trains = [draw(rng) for _ in range(n)]
            offsets = np.cumsum([0, *(len(step) for step, _ in trains)])
            step = np.concatenate([np.zeros(0, int), *(s for s, _ in trains)])
            neuron = np.concatenate([np.zeros(0, int), *(k for _, k in trains)])
            parts[p.name] = Events(step, neuron, offsets, (p.n,))
        inputs = next(iter(parts.values())) if len(parts) == 1 else parts
        return Samples(inputs) if targets is None else Samples(inputs, targets)

    def _trains(self, group: Any) -> Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]:
        """What makes the steps and neurons of an input's spikes, in order."""
        from brianlearn.brian.adopt.inputs import given_spikes, rates_of
        from brianlearn.brian.adopt.refusal import refused
        from brianlearn.brian.adopt.timed import Changes

        steps, dt = self.spec.n_steps, float(self.spec.dt)
        if isinstance(group, PoissonGroup):
            probability = rates_of(group, steps, dt, self._read.namespace) * dt
            return lambda rng: np.nonzero(rng.random(probability.shape) < probability)  # type: ignore[return-value]
        found = np.zeros(0, int), np.zeros(0, int)  # of what reaches groups that nothing else reaches
        if isinstance(group, SpikeGeneratorGroup):
            step, neuron = given_spikes(group, steps, dt)
            order = np.lexsort((neuron, step))
            found = step[order], neuron[order]
        elif isinstance(group, Changes):
            found = group.step, group.neuron
        elif group is not None:
            raise refused(
                group,
                "it is an input that brings no spikes of its own",
                line=f"inputs=[{group.name}]",
                expected="a SpikeGeneratorGroup or a PoissonGroup",
                remedy="make the samples yourself: bl.Samples(bl.Events.from_times(...))",
            )
        return lambda rng: found

    def verify(self) -> Verification:
        """Run the user's own objects beside the adopted network, and compare every spike.

        The objects run for one trial, and are brought back to where they were. Inputs fire what they fire in the
        user's script, Poisson groups included; the adopted network hears the same. Spikes after the first one that
        differs say little: a network with cycles amplifies one rounding.

        Returns
        -------
        Verification
            Its ``device`` is the code target of Brian2.

        Raises
        ------
        SpecError
            Objects that cannot run again.
        """
        from brianlearn.training.verify import compared

        read = self._read
        current = {name: one.weights for name, one in read.adopted.items()}
        trains = self._run_objects()
        parts = {}
        for p in self.spec.graph.fed:
            step, neuron = trains.get(p.name, (np.zeros(0, int), np.zeros(0, int)))
            parts[p.name] = Events(step, neuron, np.array([0, len(step)]), (p.n,))
        samples = Samples(next(iter(parts.values())) if len(parts) == 1 else parts)
        found = {}
        for p in (*self.spec.graph.inputs, *self.spec.neurons):
            fired = np.zeros((1, self.spec.n_steps, p.n), bool)
            if p.name in trains:
                step, neuron = trains[p.name]
                fired[0, step, neuron] = True
            found[p.name] = fired
        weights = {**self.weights, **current}
        return compared(self.spec, weights, samples, found, "the script's own objects")

    def _run_objects(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Spikes of one trial of the user's objects: group -> steps and neurons, in order."""
        read = self._read
        dt, steps = float(self.spec.dt), self.spec.n_steps
        before = {id(obj): obj._network for obj in _all_objects(read.objects)}
        theirs = read.network is None and any(name is not None for name in before.values())
        now = 0.0 if read.network is None else read.network.t
        if theirs or float(now) > 0:
            raise SpecError(
                "Adopted",
                "the objects have run since they were adopted, so that their states are others",
                got="objects of a network that has run" if theirs else f"a network at t = {now}",
                expected="verify() before they run, or adopted.samples()",
                remedy="restore the network that was adopted (network.store() before its run, network.restore())",
            )
        network = read.network if read.network is not None else Network(*read.objects)
        monitors = {name: SpikeMonitor(group, name=f"brianlearn_{name}*") for name, group in read.groups.items()}
        network.add(*monitors.values())
        network.store("brianlearn")
        start = float(network.t)
        try:
            network.run(self.spec.duration, namespace=dict(read.namespace))
            found = {}
            for name, monitor in monitors.items():
                step = np.rint((np.array(monitor.t) - start) / dt).astype(int)
                neuron = np.array(monitor.i, int)
                kept = step < steps
                order = np.lexsort((neuron[kept], step[kept]))
                found[name] = step[kept][order], neuron[kept][order]
        finally:
            network.restore("brianlearn", restore_random_state=True)
            network._stored_state.pop("brianlearn", None)
            network.remove(*monitors.values())
            for obj in _all_objects(read.objects):  # any network may run them again
                obj._network = before.get(id(obj), obj._network)
        changes = {name: (c.step, c.neuron) for name, c in read.inputs.items() if name not in read.groups}
        return {**found, **changes}  # what timed arrays do

    def write_back(self, weights: Any) -> dict[str, np.ndarray]:
        """Put weights and learned delays into the user's Synapses objects, and learned constants into the groups.

        A constant that is a parameter of a group's equations gets its values; one that the group finds in a namespace
        is put into the group's own namespace, which comes first.

        Parameters
        ----------
        weights : mapping or object with ``weights``
            Projection -> array: of a learner's state, a result, or a dict.

        Returns
        -------
        dict
            Projection -> the weights that the objects have now: those that were given to rounding.

        Raises
        ------
        SpecError
            What is no mapping.
        WeightsError
            Weights of another network; weights that changed and are constants of the script, by name; values of each
            neuron of a constant that is not declared in the equations.
        """
        given = getattr(weights, "weights", weights)
        if not isinstance(given, Mapping):
            raise SpecError(
                "write_back", "weights are no mapping", got=repr(given)[:100], expected="state, or state.weights"
            )
        own = {name: np.asarray(w) for name, w in given.items() if name in self.weights}
        checked = dict(check_weights(self.spec, None, {**self.weights, **own}))
        for name, one in self._read.adopted.items():
            if one.delivery.weight is None and not np.array_equal(checked[name], one.weights):
                raise WeightsError(
                    f"write_back: Synapses {one.delivery.synapses.name!r}",
                    "its weights are constants of the script",
                    got=str(one.delivery.synapses._pathways[0].code).strip(),
                    expected="a synaptic parameter, e.g. Synapses(..., 'w : 1', on_pre='g_post += w')",
                )
        constants = self._constants(checked)
        written = {name: _values(one, checked[name]) for name, one in self._read.adopted.items() if one.delivery.weight}
        for name, one in self._read.adopted.items():  # from here on nothing is refused
            if name in written:
                _write(one, written[name])
            if one.projection.learns_delays:
                checked[f"{name}_delay"] = _write_delays(one, checked[f"{name}_delay"])
        for group, name, value in constants:
            if name in group.user_equations:
                group.variables[name].set_value(np.asarray(value, float))
            else:
                group.namespace[name] = value
        self.weights = {**checked, **{name: one.weights for name, one in self._read.adopted.items()}}
        return dict(self.weights)

    def _constants(self, weights: Mapping[str, np.ndarray]) -> list[tuple[Any, str, Any]]:
        """Group, name and value of the constants that are learned; what cannot be written is refused."""
        found = []
        for one in self.spec.learned_constants:
            group, value = self._read.groups[one.population], one.quantity(weights[one.key])
            if np.ndim(value) and one.name not in group.user_equations:
                raise WeightsError(
                    f"write_back: NeuronGroup {one.population!r}",
                    f"{one.name!r} has a value for each neuron, and the script has one",
                    got=f"{one.name!r} in a namespace",
                    expected=f"a parameter in the equations: '{one.name} : ... (constant)'",
                )
            found.append((group, one.name, value))
        return found


def _values(one: Projected, weights: np.ndarray) -> np.ndarray:
    """The values of a synaptic variable that make its synapses deliver these weights, for the synapses of ``index``."""
    delivery, variable = one.delivery, one.delivery.weight
    assert variable is not None
    amount, slope = one.pack(weights) * one.unit, delivery.coefficient[one.index]
    old = np.array(delivery.synapses.variables[variable].get_value())
    owner, line = f"write_back: Synapses {delivery.synapses.name!r}", str(delivery.synapses._pathways[0].code).strip()
    if ((slope == 0) & (amount != 0)).any():
        raise WeightsError(
            owner,
            f"some synapses deliver nothing, whatever {variable!r} is",
            got=line,
            expected="a factor other than 0",
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.where(slope == 0, old[one.index], amount / slope)
    if old.dtype.kind != "f" and np.allclose(values, np.rint(values), rtol=0, atol=1e-6):
        values = np.rint(values)
    elif old.dtype.kind != "f":
        raise WeightsError(
            owner,
            f"{variable!r} holds whole numbers",
            got=f"{variable} : integer, and weights between them",
            expected=f"{variable} : 1",
        )
    return values


def _write(one: Projected, values: np.ndarray) -> None:
    """Put values into a synaptic variable, and remember what they deliver."""
    delivery = one.delivery
    stored = delivery.synapses.variables[delivery.weight]
    every = np.array(stored.get_value())
    every[one.index] = values
    stored.set_value(every)
    delivery.amount[one.index] = delivery.coefficient[one.index] * np.asarray(stored.get_value(), float)[one.index]


def _write_delays(one: Projected, delays: np.ndarray) -> np.ndarray:
    """Put delays into a pathway, on its time grid; what they are then, in the unit of weights."""
    delivery = one.delivery
    steps = np.floor(one.pack(delays) * UNIT / delivery.dt + 0.5).astype(int)
    stored = delivery.synapses._pathways[0].variables["delay"]
    values = np.array(stored.get_value())
    values[one.index] = steps * delivery.dt
    stored.set_value(values)
    delivery.steps[one.index] = steps
    return one.unpack(steps * delivery.dt / UNIT)


def _all_objects(objects: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for obj in objects:
        found += [obj, *_all_objects(obj.contained_objects)]
    return found


def adopt(
    groups: Any = None,
    synapses: Any = (),
    *,
    duration: Any,
    inputs: Any = (),
    outputs: Any = None,
    readout: Readout | None = None,
    namespace: Mapping[str, Any] | None = None,
    weights: Mapping[str, str] | None = None,
    surrogate: Surrogate = FastSigmoid(),
    v_scale: Any = None,
    noise: str = "refuse",
    learn: Any = (),
    learn_delays: Mapping[str, LearnedDelays] | None = None,
) -> Adopted:
    """Take a network that is written with Brian2: the same spikes, on every engine, and weights that can be taught.

    Equations, thresholds, resets, refractory periods, methods, present values of all variables, connections, weights
    and delays are read from the objects. What has no equal here is refused by name, with the line.

    Parameters
    ----------
    groups : brian2.Network or sequence of Brian2 objects, optional
        Groups, or everything. Without it, all objects that ``brian2.run`` would run where `adopt` is called.
    synapses : sequence of brian2.Synapses, optional
        Where they are not among ``groups``.
    duration : brian2.Quantity
        Of a trial.
    inputs : sequence of groups or names, optional
        Groups whose spikes samples bring; SpikeGeneratorGroup and PoissonGroup are inputs anyway.
    outputs : group or name, or a sequence of them, optional
        The group that is the output, or those that the readout hears. Where it is not given, the one that leads to no
        other.
    readout : Readout, optional
        Added to the network, to be taught; the script has no object for it.
    namespace : mapping, optional
        Values of names, in the place of the names where `adopt` is called.
    weights : mapping, optional
        Synapses object -> the synaptic variable that is its weight, where ``on_pre`` multiplies several.
    surrogate : Surrogate, optional
        Of all neurons.
    v_scale : float, brian2.Quantity or mapping, optional
        Unit of the surrogate's argument, of all groups or by group; the way from reset to threshold where it is not
        given.
    noise : {"refuse", "seeded"}, optional
        ``"seeded"``: white noise and random numbers in equations are taken, drawn with seeds of this package.
    learn : sequence of str or Learned, or mapping, optional
        Constants of the neurons that back-propagation learns (docs/learned_constants.md), of all groups or by group.
    learn_delays : mapping, optional
        Synapses object -> `LearnedDelays` (docs/learned_delays.md); they begin with the delays of the script.

    Returns
    -------
    Adopted

    Raises
    ------
    SpecError, EquationError
        What cannot be read, with the line that could not be read and why.

    Examples
    --------
    >>> from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, ms, prefs
    >>> import brianlearn as bl
    >>> prefs.codegen.target = "numpy"  # compiling takes longer than so small a network
    >>> tau = 10 * ms
    >>> spikes = SpikeGeneratorGroup(2, [0, 1, 0], [1, 2, 4] * ms, name="spikes")
    >>> neurons = NeuronGroup(3, "dv/dt = -v/tau : 1", threshold="v > 1", reset="v = 0", method="exact", name="neurons")
    >>> feed = Synapses(spikes, neurons, "w : 1", on_pre="v_post += w", delay=1 * ms, name="feed")
    >>> feed.connect()
    >>> feed.w = "0.5 + 0.3*j"
    >>> adopted = bl.adopt([spikes, neurons, feed], duration=10 * ms)
    >>> adopted.weights["feed"].tolist()
    [[0.5, 0.5], [0.8, 0.8], [1.1, 1.1]]
    >>> adopted.verify().agrees
    True
    """
    from brianlearn.brian.adopt.reading import read_network

    if readout is not None and not isinstance(readout, Readout):
        raise SpecError("adopt", "readout is of the wrong type", got=repr(readout), expected="bl.Readout(10)")
    frame = sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    here = {**frame.f_globals, **frame.f_locals}
    own = namespace if namespace is not None else here
    if groups is None:  # what Brian2's run would collect
        scope = BrianObject._scope_current_key
        objects = [obj for obj in here.values() if isinstance(obj, BrianObject) and obj.add_to_magic_network]
        groups = [obj for obj in objects if obj._scope_key == scope]
    read = read_network(
        groups,
        synapses,
        inputs=inputs,
        outputs=outputs,
        readout=readout,
        duration=duration,
        namespace=own,
        weights=weights or {},
        surrogate=surrogate,
        v_scale=v_scale,
        noise=noise,
        learn=(learn,) if isinstance(learn, str | Learned) else learn,
        learn_delays=learn_delays or {},
    )
    return Adopted(read)
