"""Local three-factor rules: presynaptic spike x postsynaptic surrogate derivative x broadcast third factor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, ClassVar

from brianlearn.citing import papers
from brianlearn.errors import RuleError
from brianlearn.learning.optimisers import Optimiser
from brianlearn.learning.rules.eligibility import linear_response
from brianlearn.learning.rules.local import LocalRule, choice
from brianlearn.learning.rules.paths import OF_RULES, Fixed, Paths, Transpose, readout_groups, transposed
from brianlearn.network.population import Population
from brianlearn.network.spec import NetworkSpec, Projection

__all__ = ["DALTON", "TFR", "ThreeFactorRule", "local_readout", "own_readouts"]


@dataclass(frozen=True, eq=False)
class ThreeFactorRule(LocalRule, abstract=True):
    r"""Base class of the three-factor rules; a rule of one's own is a subclass that says its error `paths`.

    For layer l with presynaptic spikes s_{l-1}, surrogate derivative psi_l, gate_l and third factor L_l,

        g_l = (scale_l / B) sum_b sum_t (psi * gate * L)_l[t] outer s_{l-1}[t]

    where B is the batch size. An optimiser turns g into a weight change. ``eligibility`` and ``credit`` change the
    presynaptic factor; `paths` says where L comes from, `scale` is 2/n_l^R with the number n_l^R of `logits`.

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

    Raises
    ------
    RuleError
        Options that are unknown or do not go together; a scale that is no number, a burn-in that is no time.

    References
    ----------
    N. Frémaux, W. Gerstner, Neuromodulated spike-timing-dependent plasticity, and theory of three-factor learning
    rules, Frontiers in Neural Circuits 9, 85, 2016.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> from typing import ClassVar
    >>> import brianlearn as bl
    >>> @dataclass(frozen=True, eq=False)
    ... class Global(bl.ThreeFactorRule):
    ...     '''All layers hear the error of the output, hidden ones through random weights (`DFA`).'''
    ...     name: ClassVar[str] = "global"
    ...
    ...     def paths(self, spec):
    ...         onto = {q.source: q for q in spec.readout_projections}
    ...         fixed = {p.name: onto.get(p.name) or spec.readout_of(p, f"feedback_{p.name}") for p in spec.neurons}
    ...         return {name: (bl.Fixed(weights, spec.output),) for name, weights in fixed.items()}
    >>> Global().name
    'global'
    """

    references = (papers.THREE_FACTORS,)

    eligibility: str = "spike"
    credit: str = "online"
    feedback: str = "forward"
    update: str = "batch"
    burn_in: Any = None
    learning_rate_scale: Mapping[str, float] = field(default_factory=dict)

    name: ClassVar[str] = ""

    def __post_init__(self) -> None:
        choice(self, "eligibility", self.eligibility, ("spike", "trace"))
        choice(self, "credit", self.credit, ("online", "through_time"))
        choice(self, "feedback", self.feedback, ("forward", "mirror"))
        choice(self, "update", self.update, ("batch", "step"))
        self._check_options()
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

    @property
    def engines(self) -> tuple[str, ...]:
        return ("discrete",) if self.credit == "through_time" else ("brian", "discrete")

    @property
    def changes(self) -> str:
        return self.update

    def direct(self, optimiser: Optimiser) -> bool:
        return self.update == "step" and optimiser.is_plain

    def paths(self, spec: NetworkSpec) -> Paths:
        """From where the third factor of each population comes: population -> its error paths.

        Every population onto which a projection learns needs one at least. (In a chain, populations, layers and
        projections have the same names.)

        Parameters
        ----------
        spec : NetworkSpec

        Returns
        -------
        dict of str to tuple of Fixed or Transpose

        Raises
        ------
        RuleError
            A class that does not say it.
        """
        raise RuleError(
            type(self).__name__,
            "this class is abstract: it does not say where errors come from",
            got="no method paths(spec)",
            expected="a method paths(spec): layer -> a tuple of bl.Fixed(...) and bl.Transpose(...)",
            remedy="use TFR() or DALTON(), or write paths (docs/own_rule.md)",
        )

    def logits(self, spec: NetworkSpec) -> dict[str, int]:
        """n_l^R: how many units the error paths of each layer come from, all together.

        Parameters
        ----------
        spec : NetworkSpec

        Returns
        -------
        dict of str to int
            Population -> number.
        """
        onto = {p.name: p.n_post for p in spec.projections}
        return {
            layer: sum(path.weights.n_post if isinstance(path, Fixed) else onto[path.projection] for path in found)
            for layer, found in self.paths(spec).items()
        }

    def scale(self, spec: NetworkSpec) -> dict[str, Fraction]:
        """The factor of each layer's gradient: 2/n_l^R, of the mean squared error over n_l^R units.

        Parameters
        ----------
        spec : NetworkSpec

        Returns
        -------
        dict of str to fractions.Fraction
            Population -> factor.
        """
        return {layer: Fraction(2, n) for layer, n in self.logits(spec).items()}

    def check(self, spec: NetworkSpec, batch_size: int) -> None:
        owner = type(self).__name__
        if spec.readout is None:
            raise RuleError(
                owner, "the rule needs a readout", got="readout=None", expected="NetworkSpec(..., readout=Readout(n))"
            )
        super().check(spec, batch_size)
        self._check_paths(spec)
        self._check_burn_in(spec)
        if spec.timing == "pipelined":
            self._check_pipelined(spec)
        together = next((names for names in spec.graph.components if spec.graph.is_recurrent(names)), None)
        if self.credit == "through_time" and together is not None:
            hear = "hear one another" if len(together) > 1 else "hears itself"
            raise RuleError(
                f"rule {self.name!r}",
                "credit through time follows the states of neurons, and not spikes that come back to them",
                got=f"{', '.join(together)} {hear}",
                expected="credit='online' in networks with cycles",
                remedy="use credit='online', or back-propagation through time: STBP(), SurrogateBPTT()",
            )
        if self.eligibility == "trace":
            for p in spec.projections:
                linear_response(p, float(spec.dt))

    def _check_paths(self, spec: NetworkSpec) -> None:
        """Refuse paths that no engine could build, and layers that would learn nothing, by name."""
        owner, paths = f"rule {self.name or type(self).__name__!r}", self.paths(spec)
        above, names = {p.name: p for p in spec.projections}, [p.name for p in spec.neurons]
        for layer in dict.fromkeys(p.target for p in spec.projections if p.learned):
            if not paths.get(layer):
                raise RuleError(
                    owner,
                    f"no error reaches layer {layer!r}, which would learn nothing",
                    got=f"paths to {', '.join(paths) or 'no layer'}",
                    expected=f"at least one path to each of {', '.join(names)}",
                    remedy="let it reach a readout, or another population without a delay; or use TFR(), DFA(), which "
                    "give every layer an error; or give it a path, e.g. bl.Fixed(spec.readout_of(p, "
                    "f'readout_{p.name}'), ...)",
                )
        for layer, found in paths.items():
            for path in found:
                if not isinstance(path, Fixed | Transpose):
                    raise RuleError(owner, "this is no error path", got=repr(path), expected="bl.Fixed or bl.Transpose")
                source = path.weights.source if isinstance(path, Fixed) else _source(owner, path, above)
                if isinstance(path, Transpose) and above[path.projection].delayed:
                    raise RuleError(
                        owner,
                        "errors do not go down through a delay, which would take them back in time",
                        got=f"bl.Transpose({path.projection!r}), delay {above[path.projection].delay_text}",
                        expected="projections without a delay",
                        remedy="use bl.Fixed(...), or back-propagation through time: STBP(), SurrogateBPTT()",
                    )
                if source != layer:
                    raise RuleError(
                        owner,
                        f"the path {path.name!r} leads to another layer",
                        got=f"{path.name!r} comes from {source!r}",
                        expected=f"weights whose source is {layer!r}",
                    )
        place, down = {p.name: k for k, p in enumerate(spec.neurons)}, transposed(paths)
        around = [q.name for q in spec.projections if q.name in down and place[q.source] >= place[q.target]]
        if around:  # in a cycle, the order of populations does not follow from its projections
            raise RuleError(
                owner,
                "errors would go round a cycle of projections without a delay",
                got=f"the cycle {' -> '.join(spec.graph.cycle)}, and errors down through {', '.join(around)}",
                expected="no cycle in what errors go down through",
                remedy="give one of them a delay, or use TFR(), DFA(), EProp(), whose errors come from readouts alone, "
                "or back-propagation through time: STBP(), SurrogateBPTT()",
            )
        heard, own = readout_groups(spec, paths), {q.name for q in spec.readout_projections}
        for path in (path for found in paths.values() for path in found if isinstance(path, Fixed)):
            if path.readout not in heard:
                raise RuleError(
                    owner, "there is no such readout", got=repr(path.readout), expected=", ".join(sorted(heard))
                )
        for name in (p.name for p in self.fixed(spec)):
            if name not in own and (not name.startswith(OF_RULES) or name in above):
                raise RuleError(
                    owner,
                    "fixed weights of a rule cannot have this name",
                    got=repr(name) + (", which is a layer" if name in above else ""),
                    expected=" or ".join(f"{start}<layer>" for start in OF_RULES),
                )

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
        dropped = [p.name for p in spec.projections if p.layer.dropout]
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

    References
    ----------
    R. Gaurav, D. A. Do, T. T. Doan, Y. Yi, DALTON: deep local learning in SNNs via local weights and
    surrogate-derivative transfer, IEEE Transactions on Emerging Topics in Computing 13(3), 2025,
    doi 10.1109/TETC.2024.3440932.
    """

    references = (papers.DALTON,)

    name: ClassVar[str] = "tfr"

    def paths(self, spec: NetworkSpec) -> Paths:
        return {p.name: own_readouts(spec, p) or (local_readout(spec, p),) for p in spec.neurons}


@dataclass(frozen=True, eq=False)
class DALTON(ThreeFactorRule):
    r"""Deep local learning by weight and surrogate-derivative transfer.

    The readout of layer l is a copy of the next layer's weights, R_l = W_{l+1}; the last one, R_L, is fixed:

        err_L = R_L s_L - onehot(y),    err_l = (R_{l+1}^T err_{l+1}) * psi_{l+1},    L_l = R_l^T err_l,

    n_l^R = n_{l+1} (the number of classes for the last layer). So delta_l = psi_l L_l goes down to layer l-1, and
    gate_l delta_l does the plasticity.

    References
    ----------
    R. Gaurav, D. A. Do, T. T. Doan, Y. Yi, DALTON: deep local learning in SNNs via local weights and
    surrogate-derivative transfer, IEEE Transactions on Emerging Topics in Computing 13(3), 2025,
    doi 10.1109/TETC.2024.3440932.
    """

    references = (papers.DALTON,)

    name: ClassVar[str] = "dalton"

    def paths(self, spec: NetworkSpec) -> Paths:
        return {
            p.name: (
                *(Transpose(q.name) for q in spec.projections if q.source == p.name and not q.delayed),
                *own_readouts(spec, p),
            )
            for p in spec.neurons
        }


def own_readouts(spec: NetworkSpec, p: Population) -> tuple[Fixed, ...]:
    """The paths from the network's own readouts that population p reaches."""
    return tuple(Fixed(q, q.target) for q in spec.readout_projections if q.source == p.name)


def local_readout(spec: NetworkSpec, p: Population) -> Fixed:
    """The path from a readout of a rule's own, which looks at population p: ``readout_<population>``."""
    name = f"readout_{p.name}"
    return Fixed(spec.readout_of(p, name), name)


def _source(owner: str, path: Transpose, above: Mapping[str, Projection]) -> str:
    if path.projection not in above:
        raise RuleError(owner, "there is no such projection", got=repr(path.projection), expected=", ".join(above))
    return above[path.projection].source
