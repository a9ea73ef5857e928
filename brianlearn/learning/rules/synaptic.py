"""A synaptic rule as Brian2 text: what a spike and a step do to a synapse, as users of Brian2 write it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from brian2.equations.equations import DIFFERENTIAL_EQUATION
from brian2.units.fundamentalunits import Dimension, get_dimensions

from brianlearn.citing.references import Reference, references_of_text, text_lines
from brianlearn.errors import RuleError, SpecError, UnitError, did_you_mean
from brianlearn.learning.optimisers import Optimiser
from brianlearn.learning.rules.local import LocalRule, choice
from brianlearn.learning.rules.paths import Paths
from brianlearn.learning.rules.reward import Reward, scalar_constants, with_constants
from brianlearn.learning.rules.synapse_text import OF_NEURONS, OF_SYNAPSES, SynapseText, constant_dimensions
from brianlearn.learning.rules.three_factor import ThreeFactorRule
from brianlearn.network.checks import is_number
from brianlearn.network.encoders import Encoder
from brianlearn.network.neurons.neuron import Neuron
from brianlearn.network.population import Population
from brianlearn.network.spec import NetworkSpec, Projection
from brianlearn.network.taking import take_quantities, take_quantity, take_text
from brianlearn.network.unit_names import kind_text, quantity_text

__all__ = ["OUTPUT_GROUP", "REWARD_GROUP", "SynapticRule"]

#: The population of one that computes the reward, and the one that counts outputs where there is no readout.
REWARD_GROUP, OUTPUT_GROUP = "reward_signal", "output_spikes"
_TEXTS = ("on_pre", "on_post", "update")


@dataclass(frozen=True, eq=False)
class SynapticRule(LocalRule):
    """A learning rule of one's own, as the Brian2 texts of a synapse.

    The same texts act at every projection between layers. They may read, beside the model's variables and the
    constants, ``weight``, ``learning_rate``, ``scale``, ``spike_pre``, ``psi`` and ``gate`` of the postsynaptic neuron,
    with a third factor ``L`` and ``delta`` = psi*L, ``reward``, state variables of the neurons on both sides
    (``v_pre``, ``v_post``), ``t`` and ``dt``; they may write the model's variables, and either ``weight`` or
    ``gradient``. Runs on the Brian2 engine (numpy, cython, cpp_standalone).

    Parameters
    ----------
    model : str, optional
        Equations of the variables that every synapse has: differential equations, marked ``(event-driven)`` or
        ``(clock-driven)``, subexpressions, and variables that statements alone change (``c : 1``). They start anew in
        each trial.
    on_pre, on_post : str, optional
        Statements that run when the presynaptic and when the postsynaptic neuron fires, in this order, after all
        layers have made their step.
    update : str, optional
        Statements that run after them in every step, or at the end of a trial.
    every : {"step", "trial"}
        When ``update`` runs.
    third_factor : Reward, ThreeFactorRule or None
        Where L comes from: a reward, the same for all neurons; the error paths of another rule, e.g. ``bl.DALTON()``;
        or nowhere.
    constants : mapping, optional
        Values of the names used in the texts, with units; one number each. A compiled program takes them as arguments.
    initial : mapping, optional
        Values of the model's variables at the start of a trial; 0 where it is not given.
    w_min, w_max : float, optional
        Bounds that weights are clipped to whenever they change.
    burn_in : brian2.Quantity, optional
        Start of a trial without weight changes, while the model's variables run; the network's burn-in where it is not
        given.
    learning_rate_scale : mapping, optional
        Layer name -> factor on the learning rate.

    Raises
    ------
    EquationError, UnitError, SpecError, RuleError
        Whatever the texts get wrong, by name.

    References
    ----------
    R. V. Florian, Reinforcement learning through modulation of spike-timing-dependent synaptic plasticity, Neural
    Computation 19, 2007. E. M. Izhikevich, Solving the distal reward problem through linkage of STDP and dopamine
    signaling, Cerebral Cortex 17, 2007.

    Examples
    --------
    Pair STDP, without labels:

    >>> import brianlearn as bl
    >>> from brian2 import ms
    >>> stdp = bl.SynapticRule(
    ...     model='''dx/dt = -x/tau_pre : 1 (event-driven)
    ...              dy/dt = -y/tau_post : 1 (event-driven)''',
    ...     on_pre="x += 1; weight -= learning_rate*y",
    ...     on_post="y += 1; weight += learning_rate*x",
    ...     constants=dict(tau_pre=20*ms, tau_post=20*ms), w_min=0, w_max=1)
    >>> stdp.changes
    'step'
    """

    model: str = ""
    on_pre: str = ""
    on_post: str = ""
    update: str = ""
    every: str = "step"
    third_factor: Reward | ThreeFactorRule | None = None
    constants: Mapping[str, Any] = field(default_factory=dict)
    initial: Mapping[str, Any] = field(default_factory=dict)
    w_min: float | None = None
    w_max: float | None = None
    burn_in: Any = None
    learning_rate_scale: Mapping[str, float] = field(default_factory=dict)

    name: ClassVar[str] = "synaptic"
    engines: ClassVar[Any] = ("brian",)
    eligibility: ClassVar[str] = "spike"  # type: ignore[misc]
    credit: ClassVar[str] = "online"  # type: ignore[misc]
    feedback: ClassVar[str] = "forward"  # type: ignore[misc]

    @property
    def written(self) -> tuple[str, ...]:
        """Model and statements, line by line: what a rule is known by, whatever its constants."""
        return text_lines(self.model, self.on_pre, self.on_post, self.update)

    def cited(self) -> tuple[Reference, ...]:
        return (*super().cited(), *references_of_text(self.written))

    def __post_init__(self) -> None:
        object.__setattr__(self, "model", take_text(self.model))
        object.__setattr__(self, "burn_in", take_quantity("SynapticRule", "burn_in", self.burn_in))
        for name in ("model", *_TEXTS):
            if not isinstance(getattr(self, name), str):
                raise SpecError("SynapticRule", f"{name} is not text", got=repr(getattr(self, name)), expected="a str")
        choice(self, "every", self.every, ("step", "trial"))
        if self.every == "trial" and not self.update.strip():
            raise RuleError(
                "SynapticRule",
                "there is nothing to run at the end of a trial",
                got="update=''",
                expected="update='...'",
            )
        object.__setattr__(self, "constants", scalar_constants("SynapticRule", self.constants))
        self._check_options()
        self._check_third_factor()
        self._check_bounds()
        self._check_initial()
        if self.third_factor is not None and not self.text.used & self._of_third_factor():
            raise RuleError(
                "SynapticRule",
                "the third factor is not used",
                got=repr(self.third_factor),
                expected="a text that reads L, delta or reward",
                remedy="write it into update, or leave third_factor out",
            )

    @cached_property
    def text(self) -> SynapseText:
        """The checked content of the texts."""
        given = {**OF_SYNAPSES, **{name: OF_NEURONS[name] for name in ("psi", "gate")}}
        late: set[str] = set()
        if self.third_factor is not None:
            given |= OF_NEURONS
        if isinstance(self.third_factor, Reward):
            given |= {"reward": "the reward itself"}
            late = self._of_third_factor() if self.every == "trial" else set()
        texts = {name: getattr(self, name) for name in _TEXTS}
        dimensions = constant_dimensions(self.constants)
        return SynapseText("SynapticRule", self.model, texts, dimensions, given, frozenset(late))

    def _of_third_factor(self) -> set[str]:
        return {"L", "delta", "L_post", "delta_post", "reward"}

    @property
    def synaptic(self) -> SynapticRule:
        return self

    @property
    def reward(self) -> Reward | None:
        """The reward, where that is the third factor."""
        return self.third_factor if isinstance(self.third_factor, Reward) else None

    @property
    def changes(self) -> str:
        return "step" if "weight" in self.text.writes else "batch"

    def direct(self, optimiser: Optimiser) -> bool:
        return "weight" in self.text.writes

    @property
    def takes(self) -> tuple[str, ...]:
        if isinstance(self.third_factor, LocalRule):
            return self.third_factor.takes
        if self.reward is not None and self.reward.function is not None:
            return ("labels", "values", "trains")
        return ("labels", "values") if self.third_factor is None else ("labels",)

    @property
    def taker(self) -> str:
        return type(self if self.third_factor is None else self.third_factor).__name__

    def needs_labels(self) -> bool:
        return self.third_factor is not None and (self.reward is None or self.reward.function is None)

    def updates(self, spec: NetworkSpec) -> int:
        return 1 if self.every == "trial" else super().updates(spec)

    def paths(self, spec: NetworkSpec) -> Paths:
        return self.third_factor.paths(spec) if isinstance(self.third_factor, LocalRule) else {}

    def scale(self, spec: NetworkSpec) -> dict[str, Fraction]:
        if isinstance(self.third_factor, LocalRule):
            return self.third_factor.scale(spec)
        return {p.name: Fraction(1) for p in spec.neurons}

    def state(self, spec: NetworkSpec) -> dict[str, np.ndarray]:
        has_mean = self.reward is not None and self.reward.baseline is not None
        return {f"{REWARD_GROUP}.mean": np.zeros(1)} if has_mean else {}

    def with_constants(self, **constants: Any) -> SynapticRule:
        """A copy with other values of some constants.

        Parameters
        ----------
        **constants : float or brian2.Quantity
            Name -> value, with the unit of the old one.

        Returns
        -------
        SynapticRule

        Raises
        ------
        SpecError
            If there is no constant of that name.
        """
        made = with_constants(self, "SynapticRule", constants)
        assert isinstance(made, SynapticRule)
        return made

    # checks -----------------------------------------------------------------------------------------------------------

    def _check_third_factor(self) -> None:
        factor = self.third_factor
        if factor is None or isinstance(factor, Reward):
            return
        if not isinstance(factor, ThreeFactorRule):
            raise RuleError(
                "SynapticRule",
                "third_factor is of the wrong type",
                got=repr(factor),
                expected="None, bl.Reward(...), or a rule whose error paths bring L, e.g. bl.DALTON()",
            )
        plain = {"eligibility": "spike", "credit": "online", "feedback": "forward", "update": "batch", "burn_in": None}
        for name, value in plain.items():
            if getattr(factor, name) != value:
                raise RuleError(
                    "SynapticRule",
                    f"of {type(factor).__name__} the error paths count alone, not {name}",
                    got=f"{name}={getattr(factor, name)!r}",
                    expected=f"{name}={value!r}",
                    remedy="burn_in is an option of SynapticRule itself; its texts say the rest",
                )
        if factor.learning_rate_scale:
            raise RuleError(
                "SynapticRule",
                f"of {type(factor).__name__} the error paths count alone, not learning_rate_scale",
                got=repr(factor.learning_rate_scale),
                expected="SynapticRule(..., learning_rate_scale=...)",
            )

    def _check_bounds(self) -> None:
        for name in ("w_min", "w_max"):
            value = getattr(self, name)
            if value is not None and not is_number(value):
                raise RuleError("SynapticRule", f"{name} is wrong", got=repr(value), expected="None or a finite number")
        if self.w_min is not None and self.w_max is not None and not self.w_min < self.w_max:
            raise RuleError(
                "SynapticRule",
                "the bounds are wrong",
                got=f"w_min={self.w_min}, w_max={self.w_max}",
                expected="w_min < w_max",
            )

    def _check_initial(self) -> None:
        if not isinstance(self.initial, Mapping):
            raise SpecError(
                "SynapticRule", "initial is not a mapping", got=repr(self.initial), expected="initial=dict(x=1)"
            )
        initial = take_quantities("SynapticRule", self.initial)
        object.__setattr__(self, "initial", initial)
        states = self.text.states
        for name, value in initial.items():
            if name not in states:
                raise SpecError(
                    "SynapticRule",
                    f"initial names no variable of the model: {name!r}",
                    expected=f"one of {', '.join(states) or 'none'}",
                    remedy=did_you_mean(name, states),
                )
            if get_dimensions(value) is not states[name].dim:
                raise UnitError(
                    "SynapticRule",
                    f"the initial value of {name!r} has the wrong unit",
                    got=quantity_text(value),
                    expected=kind_text(states[name].dim),
                )
        scalar_constants("SynapticRule, initial", initial)

    def check_optimiser(self, optimiser: Optimiser) -> None:
        if "weight" in self.text.writes and not optimiser.is_plain:
            raise RuleError(
                "SynapticRule",
                "the texts change weights themselves, and of an optimiser they take the learning rate alone",
                got=type(optimiser).__name__,
                expected="bl.SGD(learning_rate)",
                remedy="use SGD, or let the texts add to gradient",
            )

    def check(self, spec: NetworkSpec, batch_size: int) -> None:
        super().check(spec, batch_size)
        if spec.timing == "pipelined":
            raise RuleError(
                "SynapticRule",
                "it runs with same-step timing, or that of Brian2",
                got=f"timing={spec.timing!r}",
                expected="timing='same_step' or 'brian2'",
            )
        self._check_burn_in(spec)
        if isinstance(self.third_factor, LocalRule):
            self.third_factor.check(spec, batch_size)
        for name in {*spec.graph.by_name, *(p.name for p in spec.projections)} & {REWARD_GROUP, OUTPUT_GROUP}:
            raise RuleError("SynapticRule", "a layer has a name that the rule needs", got=name, remedy="rename it")
        if "weight" in self.text.writes:
            self._check_direct(spec, batch_size)
        for p in spec.projections:
            if p.learned:
                self._check_projection(spec, p)

    def _check_direct(self, spec: NetworkSpec, batch_size: int) -> None:
        """What a text cannot do that changes weights while trials run."""
        if batch_size != 1:
            raise RuleError(
                "SynapticRule",
                "the texts change weights within a trial, so trials cannot share a batch",
                got=f"batch_size={batch_size}",
                expected="batch_size=1",
                remedy="use batch_size=1, or 'gradient += ...', which the optimiser follows after a batch",
            )
        for p in spec.projections:
            if p.learned and p.connection.shares_weights:
                raise RuleError(
                    f"SynapticRule, layer {p.name}",
                    "many synapses share one weight, which none of them can change by itself",
                    got="; ".join(s.text for found in self.text.statements.values() for s in found),
                    expected="'gradient += ...', which sums over the synapses",
                )

    def _check_projection(self, spec: NetworkSpec, p: Projection) -> None:
        """Refuse what does not fit the neurons on both sides of a projection."""
        owner, text = f"SynapticRule, layer {p.name}", self.text
        source, target = spec.graph.by_name[p.source], spec.graph.by_name[p.target]
        dropped = bool(source.dropout)
        carries = "a dropout mask" if dropped else ""
        if isinstance(source.neuron, Encoder) and source.neuron.carries_values:
            carries = "a current"
        if carries and "spike_pre" not in text.used:
            raise RuleError(
                owner,
                f"what comes from {p.source!r} carries {carries}, which the texts leave out",
                got="no spike_pre",
                expected="on_pre with spike_pre as a factor",
                remedy="multiply by spike_pre" + ("" if dropped else ", or use an encoder that makes spikes"),
            )
        if target.dropout and text.statements["on_post"]:
            raise RuleError(
                owner,
                "a neuron that dropout silences fires all the same, and on_post would learn from it",
                got=f"dropout={target.dropout}",
                expected="dropout=0",
            )
        sides = {"post": (p.target, _states(target)), "pre": (p.source, _states(source))}
        found: dict[str, Dimension] = {}
        for reference in sorted(text.references):
            variable, _, side = reference.rpartition("_")
            population, states = sides[side]
            if side == "pre" and p.delayed:
                raise RuleError(
                    owner,
                    "after a delay only spikes arrive, no variables of the neurons that fired them",
                    got=f"{reference}, delay {p.delay_text}",
                    expected="texts of spikes, or a projection without a delay",
                )
            if variable not in states:
                raise RuleError(
                    owner,
                    f"the neurons of {population!r} have no state variable {variable!r}",
                    got=reference,
                    expected=", ".join(f"{name}_{side}" for name in states) or "no variable: this is the input",
                    remedy=did_you_mean(variable, states),
                )
            found[reference] = states[variable]
        text.check_units(found)


def _states(population: Population) -> dict[str, Dimension]:
    """State variables of a population's neurons, and their dimensions."""
    if not isinstance(population.neuron, Neuron):
        return {}
    equations = population.neuron.parsed.equations
    return {name: eq.dim for name, eq in equations.items() if eq.type == DIFFERENTIAL_EQUATION}
