"""Populations that hear one another: run together, one step after the other, and back.

What reaches them from outside is known for all steps before they run (`delivered`). In every step each population, in
the order of the step, adds to it what its spikes of earlier steps (and, without a delay, spikes of this step of the
populations before it) deliver through the projections within the component.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from brianlearn.discrete.maps.base import SynapticMap, unflatten
from brianlearn.discrete.maps.step_map import StepMap
from brianlearn.discrete.step.kernels import Kernels
from brianlearn.discrete.step.plain import plain_start, plain_step
from brianlearn.discrete.step.recurrence import Recurrence
from brianlearn.network.spec import NetworkSpec, Projection

__all__ = ["Component", "after"]

#: Population -> what it did in all steps, by name: ``"spike"``, names of its program; shape (T, B, neurons).
Values = dict[str, dict[str, torch.Tensor]]
#: Population -> its dropout mask, (B, neurons) or (T, B, neurons), or None.
Masks = Mapping[str, torch.Tensor | None]


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
        self.inner = {name: [q for q in spec.onto(name) if q.source in names] for name in names}
        self.projections = [q for onto in self.inner.values() for q in onto]
        self.delays = {q.name: q.delay_steps(spec.dt) for q in self.projections}
        self._steps: dict[str, StepMap] = {}

    def run(
        self,
        delivered: Mapping[str, torch.Tensor],
        weights: Mapping[str, torch.Tensor],
        masks: Masks,
        wanted: Mapping[str, Sequence[str]],
    ) -> Values:
        """All steps, without a gradient.

        Parameters
        ----------
        delivered : mapping
            Population -> what reaches it from outside, shape (T, B, neurons). Where kernels run, what arrives from
            inside is added to it.
        weights : mapping
            Projection within the component -> weights.
        masks : mapping
            Population -> its dropout mask.
        wanted : mapping
            Population -> names that are stored beside its spikes.

        Returns
        -------
        dict
            Population -> name -> tensor (T, B, neurons).
        """
        with torch.no_grad():
            if not self._fused(delivered):
                return self._plain(delivered, weights, masks, wanted)
            passage = _Passage(self, delivered, weights, masks)
            for name, recurrence in self._recurrences.items():
                if name in self.names:
                    passage.start(name, recurrence.kernels_with_factors(delivered[name].dtype), wanted[name])
            return passage.forward()

    def differentiable(
        self,
        delivered: Mapping[str, torch.Tensor],
        weights: Mapping[str, torch.Tensor],
        masks: Masks,
        *,
        membrane: bool,
        sums: bool,
    ) -> Values:
        """All steps, with gradients of what was delivered and of the weights.

        Parameters
        ----------
        delivered, weights, masks
            As in `run`: where kernels run, what arrives from inside is added to ``delivered``, which is nobody else's.
        membrane, sums : bool
            Whether membranes are wanted, and all that arrived (which carries no gradient).

        Returns
        -------
        dict
            Population -> ``"spike"`` and, where wanted, ``"membrane"`` and ``"delivered"``.
        """
        if not self._fused(delivered):
            membranes = {name: self._recurrences[name].program.membrane for name in self.names}
            found = self._plain(
                delivered, weights, masks, {name: (of,) if membrane else () for name, of in membranes.items()}
            )
            for name, of in membranes.items() if membrane else ():
                found[name]["membrane"] = found[name].pop(of)
            return found
        external = [delivered[name] for name in self.names]
        inner = [weights[q.name] for q in self.projections]
        kinds = ("spike", *(["membrane"] if membrane else []), *(["delivered"] if sums else []))
        results = _Fused.apply(self, masks, kinds, len(external), *external, *inner)
        each = [results[k : k + len(kinds)] for k in range(0, len(results), len(kinds))]
        return {name: dict(zip(kinds, found, strict=True)) for name, found in zip(self.names, each, strict=True)}

    def _fused(self, delivered: Mapping[str, torch.Tensor]) -> bool:
        return all(self._recurrences[name].has_kernels(delivered[name]) for name in self.names)

    def _plain(
        self,
        delivered: Mapping[str, torch.Tensor],
        weights: Mapping[str, torch.Tensor],
        masks: Masks,
        wanted: Mapping[str, Sequence[str]],
    ) -> Values:
        """All steps with plain operations of torch, which follows them where gradients are wanted."""
        steps, samples = next(iter(delivered.values())).shape[:2]
        states, constants, programs = {}, {}, {}
        for name in self.names:
            recurrence, like = self._recurrences[name], delivered[name][0].flatten()
            programs[name] = recurrence.local_program if wanted[name] else recurrence.program
            constants[name] = recurrence.constants(samples, like, fused=False)
            states[name] = plain_start(programs[name], like)
        seen: dict[str, list[torch.Tensor]] = {name: [] for name in self.names}
        kept: dict[str, dict[str, list[torch.Tensor]]] = {
            name: {what: [] for what in ("spike", "delivered", *wanted[name])} for name in self.names
        }
        for t in range(steps):
            for name in self.names:
                sums = delivered[name][t]
                for q in self.inner[name]:
                    past = t - self.delays[q.name]
                    if past >= 0:
                        source = seen[q.source][past].view(1, samples, *q.in_shape)
                        part, last = self._maps[q.name](source, weights[q.name])
                        sums = sums + (unflatten(part, q.out_shape, True).flatten(2) if last else part)[0]
                values, state, since = plain_step(
                    programs[name],
                    sums.flatten(),
                    constants[name],
                    *states[name],
                    reset_kept=self._recurrences[name].reset_kept,
                )
                states[name] = state, since
                values["delivered"] = sums
                for what, found in kept[name].items():
                    found.append(torch.as_tensor(values[what]).view_as(sums) if what != "delivered" else sums)
                spikes, mask = kept[name]["spike"][-1], _mask(masks.get(name), t)
                seen[name].append(spikes if mask is None else spikes * mask)
        return {name: {what: torch.stack(found) for what, found in by.items()} for name, by in kept.items()}

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


class _Passage:
    """One batch through the kernels of a component."""

    def __init__(
        self,
        component: Component,
        delivered: Mapping[str, torch.Tensor],
        weights: Mapping[str, torch.Tensor],
        masks: Masks,
    ) -> None:
        self.component, self.masks = component, masks
        self.delivered = {name: delivered[name].detach().contiguous() for name in component.names}
        self.steps, self.samples = next(iter(self.delivered.values())).shape[:2]
        self.maps = component.step_maps(weights)
        self.kernels: dict[str, Kernels] = {}
        self.constants: dict[str, Any] = {}
        self.stored: Values = {}

    def start(self, name: str, kernels: Kernels, wanted: Sequence[str]) -> None:
        """Say what runs a population, and what is stored of it beside its spikes."""
        like = self.delivered[name]
        self.kernels[name] = kernels
        self.constants[name] = self.component._recurrences[name].constants(self.samples, like, fused=True)
        kinds = {what: torch.bool if what == "not_refractory" else like.dtype for what in ("spike", *wanted)}
        self.stored[name] = {what: torch.empty_like(like, dtype=dtype) for what, dtype in kinds.items()}

    def forward(self) -> Values:
        """All steps; what each population stored."""
        component = self.component
        self.seen = {
            name: self.stored[name]["spike"]
            if self.masks.get(name) is None
            else torch.empty_like(self.stored[name]["spike"])
            for name in component.names
        }
        run = {}
        for name in component.names:
            program, stored = self.kernels[name].program, self.stored[name]
            state, since = plain_start(program, self.delivered[name][0].flatten())
            states = [a.numpy() for a in state.values()] + ([since.numpy()] if program.refractory else [])
            rows = [a.view(self.steps, -1).numpy() for a in (self.delivered[name], *stored.values())]
            run[name] = self.kernels[name].steps(tuple(stored)), states, rows
        for t in range(self.steps):
            for name in component.names:
                for q in component.inner[name]:
                    past = t - component.delays[q.name]
                    if past >= 0:
                        self.maps[q.name].add(self.seen[q.source][past], self.delivered[name][t])
                kernel, states, (given, *kept) = run[name]
                kernel([given[t], *states, *(row[t] for row in kept)], self.constants[name])
                mask = _mask(self.masks.get(name), t)
                if mask is not None:
                    torch.mul(self.stored[name]["spike"][t], mask, out=self.seen[name][t])
        return self.stored

    def backward(self, errors: Mapping[str, torch.Tensor], membranes: Mapping[str, torch.Tensor]) -> Values:
        """From gradients of spikes (which are changed) and membranes to those of what was delivered, and of weights.

        Returns
        -------
        dict
            ``"delivered"``: by population; ``"weights"``: by projection.
        """
        component, run = self.component, {}
        found: dict[str, torch.Tensor] = {}
        for name in component.names:
            kernels, like = self.kernels[name], self.delivered[name]
            found[name] = torch.empty_like(like)
            states = [np.zeros(like[0].numel(), like.numpy().dtype) for _ in kernels.program.states]
            arrays = {**self.stored[name], "grad_out_spike": errors[name], "grad_delivered": found[name]}
            if kernels.membrane:
                arrays["grad_out_membrane"] = membranes[name]
            rows = [arrays[what].view(self.steps, -1).numpy() for what in kernels.arrays]
            run[name] = kernels, states, rows
        for t in range(self.steps - 1, -1, -1):
            for name in reversed(component.names):
                kernels, states, rows = run[name]
                kernels.back([*states, *(row[t] for row in rows)], self.constants[name])
                for q in component.inner[name]:
                    past = t - component.delays[q.name]
                    if past < 0:
                        continue
                    mask = _mask(self.masks.get(q.source), past)
                    if mask is None:
                        self.maps[q.name].add_back(found[name][t], errors[q.source][past])
                    else:
                        down = torch.zeros_like(errors[q.source][past])
                        self.maps[q.name].add_back(found[name][t], down)
                        errors[q.source][past].addcmul_(down, mask)
        return {
            "delivered": found,
            "weights": {q.name: self._gradient(q, found[q.target]) for q in component.projections},
        }

    def _gradient(self, q: Projection, error: torch.Tensor) -> torch.Tensor:
        """The gradient of the weights of a projection within the component."""
        synapses, delay = self.component._maps[q.name], self.component.delays[q.name]
        if delay >= self.steps:
            return error.new_zeros(q.weight_shape)
        source = self.seen[q.source][: self.steps - delay].unflatten(2, q.in_shape)
        listed = synapses.lists(source)
        return synapses.weight_gradient(error[delay:].contiguous(), source, channels_last=False, listed=listed)


class _Fused(torch.autograd.Function):
    """All steps of a component as one operation of torch."""

    @staticmethod
    def forward(
        ctx: Any, component: Component, masks: Masks, kinds: Sequence[str], populations: int, *tensors: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        save = any(ctx.needs_input_grad)
        delivered = dict(zip(component.names, tensors[:populations], strict=True))
        weights = {q.name: w for q, w in zip(component.projections, tensors[populations:], strict=True)}
        passage = _Passage(component, delivered, weights, masks)
        for name in component.names:
            kernels = component._recurrences[name].kernels(
                str(delivered[name].dtype).removeprefix("torch."), membrane="membrane" in kinds
            )
            names = kernels.stored if save else kernels.outputs
            passage.start(name, kernels, [what for what in names if what != "spike"])
        stored = passage.forward()
        results: list[torch.Tensor] = []
        for name in component.names:
            values = {**stored[name], "delivered": passage.delivered[name]}
            if "membrane" in kinds:
                values["membrane"] = values[passage.kernels[name].program.membrane]
            # other tensors of the same memory: an output that the context holds would keep itself alive
            found = {what: values[what].detach() for what in kinds}
            results += found.values()
            if "delivered" in kinds:
                ctx.mark_non_differentiable(found["delivered"])
        ctx.passage, ctx.kinds = (passage if save else None), kinds
        ctx.set_materialize_grads(False)
        return tuple(results)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        passage: _Passage = ctx.passage
        component, kinds = passage.component, ctx.kinds

        def given(kind: str) -> dict[str, torch.Tensor]:
            found = {}
            for k, name in enumerate(component.names if kind in kinds else ()):
                grad = grads[k * len(kinds) + kinds.index(kind)]
                like = passage.delivered[name]
                found[name] = torch.zeros_like(like) if grad is None else grad.contiguous().clone()
            return found

        found = passage.backward(given("spike"), given("membrane"))
        delivered = [found["delivered"][name] for name in component.names]
        weights = [found["weights"][q.name] for q in component.projections]
        return None, None, None, None, *delivered, *weights


def _mask(mask: torch.Tensor | None, step: int) -> torch.Tensor | None:
    """The dropout mask of a step, shape (B, neurons)."""
    return mask if mask is None or mask.ndim == 2 else mask[step]
