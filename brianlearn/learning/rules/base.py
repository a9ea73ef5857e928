"""What all learning rules share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from brianlearn.errors import RuleError
from brianlearn.network.checks import is_number
from brianlearn.network.spec import NetworkSpec, Projection
from brianlearn.network.storable import Storable

__all__ = ["Rule"]


class Rule(Storable, abstract=True):
    """Base class of learning rules: frozen descriptions, without any engine's code.

    A rule says how a batch of trials becomes one gradient per learned layer; an optimiser turns that into a weight
    change. A rule of one's own is a `ThreeFactorRule` that says where errors come from, a `SynapticRule`, or, as below,
    a rule with a ``loss`` that back-propagation minimises: it says which weights follow the gradient.

    Attributes
    ----------
    name : str
        As on the command line and in run folders.
    learning_rate_scale : mapping
        Layer name -> factor on the learning rate.
    engines : tuple of str
        The engines that can learn by the rule.
    loss : Loss or None
        What back-propagation minimises; None where the rule has errors of its own.
    reset_path : {"detached", "kept"}
        Whether the spike that resets a neuron passes gradient.

    Examples
    --------
    >>> from dataclasses import dataclass, field
    >>> import brianlearn as bl
    >>> @dataclass(frozen=True, eq=False)
    ... class Reservoir(bl.Rule):
    ...     '''The readout and the ``deep`` last layers learn by back-propagation; the others stay.'''
    ...     name = "reservoir"
    ...     engines = ("discrete",)
    ...     loss: bl.Loss = bl.CrossEntropy()
    ...     learning_rate_scale: dict = field(default_factory=dict)
    ...     deep: int = 1
    ...
    ...     def learned(self, spec):
    ...         last = [p.name for p in spec.projections][len(spec.projections) - self.deep:]
    ...         return (*last, *(p.name for p in spec.readout_projections))
    >>> Reservoir(deep=2).loss.name
    'cross-entropy'
    """

    error_kind = RuleError
    name: ClassVar[str] = ""
    engines: ClassVar[Any] = ()
    loss: Any = None
    reset_path: Any = "detached"
    learning_rate_scale: Mapping[str, float]

    def readouts(self, spec: NetworkSpec) -> dict[str, Projection]:
        """The fixed readouts that the rule needs: layer that is looked at -> readout.

        Parameters
        ----------
        spec : NetworkSpec

        Returns
        -------
        dict of str to Projection
        """
        return {}

    def fixed(self, spec: NetworkSpec) -> list[Projection]:
        """All weights that the rule needs and that never change: readouts, and what else carries errors.

        Parameters
        ----------
        spec : NetworkSpec

        Returns
        -------
        list of Projection
        """
        return list(self.readouts(spec).values())

    def learned(self, spec: NetworkSpec) -> tuple[str, ...]:
        """Names of the weights that the rule changes.

        Parameters
        ----------
        spec : NetworkSpec

        Returns
        -------
        tuple of str
        """
        return tuple(p.name for p in spec.projections if p.learned)

    def state(self, spec: NetworkSpec) -> dict[str, np.ndarray]:
        """What the rule itself carries from trial to trial, as it is before learning: name -> array of float64.

        Parameters
        ----------
        spec : NetworkSpec

        Returns
        -------
        dict of str to numpy.ndarray
        """
        return {}

    def variables(self, spec: NetworkSpec) -> dict[str, tuple[str, ...]]:
        """What a network has more by the rule, and can be recorded.

        Parameters
        ----------
        spec : NetworkSpec

        Returns
        -------
        dict
            Variable -> the layers that have it.
        """
        return {"psi": tuple(p.name for p in spec.neurons)}

    @property
    def takes(self) -> tuple[str, ...]:
        """Kinds of targets that the rule learns from: ``"labels"``, ``"values"``, ``"trains"``; those of its loss."""
        return ("labels", "values") if self.loss is None else tuple(self.loss.takes)

    @property
    def taker(self) -> str:
        """What takes the targets, for errors: the loss, or the rule itself."""
        return type(self if self.loss is None else self.loss).__name__

    def needs_labels(self) -> bool:
        """Whether there is nothing to learn from samples without labels.

        Returns
        -------
        bool
        """
        return True

    def check(self, spec: NetworkSpec, batch_size: int) -> None:
        """Check the rule against a network.

        Parameters
        ----------
        spec : NetworkSpec
        batch_size : int
            Samples per weight update.

        Raises
        ------
        RuleError
        """
        if spec.learned_constants and self.loss is None:
            raise RuleError(
                type(self).__name__,
                "the rule learns no constants of neurons",
                got=", ".join(one.key for one in spec.learned_constants),
                expected="SurrogateBPTT or STBP, which follow a gradient through the equations",
                remedy="leave learn out of the neurons, or use spec.with_learned_constants(weights), in which learned "
                "values stay as they are",
            )
        delays = [name for name, q in spec.learned_delays.items() if q.delay.epochs]
        if delays and self.loss is None:
            raise RuleError(
                type(self).__name__,
                "the rule learns no delays",
                got=", ".join(delays),
                expected="SurrogateBPTT or STBP, which follow a gradient through time",
                remedy="bl.LearnedDelays(..., epochs=0): delays that stay as they are drawn, or as weights bring them",
            )
        names = self.learned(spec)
        for layer in self.learning_rate_scale:
            if layer not in names:
                raise RuleError(
                    type(self).__name__,
                    f"learning_rate_scale names no layer: {layer!r}",
                    expected=f"one of {', '.join(names)}",
                )

    def _check_learning_rate_scale(self) -> None:
        """Check the factors themselves, when the rule is made."""
        if not isinstance(self.learning_rate_scale, Mapping):
            raise RuleError(
                type(self).__name__,
                "learning_rate_scale is of the wrong type",
                got=repr(self.learning_rate_scale),
                expected="layer name -> factor, e.g. {'conv1': 10.0}",
            )
        for layer, factor in self.learning_rate_scale.items():
            if not (is_number(factor) and factor >= 0):
                raise RuleError(
                    type(self).__name__,
                    f"learning_rate_scale of {layer!r} is wrong",
                    got=repr(factor),
                    expected="a finite number >= 0",
                )
