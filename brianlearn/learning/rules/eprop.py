"""E-prop: eligibility traces times a learning signal that is broadcast from the output."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from brianlearn.citing import papers
from brianlearn.errors import RuleError
from brianlearn.learning.rules.dfa import DFA
from brianlearn.learning.rules.paths import Paths
from brianlearn.learning.rules.three_factor import DALTON, ThreeFactorRule
from brianlearn.network.spec import NetworkSpec

__all__ = ["EProp"]

SIGNALS = ("random", "symmetric")


@dataclass(frozen=True, eq=False)
class EProp(ThreeFactorRule):
    r"""E-prop with the learning signal of the readout's error.

    The gradient of E = 1/2 sum_t sum_k (y_k[t] - y*_k)^2 with respect to a weight onto neuron j, taken as if spikes
    reached later steps through the trace of that weight alone:

        dE/dW_ji  =  sum_t  L_j[t] psi_j[t] e_i[t],    L_j[t] = sum_k B_jk (y_k[t] - y*_k),

    with the trace e_i of presynaptic spikes: what the membrane would be if they were all that ever happened to it. It
    is the e-prop of neurons without adaptation and of a readout without memory; the trace leaves out resets, as the
    paper does. The readout does not change, nor do random weights B.

    Parameters
    ----------
    signal : {"random", "symmetric"}
        Weights B of the learning signal: fixed and random, or those of the forward path: R for the last layer, and for
        the layers below it the transposed weights of the layer above times its surrogate derivative.

    References
    ----------
    G. Bellec et al., A solution to the learning dilemma for recurrent networks of spiking neurons, Nature
    Communications 11, 3625, 2020, equations 1 to 4.

    Examples
    --------
    >>> import brianlearn as bl
    >>> bl.EProp(signal="symmetric").eligibility
    'trace'
    """

    references = (papers.EPROP,)

    eligibility: str = "trace"
    signal: str = "random"

    name: ClassVar[str] = "eprop"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.signal not in SIGNALS:
            raise RuleError("EProp", "signal is wrong", got=repr(self.signal), expected=" or ".join(map(repr, SIGNALS)))

    def paths(self, spec: NetworkSpec) -> Paths:
        return (DALTON() if self.signal == "symmetric" else DFA()).paths(spec)

    def scale(self, spec: NetworkSpec) -> dict[str, Fraction]:
        return {p.name: Fraction(1) for p in spec.neurons}
