r"""Losses of a readout against values: what regression minimises.

e = y - d is the error of the readout y in each step after the burn-in, with the value d of the sample, or of the step.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from brianlearn.citing import papers
from brianlearn.errors import RuleError
from brianlearn.learning.losses import Loss
from brianlearn.network.checks import is_number
from brianlearn.network.spec import NetworkSpec

if TYPE_CHECKING:
    import torch

    from brianlearn.discrete.run.activity import DiscreteActivity

__all__ = ["MAE", "MSE", "Huber"]


class _OfErrors(Loss, abstract=True):
    """A mean over steps and outputs of a function of the errors."""

    output: ClassVar[str] = "readout"
    takes: ClassVar[tuple[str, ...]] = ("values",)

    def of_trials(self, activity: DiscreteActivity, targets: torch.Tensor, spec: NetworkSpec) -> torch.Tensor:
        assert activity.readout is not None
        start = activity.burn_in_steps
        values = targets[None] if targets.ndim == 2 else targets.transpose(0, 1)[start:]
        return self.of_errors(activity.readout[start:] - values.to(activity.readout)).mean(dim=(0, 2))

    @abstractmethod
    def of_errors(self, errors: torch.Tensor) -> torch.Tensor:
        """The loss of each error.

        Parameters
        ----------
        errors : torch.Tensor, shape (steps, B, outputs)

        Returns
        -------
        torch.Tensor
            Of the same shape.
        """


@dataclass(frozen=True)
class MSE(_OfErrors):
    """Mean squared error, e^2, of the readout against values, over steps and outputs.

    References
    ----------
    C. F. Gauss, Theoria combinationis observationum erroribus minimis obnoxiae, Göttingen, 1823 (printed again 1995 by
    SIAM, with a translation by G. W. Stewart).
    """

    references = (papers.LEAST_SQUARES,)

    name: ClassVar[str] = "mse"

    def of_errors(self, errors: torch.Tensor) -> torch.Tensor:
        return errors.square()


@dataclass(frozen=True)
class MAE(_OfErrors):
    """Mean absolute error, abs(e), of the readout against values, over steps and outputs.

    Its derivative is sign(e), and 0 where e is.

    References
    ----------
    P. J. Huber, E. M. Ronchetti, Robust statistics, 2nd edition, Wiley, 2009.
    """

    references = (papers.ROBUST_STATISTICS,)

    name: ClassVar[str] = "mae"

    def of_errors(self, errors: torch.Tensor) -> torch.Tensor:
        return errors.abs()


@dataclass(frozen=True)
class Huber(_OfErrors):
    """Huber's loss of the readout against values: e^2/2 up to delta, delta (abs(e) - delta/2) beyond; the mean.

    Parameters
    ----------
    delta : float
        > 0; from there on an error counts in proportion to its size.

    Raises
    ------
    RuleError
        A delta that is no number > 0.

    References
    ----------
    P. J. Huber, Robust estimation of a location parameter, Annals of Mathematical Statistics 35(1), 73-101, 1964.
    """

    references = (papers.HUBER,)

    delta: float = 1.0
    name: ClassVar[str] = "huber"

    def __post_init__(self) -> None:
        if not (is_number(self.delta) and self.delta > 0):
            raise RuleError("Huber", "delta is wrong", got=repr(self.delta), expected="a finite number > 0, e.g. 1.0")

    def of_errors(self, errors: torch.Tensor) -> torch.Tensor:
        size = errors.abs()
        small = size.clamp(max=self.delta)
        return small * (size - small / 2)
