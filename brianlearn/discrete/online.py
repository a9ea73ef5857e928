"""Learning in every time step: weights change within the trial, so that time runs outside the layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from brianlearn.discrete.batch import BatchRecord
from brianlearn.discrete.encoding import encode
from brianlearn.discrete.error_paths import readout_weights, total
from brianlearn.discrete.network import DiscreteNetwork
from brianlearn.discrete.stepper import Stepper
from brianlearn.discrete.synapses import SynapticMap, unflatten
from brianlearn.discrete.three_factor import layer_masks, wanted_factors
from brianlearn.rules.paths import Fixed, transposed
from brianlearn.rules.three_factor import ThreeFactorRule
from brianlearn.spec.layers import Conv
from brianlearn.spec.network import Projection

__all__ = ["learn_batch"]

#: Multiplications of all forward maps in one step below which one thread computes. Threads that meet after every
#: operation of some 100 us gain little, and where they share their cores with other programs they lose a factor of ten.
SHORT_STEP = 10**8

#: Changes the network's parameters in place, given the mean gradient of this step.
Apply = Callable[[Mapping[str, torch.Tensor]], None]


def learn_batch(
    network: DiscreteNetwork,
    rule: ThreeFactorRule,
    readouts: Mapping[str, torch.Tensor],
    inputs: Any,
    labels: torch.Tensor,
    keys: np.ndarray,
    apply: Apply,
) -> BatchRecord:
    """Present a batch once, with one optimiser step in every time step after the burn-in.

    States are carried on from step to step; no gradient goes through them.

    Parameters
    ----------
    network, rule, readouts, inputs, labels, keys
        As in `brianlearn.discrete.three_factor.gradients`; the rule with ``update="step"``.
    apply : callable
        Given the gradient of a step, by layer name, it changes the network's parameters in place.

    Returns
    -------
    BatchRecord
    """
    with torch.no_grad(), _threads(network, len(labels)):
        kind = _Pipelined if network.pipelined else _Online
        return kind(network, rule, readouts, inputs, labels, keys).run(apply)


@contextmanager
def _threads(network: DiscreteNetwork, samples: int) -> Iterator[None]:
    """One thread where steps are short; torch's own number comes back afterwards."""
    before = torch.get_num_threads()
    work = samples * sum(network.synapses(p.name).multiplications for p in network.spec.projections)
    if work < SHORT_STEP:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(eq=False)
class _Layer:
    """One layer in the middle of a trial; neurons in the order of memory."""

    p: Projection
    synapses: SynapticMap
    weight: torch.Tensor
    scale: float
    reorder: bool
    channels_last: bool = False
    neurons: Stepper | None = None
    masks: torch.Tensor | None = None  # of all steps, where they differ
    mask: torch.Tensor | None = None  # of this step
    trace: Stepper | None = None
    readout: torch.Tensor | None = None
    fixed: dict[str, torch.Tensor] = field(default_factory=dict)  # weights of its paths from readouts
    leak: torch.Tensor | None = None
    source: torch.Tensor | None = None
    values: Mapping[str, torch.Tensor] | None = None


class _Online:
    """The state of one batch."""

    def __init__(
        self,
        network: DiscreteNetwork,
        rule: ThreeFactorRule,
        readouts: Mapping[str, torch.Tensor],
        inputs: Any,
        labels: torch.Tensor,
        keys: np.ndarray,
    ) -> None:
        spec = network.spec
        self.network, self.rule, self.readouts, self.keys = network, rule, readouts, keys
        self.steps, self.burn_in = spec.n_steps, rule.burn_in_steps(spec)
        source = encode(spec, inputs, next(network.parameters()), keys)
        if isinstance(spec.layers[0], Conv) and spec.input.shape[0] > 1:  # as a convolution reads it
            source = source.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)
        self.source = source
        self.samples = self.source.shape[1]
        self.target = F.one_hot(labels, spec.classes).to(self.source.dtype)
        self.paths, own = rule.paths(spec), spec.readout_projection
        assert own is not None
        self.output = own.name
        self.named = {own.source: own.name} | {name: p.name for name, p in rule.readouts(spec).items()}
        tau = spec.readout.tau if spec.readout is not None else None
        self.decay = 0.0 if tau is None else float(np.exp(-float(spec.dt) / float(tau)))
        self.layers = []
        factors = rule.scale(spec)
        for p, above in zip(spec.projections, [*spec.projections[1:], None], strict=True):
            # a dense layer above reads neurons in the order of its weights: reorder the fewer of both
            dense = above is not None and len(above.weight_shape) == 2 and self.samples < above.n_post
            scale = float(Fraction(factors[p.name]) / self.samples)
            weight = network.get_parameter(p.name).detach()
            self.layers.append(_Layer(p, network.synapses(p.name), weight, scale, dense))
        self.by_name = {layer.p.name: layer for layer in self.layers}
        self.down = transposed(self.paths)

    def run(self, apply: Apply) -> BatchRecord:
        """All steps."""
        spec, measured = self.network.spec, self.network.spec.burn_in_steps
        logits, loss = torch.zeros_like(self.target), torch.zeros_like(self.target)
        counts = {p.name: self.target.new_zeros(self.samples) for p in spec.projections}
        for t in range(self.steps):
            self._forward(self.source[min(t, len(self.source) - 1)], t)
            errors, y = self._errors()
            if t >= measured:
                logits += y
                loss += (y - self.target).square_()
            for layer in self.layers:
                assert layer.values is not None
                counts[layer.p.name] += layer.values["spike"].sum(dim=1)
            if t >= self.burn_in:
                apply(self._gradients(errors))
        return self._record(logits, loss, counts)

    def _record(self, logits: torch.Tensor, loss: torch.Tensor, counts: dict[str, torch.Tensor]) -> BatchRecord:
        """What was measured, from sums over the steps after the burn-in, and spikes of all."""
        axes = [k for k in range(self.source.ndim) if k != 1]
        if len(self.source) == self.steps:
            given = self.source.sum(dim=axes)
        else:  # a direct current
            given = (self.source != 0).to(self.target).sum(dim=axes) * self.steps
        counts = {"input": given, **counts}
        steps = self.steps - self.network.spec.burn_in_steps
        return BatchRecord(logits / steps, loss.mean(dim=1) / steps, counts)

    def _start(self, layer: _Layer, delivered: torch.Tensor) -> Stepper:
        """What a layer needs, when it is known how its neurons lie in memory."""
        recurrence, p, last = self.network.recurrence(layer.p.name), layer.p, layer.channels_last
        names = ("spike", *wanted_factors(self.network, self.rule, p))
        layer.masks = layer_masks(self.network, p, self.samples, delivered, self.keys, channels_last=last)
        if p.name in self.named:
            layer.readout = readout_weights(self.network, self.readouts, self.named[p.name], p, channels_last=last)
            layer.leak = self.target.new_zeros(self.target.shape)
        for path in self.paths[p.name]:
            if isinstance(path, Fixed):
                layer.fixed[path.name] = readout_weights(self.network, self.readouts, path.name, p, channels_last=last)
        if self.rule.eligibility == "trace":
            response = self.network.trace(p.name)
            like = delivered.new_empty(self.samples, p.n_pre)
            layer.trace = response.stepper((response.program.membrane,), self.samples, like, channels_last=False)
        return recurrence.stepper(names, self.samples, delivered, channels_last=last)

    def _forward(self, source: torch.Tensor, t: int) -> None:
        """Step t of all layers; ``source``: shape (samples, *input shape)."""
        for layer in self.layers:
            layer.source = source.unsqueeze(0)
            sums, last = layer.synapses(layer.source, layer.weight)
            delivered = sums[0]
            if last and layer.reorder:
                delivered = unflatten(sums, layer.p.out_shape, True)[0].flatten(1)
                last = False
            layer.channels_last = last
            if layer.neurons is None:
                layer.neurons = self._start(layer, delivered)
            layer.values = layer.neurons(delivered)
            spikes = layer.values["spike"]
            if layer.masks is not None:
                layer.mask = layer.masks[t] if layer.masks.ndim == 3 else layer.masks
            heard = spikes if layer.mask is None else spikes * layer.mask
            if layer.readout is not None:
                assert layer.leak is not None
                layer.leak = torch.addmm(layer.leak, heard, layer.readout.T, beta=self.decay)
            source = unflatten(heard.unsqueeze(0), layer.p.out_shape, last)[0]
            if layer.trace is not None:
                trace = layer.trace(layer.source.flatten(2)[0].contiguous())[layer.trace.program.membrane]
                layer.source = trace.view(1, self.samples, *layer.p.in_shape)

    def _errors(self) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Errors of the readouts, by name, and the network's readout."""
        read = {self.named[layer.p.name]: layer.leak for layer in self.layers if layer.leak is not None}
        return {name: y - self.target for name, y in read.items()}, read[self.output]

    def _gradients(self, errors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The mean gradient of this step, by layer."""
        found: dict[str, torch.Tensor] = {}
        deltas: dict[str, torch.Tensor] = {}
        for layer in reversed(self.layers):
            factor = total(self._parts(layer, errors, deltas))
            assert layer.values is not None and layer.source is not None
            if layer.mask is not None:
                factor.mul_(layer.mask)
            gated = layer.values["psi_gated"] * factor
            error = gated.mul_(layer.scale).unsqueeze(0)
            found[layer.p.name] = layer.synapses.weight_gradient(error, layer.source, channels_last=layer.channels_last)
            if layer.p.name in self.down:
                deltas[layer.p.name] = layer.values.get("psi", layer.values["psi_gated"]) * factor
        return {layer.p.name: found[layer.p.name] for layer in self.layers}

    def _parts(
        self, layer: _Layer, errors: Mapping[str, torch.Tensor], deltas: Mapping[str, torch.Tensor]
    ) -> list[torch.Tensor]:
        """What each error path brings to a layer; ``deltas``: psi L of the layers above."""
        parts = []
        for path in self.paths[layer.p.name]:
            if isinstance(path, Fixed):
                parts.append(errors[path.readout] @ layer.fixed[path.name])
                continue
            above = self.by_name[path.projection]
            down = above.synapses.transpose(
                deltas[path.projection].unsqueeze(0),
                above.weight,
                channels_last=above.channels_last,
                source_last=layer.channels_last,
            )
            parts.append(down[0])
        return parts


class _Pipelined(_Online):
    """The state of one batch under pipelined timing: what comes from another layer is of the step before.

    Attributes
    ----------
    heard : list of torch.Tensor
        Spikes of the step before, by depth from the input on, shape (samples, *shape).
    delta, gated : list of torch.Tensor
        Stored errors of the layers, and what of them changes weights, shape (samples, neurons).
    errors : dict
        Readout -> its error, shape (samples, classes).
    """

    def run(self, apply: Apply) -> BatchRecord:
        spec, measured = self.network.spec, self.network.spec.burn_in_steps
        self._rest()
        logits, loss = torch.zeros_like(self.target), torch.zeros_like(self.target)
        counts = {p.name: self.target.new_zeros(self.samples) for p in spec.projections}
        for t in range(self.steps):
            factors = self._factors()
            delivered = [self._delivered(layer, self.heard[k]) for k, layer in enumerate(self.layers)]
            if t >= self.burn_in:
                apply(self._changes())
            self._store(factors)
            y = self._read(learning=t >= self.burn_in)
            if t >= measured:
                logits += y
                loss += (y - self.target).square_()
            self.heard[0] = self.source[min(t, len(self.source) - 1)]
            for k, layer in enumerate(self.layers):
                assert layer.neurons is not None
                layer.values = layer.neurons(delivered[k])
                spikes = layer.values["spike"]
                self.heard[k + 1] = unflatten(spikes.unsqueeze(0), layer.p.out_shape, layer.channels_last)[0]
                counts[layer.p.name] += spikes.sum(dim=1)
        return self._record(logits, loss, counts)

    def _rest(self) -> None:
        """The state before the first step: no spikes and no errors, in the memory layout that they will have."""
        self.heard, self.delta, self.gated = [torch.zeros_like(self.source[0])], [], []
        for layer in self.layers:
            delivered = self._delivered(layer, self.heard[-1])
            layer.neurons = self._start(layer, delivered)
            zeros = torch.zeros_like(delivered)
            layer.values = dict.fromkeys(("spike", *wanted_factors(self.network, self.rule, layer.p)), zeros)
            self.heard.append(unflatten(zeros.unsqueeze(0), layer.p.out_shape, layer.channels_last)[0])
            self.delta.append(zeros)
            self.gated.append(zeros)
        self.errors = {name: torch.zeros_like(self.target) for name in self.named.values()}

    def _delivered(self, layer: _Layer, source: torch.Tensor) -> torch.Tensor:
        sums, last = layer.synapses(source.unsqueeze(0), layer.weight)
        if last and layer.reorder:
            sums, last = unflatten(sums, layer.p.out_shape, True).flatten(2), False
        layer.channels_last = last
        return sums[0].contiguous()

    def _factors(self) -> list[torch.Tensor]:
        """L of every layer, from the errors of the step before."""
        deltas = {layer.p.name: delta for layer, delta in zip(self.layers, self.delta, strict=True)}
        return [total(self._parts(layer, self.errors, deltas)) for layer in self.layers]

    def _changes(self) -> dict[str, torch.Tensor]:
        """The mean gradient of this step, by layer, from the stored errors."""
        return {
            layer.p.name: layer.synapses.weight_gradient(
                (self.gated[k] * layer.scale).unsqueeze(0),
                self.heard[k].unsqueeze(0),
                channels_last=layer.channels_last,
            )
            for k, layer in enumerate(self.layers)
        }

    def _store(self, factors: list[torch.Tensor]) -> None:
        """The stored errors of this step, with psi and gate of the step before."""
        for k, (layer, factor) in enumerate(zip(self.layers, factors, strict=True)):
            assert layer.values is not None
            gated = layer.values["psi_gated"]
            self.gated[k], self.delta[k] = gated * factor, layer.values.get("psi", gated) * factor

    def _read(self, *, learning: bool) -> torch.Tensor:
        """The network's readout, and the errors of all readouts; they are zero during the burn-in."""
        for layer in self.layers:
            if layer.readout is None:
                continue
            assert layer.leak is not None and layer.values is not None
            layer.leak = torch.addmm(layer.leak, layer.values["spike"], layer.readout.T, beta=self.decay)
            self.errors[self.named[layer.p.name]] = (layer.leak - self.target) * float(learning)
        output = next(layer.leak for layer in self.layers if self.named.get(layer.p.name) == self.output)
        assert output is not None
        return output
