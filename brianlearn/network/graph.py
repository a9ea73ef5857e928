"""Populations and the projections between them: shapes inferred, order found, everything checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from brianlearn.errors import ShapeError, SpecError, did_you_mean
from brianlearn.network.connections import AllToAll, Bias
from brianlearn.network.encoders import Encoder
from brianlearn.network.own_spikes import EveryStep
from brianlearn.network.population import LinearReadout, Population
from brianlearn.network.projection import ALWAYS, Projection
from brianlearn.network.storable import Storable

__all__ = ["Graph"]


@dataclass(frozen=True, eq=False)
class Graph(Storable):
    """What a network is made of.

    Parameters
    ----------
    populations : sequence of Population
    projections : sequence of Projection
        Cycles of projections that have no delay are refused where a spike takes no time (`check_cycles`).
    layers : mapping, optional
        Population -> the layer that declared it, of a chain.
    output : str, optional
        The spiking population that is the output, where no readout is.

    Raises
    ------
    SpecError
        Names that are missing or there twice, populations that nothing reaches.
    ShapeError
        Shapes that do not fit, naming the projection.
    """

    populations: Sequence[Population]
    projections: Sequence[Projection]
    layers: Mapping[str, Any] = field(default_factory=dict)
    output: str | None = None

    def __post_init__(self) -> None:
        for name, kind in (("populations", Population), ("projections", Projection)):
            given = getattr(self, name)
            if not isinstance(given, Sequence) or isinstance(given, str) or not given:
                raise SpecError(
                    "NetworkSpec", f"{name} is no list", got=repr(given), expected=f"a list of bl.{kind.__name__}(...)"
                )
            for k, one in enumerate(given):
                if not isinstance(one, kind):
                    raise SpecError(
                        "NetworkSpec",
                        f"element {k} of {name} is of the wrong type",
                        got=repr(one),
                        expected=f"bl.{kind.__name__}(...)",
                    )
            object.__setattr__(self, name, tuple(given))
            _once(name, [one.name for one in given])
        self._check_ends()
        self._check_biases()
        self._placed  # noqa: B018 - infers shapes, and refuses
        self._check_roles()

    def _check_ends(self) -> None:
        by_name = {p.name: p for p in self.populations}
        for q in self.projections:
            owner = f"projection {q.name!r}"
            for end in ("source", "target"):
                name = getattr(q, end)
                if name not in by_name:
                    raise SpecError(
                        owner,
                        f"its {end} is no population",
                        got=repr(name),
                        expected=", ".join(by_name),
                        remedy=did_you_mean(name, by_name),
                    )
            if by_name[q.source].is_readout:
                raise SpecError(
                    owner, "a readout fires no spikes", got=f"source {q.source!r}", expected="a population that spikes"
                )
            if by_name[q.target].is_input:
                raise SpecError(
                    owner,
                    "nothing can lead to an input",
                    got=f"target {q.target!r}, an encoder",
                    expected="a population of neurons, or a readout",
                )

    @cached_property
    def _biases(self) -> tuple[Projection, ...]:
        return tuple(found for q in self.projections if (found := q.of_bias) is not None)

    @cached_property
    def _every_population(self) -> tuple[Population, ...]:
        """Those that were declared, and what fires in every step where there are biases."""
        return (*self.populations, *([Population(ALWAYS, 1, EveryStep())] if self._biases else ()))

    @cached_property
    def _every_projection(self) -> tuple[Projection, ...]:
        """Those that were declared, and their biases."""
        return (*self.projections, *self._biases)

    def _check_biases(self) -> None:
        taken = {p.name for p in self.populations}
        for q in self._biases:
            for name in taken & {ALWAYS, "bias"}:  # `readout_bias` could be a rule's own readout
                raise SpecError(f"population {name!r}", "biases need this name", got=f"{q.name!r}", expected="another")
        delays = [q.delay_name for q in self.projections if q.learns_delays]
        _once("projections", [*(q.name for q in self._every_projection), *delays])

    @property
    def currents(self) -> tuple[str, ...]:
        """Inputs whose values reach synapses as they are, in the place of spikes."""
        return tuple(p.name for p in self.inputs if isinstance(p.neuron, Encoder) and p.neuron.carries_values)

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Names of all populations, each behind those that it hears without a delay.

        In a cycle without a delay (`check_cycles`), the one that was declared first comes first.
        """
        heard, found = self._heard_at_once, list[str]()
        while len(found) < len(heard):
            left = [name for name in heard if name not in found]
            found.append(next((name for name in left if heard[name] <= set(found)), left[0]))
        if not any(p.is_readout for p in self.populations):  # the output is the last one
            found.sort(key=lambda name: not self._leads_on(name))
        return tuple(found)

    @cached_property
    def _heard_at_once(self) -> dict[str, set[str]]:
        """Population -> those that it hears without a delay."""
        return {
            p.name: {q.source for q in self._every_projection if q.target == p.name and q.at_once}
            for p in self._every_population
        }

    @cached_property
    def cycle(self) -> tuple[str, ...]:
        """Names along a cycle of projections without a delay, the first one again at the end; empty without one."""
        heard = {name: set(sources) for name, sources in self._heard_at_once.items()}
        while ready := [name for name, sources in heard.items() if not sources & heard.keys()]:
            for name in ready:
                del heard[name]
        return tuple(_cycle(heard)) if heard else ()

    def check_cycles(self) -> None:
        """Refuse cycles in which spikes take no time.

        Raises
        ------
        SpecError
            A cycle of projections without a delay, by name.
        """
        if self.cycle:
            raise SpecError(
                "NetworkSpec",
                "projections without a delay form a cycle",
                got=" -> ".join(self.cycle),
                expected="cycles in which a spike takes a step at least",
                remedy="give one of them a delay, e.g. bl.Projection(..., delay=1*ms), or take timing='brian2'",
            )

    def _leads_on(self, name: str) -> bool:
        """Whether another population hears this one."""
        return any(q.source == name != q.target for q in self.projections)

    @cached_property
    def components(self) -> tuple[tuple[str, ...], ...]:
        """The populations that fire, in groups whose members hear one another, each behind those that it hears.

        Within a group they are in the order of a step (`order`). A group of one may hear itself (`is_recurrent`).
        """
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        names = [p.name for p in self.neurons]
        place = {name: k for k, name in enumerate(names)}
        edges = [(place[q.source], place[q.target]) for q in self.between_neurons if q.source in place]
        ones = (np.ones(len(edges)), tuple(np.array(edges, int).reshape(-1, 2).T))
        n, label = connected_components(coo_array(ones, shape=(len(names),) * 2), connection="strong")
        heard = {k: {label[i] for i, j in edges if label[j] == k and label[i] != k} for k in range(n)}
        found: list[int] = []
        while len(found) < n:  # of those that are ready, the one whose first member comes first in a step
            first = {int(k): min(i for i in place.values() if label[i] == k) for k in range(n) if k not in found}
            found.append(min((k for k in first if heard[k] <= set(found)), key=first.__getitem__))
        return tuple(tuple(name for name in names if label[place[name]] == k) for k in found)

    def is_recurrent(self, component: Sequence[str]) -> bool:
        """Whether the populations of a component hear one another, or themselves."""
        return any(q.source in component and q.target in component for q in self.between_neurons)

    @cached_property
    def _placed(self) -> tuple[dict[str, Population], tuple[Projection, ...]]:
        """Populations with their shapes, in order, and projections between them."""
        shapes = self._shapes()
        made = {p.name: _with_shape(p, shapes[p.name]) for p in self._every_population}
        made = {name: made[name] for name in self.order}
        placed = [
            q.placed(self.layers.get(name, made[name]), _shape(made[q.source]), _shape(made[name]))
            for name in self.order
            for q in self._every_projection
            if q.target == name
        ]
        return made, tuple(placed)

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of all populations: declared, or that which a projection from a known one says."""
        shapes = {p.name: tuple(p.shape) for p in self._every_population if p.shape is not None}
        while unknown := [name for name in self.order if name not in shapes]:
            found: dict[str, tuple[int, ...]] = {}
            for name in unknown:
                for q in self.projections:
                    if q.target == name and q.source in shapes and name not in found:
                        shape = q.connection.target_shape(q.name, shapes[q.source], q.source)
                        found |= {} if shape is None else {name: tuple(shape)}
                shapes |= found
            if not found:
                raise ShapeError(
                    f"population {unknown[0]!r}",
                    "its shape is not known",
                    got="no shape, and no projection that says one",
                    expected=f"bl.Population({unknown[0]!r}, shape, neuron)",
                )
        return shapes

    def _check_roles(self) -> None:
        populations, _ = self._placed
        for name, population in populations.items():
            if not population.is_input and not self.onto(name):
                raise SpecError(
                    f"population {name!r}", "nothing reaches it", got="no projection", expected="a projection onto it"
                )
            if name != ALWAYS and not population.is_readout and not self._leads_on(name) and self.readouts:
                raise SpecError(
                    f"population {name!r}",
                    "it reaches nothing",
                    got="no projection from it",
                    expected="a projection to another population or to a readout",
                )
        if not self.fed:
            raise SpecError(
                "NetworkSpec",
                "there is no input that takes samples",
                got=", ".join(p.name for p in self.inputs) or "none",
                expected="bl.Population(name, shape, encoder)",
            )
        if not self.neurons:
            raise SpecError("NetworkSpec", "there are no neurons", expected="bl.Population(name, shape, neuron)")
        last = [p.name for p in self.neurons if not self._leads_on(p.name)]
        if self.output is not None:
            spiking = [p.name for p in self.neurons]
            if self.readouts or self.output not in spiking:
                raise SpecError(
                    "NetworkSpec",
                    "output names no population that can be it",
                    got=repr(self.output) + (" beside a readout" if self.readouts else ""),
                    expected="nothing: the readout is the output" if self.readouts else ", ".join(spiking),
                    remedy=did_you_mean(str(self.output), spiking),
                )
        elif not self.readouts and len(last) != 1:
            raise SpecError(
                "NetworkSpec",
                "without a readout one population is the output",
                got=f"{', '.join(last) or 'none of them'} lead to nothing",
                expected="one",
                remedy="say which one, output='...', or add a readout, bl.Population('readout', n, bl.LinearReadout())",
            )
        for q in self.projections:
            if q.delayed and f"late_{q.name}" in populations:
                raise SpecError(
                    f"projection {q.name!r}",
                    "what repeats its spikes after the delay has the name of a population",
                    got=f"a population {f'late_{q.name}'!r}",
                    expected="another name for one of them",
                )
        for q in self.onto_readouts:
            if not isinstance(q.connection, AllToAll | Bias):
                raise SpecError(
                    f"projection {q.name!r}",
                    "readouts are reached all to all",
                    got=repr(q.connection),
                    expected="bl.AllToAll()",
                )
            if q.delayed:
                raise SpecError(
                    f"projection {q.name!r}",
                    "readouts hear without a delay",
                    got=f"delay={q.delay_text}",
                    expected="delay=0*ms",
                )
        sizes = {p.name: p.n for p in self.readouts}
        if len(set(sizes.values())) > 1:
            raise SpecError(
                "NetworkSpec",
                "readouts do not tell the same classes apart",
                got=", ".join(f"{name} {n}" for name, n in sizes.items()),
                expected="one number of classes, or of outputs",
            )

    @cached_property
    def by_name(self) -> dict[str, Population]:
        """Populations with their shapes, by name, each behind those that it hears in the same step."""
        return self._placed[0]

    @cached_property
    def sources(self) -> tuple[Population, ...]:
        """All that encoders make fire: the inputs, and what fires in every step where there are biases."""
        return tuple(p for p in self.by_name.values() if p.is_input)

    @cached_property
    def inputs(self) -> tuple[Population, ...]:
        """The inputs."""
        return tuple(p for p in self.sources if p.name != ALWAYS)

    @cached_property
    def fed(self) -> tuple[Population, ...]:
        """The inputs that take values or events from samples."""
        return tuple(p for p in self.inputs if not _encoder(p).makes_its_own)

    @cached_property
    def neurons(self) -> tuple[Population, ...]:
        """The populations that fire, in order."""
        return tuple(p for p in self.by_name.values() if p.is_spiking)

    @cached_property
    def readouts(self) -> tuple[Population, ...]:
        """The readouts, as they were declared."""
        return tuple(self.by_name[p.name] for p in self.populations if p.is_readout)

    @cached_property
    def between_neurons(self) -> tuple[Projection, ...]:
        """Projections onto populations that fire, in the order of these."""
        return tuple(q for q in self._placed[1] if self.by_name[q.target].is_spiking)

    @cached_property
    def onto_readouts(self) -> tuple[Projection, ...]:
        """Projections onto readouts."""
        return tuple(q for q in self._placed[1] if self.by_name[q.target].is_readout)

    def onto(self, name: str) -> tuple[Projection, ...]:
        """Projections onto a population."""
        return tuple(q for q in self._placed[1] if q.target == name)

    def tau_of(self, readout: str) -> Any:
        """The time constant of a readout; None if it is memoryless."""
        neuron = self.by_name[readout].neuron
        assert isinstance(neuron, LinearReadout)
        return neuron.tau


def _encoder(population: Population) -> Encoder:
    assert isinstance(population.neuron, Encoder)
    return population.neuron


def _shape(population: Population) -> tuple[int, ...]:
    shape: tuple[int, ...] = population.shape
    return shape


def _with_shape(population: Population, shape: tuple[int, ...]) -> Population:
    return (
        population
        if population.shape == shape
        else Population(population.name, shape, population.neuron, population.dropout, population.dropout_every)
    )


def _once(what: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise SpecError(name, f"two {what} have this name", expected="different names")
        seen.add(name)


def _cycle(heard: Mapping[str, set[str]]) -> list[str]:
    """Names along a cycle, in the direction of spikes, among populations each of which hears another one of them."""
    path = [next(iter(heard))]
    while True:
        before = next(name for name in sorted(heard[path[-1]]) if name in heard)
        if before in path:
            return [before, *reversed(path[path.index(before) :])]
        path.append(before)
