"""Direct feedback alignment: the error of the output, sent to every layer through fixed random weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from brianlearn.citing import papers
from brianlearn.learning.rules.paths import Fixed, Paths
from brianlearn.learning.rules.three_factor import ThreeFactorRule, own_readouts
from brianlearn.network.spec import NetworkSpec

__all__ = ["DFA"]


@dataclass(frozen=True, eq=False)
class DFA(ThreeFactorRule):
    r"""Direct feedback alignment.

    All layers hear the error of the network's readout, hidden ones through fixed random weights B_l (classes x n_l) of
    their own (``feedback_<layer>``, and ``_<readout>`` where there are several readouts):

        err = R s_L - onehot(y),    L_L = R^T err,    L_l = B_l^T err,    n_l^R = classes.

    References
    ----------
    A. Nøkland, Direct feedback alignment provides learning in deep neural networks, NeurIPS 29, 2016.

    Examples
    --------
    >>> import brianlearn as bl
    >>> from brian2 import ms
    >>> layers = [bl.Dense(20, bl.CubaLIF()), bl.Dense(10, bl.CubaLIF())]
    >>> spec = bl.NetworkSpec(bl.Input((1, 8, 8)), layers, bl.Readout(10), duration=20*ms)
    >>> [path.name for path in bl.DFA().paths(spec)["dense1"]]
    ['feedback_dense1']
    """

    references = (papers.FEEDBACK_ALIGNMENT,)

    name: ClassVar[str] = "dfa"

    def paths(self, spec: NetworkSpec) -> Paths:
        readouts = [readout.name for readout in spec.graph.readouts]
        one = len(readouts) == 1
        return {
            p.name: own_readouts(spec, p)
            or tuple(Fixed(spec.readout_of(p, f"feedback_{p.name}" + ("" if one else f"_{r}")), r) for r in readouts)
            for p in spec.neurons
        }
