"""DECOLLE: deep continuous local learning, a random readout and a loss for every layer."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from brianlearn.citing import papers
from brianlearn.learning.rules.paths import Paths
from brianlearn.learning.rules.three_factor import TFR, ThreeFactorRule
from brianlearn.network.spec import NetworkSpec

__all__ = ["DECOLLE"]


@dataclass(frozen=True, eq=False)
class DECOLLE(ThreeFactorRule):
    r"""Deep continuous local learning.

    Every layer has a fixed random readout R_l and a squared error of its own in every step, and follows its gradient
    through the trace e_{l-1} of its presynaptic spikes:

        err_l = R_l s_l - onehot(y),    L_l = R_l^T err_l,
        g_l = (1/B) sum_b sum_t (psi * gate * L)_l[t] outer e_{l-1}[t].

    That is `TFR` with ``eligibility="trace"``, another scale, and the same readouts (``readout_<layer>``). The paper's
    regularisation of the membranes is left out.

    References
    ----------
    J. Kaiser, H. Mostafa, E. Neftci, Synaptic plasticity dynamics for deep continuous local learning (DECOLLE),
    Frontiers in Neuroscience 14, 424, 2020.
    """

    references = (papers.DECOLLE,)

    eligibility: str = "trace"

    name: ClassVar[str] = "decolle"

    def paths(self, spec: NetworkSpec) -> Paths:
        return TFR().paths(spec)

    def scale(self, spec: NetworkSpec) -> dict[str, Fraction]:
        return {p.name: Fraction(1) for p in spec.neurons}
