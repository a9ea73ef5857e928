"""The network: input, layers, readout and time, with every shape inferred and checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from brian2 import ms, second
from brian2.units.fundamentalunits import get_dimensions

from brianlearn.errors import BrianLearnWarning, ShapeError, SpecError, UnitError, did_you_mean
from brianlearn.spec.connectivity import Connectivity, convolution, dense
from brianlearn.spec.dynamics import dynamics_warnings
from brianlearn.spec.layers import Conv, Dense, Input, Layer, Readout
from brianlearn.spec.storable import Storable
from brianlearn.spec.taking import take_quantity
from brianlearn.spec.unit_names import quantity_text

__all__ = ["NetworkSpec", "Projection"]

TIMINGS = ("same_step", "pipelined")


@dataclass(frozen=True, eq=False)
class Projection:
    """One layer with everything inferred: the synapses onto a population.

    Attributes
    ----------
    name : str
        Name of the layer and of its weights.
    layer : Dense, Conv or Readout
    source : str
        Name of the presynaptic layer (``"input"`` for the first one).
    in_shape, out_shape : tuple of int
        Shapes of the two populations.
    weight_shape : tuple of int
        (out, in) or (out, in, kh, kw).
    """

    name: str
    layer: Dense | Conv | Readout
    source: str
    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    weight_shape: tuple[int, ...]

    @property
    def n_pre(self) -> int:
        """Number of presynaptic neurons."""
        return int(np.prod(self.in_shape))

    @property
    def n_post(self) -> int:
        """Number of postsynaptic neurons."""
        return int(np.prod(self.out_shape))

    @property
    def n_weights(self) -> int:
        """Number of different weights."""
        return int(np.prod(self.weight_shape))

    @cached_property
    def connectivity(self) -> Connectivity:
        """The synapse list."""
        layer = self.layer
        if isinstance(layer, Conv):
            c, h, w = self.in_shape
            return convolution((c, h, w), layer.channels, layer.kernel, layer.stride, layer.padding, layer.pool)
        return dense(self.n_pre, self.n_post)


@dataclass(frozen=True, eq=False)
class NetworkSpec(Storable):
    """A deep spiking network.

    Parameters
    ----------
    input : Input
    layers : sequence of Dense and Conv
        From the input on; at least one.
    readout : Readout, optional
        Without one, the last layer is the output.
    dt : brian2.Quantity, optional
        Time step.
    duration : brian2.Quantity
        Length of a trial (one presentation of one sample), a whole number of steps.
    burn_in : brian2.Quantity, optional
        Start of a trial that neither the prediction nor the loss uses.
    timing : {"same_step", "pipelined"}, optional
        When a spike reaches the next layer: in the same step, or in the next one.

    Raises
    ------
    ShapeError
        Shapes that do not fit, naming the layer.
    SpecError, UnitError
    """

    input: Input
    layers: Sequence[Layer]
    readout: Readout | None
    duration: Any
    dt: Any = field(default_factory=lambda: 1 * ms)
    burn_in: Any = field(default_factory=lambda: 0 * ms)
    timing: str = "same_step"

    def __post_init__(self) -> None:
        if not isinstance(self.layers, Sequence):
            raise SpecError(
                "NetworkSpec", "layers is not a list", got=repr(self.layers), expected="a list such as [bl.Dense(...)]"
            )
        object.__setattr__(self, "layers", tuple(self.layers))
        if not isinstance(self.input, Input):
            raise SpecError("NetworkSpec", "input is of the wrong type", got=repr(self.input), expected="bl.Input(...)")
        if not self.layers:
            raise SpecError("NetworkSpec", "there are no layers", expected="at least one Dense or Conv")
        for layer in self.layers:
            if not isinstance(layer, Dense | Conv):
                raise SpecError(
                    "NetworkSpec",
                    "a layer is of the wrong type",
                    got=repr(layer),
                    expected="bl.Dense(...) or bl.Conv(...)",
                )
        if self.readout is not None and not isinstance(self.readout, Readout):
            raise SpecError(
                "NetworkSpec", "readout is of the wrong type", got=repr(self.readout), expected="bl.Readout(classes)"
            )
        if self.timing not in TIMINGS:
            raise SpecError(
                "NetworkSpec",
                "unknown timing",
                got=repr(self.timing),
                expected=" or ".join(TIMINGS),
                remedy=did_you_mean(self.timing, TIMINGS),
            )
        for name in ("dt", "duration", "burn_in"):
            value = take_quantity("NetworkSpec", name, getattr(self, name))
            object.__setattr__(self, name, value)
            if get_dimensions(value) is not second.dim:
                raise UnitError(
                    "NetworkSpec",
                    f"{name} has no unit of time",
                    got=quantity_text(value),
                    expected="a time, e.g. 40*ms",
                )
            if np.ndim(value) or not np.isfinite(float(value)):
                raise SpecError("NetworkSpec", f"{name} is wrong", got=repr(value), expected="one finite time")
        if not float(self.dt) > 0:
            raise SpecError("NetworkSpec", "dt is wrong", got=self.dt, expected="a time > 0")
        for name in ("duration", "burn_in"):
            steps = float(getattr(self, name)) / float(self.dt)
            if abs(steps - round(steps)) > 1e-6 * max(1.0, steps):
                raise SpecError(
                    "NetworkSpec",
                    f"{name} is not a whole number of time steps",
                    got=f"{getattr(self, name)} with dt = {self.dt}",
                    expected=f"a multiple of {self.dt}",
                )
        if self.n_steps < 1 or not 0 <= self.burn_in_steps < self.n_steps:
            raise SpecError(
                "NetworkSpec",
                "duration and burn_in do not fit",
                got=f"duration {self.duration}, burn_in {self.burn_in}",
                expected="0 <= burn_in < duration",
            )
        self._check_neuron_counts()
        self.warnings  # noqa: B018 - looks, and refuses or warns

    @cached_property
    def warnings(self) -> tuple[BrianLearnWarning, ...]:
        """What is suspicious about the neurons at this time step; said when the network is declared."""
        return dynamics_warnings(self)

    @property
    def n_steps(self) -> int:
        """Time steps per trial, T."""
        return round(float(self.duration) / float(self.dt))

    @property
    def burn_in_steps(self) -> int:
        """Time steps that prediction and loss leave out."""
        return round(float(self.burn_in) / float(self.dt))

    @cached_property
    def projections(self) -> tuple[Projection, ...]:
        """The spiking layers, shapes inferred, from the input on."""
        counts = {"dense": 0, "conv": 0}
        names: set[str] = set()
        result: list[Projection] = []
        source, shape = "input", self.input.shape
        for layer in self.layers:
            counts[layer.kind] += 1
            name = layer.name or f"{layer.kind}{counts[layer.kind]}"
            if name in names:
                raise SpecError(name, "two layers have this name", expected="different names")
            names.add(name)
            out, weights = _infer(name, layer, source, shape)
            assert isinstance(layer, Dense | Conv)
            result.append(Projection(name, layer, source, shape, out, weights))
            source, shape = name, out
        return tuple(result)

    @cached_property
    def readout_projection(self) -> Projection | None:
        """The readout, shapes inferred."""
        return None if self.readout is None else self.readout_of(self.projections[-1], "readout")

    def readout_of(self, layer: Projection, name: str) -> Projection:
        """A readout of the network's kind that looks at ``layer``."""
        if self.readout is None:
            raise SpecError("NetworkSpec", "the network has no readout", remedy="give readout=bl.Readout(classes)")
        shape = (self.readout.classes, layer.n_post)
        return Projection(name, self.readout, layer.name, layer.out_shape, (self.readout.classes,), shape)

    @property
    def classes(self) -> int:
        """Number of classes that the output tells apart."""
        return self.readout.classes if self.readout is not None else self.projections[-1].n_post

    def with_constants(self, **constants: Any) -> NetworkSpec:
        """A copy with other values of neuron constants, in every layer whose neuron has them.

        Raises
        ------
        SpecError
            If no neuron has a constant of that name.
        """
        known = {name for layer in self.layers for name in layer.neuron.constants}
        for name in constants:
            if name not in known:
                raise SpecError(
                    "NetworkSpec",
                    f"no neuron has a constant {name!r}",
                    expected=", ".join(sorted(known)) or "none",
                    remedy=did_you_mean(name, known),
                )
        layers = []
        for layer in self.layers:
            mine = {k: v for k, v in constants.items() if k in layer.neuron.constants}
            neuron = layer.neuron.with_constants(**mine) if mine else layer.neuron
            layers.append(dataclasses.replace(layer, neuron=neuron))  # type: ignore[type-var]
        return dataclasses.replace(self, layers=layers)

    def describe(self) -> str:
        """A table of layers, shapes and parameter counts.

        Returns
        -------
        str
        """
        encoder = self.input.encoder
        rows: list[tuple[str, ...]] = [("layer", "kind", "shape", "neurons", "weights", "neuron, method")]
        rows.append(
            ("input", type(encoder).__name__, _by(self.input.shape), f"{int(np.prod(self.input.shape))}", "", "")
        )
        total = neurons = 0
        for p in self.projections:
            layer = p.layer
            assert isinstance(layer, Dense | Conv)
            method = f"{', '.join(layer.neuron.parsed.state_names)}; {layer.neuron.method_used}"
            rows.append((p.name, _kind(layer), _by(p.out_shape), f"{p.n_post}", f"{p.n_weights}", method))
            total, neurons = total + p.n_weights, neurons + p.n_post
        if self.readout_projection is not None:
            p, tau = self.readout_projection, self.readout.tau if self.readout else None
            kind = "memoryless" if tau is None else f"leaky, tau {tau}"
            rows.append((p.name, kind, _by(p.out_shape), "", f"{p.n_weights}", ""))
            total += p.n_weights
        widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        timing = self.timing.replace("_", "-")
        lines.insert(
            0, f"{self.n_steps} steps of {self.dt} per trial, burn-in {self.burn_in_steps} steps, {timing} timing"
        )
        lines.append(f"{neurons} neurons, {total} weights")
        return "\n".join(lines)

    def _check_neuron_counts(self) -> None:
        for p in self.projections:
            assert isinstance(p.layer, Dense | Conv)
            for name, (value, _) in p.layer.neuron.parsed.constants.items():
                if value.ndim and value.size != p.n_post:
                    raise ShapeError(
                        p.name,
                        f"constant {name!r} does not have one value per neuron",
                        got=f"{value.size} values, shape {value.shape}",
                        expected=f"one value, or {p.n_post} values, shape {p.out_shape}",
                    )


def _by(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


def _kind(layer: Dense | Conv) -> str:
    if isinstance(layer, Dense):
        text = "dense"
    else:
        text = f"conv {layer.kernel}x{layer.kernel}"
        options: Mapping[str, tuple[int, int]] = {
            "stride": (layer.stride, 1),
            "padding": (layer.padding, 0),
            "pool": (layer.pool, 1),
        }
        text += "".join(f", {name} {value}" for name, (value, default) in options.items() if value != default)
    every = " in each step" if layer.dropout_every == "step" else ""
    return text + (f", dropout {layer.dropout:g}{every}" if layer.dropout else "")


def _infer(name: str, layer: Layer, source: str, shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if isinstance(layer, Dense):
        return (layer.size,), (layer.size, int(np.prod(shape)))
    assert isinstance(layer, Conv)
    if len(shape) != 3:
        raise ShapeError(
            name,
            "a convolution needs (channels, height, width)",
            got=f"{source} has shape {shape}",
            expected="three axes, e.g. (1, 28, 28)",
            remedy="put convolutions before dense layers, and give Input a shape of three axes",
        )
    sides = []
    for axis, side in (("height", shape[1]), ("width", shape[2])):
        padded = side + 2 * layer.padding
        if padded < layer.kernel:
            raise ShapeError(
                name,
                f"the kernel is larger than the padded {axis} of {source}",
                got=f"kernel {layer.kernel}, {axis} {side}, padding {layer.padding}",
                expected=f"a kernel of at most {padded}",
            )
        out = (padded - layer.kernel) // layer.stride + 1
        if out < layer.pool:
            raise ShapeError(
                name,
                f"the pool is larger than the {axis} of the convolution",
                got=f"pool {layer.pool}, {axis} {out} after the convolution",
                expected=f"a pool of at most {out}",
            )
        sides.append(out // layer.pool)
    return (layer.channels, *sides), (layer.channels, shape[0], layer.kernel, layer.kernel)
