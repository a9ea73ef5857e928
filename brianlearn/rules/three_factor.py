"""Local three-factor rules: presynaptic spike x postsynaptic surrogate derivative x broadcast third factor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from brian2 import second
from brian2.units.fundamentalunits import get_dimensions

from brianlearn.errors import RuleError
from brianlearn.rules.base import Rule
from brianlearn.rules.eligibility import linear_response
from brianlearn.spec.network import NetworkSpec, Projection

__all__ = ["DALTON", "TFR", "ThreeFactorRule"]


def _choice(owner: object, name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise RuleError(
            type(owner).__name__, f"{name} is wrong", got=repr(value), expected=" or ".join(map(repr, allowed))
        )


@dataclass(frozen=True, eq=False)
class ThreeFactorRule(Rule, abstract=True):
    r"""Base class of the three-factor rules.

    For layer l with presynaptic spikes s_{l-1}, surrogate derivative psi_l, gate_l and third factor L_l,

        g_l = (2 / (B n_l^R)) sum_b sum_t (psi * gate * L)_l[t] outer s_{l-1}[t]

    where B is the batch size and n_l^R the number of logits of the layer's readout. An optimiser turns g into a
    weight change. ``eligibility`` and ``credit`` change the presynaptic factor.

    Parameters
    ----------
    eligibility : {"spike", "trace"}
        The presynaptic factor: the spike of this step, or its trace, the linear response of the membrane to all spikes
        of the trial up to this step (neurons with an exact propagator that is the same for all of a layer).
    credit : {"online", "through_time"}
        Which steps share in an error. ``"online"``: that of the error alone, with the presynaptic factor above.
        ``"through_time"``: each layer follows the gradient of its own loss, averaged over the steps, back through its
        state variables to all earlier steps, with the reset detached (the discrete engine only).
    feedback : {"forward", "mirror"}
        What carries the error backwards: the forward synapses themselves, or mirror synapses of their own, whose
        weights start equal and are changed by the same amount on the same event.
    update : {"batch", "step"}
        When weights change: after every batch, or in every time step (the Brian2 engine needs a batch size of 1
        for that).
    burn_in : brian2.Quantity, optional
        Start of a trial without learning; the network's burn-in where it is not given.
    learning_rate_scale : mapping, optional
        Layer name -> factor on the learning rate (with SGD the layers of a deep network learn at very different
        speeds; Adam rescales).
    """

    eligibility: str = "spike"
    credit: str = "online"
    feedback: str = "forward"
    update: str = "batch"
    burn_in: Any = None
    learning_rate_scale: Mapping[str, float] = field(default_factory=dict)

    name: ClassVar[str] = ""

    def __post_init__(self) -> None:
        _choice(self, "eligibility", self.eligibility, ("spike", "trace"))
        _choice(self, "credit", self.credit, ("online", "through_time"))
        _choice(self, "feedback", self.feedback, ("forward", "mirror"))
        _choice(self, "update", self.update, ("batch", "step"))
        if self.burn_in is not None and (
            get_dimensions(self.burn_in) is not second.dim or not float(self.burn_in) >= 0
        ):
            raise RuleError(
                type(self).__name__, "burn_in is wrong", got=repr(self.burn_in), expected="a time, e.g. 5*ms"
            )
        self._check_learning_rate_scale()
        for name, plain in (("update", "batch"), ("eligibility", "spike")):
            if self.credit == "through_time" and getattr(self, name) != plain:
                raise RuleError(
                    type(self).__name__,
                    f"credit through time needs {name}={plain!r}",
                    got=f"{name}={getattr(self, name)!r} with credit='through_time'",
                    expected=f"{name}={plain!r}",
                    remedy="use credit='online'"
                    if name == "update"
                    else "it follows the whole response of a neuron "
                    "already; leave eligibility out, or use credit='online'",
                )

    def burn_in_steps(self, spec: NetworkSpec) -> int:
        """Time steps at the start of a trial without learning."""
        if self.burn_in is None:
            return spec.burn_in_steps
        return round(float(self.burn_in) / float(spec.dt))

    def readouts(self, spec: NetworkSpec) -> dict[str, Projection]:
        raise RuleError(type(self).__name__, "this class is abstract", expected="TFR() or DALTON()")

    def logits(self, spec: NetworkSpec) -> dict[str, int]:
        """n_l^R: how many logits the readout of each layer has."""
        raise RuleError(type(self).__name__, "this class is abstract", expected="TFR() or DALTON()")

    def check(self, spec: NetworkSpec, batch_size: int) -> None:
        owner = type(self).__name__
        if spec.readout is None:
            raise RuleError(
                owner, "the rule needs a readout", got="readout=None", expected="NetworkSpec(..., readout=Readout(n))"
            )
        super().check(spec, batch_size)
        if self.burn_in is not None:
            steps = float(self.burn_in) / float(spec.dt)
            if abs(steps - round(steps)) > 1e-6 * max(1.0, steps):
                raise RuleError(
                    owner,
                    "burn_in is not a whole number of time steps",
                    got=f"{self.burn_in} with dt = {spec.dt}",
                    expected=f"a multiple of {spec.dt}",
                )
        if not self.burn_in_steps(spec) < spec.n_steps:
            raise RuleError(
                owner, "burn_in leaves no step to learn in", got=self.burn_in, expected=f"less than {spec.duration}"
            )
        if spec.timing == "pipelined":
            self._check_pipelined(spec)
        if self.eligibility == "trace":
            for p in spec.projections:
                linear_response(p, float(spec.dt))

    def _check_pipelined(self, spec: NetworkSpec) -> None:
        """Refuse what is defined for same-step timing alone."""
        for name, plain in (("eligibility", "spike"), ("credit", "online")):
            if getattr(self, name) != plain:
                raise RuleError(
                    f"rule {self.name!r}, pipelined timing",
                    f"{name} is available for same-step timing only",
                    got=f"{name}={getattr(self, name)!r}",
                    expected=f"{name}={plain!r}",
                    remedy=f"use {name}={plain!r}, or timing='same_step'",
                )
        dropped = [p.name for p in spec.projections if p.layer.dropout]  # type: ignore[union-attr]
        if dropped:
            raise RuleError(
                f"rule {self.name!r}, pipelined timing",
                "learning with dropout is available for same-step timing only",
                got=f"dropout in {', '.join(dropped)}",
                expected="dropout=0",
                remedy="leave dropout out, or use timing='same_step'",
            )


@dataclass(frozen=True, eq=False)
class TFR(ThreeFactorRule):
    r"""Vanilla three-factor rule.

    Every spiking layer has a fixed random readout R_l (classes x n_l) of its own:

        err_l = R_l s_l - onehot(y),    L_l = R_l^T err_l,    n_l^R = classes.

    The readout of the last layer is the network's (``readout``); the others are ``readout_<layer>``.
    """

    name: ClassVar[str] = "tfr"

    def readouts(self, spec: NetworkSpec) -> dict[str, Projection]:
        last = spec.projections[-1].name
        return {
            p.name: spec.readout_of(p, "readout" if p.name == last else f"readout_{p.name}") for p in spec.projections
        }

    def logits(self, spec: NetworkSpec) -> dict[str, int]:
        return {p.name: spec.classes for p in spec.projections}


@dataclass(frozen=True, eq=False)
class DALTON(ThreeFactorRule):
    r"""Deep local learning by weight and surrogate-derivative transfer.

    The readout of layer l is a copy of the next layer's weights, R_l = W_{l+1}; the last one, R_L, is fixed:

        err_L = R_L s_L - onehot(y),    err_l = (R_{l+1}^T err_{l+1}) * psi_{l+1},    L_l = R_l^T err_l,

    n_l^R = n_{l+1} (the number of classes for the last layer). So delta_l = psi_l L_l goes down to layer l-1, and
    gate_l delta_l does the plasticity.
    """

    name: ClassVar[str] = "dalton"

    def readouts(self, spec: NetworkSpec) -> dict[str, Projection]:
        last = spec.projections[-1]
        return {last.name: spec.readout_of(last, "readout")}

    def logits(self, spec: NetworkSpec) -> dict[str, int]:
        sizes = [p.n_post for p in spec.projections[1:]] + [spec.classes]
        return {p.name: n for p, n in zip(spec.projections, sizes, strict=True)}
