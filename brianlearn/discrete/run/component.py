"""Populations that hear one another: run together, one step after the other, and back.

What reaches them from outside is known for all steps before they run (`delivered`). In every step each population, in
the order of the step, adds to it what its spikes of earlier steps (and, without a delay, spikes of this step of the
populations before it) deliver through the projections within the component.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from brianlearn.discrete.maps.base import Listed, SynapticMap, unflatten
from brianlearn.discrete.maps.bits import Bits
from brianlearn.discrete.maps.step_map import StepMap
from brianlearn.discrete.step.kernel_source import GRAD_DELIVERED
from brianlearn.discrete.step.kernels import Kernels, StepKernel
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
        self.inner = {name: [q for q in spec.onto(name) if q.source in names] for name in names}
        self.projections = [q for onto in self.inner.values() for q in onto]
        self.delays = {q.name: q.delay_steps(spec.dt) for q in self.projections}
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
                    kernels = recurrence.kernels_with_factors(delivered[name].dtype)
                    passage.start(name, kernels, wanted[name], overwrite=True)
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


@dataclass(frozen=True, eq=False)
class _Heard:
    """What the synapses of a projection heard, for the gradient of its weights: lists, bits, or as it was."""

    listed: Listed | None
    kept: torch.Tensor | Bits

    @staticmethod
    def of(synapses: SynapticMap, source: torch.Tensor, binary: bool) -> _Heard:
        """Keep presynaptic spikes (steps, samples, *in_shape); ``binary``: there are no other numbers than 0 and 1."""
        listed = None if synapses.is_conv else synapses.lists(source)
        if listed is not None:
            return _Heard(listed, source.new_empty(0))
        return _Heard(None, Bits.of(source) if binary and source.device.type == "cpu" else source)

    def back(self) -> tuple[torch.Tensor, Listed | None]:
        """The arguments of a gradient: spikes, which are not read where there are lists, and lists."""
        return self.kept.dense() if isinstance(self.kept, Bits) else self.kept, self.listed


class _Passage:
    """One batch through the kernels of a component.

    What its gradient needs is kept as long as it: membranes, and spikes in lists or as bits.
    """

    def __init__(
        self,
        component: Component,
        delivered: Mapping[str, torch.Tensor],
        weights: Mapping[str, torch.Tensor],
        masks: Masks,
    ) -> None:
        self.component, self.masks = component, masks
        self.delivered = {name: delivered[name].detach().contiguous() for name in component.names}
        self.like = {name: torch.empty_like(given[0]) for name, given in self.delivered.items()}
        self.steps, self.samples = next(iter(self.delivered.values())).shape[:2]
        self.maps = component.step_maps(weights)
        self.kernels: dict[str, Kernels] = {}
        self.constants: dict[str, Any] = {}
        self.stored: Values = {}
        self._steps: dict[str, StepKernel] = {}
        self._heard: dict[str, _Heard] = {}

    def start(self, name: str, kernels: Kernels, wanted: Sequence[str], *, overwrite: bool) -> None:
        """Say what runs a population, and what is stored of it; ``overwrite``: one of it in the place of its sums."""
        given, names = self.delivered[name], ("spike", *wanted)
        self.kernels[name] = kernels
        self.constants[name] = self.component._recurrences[name].constants(self.samples, given, fused=True)
        reused = next((what for what in reversed(names) if what != "not_refractory"), None) if overwrite else None
        kinds = {what: torch.bool if what == "not_refractory" else given.dtype for what in names}
        self.stored[name] = {
            what: given if what == reused else torch.empty_like(given, dtype=dtype) for what, dtype in kinds.items()
        }
        self._steps[name] = kernels.steps(names, reused)

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
            program, sums = self.kernels[name].program, self.delivered[name]
            state, since = plain_start(program, sums[0].flatten())
            states = [a.numpy() for a in state.values()] + ([since.numpy()] if program.refractory else [])
            written = [a for a in self.stored[name].values() if a is not sums]
            run[name] = states, [a.view(self.steps, -1).numpy() for a in (sums, *written)]
        for t in range(self.steps):
            for name in component.names:
                for q in component.inner[name]:
                    past = t - component.delays[q.name]
                    if past >= 0:
                        self.maps[q.name].add(self.seen[q.source][past], self.delivered[name][t])
                states, (given, *kept) = run[name]
                self._steps[name]([given[t], *states, *(row[t] for row in kept)], self.constants[name])
                mask = _mask(self.masks.get(name), t)
                if mask is not None:
                    torch.mul(self.stored[name]["spike"][t], mask, out=self.seen[name][t])
        return self.stored

    def keep(self) -> None:
        """Keep what the gradient needs, and nothing else."""
        component = self.component
        for q in component.projections:
            heard = self.seen[q.source][: max(0, self.steps - component.delays[q.name])].unflatten(2, q.in_shape)
            binary = self.masks.get(q.source) is None
            self._heard[q.name] = _Heard.of(component._maps[q.name], heard, binary)
        for name in component.names:
            needed = self.kernels[name].arrays
            self.stored[name] = {what: values for what, values in self.stored[name].items() if what in needed}
        del self.seen, self.delivered

    def forget(self) -> None:
        """Give back what was kept for the gradient."""
        self.stored, self._heard = {}, {}

    def backward(
        self,
        errors: Mapping[str, torch.Tensor | None],
        membranes: Mapping[str, torch.Tensor | None],
        *,
        once: bool,
    ) -> Values:
        """From gradients of spikes and membranes (None: zero) to those of what was delivered, and of weights.

        Parameters
        ----------
        errors, membranes : mapping
            Population -> gradient, shape (T, B, neurons), or None.
        once : bool
            Whether there is no second time: gradients may lie where membranes were.

        Returns
        -------
        dict
            ``"delivered"``: by population; ``"weights"``: by projection.
        """
        component, run = self.component, {}
        found: dict[str, torch.Tensor] = {}
        for name in component.names:
            kernels, like = self.kernels[name], self.like[name]
            spent = self._spent(name) if once else None
            found[name] = like.new_empty(self.steps, *like.shape) if spent is None else self.stored[name][spent]
            states = [np.zeros(like.numel(), like.numpy().dtype) for _ in kernels.program.states]
            error = torch.empty_like(like)  # of the step
            arrays = {**self.stored[name], "grad_out_spike": error.expand(self.steps, *like.shape)}
            if spent is None:
                arrays[GRAD_DELIVERED] = found[name]
            if kernels.membrane:
                given = membranes[name]
                arrays["grad_out_membrane"] = (
                    torch.zeros_like(like).expand(found[name].shape) if given is None else given
                )
            rows = [arrays[what].flatten(1).numpy() for what in kernels.arrays if what in arrays]
            run[name] = kernels, states, rows, error, spent
        for t in range(self.steps - 1, -1, -1):
            for name in reversed(component.names):
                kernels, states, rows, error, spent = run[name]
                given = errors[name]
                _ = error.zero_() if given is None else error.copy_(given[t])
                mask = _mask(self.masks.get(name), t)
                for q in component.outer_of[name]:
                    later = t + component.delays[q.name]
                    if later >= self.steps:
                        continue
                    if mask is None:
                        self.maps[q.name].add_back(found[q.target][later], error)
                    else:
                        down = torch.zeros_like(error)
                        self.maps[q.name].add_back(found[q.target][later], down)
                        error.addcmul_(down, mask)
                kernels.back([*states, *(row[t] for row in rows)], self.constants[name], spent)
        return {
            "delivered": found,
            "weights": {q.name: self._gradient(q, found[q.target]) for q in component.projections},
        }

    def _spent(self, name: str) -> str | None:
        """What is stored of a population that nobody reads after the step in which its gradient is known."""
        kernels = self.kernels[name]
        outputs = {*kernels.outputs, "not_refractory"}
        return next((what for what in kernels.arrays if what in self.stored[name] and what not in outputs), None)

    def _gradient(self, q: Projection, error: torch.Tensor) -> torch.Tensor:
        """The gradient of the weights of a projection within the component."""
        delay = self.component.delays[q.name]
        if delay >= self.steps:
            return error.new_zeros(q.weight_shape)
        source, listed = self._heard[q.name].back()
        synapses = self.component._maps[q.name]
        return synapses.weight_gradient(error[delay:], source, channels_last=False, listed=listed)


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
            others = [what for what in names if what != "spike"]
            passage.start(name, kernels, others, overwrite="delivered" not in kinds)
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
        if save:
            passage.keep()
        ctx.passage, ctx.kinds = (passage if save else None), kinds
        ctx.set_materialize_grads(False)
        return tuple(results)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        passage: _Passage = ctx.passage
        if not passage.stored:
            raise RuntimeError("a second backward pass needs retain_graph=True in the first one")
        component, kinds = passage.component, ctx.kinds
        once = not _graph_is_kept()

        def given(kind: str) -> dict[str, torch.Tensor | None]:
            found = {}
            for k, name in enumerate(component.names if kind in kinds else ()):
                grad = grads[k * len(kinds) + kinds.index(kind)]
                found[name] = None if grad is None else grad.contiguous()
            return found

        found = passage.backward(given("spike"), given("membrane"), once=once)
        if once:
            passage.forget()
        delivered = [found["delivered"][name] for name in component.names]
        weights = [found["weights"][q.name] for q in component.projections]
        return None, None, None, None, *delivered, *weights


def _graph_is_kept() -> bool:
    """Whether the backward pass that runs may be followed by another one (``retain_graph=True``)."""
    ask = getattr(torch._C._autograd, "_get_current_graph_task_keep_graph", None)
    return ask is None or bool(ask())


def _mask(mask: torch.Tensor | None, step: int) -> torch.Tensor | None:
    """The dropout mask of a step, shape (B, neurons)."""
    return mask if mask is None or mask.ndim == 2 else mask[step]
