"""What a discrete network records beside spikes and readouts: states, surrogate derivatives, third factors, traces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from brianlearn.discrete.maps.base import unflatten
from brianlearn.discrete.run.activity import DiscreteActivity
from brianlearn.discrete.run.error_paths import fixed_tensors
from brianlearn.discrete.run.network import DiscreteNetwork
from brianlearn.discrete.run.targets import output_target
from brianlearn.discrete.run.three_factor import PopulationRun, forward, third_factors, traces
from brianlearn.discrete.step.plain import evaluate
from brianlearn.discrete.step.program import at_end, end_value
from brianlearn.errors import SpecError
from brianlearn.learning.recording import taps_of
from brianlearn.learning.rules.base import Rule
from brianlearn.learning.rules.three_factor import ThreeFactorRule
from brianlearn.network.neurons.neuron import Neuron
from brianlearn.network.population import Population
from brianlearn.network.record import Tap

__all__ = ["Watch"]


class Watch:
    """Runs batches and keeps what is recorded over time.

    Parameters
    ----------
    network : DiscreteNetwork
        In evaluation mode.
    rule : Rule or None
    fixed : mapping
        The rule's fixed weights beside the network's own.
    record : sequence of Tap

    Raises
    ------
    EquationError
        Subexpressions that cannot be computed in discrete time, by name.
    SpecError
        State variables and traces under the timing ``"brian2"``, where a step ends with what the next one begins with.
    """

    def __init__(
        self, network: DiscreteNetwork, rule: Rule | None, fixed: Mapping[str, torch.Tensor], record: Sequence[Tap]
    ) -> None:
        self.network, self.rule, self.fixed = network, rule, fixed
        self.record = [tap for tap in record if tap.over_time]
        self._check_timing()
        self._subexpressions = {
            tap: end_value(
                network.spec.onto(tap.layer)[0],
                float(network.spec.dt),
                tap.variable,
                network.recurrence(tap.layer).learned_values(),
            )
            for tap in self.record
            if tap.variable in self._texts(tap.layer)
        }

    def _check_timing(self) -> None:
        inside = [
            f"{tap.variable} of {tap.layer}" for tap in self.record if tap.variable not in ("readout", "psi", "L")
        ]
        if inside and self.network.spec.timing == "brian2":
            raise SpecError(
                "engine 'discrete', timing 'brian2'",
                "the values at the end of a step are not there: spikes are delivered with the next step",
                got=", ".join(inside),
                expected="spikes, the readout, psi or L",
                remedy="record it on engine='brian'",
            )

    def _texts(self, layer: str) -> Sequence[str]:
        population = self.network.spec.graph.by_name.get(layer)
        neuron = None if population is None else population.neuron
        return neuron.parsed.equations.subexpr_names if isinstance(neuron, Neuron) else ()

    @property
    def looks_inside(self) -> bool:
        """Whether more is recorded than the network returns anyway."""
        return any(tap.variable != "readout" for tap in self.record)

    def run(
        self, inputs: Any, labels: torch.Tensor | None, keys: np.ndarray
    ) -> tuple[DiscreteActivity, dict[Tap, np.ndarray]]:
        """One batch.

        Parameters
        ----------
        inputs : array_like, shape (B, *input shape), or Events
        labels : torch.Tensor of int, shape (B,), or None
        keys : numpy.ndarray of uint64, shape (B, 2)

        Returns
        -------
        activity : DiscreteActivity
        recorded : dict
            Tap -> values, shape (B, steps that are kept, neurons).
        """
        if not self.looks_inside:
            activity, found = self.network(inputs, keys=keys), {}
        else:
            runs, spikes, heard = forward(self.network, self._names, inputs, keys)
            activity = self.network.active(spikes, heard)
            found = self._inside(runs, labels, heard)
        readouts = {self.network.spec.output: activity.readout, **activity.others}
        found |= {tap: readouts[tap.layer] for tap in self.record if tap.variable == "readout"}
        return activity, {tap: _kept(tap, found[tap]) for tap in self.record}

    def _names(self, p: Population) -> Sequence[str]:
        """What a population computes beside its spikes."""
        names = []
        for tap in self.record:
            if tap in self._subexpressions and tap.layer == p.name:
                names += [at_end(s) for s in self._states(p)]
            elif tap.layer == p.name and tap.variable in self._states(p):
                names.append(at_end(tap.variable))
        if taps_of(self.record, "L") or p.name in taps_of(self.record, "psi"):
            names.append("psi")
        return tuple(dict.fromkeys(names))

    def _states(self, p: Population) -> Sequence[str]:
        return list(self.network.recurrence(p.name).program.states)

    def _inside(
        self, runs: list[PopulationRun], labels: torch.Tensor | None, heard: Mapping[str, torch.Tensor]
    ) -> dict[Tap, torch.Tensor]:
        """Values of all layers, shape (T, B, *shape)."""
        found: dict[Tap, torch.Tensor] = {}
        by_name, arrivals = {run.p.name: run for run in runs}, {a.p.name: a for run in runs for a in run.arrivals}
        factors = self._third_factors(runs, labels, heard) if taps_of(self.record, "L") else {}
        for tap in self.record:
            run = by_name.get(tap.layer)
            if tap.variable == "L":
                found[tap] = factors[tap.layer]
            elif tap in self._subexpressions:
                assert run is not None
                found[tap] = self._subexpression(tap, run)
            elif run is not None and (at_end(tap.variable) in run.passage.values or tap.variable == "psi"):
                name = tap.variable if tap.variable == "psi" else at_end(tap.variable)
                found[tap] = unflatten(run.passage.values[name], run.p.shape, run.channels_last)
            elif tap.variable != "readout":
                (found[tap],) = traces(self.network, arrivals[tap.layer], [tap.variable.removeprefix("trace_")])
        return found

    def _third_factors(
        self, runs: list[PopulationRun], labels: torch.Tensor | None, heard: Mapping[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        """L of all populations that have one; 0 during the burn-in."""
        rule, spec = self.rule, self.network.spec
        assert isinstance(rule, ThreeFactorRule) and labels is not None
        target = output_target(labels, runs[-1].passage.values["spike"], spec.classes)
        weights = fixed_tensors(self.network, rule, self.fixed, runs)
        factors, _ = third_factors(self.network, rule, weights, runs, target, heard)
        found = {}
        for run in runs:
            if run.p.name in factors:
                factor = factors[run.p.name]
                silent = factor.new_zeros(spec.n_steps - len(factor), *factor.shape[1:])
                found[run.p.name] = unflatten(torch.cat([silent, factor]), run.p.shape, run.channels_last)
        return found

    def _subexpression(self, tap: Tap, run: PopulationRun) -> torch.Tensor:
        node, constants = self._subexpressions[tap]
        states = {
            at_end(s): unflatten(run.passage.values[at_end(s)], run.p.shape, run.channels_last).flatten(2)
            for s in self._states(run.p)
        }
        like = run.passage.values["spike"]
        values = {name: torch.as_tensor(value).to(like) for name, value in constants.items()}
        return evaluate(node, {**values, **states}, like.dtype).to(like.dtype).expand(like.shape)


def _kept(tap: Tap, values: torch.Tensor) -> np.ndarray:
    """What is kept of values (T, B, *shape), as (B, steps, neurons)."""
    flat = values[:: tap.every].flatten(2)
    if tap.neurons is not None:
        flat = flat[:, :, list(tap.neurons)]
    return np.array(flat.transpose(0, 1).detach().cpu().numpy())
