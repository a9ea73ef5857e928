"""Populations that hear one another: run together, one step after the other, and back.

What reaches them from outside is known for all steps before they run (`delivered`). In every step each population, in
the order of the step, adds to it what its spikes of earlier steps (and, without a delay, spikes of this step of the
populations before it) deliver through the projections within the component.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from brianlearn.discrete.maps.base import SynapticMap, at_port, unflatten
from brianlearn.discrete.maps.step_map import StepMap
from brianlearn.discrete.run.passage import DrawsOf, Masks, Moment, Values, mask_of, run_fused
from brianlearn.discrete.run.passage import Passage as _Passage
from brianlearn.discrete.step.plain import plain_start, plain_step
from brianlearn.discrete.step.recurrence import Recurrence
from brianlearn.network.spec import NetworkSpec

__all__ = ["Component", "after"]


def after(source: torch.Tensor, delay: int, steps: int) -> torch.Tensor:
    """What arrives of ``source``, (T, B, ...) or (1, B, ...) for what is the same in every step, after some steps."""
    if not delay:
        return source
    if len(source) != steps:
        source = source.expand(steps, *source.shape[1:])
    quiet = source.new_zeros(min(delay, steps), *source.shape[1:])
    return torch.cat([quiet, source[: steps - len(quiet)]])


class Component:
    """The populations of a component, and the projections within it.

    Parameters
    ----------
    spec : NetworkSpec
    names : sequence of str
        Populations in the order of a step.
    recurrences : mapping
        Population -> its neurons.
    maps : mapping
        Projection -> its synaptic map.
    kernels : bool
        Whether generated kernels may run.

    Attributes
    ----------
    inner : dict
        Population -> the projections within the component that reach it.
    outer_of : dict
        Population -> the projections within the component that it reaches, in the order in which errors come back.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        names: Sequence[str],
        recurrences: Mapping[str, Recurrence],
        maps: Mapping[str, SynapticMap],
        *,
        kernels: bool,
    ) -> None:
        self.names, self._recurrences, self._maps, self._kernels = tuple(names), recurrences, maps, kernels
        self.inner = {name: [q for q in spec.pathways_onto(name) if q.source in names] for name in names}
        self.projections = [q for onto in self.inner.values() for q in onto]
        self.delays = {q.name: spec.arrival_steps(q) for q in self.projections}
        back = [q for name in reversed(self.names) for q in self.inner[name]]
        back.sort(key=lambda q: -self.delays[q.name])  # what was heard last comes first
        self.outer_of = {name: [q for q in back if q.source == name] for name in names}
        self._steps: dict[str, StepMap] = {}

    def run(
        self,
        delivered: Mapping[str, torch.Tensor],
        weights: Mapping[str, torch.Tensor],
        masks: Masks,
        wanted: Mapping[str, Sequence[str]],
        draws: DrawsOf | None = None,
    ) -> Values:
        """All steps, without a gradient.

        Parameters
        ----------
        delivered : mapping
            Population -> what reaches it from outside, shape (T, B, neurons), or (T, ports, B, neurons) where it has
            several input variables. Where kernels run, what arrives from
            inside is added to it.
        weights : mapping
            Projection within the component -> weights.
        masks : mapping
            Population -> its dropout mask.
        wanted : mapping
            Population -> names that are stored beside its spikes.
        draws : mapping, optional
            Population -> where its neurons draw random numbers.

        Returns
        -------
        dict
            Population -> name -> tensor (T, B, neurons).
        """
        with torch.no_grad():
            if not self._fused(delivered):
                return self._plain(delivered, weights, masks, wanted, draws=draws)[0]
            passage = _Passage(self, delivered, weights, masks, draws=draws)
            for name in self.names:
                kernels = self.recurrence(name).kernels_with_factors(delivered[name].dtype)
                passage.start(name, kernels, wanted[name], overwrite=True)
            return passage.forward()

    def differentiable(
        self,
        delivered: Mapping[str, torch.Tensor],
        weights: Mapping[str, torch.Tensor],
        masks: Masks,
        *,
        membrane: bool = False,
        sums: bool = False,
        begin: Moment | None = None,
        draws: DrawsOf | None = None,
    ) -> tuple[Values, Moment]:
        """All steps, with gradients of what was delivered and of the weights.

        Parameters
        ----------
        delivered, weights, masks
            As in `run`: where kernels run, what arrives from inside is added to ``delivered``, which is nobody else's.
        membrane, sums : bool
            Whether membranes are wanted, and all that arrived (which carries no gradient).
        begin : Moment, optional
            Where a part of a trial goes on, with a gradient of its states and of what was heard; else it starts.
        draws : mapping, optional
            As in `run`; from the first of these steps on.

        Returns
        -------
        values : dict
            Population -> ``"spike"`` and, where wanted, ``"membrane"`` and ``"delivered"``.
        end : Moment
            States after the last step; without what was heard.
        """
        if not self._fused(delivered):
            of = {name: self._recurrences[name].program.membrane for name in self.names}
            found, end = self._plain(
                delivered, weights, masks, {name: (of[name],) if membrane else () for name in self.names}, begin, draws
            )
            for name in self.names if membrane else ():
                found[name]["membrane"] = found[name].pop(of[name])
            return found, end
        kinds = ("spike", *(["membrane"] if membrane else []), *(["delivered"] if sums else []))
        return run_fused(self, delivered, weights, masks, kinds, begin, draws)

    def recurrence(self, name: str) -> Recurrence:
        """The neurons of a population.

        Parameters
        ----------
        name : str

        Returns
        -------
        Recurrence
        """
        return self._recurrences[name]

    def synapses(self, projection: str) -> SynapticMap:
        """The synaptic map of a projection within the component.

        Parameters
        ----------
        projection : str

        Returns
        -------
        SynapticMap
        """
        return self._maps[projection]

    def _fused(self, delivered: Mapping[str, torch.Tensor]) -> bool:
        return all(self._recurrences[name].has_kernels(delivered[name]) for name in self.names)

    def _plain(
        self,
        delivered: Mapping[str, torch.Tensor],
        weights: Mapping[str, torch.Tensor],
        masks: Masks,
        wanted: Mapping[str, Sequence[str]],
        begin: Moment | None = None,
        draws: DrawsOf | None = None,
    ) -> tuple[Values, Moment]:
        """All steps with plain operations of torch, which follows them where gradients are wanted."""
        first = next(iter(delivered.values()))
        steps, samples = len(first), first.shape[-2]
        states, constants, programs, noise = {}, {}, {}, draws or {}
        for name in self.names:
            recurrence, like = self._recurrences[name], at_port(delivered[name], 0)[0].flatten()
            programs[name] = recurrence.local_program if wanted[name] else recurrence.program
            constants[name] = recurrence.constants(samples, like, fused=False)
            states[name] = plain_start(programs[name], like)
            if begin is not None:
                states[name] = begin.states[name], begin.since.get(name, states[name][1])
        before = {} if begin is None else begin.heard
        seen: dict[str, list[torch.Tensor]] = {name: list(before.get(name, ())) for name in self.names}
        lead = {name: len(heard) for name, heard in seen.items()}
        kept: dict[str, dict[str, list[torch.Tensor]]] = {
            name: {what: [] for what in ("spike", "delivered", *wanted[name])} for name in self.names
        }
        for t in range(steps):
            for name in self.names:
                sums = delivered[name][t]
                for q in self.inner[name]:
                    past = t - self.delays[q.name] + lead[q.source]
                    if past >= 0:
                        source = seen[q.source][past].view(1, samples, *q.in_shape)
                        part, last = self._maps[q.name](source, weights[q.name])
                        part = (unflatten(part, q.out_shape, True).flatten(2) if last else part)[0]
                        sums = sums + part if sums.ndim == 2 else sums.index_add(0, torch.tensor([q.port]), part[None])
                like = at_port(sums[None], 0)[0]
                drawn = noise[name].functions(t, like.flatten()) if name in noise else {}
                values, state, since = plain_step(
                    programs[name],
                    sums.flatten(),
                    {**constants[name], **drawn},
                    *states[name],
                    reset_kept=self._recurrences[name].reset_kept,
                )
                states[name] = state, since
                values["delivered"] = sums
                for what, steps_of in kept[name].items():
                    steps_of.append(torch.as_tensor(values[what]).view_as(like) if what != "delivered" else sums)
                spikes, mask = kept[name]["spike"][-1], mask_of(masks.get(name), t)
                seen[name].append(spikes if mask is None else spikes * mask)
        found = {name: {what: torch.stack(steps_of) for what, steps_of in by.items()} for name, by in kept.items()}
        end = Moment({name: dict(state) for name, (state, _) in states.items()}, {}, {})
        end.since.update({name: since for name, (_, since) in states.items() if programs[name].refractory})
        return found, end

    def step_maps(self, weights: Mapping[str, torch.Tensor]) -> dict[str, StepMap]:
        """The maps of single steps, with these weights.

        Parameters
        ----------
        weights : mapping
            Projection -> weights.

        Returns
        -------
        dict of str to StepMap
        """
        for q in self.projections:
            if q.name not in self._steps:
                self._steps[q.name] = StepMap(q, self._maps[q.name], kernels=self._kernels)
            self._steps[q.name].load(weights[q.name])
        return self._steps

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_steps": {}}
