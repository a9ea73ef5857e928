"""Synaptic maps: the weighted sums of presynaptic spikes, for all time steps at once.

A synaptic map has no memory, so that it runs once over the merged axis of time and samples. Each kind of connection may
have a map of its own (`brianlearn.discrete.maps.dense`, `brianlearn.discrete.maps.conv`); all others follow their list
of synapses (`brianlearn.discrete.maps.synapse_list`).

On the CPU, sums and gradients of weights follow lists of spikes (`brianlearn.discrete.maps.event_products`) where
spikes are sparse; torch's matrix products and convolutions do the rest.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import torch

from brianlearn.discrete.maps.csr_spikes import CSRSpikes, csr_spikes
from brianlearn.discrete.step.kernels import have_numba
from brianlearn.network.connections import Connection
from brianlearn.network.neurons.neuron import Neuron
from brianlearn.network.population import Population
from brianlearn.network.spec import Projection

__all__ = ["EventMap", "Listed", "SynapticMap", "arrive", "at_port", "in_order", "ports_of", "unflatten"]

#: Rows (steps times samples) below which the time to arrange weights for lists is not won back.
FEWEST_ROWS = 256


@dataclass(frozen=True, eq=False)
class Listed:
    """Presynaptic spikes in lists.

    Attributes
    ----------
    lists : CSRSpikes
        A row for each step and sample.
    channels_last : bool
        Whether neurons are numbered in the order (height, width, channels).
    """

    lists: CSRSpikes
    channels_last: bool


class SynapticMap(ABC):
    """The linear map of one projection; what is made is the map of its kind of connection.

    Parameters
    ----------
    p : Projection
    events : bool
        Whether to follow lists of spikes where that is possible.

    Attributes
    ----------
    is_conv : bool
        Whether what follows lists gives sums in the order (height, width, channels).
    multiplications : int
        Per step and sample.
    """

    is_conv: ClassVar[bool] = False
    multiplications: int
    _kinds: ClassVar[dict[type[Connection], type[SynapticMap]]] = {}
    _others: ClassVar[type[SynapticMap]]

    def __init_subclass__(cls, *, kind: type[Connection] | None = None, others: bool = False, **options: Any) -> None:
        """Register the map of a kind of connection, or of all that have none."""
        super().__init_subclass__(**options)
        if kind is not None:
            SynapticMap._kinds[kind] = cls
        if others:
            SynapticMap._others = cls

    def __new__(cls, p: Projection | None = None, *, events: bool = True) -> SynapticMap:
        if p is None:  # a copy
            return super().__new__(cls)
        # a subclass of a kind may have other synapses
        found = SynapticMap._kinds.get(type(p.connection)) or SynapticMap._others
        return super().__new__(found.of(p))

    @classmethod
    def of(cls, p: Projection) -> type[SynapticMap]:
        """The map for this projection: another one where this cannot."""
        return cls

    def __init__(self, p: Projection, *, events: bool = True) -> None:
        self.events = events and have_numba()
        self.in_shape, self.out_shape, self.connection = p.in_shape, p.out_shape, p.connection

    @property
    def _product(self) -> Any:
        """The kernels that follow lists; None where there are none."""
        return None

    def _by_events(self, like: torch.Tensor) -> bool:
        usable = like.device.type == "cpu" and like.dtype in (torch.float32, torch.float64)
        return self.events and usable and self._product is not None

    def lists(self, source: torch.Tensor) -> Listed | None:
        """List presynaptic spikes, for the map and its gradient.

        Parameters
        ----------
        source : torch.Tensor, shape (steps, samples, *in_shape)

        Returns
        -------
        Listed or None
            None where products are better: few rows, dense activity, or a device without kernels.
        """
        rows = source.shape[0] * source.shape[1]
        if not self._by_events(source) or rows < FEWEST_ROWS:
            return None
        last = _lies_channels_last(source)
        flat = (source.permute(0, 1, 3, 4, 2) if last else source).reshape(rows, -1)
        lists = csr_spikes(flat.contiguous(), self._product.tile(source.dtype))
        return None if lists is None else Listed(lists, last)

    def __call__(
        self, spikes: torch.Tensor, weight: torch.Tensor, listed: Listed | None = None
    ) -> tuple[torch.Tensor, bool]:
        """Weighted sums.

        Parameters
        ----------
        spikes : torch.Tensor, shape (steps, samples, *in_shape)
            In any memory layout.
        weight : torch.Tensor
            As in the weights dict.
        listed : Listed, optional
            ``spikes`` in lists.

        Returns
        -------
        delivered : torch.Tensor, shape (steps, samples, neurons)
        channels_last : bool
            Whether neurons are in the order (height, width, channels).
        """
        return self.sums(spikes, weight)

    @abstractmethod
    def sums(self, spikes: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, bool]:
        """Weighted sums by products; parameters and results as those of a call."""

    @abstractmethod
    def transpose(
        self, error: torch.Tensor, weight: torch.Tensor, *, channels_last: bool, source_last: bool
    ) -> torch.Tensor:
        """The transposed map: what errors of the target add up to at the presynaptic neurons.

        Parameters
        ----------
        error : torch.Tensor, shape (steps, samples, neurons)
        weight : torch.Tensor
        channels_last, source_last : bool
            Whether neurons of the target, and of the source, are in the order (height, width, channels).

        Returns
        -------
        torch.Tensor, shape (steps, samples, presynaptic neurons)
        """

    def weight_gradient(
        self, error: torch.Tensor, source: torch.Tensor, *, channels_last: bool, listed: Listed | None = None
    ) -> torch.Tensor:
        """Errors times presynaptic factors, summed over steps and samples.

        Parameters
        ----------
        error : torch.Tensor, shape (steps, samples, neurons)
        source : torch.Tensor, shape (steps, samples, *in_shape)
            Presynaptic factors, in any memory layout.
        channels_last : bool
            Whether ``error`` is in the order (height, width, channels).
        listed : Listed, optional
            ``source`` in lists.

        Returns
        -------
        torch.Tensor
            Of the weights' shape.
        """
        return self.products(error, source, channels_last=channels_last)

    @abstractmethod
    def products(self, error: torch.Tensor, source: torch.Tensor, *, channels_last: bool) -> torch.Tensor:
        """`weight_gradient` by products."""


class EventMap(SynapticMap):
    """A map that follows lists of spikes where spikes are sparse."""

    def __call__(
        self, spikes: torch.Tensor, weight: torch.Tensor, listed: Listed | None = None
    ) -> tuple[torch.Tensor, bool]:
        if listed is not None:
            return _ByEvents.apply(spikes, weight, self, listed), self.is_conv
        return super().__call__(spikes, weight)

    def weight_gradient(
        self, error: torch.Tensor, source: torch.Tensor, *, channels_last: bool, listed: Listed | None = None
    ) -> torch.Tensor:
        if listed is not None and channels_last == self.is_conv:
            return self.gradient_of(listed, error.flatten(0, 1))
        return super().weight_gradient(error, source, channels_last=channels_last)

    @abstractmethod
    def follow(self, listed: Listed, weight: torch.Tensor) -> torch.Tensor:
        """Weighted sums from lists, shape (rows, neurons), channels last if `is_conv`; without a gradient."""

    @abstractmethod
    def gradient_of(self, listed: Listed, error: torch.Tensor) -> torch.Tensor:
        """Gradient of the weights from lists; ``error``: shape (rows, neurons), channels last if `is_conv`."""


class _ByEvents(torch.autograd.Function):
    """A synaptic map that follows lists of spikes, as one operation of torch; for the gradient it keeps the lists."""

    @staticmethod
    def forward(
        ctx: Any, source: torch.Tensor, weight: torch.Tensor, synapses: EventMap, listed: Listed
    ) -> torch.Tensor:
        ctx.synapses, ctx.listed = synapses, listed
        ctx.save_for_backward(weight)
        return synapses.follow(listed, weight).view(*source.shape[:2], prod(synapses.out_shape))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, error: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None, None, None]:
        synapses, listed, (weight,) = ctx.synapses, ctx.listed, ctx.saved_tensors
        source = found = None
        if ctx.needs_input_grad[0]:
            last = listed.channels_last
            back = synapses.transpose(error, weight, channels_last=synapses.is_conv, source_last=last)
            source = unflatten(back, synapses.in_shape, last)
        if ctx.needs_input_grad[1]:
            found = synapses.gradient_of(listed, error.flatten(0, 1))
        return source, found, None, None


def _lies_channels_last(source: torch.Tensor) -> bool:
    """Whether (steps, samples, channels, height, width) lies in memory as (height, width, channels)."""
    return source.ndim == 5 and not source.is_contiguous() and source.permute(0, 1, 3, 4, 2).is_contiguous()


def in_order(weight: torch.Tensor, shape: tuple[int, ...], channels_last: bool) -> torch.Tensor:
    """Dense weights (out, in) for sources of ``shape`` that lie in memory as (height, width, channels)."""
    if not channels_last:
        return weight
    return weight.view(-1, *shape).permute(0, 2, 3, 1).flatten(1)


def unflatten(spikes: torch.Tensor, shape: tuple[int, ...], channels_last: bool) -> torch.Tensor:
    """(steps, samples, neurons) as (steps, samples, *shape), whatever the order in memory."""
    steps, samples = spikes.shape[:2]
    if not channels_last:
        return spikes.view(steps, samples, *shape)
    channels, height, width = shape
    return spikes.view(steps, samples, height, width, channels).permute(0, 1, 4, 2, 3)


def arrive(
    parts: Sequence[tuple[torch.Tensor, bool]], onto: Sequence[Projection], p: Population
) -> tuple[torch.Tensor, bool]:
    """What several projections ``onto`` a population deliver to it, and its order in memory.

    Shape (steps, samples, neurons), or (steps, ports, samples, neurons) where it has several input variables.
    """
    ports = ports_of(p)
    if ports == 1:
        return _total(parts, p.shape)
    found: list[torch.Tensor] = []
    for port in range(ports):
        mine = [part for part, q in zip(parts, onto, strict=True) if q.port == port]
        total, last = _total(mine, p.shape) if mine else (torch.zeros_like(parts[0][0]), False)
        found.append(unflatten(total, p.shape, True).flatten(2) if last else total)
    return torch.stack(torch.broadcast_tensors(*found), dim=1), False


def ports_of(p: Population) -> int:
    """How many input variables the neurons of a population have."""
    return len(p.neuron.inputs) if isinstance(p.neuron, Neuron) else 1


def at_port(delivered: torch.Tensor, port: int) -> torch.Tensor:
    """What arrives for one input variable, shape (steps, samples, neurons), as part of what arrives in all."""
    return delivered[:, port] if delivered.ndim == 4 else delivered


def _total(parts: Sequence[tuple[torch.Tensor, bool]], shape: tuple[int, ...]) -> tuple[torch.Tensor, bool]:
    """The sum of what several projections deliver to one population of ``shape``, each with its order in memory."""
    if len(parts) == 1:
        return parts[0]
    last = all(channels_last for _, channels_last in parts)
    total: torch.Tensor | None = None
    for delivered, channels_last in parts:
        plain = unflatten(delivered, shape, True).flatten(2) if channels_last and not last else delivered
        total = plain if total is None else total + plain
    assert total is not None
    return total, last
