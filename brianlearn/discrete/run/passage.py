"""One batch through the kernels of populations that run together, step by step, and what its gradient keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from brianlearn.discrete.host.threads import parallel_for
from brianlearn.discrete.maps.base import Listed, SynapticMap, at_port
from brianlearn.discrete.maps.bits import Bits
from brianlearn.discrete.maps.step_map import BLOCK
from brianlearn.discrete.step.draws import Draws, with_draws
from brianlearn.discrete.step.kernel_source import GRAD_DELIVERED
from brianlearn.discrete.step.kernels import Kernels, StepKernel
from brianlearn.discrete.step.plain import plain_start
from brianlearn.network.spec import Projection

if TYPE_CHECKING:
    from brianlearn.discrete.run.component import Component

__all__ = ["DrawsOf", "Masks", "Moment", "Passage", "Values", "mask_of", "run_fused"]

#: Population -> what it did in all steps, by name: ``"spike"``, names of its program; shape (T, B, neurons).
Values = dict[str, dict[str, torch.Tensor]]
#: Population -> its dropout mask, (B, neurons) or (T, B, neurons), or None.
Masks = Mapping[str, torch.Tensor | None]
#: Population that draws random numbers -> where.
DrawsOf = Mapping[str, Draws]


@dataclass(frozen=True, eq=False)
class Moment:
    """Populations between two steps, from which a part of a trial goes on.

    Attributes
    ----------
    states : dict
        Population -> state variable -> its values, shape (B*neurons,).
    since : dict
        Population -> steps since the last spike, int32, shape (B*neurons,).
    heard : dict
        Population -> what others heard of it in the last steps, as many as its longest delay, shape
        (steps, B, neurons).
    """

    states: dict[str, dict[str, torch.Tensor]]
    since: dict[str, torch.Tensor]
    heard: dict[str, torch.Tensor]


@dataclass(frozen=True, eq=False)
class Back:
    """Gradients of what a passage was given.

    Attributes
    ----------
    delivered : dict
        By population, shape (T, B, neurons), or (T, ports, B, neurons).
    weights : dict
        By projection.
    states : dict
        Population -> state -> of its value before the first step, shape (B*neurons,).
    heard : dict
        Population -> of what others heard of it before, where a part of a trial goes on.
    constants : dict
        Population -> constant that follows from learned ones -> its gradient, shape (B*neurons,).
    """

    delivered: dict[str, torch.Tensor]
    weights: dict[str, torch.Tensor]
    states: dict[str, dict[str, torch.Tensor]]
    heard: dict[str, torch.Tensor]
    constants: dict[str, dict[str, torch.Tensor]]


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


class Passage:
    """One batch through the kernels of a component.

    What its gradient needs is kept as long as it: membranes, and spikes in lists or as bits.
    """

    def __init__(
        self,
        component: Component,
        delivered: Mapping[str, torch.Tensor],
        weights: Mapping[str, torch.Tensor],
        masks: Masks,
        begin: Moment | None = None,
        draws: DrawsOf | None = None,
        derived: Mapping[str, Mapping[str, torch.Tensor]] | None = None,
    ) -> None:
        self.component, self.masks, self.begin, self.draws = component, masks, begin, draws or {}
        self.derived = derived or {}
        self.weights = {name: weight.detach() for name, weight in weights.items()}
        self.before = {} if begin is None else {name: heard.detach() for name, heard in begin.heard.items()}
        self.delivered = {name: delivered[name].detach().contiguous() for name in component.names}
        self.like = {name: torch.empty_like(at_port(given, 0)[0]) for name, given in self.delivered.items()}
        self.steps, self.samples = len(next(iter(self.delivered.values()))), len(next(iter(self.like.values())))
        self.maps = component.step_maps(weights)
        self.kernels: dict[str, Kernels] = {}
        self.constants: dict[str, Any] = {}
        self.stored: Values = {}
        self.ended: dict[str, tuple[dict[str, torch.Tensor], torch.Tensor]] = {}
        self._steps: dict[str, StepKernel] = {}
        self._heard: dict[str, _Heard] = {}

    def start(self, name: str, kernels: Kernels, wanted: Sequence[str], *, overwrite: bool) -> None:
        """Say what runs a population, and what is stored of it; ``overwrite``: one of it in the place of its sums."""
        given, like, names = self.delivered[name], self.like[name], ("spike", *wanted)
        overwrite = overwrite and kernels.program.ports == 1
        self.kernels[name] = kernels
        self.constants[name] = self.component.recurrence(name).constants(
            self.samples, like, fused=True, derived=self.derived.get(name)
        )
        reused = next((what for what in reversed(names) if what != "not_refractory"), None) if overwrite else None
        kinds = {what: torch.bool if what == "not_refractory" else given.dtype for what in names}
        self.stored[name] = {
            what: given if what == reused else like.new_empty(self.steps, *like.shape, dtype=dtype)
            for what, dtype in kinds.items()
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
            state, since = plain_start(program, self.like[name].flatten())
            if self.begin is not None:
                state = {s: a.detach().clone() for s, a in self.begin.states[name].items()}
                since = self.begin.since[name].clone() if program.refractory else since
            self.ended[name] = state, since
            states = [a.numpy() for a in state.values()] + ([since.numpy()] if program.refractory else [])
            written = [a for a in self.stored[name].values() if a is not sums]
            run[name] = states, [a.view(self.steps, -1).numpy() for a in (sums, *written)]

        into = {q.name: at_port(self.delivered[q.target], q.port) for q in component.projections}

        def work(first: int, last: int, part: int) -> None:
            """All steps of some trials."""
            trials = slice(first, last)
            for t in range(self.steps):
                for name in component.names:
                    for q in component.inner[name]:
                        heard = self._heard_before(q.source, t - component.delays[q.name])
                        if heard is not None:
                            self.maps[q.name].add(heard[trials], into[q.name][t, trials])
                    states, (given, *kept) = run[name]
                    constants = with_draws(self.constants[name], self.draws.get(name), t)
                    arrays = [given[t], *states, *(row[t] for row in kept)]
                    self._steps[name](arrays, constants, self._neurons(name, first, last))
                    mask = mask_of(self.masks.get(name), t)
                    if mask is not None:
                        spikes = self.stored[name]["spike"][t, trials]
                        torch.mul(spikes, mask[trials], out=self.seen[name][t, trials])

        self._for_trials(work)
        return self.stored

    def _for_trials(self, work: Callable[[int, int, int], None]) -> None:
        """Trials have nothing to do with one another: threads meet once, at the end, where all is kernels."""
        if all(self.maps[q.name].trials_apart for q in self.component.projections):
            parallel_for(work, self.samples, block=BLOCK)
        else:  # operations of torch have threads of their own
            work(0, self.samples, 0)

    def _neurons(self, name: str, first: int, last: int) -> tuple[int, int] | None:
        """The neurons of some trials in memory; None for all of them."""
        n = self.like[name].shape[1]
        return None if last - first == self.samples else (first * n, last * n)

    def _heard_before(self, source: str, t: int) -> torch.Tensor | None:
        """What others heard of a population in a step, of this part or of those before it; None before the trial."""
        if t >= 0:
            return self.seen[source][t]
        before = self.before.get(source)
        return None if before is None or len(before) + t < 0 else before[len(before) + t]

    def keep(self) -> None:
        """Keep what the gradient needs, and nothing else."""
        component = self.component
        for q in component.projections:
            delay, heard = component.delays[q.name], self.seen[q.source]
            if q.source in self.before:
                before = self.before[q.source]
                heard = torch.cat([before[len(before) - delay :], heard])[: self.steps]
            else:
                heard = heard[: max(0, self.steps - delay)]
            heard = heard.unflatten(2, q.in_shape)
            binary = self.masks.get(q.source) is None
            self._heard[q.name] = _Heard.of(component.synapses(q.name), heard, binary)
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
        ends: Mapping[str, Mapping[str, torch.Tensor | None]],
        *,
        once: bool,
    ) -> Back:
        """From gradients of spikes and membranes (None: zero) to those of what was delivered, and of weights.

        Parameters
        ----------
        errors, membranes : mapping
            Population -> gradient, shape (T, B, neurons), or None.
        ends : mapping
            Population -> state -> gradient of its value after the last step, or None.
        once : bool
            Whether there is no second time: gradients may lie where membranes were.

        Returns
        -------
        Back
        """
        component, run = self.component, {}
        self.maps = component.step_maps(self.weights)  # another batch may have brought others
        found: dict[str, torch.Tensor] = {}
        at_start: dict[str, dict[str, torch.Tensor]] = {}
        sums: dict[str, dict[str, torch.Tensor]] = {}
        for name in component.names:
            kernels, like = self.kernels[name], self.like[name]
            ports = kernels.program.ports
            spent = self._spent(name) if once and ports == 1 else None
            shape = (self.steps, *([ports] if ports > 1 else []), *like.shape)
            found[name] = like.new_empty(shape) if spent is None else self.stored[name][spent]
            last = {state: ends[name].get(state) for state in kernels.program.states}
            at_start[name] = {s: like.new_zeros(like.numel()) if g is None else g.clone() for s, g in last.items()}
            error = torch.empty_like(like)  # of the step
            arrays = {**self.stored[name], "grad_out_spike": error.expand(self.steps, *like.shape)}
            if spent is None:
                arrays[GRAD_DELIVERED] = found[name]
            if kernels.membrane:
                given = membranes[name]
                arrays["grad_out_membrane"] = (
                    torch.zeros_like(like).expand(self.steps, *like.shape) if given is None else given
                )
            rows = [arrays[what].flatten(1).numpy() for what in kernels.arrays if what in arrays]
            sums[name] = kernels.sums(like.numel())
            states = [a.numpy() for a in at_start[name].values()]
            run[name] = kernels, states, rows, error, spent, [a.numpy() for a in sums[name].values()]

        of = {q.name: at_port(found[q.target], q.port) for q in component.projections}

        def work(first: int, last: int, part: int) -> None:
            """All steps of some trials, from the last one."""
            trials = slice(first, last)
            for t in range(self.steps - 1, -1, -1):
                for name in reversed(component.names):
                    kernels, states, rows, errors_now, spent, of_constants = run[name]
                    given, error = errors[name], errors_now[trials]
                    _ = error.zero_() if given is None else error.copy_(given[t, trials])
                    mask = mask_of(self.masks.get(name), t)
                    for q in component.outer_of[name]:
                        later = t + component.delays[q.name]
                        if later >= self.steps:
                            continue
                        if mask is None:
                            self.maps[q.name].add_back(of[q.name][later, trials], error)
                        else:
                            down = torch.zeros_like(error)
                            self.maps[q.name].add_back(of[q.name][later, trials], down)
                            error.addcmul_(down, mask[trials])
                    constants = with_draws(self.constants[name], self.draws.get(name), t)
                    if of_constants:
                        constants = [*constants, *of_constants]
                    arrays = [*states, *(row[t] for row in rows)]
                    kernels.back(arrays, constants, spent, self._neurons(name, first, last))

        self._for_trials(work)
        gradients = {q.name: self._gradient(q, of[q.name].contiguous()) for q in component.projections}
        before = {name: self._back_before(name, of) for name in self.before}
        return Back(found, gradients, at_start, before, sums)

    def _back_before(self, name: str, of: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The gradient of what others heard of a population before this part; ``of``: what projections delivered."""
        back = torch.zeros_like(self.before[name])
        for q in self.component.outer_of[name]:
            delay = self.component.delays[q.name]
            for later in range(min(delay, self.steps)):
                self.maps[q.name].add_back(of[q.name][later], back[len(back) + later - delay])
        return back

    def _spent(self, name: str) -> str | None:
        """What is stored of a population that nobody reads after the step in which its gradient is known."""
        kernels = self.kernels[name]
        outputs = {*kernels.outputs, "not_refractory"}
        return next((what for what in kernels.arrays if what in self.stored[name] and what not in outputs), None)

    def _gradient(self, q: Projection, error: torch.Tensor) -> torch.Tensor:
        """The gradient of the weights of a projection within the component."""
        first = 0 if q.source in self.before else self.component.delays[q.name]
        if first >= self.steps:
            return error.new_zeros(q.weight_shape)
        source, listed = self._heard[q.name].back()
        synapses = self.component.synapses(q.name)
        return synapses.weight_gradient(error[first:], source, channels_last=False, listed=listed)


def run_fused(
    component: Component,
    delivered: Mapping[str, torch.Tensor],
    weights: Mapping[str, torch.Tensor],
    masks: Masks,
    kinds: Sequence[str],
    begin: Moment | None,
    draws: DrawsOf | None = None,
) -> tuple[Values, Moment]:
    """All steps with kernels, with a gradient; ``kinds``: what is wanted of each population.

    Parameters
    ----------
    component : Component
    delivered, weights, masks, begin, draws
        As in `Component.differentiable`.
    kinds : sequence of str
        ``"spike"``, ``"membrane"``, ``"delivered"``.

    Returns
    -------
    values : dict
    end : Moment
        States after the last step; without what was heard.
    """
    tensors = [delivered[name] for name in component.names] + [weights[q.name] for q in component.projections]
    if begin is not None:
        tensors += [begin.states[name][s] for name, s in _states(component)] + list(begin.heard.values())
    samples = delivered[component.names[0]].shape[-2]
    derived = {name: component.recurrence(name).derived(samples) for name in component.names}
    tensors += [value for found in derived.values() for value in found.values()]
    passage: list[Passage] = []
    results = iter(_Fused.apply(component, masks, tuple(kinds), begin, draws, passage, derived, *tensors))
    values = {name: {what: next(results) for what in kinds} for name in component.names}
    states: dict[str, dict[str, torch.Tensor]] = {name: {} for name in component.names}
    for name, state in _states(component):
        states[name][state] = next(results)
    (ran,) = passage
    since = {name: since for name, (_, since) in ran.ended.items() if component.recurrence(name).program.refractory}
    return values, Moment(states, since, {})


def _states(component: Component) -> list[tuple[str, str]]:
    """Populations with their state variables, in order."""
    return [(name, state) for name in component.names for state in component.recurrence(name).program.states]


class _Fused(torch.autograd.Function):
    """All steps of a component as one operation of torch."""

    @staticmethod
    def forward(
        ctx: Any,
        component: Component,
        masks: Masks,
        kinds: Sequence[str],
        begin: Moment | None,
        draws: DrawsOf | None,
        ran: list[Passage],
        derived: Mapping[str, Mapping[str, torch.Tensor]],
        *tensors: torch.Tensor,
    ) -> tuple[torch.Tensor, ...]:
        save = any(ctx.needs_input_grad)
        given = iter(tensors)
        delivered = {name: next(given) for name in component.names}
        weights = {q.name: next(given) for q in component.projections}
        passage = Passage(component, delivered, weights, masks, begin, draws, derived)
        ran.append(passage)
        for name in component.names:
            kernels = component.recurrence(name).kernels(
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
        results += [passage.ended[name][0][state].detach() for name, state in _states(component)]
        if save:
            passage.keep()
        ctx.passage, ctx.kinds = (passage if save else None), kinds
        ctx.derived = {name: tuple(values) for name, values in derived.items()}
        ctx.set_materialize_grads(False)
        return tuple(results)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        passage: Passage = ctx.passage
        if not passage.stored:
            raise RuntimeError("a second backward pass needs retain_graph=True in the first one")
        component, kinds = passage.component, ctx.kinds
        once, given = not _graph_is_kept(), iter(grads)
        found: dict[str, dict[str, torch.Tensor | None]] = {what: {} for what in ("spike", "membrane", "delivered")}
        for name in component.names:
            for what in kinds:
                grad = next(given)
                found[what][name] = None if grad is None else grad.contiguous()
        ends: dict[str, dict[str, torch.Tensor | None]] = {name: {} for name in component.names}
        for name, state in _states(component):
            ends[name][state] = next(given)
        back = passage.backward(found["spike"], found["membrane"], ends, once=once)
        results: list[torch.Tensor] = [back.delivered[name] for name in component.names]
        results += [back.weights[q.name] for q in component.projections]
        if passage.begin is not None:
            results += [back.states[name][state] for name, state in _states(component)]
            results += [back.heard[name] for name in passage.begin.heard]
        constants = [back.constants[name].get(one) for name, found in ctx.derived.items() for one in found]
        if once:
            passage.forget()
        return None, None, None, None, None, None, None, *results, *constants


def _graph_is_kept() -> bool:
    """Whether the backward pass that runs may be followed by another one (``retain_graph=True``)."""
    ask = getattr(torch._C._autograd, "_get_current_graph_task_keep_graph", None)
    return ask is None or bool(ask())


def mask_of(mask: torch.Tensor | None, step: int) -> torch.Tensor | None:
    """The dropout mask of a step, shape (B, neurons)."""
    return mask if mask is None or mask.ndim == 2 else mask[step]
