"""Surrogate derivatives of the spike function.

Each is a function of x = (v - threshold) / v_scale, written once as an expression that Brian2 and the discrete
engine both evaluate. All are symmetric around the threshold. Those with a ``slope`` k follow the normalisation of
their paper; ``Rectangular`` and ``Triangular`` have unit area.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from brianlearn.citing import papers
from brianlearn.errors import ArgumentError, SpecError
from brianlearn.network.checks import is_number
from brianlearn.network.neurons.statements import FUNCTIONS, expression, foreign, names
from brianlearn.network.storable import Storable

__all__ = [
    "ArcTan",
    "FastSigmoid",
    "Gaussian",
    "Rectangular",
    "Sigmoid",
    "Surrogate",
    "Triangular",
]


def _positive(owner: object, name: str, value: object) -> None:
    if not (is_number(value) and value > 0):
        raise SpecError(type(owner).__name__, f"{name} is wrong", got=repr(value), expected="a finite number > 0")


class Surrogate(Storable, abstract=True):
    """Base class: a surrogate derivative sigma'(x) given as one expression in ``x``.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import brianlearn as bl
    >>> @dataclass(frozen=True)
    ... class Cauchy(bl.Surrogate):
    ...     '''w/(pi (w^2 + x^2)).'''
    ...     width: float = 0.5
    ...
    ...     def expression(self, x):
    ...         return f"{self.width/3.141592653589793!r}/({self.width**2!r} + {x}**2)"
    >>> float(Cauchy(1.0)(1.0).round(3))
    0.159
    >>> neuron = bl.CubaLIF(surrogate=Cauchy())
    """

    def expression(self, x: str) -> str:
        """The surrogate derivative of the argument ``x``, as a Brian2 expression.

        Parameters
        ----------
        x : str
            The name of a dimensionless variable: the distance to the threshold.

        Returns
        -------
        str
            An expression in ``x`` and numbers only, of functions that both engines have.

        Raises
        ------
        ArgumentError
            A class that does not say it.
        """
        raise ArgumentError(  # which is a TypeError too
            type(self).__name__,
            "it is abstract: it has no expression for the surrogate derivative",
            expected="a method expression(x) that returns text, e.g. f'1/(1 + abs({x}))**2'",
            remedy="see the example of brianlearn.Surrogate",
        )

    def check(self) -> None:
        """Check the expression: text in ``x`` that is finite at any distance to the threshold.

        Raises
        ------
        SpecError
        """
        owner, text = type(self).__name__, self.expression("x")
        if not isinstance(text, str):
            raise SpecError(owner, "its expression is no text", got=repr(text), expected="e.g. '1/(1 + abs(x))**2'")
        try:
            tree = expression(text)
        except SyntaxError as error:
            raise SpecError(
                owner, "its expression cannot be read", got=repr(text), expected="an expression in x", remedy=str(error)
            ) from None
        wrong, unknown = foreign(tree), sorted(names(tree) - {"x"})
        if wrong is not None:
            raise SpecError(owner, f"its expression {wrong[0]}", got=text, expected=wrong[1], remedy=wrong[2])
        if unknown:
            raise SpecError(
                owner,
                f"its expression uses the unknown name {unknown[0]!r}",
                got=text,
                expected="x and numbers",
                remedy="put the values of fields into the text: f'{self.width!r}*{x}'",
            )
        with np.errstate(all="ignore"):
            values = self(np.array([-1e3, -1.0, 0.0, 1.0, 1e3]))
        if not np.isfinite(values).all():
            raise SpecError(
                owner,
                "its expression is not finite",
                got=f"{values} at x = -1000, -1, 0, 1, 1000",
                expected="finite numbers",
            )

    def __call__(self, x: Any) -> np.ndarray:
        """Evaluate the expression with numpy.

        Parameters
        ----------
        x : array_like
            Distance to the threshold, dimensionless, any shape.

        Returns
        -------
        numpy.ndarray
            The surrogate derivative, shape of ``x``.
        """
        functions = {name: getattr(np, name) for name in FUNCTIONS if name != "int"} | {"int": np.asarray}
        x = np.asarray(x)
        found = eval(self.expression("x"), {"__builtins__": {}}, functions | {"x": x})
        return np.broadcast_to(found, x.shape) * 1.0


@dataclass(frozen=True)
class FastSigmoid(Surrogate):
    """sigma'(x) = 1 / (1 + k |x|)^2 (Zenke & Ganguli 2018, SuperSpike; DALTON uses k = 5).

    Parameters
    ----------
    slope : float
        k, dimensionless.

    Raises
    ------
    SpecError
        What is no number > 0.
    """

    references = (papers.SUPERSPIKE,)

    slope: float = 5.0

    def __post_init__(self) -> None:
        _positive(self, "slope", self.slope)

    def expression(self, x: str) -> str:
        return f"1/(1 + {float(self.slope)!r}*abs({x}))**2"


@dataclass(frozen=True)
class Rectangular(Surrogate):
    """sigma'(x) = (1/w) [|x| < w/2] (Wu et al. 2018, STBP).

    Parameters
    ----------
    width : float
        w, dimensionless.

    Raises
    ------
    SpecError
        What is no number > 0.
    """

    references = (papers.STBP,)

    width: float = 1.0

    def __post_init__(self) -> None:
        _positive(self, "width", self.width)

    def expression(self, x: str) -> str:
        return f"int(abs({x}) < {float(self.width) / 2!r})*{1 / float(self.width)!r}"


@dataclass(frozen=True)
class ArcTan(Surrogate):
    """sigma'(x) = (k/2) / (1 + (pi k x / 2)^2) (Fang et al. 2021).

    Parameters
    ----------
    slope : float
        k (alpha of the paper), dimensionless.

    Raises
    ------
    SpecError
        What is no number > 0.
    """

    references = (papers.LEARNED_TAU,)

    slope: float = 2.0

    def __post_init__(self) -> None:
        _positive(self, "slope", self.slope)

    def expression(self, x: str) -> str:
        k = float(self.slope)
        return f"{float(k / 2)!r}/(1 + ({float(np.pi * k / 2)!r}*{x})**2)"


@dataclass(frozen=True)
class Sigmoid(Surrogate):
    """sigma'(x) = k s(kx) (1 - s(kx)) with the logistic function s.

    Parameters
    ----------
    slope : float
        k, dimensionless.

    Raises
    ------
    SpecError
        What is no number > 0.

    References
    ----------
    E. O. Neftci, H. Mostafa, F. Zenke, Surrogate gradient learning in spiking neural networks, IEEE Signal Processing
    Magazine 36, 2019.
    """

    references = (papers.SURROGATE_GRADIENTS,)

    slope: float = 4.0

    def __post_init__(self) -> None:
        _positive(self, "slope", self.slope)

    def expression(self, x: str) -> str:
        k = float(self.slope)
        # in |x|, so that exp never overflows
        return f"{k!r}*exp(-{k!r}*abs({x}))/(1 + exp(-{k!r}*abs({x})))**2"


@dataclass(frozen=True)
class Triangular(Surrogate):
    """sigma'(x) = (1/w) max(0, 1 - |x|/w) (Bellec et al. 2018).

    Parameters
    ----------
    width : float
        w, half the base of the triangle, dimensionless.

    Raises
    ------
    SpecError
        What is no number > 0.
    """

    references = (papers.ADAPTIVE_LIF,)

    width: float = 1.0

    def __post_init__(self) -> None:
        _positive(self, "width", self.width)

    def expression(self, x: str) -> str:
        w = float(self.width)
        return f"clip(1 - abs({x})*{1 / w!r}, 0, 1)*{1 / w!r}"


@dataclass(frozen=True)
class Gaussian(Surrogate):
    """sigma'(x) = exp(-x^2 / (2 s^2)) / (s sqrt(2 pi)) (Yin et al. 2021).

    Parameters
    ----------
    width : float
        s, the standard deviation, dimensionless.

    Raises
    ------
    SpecError
        What is no number > 0.
    """

    references = (papers.ADAPTIVE_RECURRENT,)

    width: float = 0.5

    def __post_init__(self) -> None:
        _positive(self, "width", self.width)

    def expression(self, x: str) -> str:
        s = float(self.width)
        return f"{float(1 / (s * np.sqrt(2 * np.pi)))!r}*exp(-{1 / (2 * s * s)!r}*{x}**2)"
