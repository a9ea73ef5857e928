r"""Losses: what back-propagation rules minimise, as frozen, validated descriptions.

Steps are those after the network's burn-in, T in number; o are the output spikes, y the readout, d the target trains.
The loss of a batch is the mean over its samples.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from brian2 import ms, second
from brian2.units.fundamentalunits import get_dimensions

from brianlearn.citing import papers
from brianlearn.citing.references import Reference
from brianlearn.errors import RuleError
from brianlearn.learning.targets import Targets
from brianlearn.network.checks import is_number
from brianlearn.network.spec import NetworkSpec
from brianlearn.network.storable import Storable

if TYPE_CHECKING:
    import torch

    from brianlearn.discrete.run.activity import DiscreteActivity

__all__ = ["CrossEntropy", "Hamming", "Loss", "RateMSE", "ReadoutMSE", "SpikeCount", "VanRossum"]


class Loss(Storable, ABC, abstract=True):
    """Base class of losses, which back-propagation minimises (`STBP`, `SurrogateBPTT`).

    A subclass computes the loss of each trial from what the network did, with torch, which follows the gradient.

    Attributes
    ----------
    name : str
        As on the command line.
    output : {"spikes", "readout", "logits"}
        What the loss looks at: the last spiking layer of a network without a readout, the readout, or either of them
        through `Activity.logits`.
    takes : tuple of str
        The kinds of targets that it compares with: ``"labels"``, ``"values"``, ``"trains"``.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import brianlearn as bl
    >>> @dataclass(frozen=True)
    ... class AbsoluteError(bl.Loss):
    ...     '''Mean absolute error of the mean readout against a one-hot label.'''
    ...     name = "absolute-error"
    ...     output = "readout"
    ...
    ...     def of_trials(self, activity, labels, spec):
    ...         from torch.nn.functional import one_hot
    ...         return (activity.logits - one_hot(labels, spec.classes)).abs().mean(dim=1)
    >>> rule = bl.SurrogateBPTT(loss=AbsoluteError())
    """

    error_kind = RuleError
    name: ClassVar[str] = ""
    output: ClassVar[str] = "logits"
    takes: ClassVar[tuple[str, ...]] = ("labels",)

    @abstractmethod
    def of_trials(self, activity: DiscreteActivity, labels: torch.Tensor, spec: NetworkSpec) -> torch.Tensor:
        """The loss of each trial.

        Parameters
        ----------
        activity : DiscreteActivity
            What the network did: ``spikes`` of each layer (T, B, ...), ``readout`` (T, B, classes), ``logits``
            (B, classes), the last two after ``burn_in_steps``; gradients flow through all of them.
        labels : torch.Tensor of int, shape (B,)
            The targets; those of a loss that takes values are floats, shape (B, out) or (B, T, out), and those of one
            that takes spike trains are bool, shape (B, T, out).
        spec : NetworkSpec

        Returns
        -------
        torch.Tensor, shape (B,)
        """

    def check(self, spec: NetworkSpec) -> None:
        """Check the loss against a network.

        Parameters
        ----------
        spec : NetworkSpec

        Raises
        ------
        RuleError
        """
        owner = type(self).__name__
        if self.output == "spikes" and spec.readout is not None:
            raise RuleError(
                owner,
                "this is a loss on spikes, and the network's output is a readout",
                got=f"readout={spec.readout!r}",
                expected="NetworkSpec(..., readout=None): the last layer, one neuron for each class, is the output",
                remedy="leave the readout out, or use ReadoutMSE() or CrossEntropy()",
            )
        if self.output == "readout" and spec.readout is None:
            raise RuleError(
                owner,
                "this is a loss on the readout, and the network has none",
                got="readout=None",
                expected="NetworkSpec(..., readout=Readout(n))",
                remedy="add a readout, or use VanRossum(), Hamming(), SpikeCount(), RateMSE() or CrossEntropy()",
            )

    def _check_targets(self, targets: object) -> None:
        if not isinstance(targets, Targets):
            raise RuleError(
                type(self).__name__,
                "targets is of the wrong type",
                got=repr(targets),
                expected="e.g. Targets(label=Regular(100*Hz), others=Silence())",
            )


@dataclass(frozen=True)
class VanRossum(Loss):
    r"""Distance of filtered spike trains (van Rossum 2001), 1/2 sum_t sum_i (kappa*o - kappa*d)_i[t]^2.

    kappa is the causal kernel of postsynaptic potentials, a[t] = c a[t-1] + (1 - c) o[t], applied once to each train.

    Parameters
    ----------
    tau : brian2.Quantity
        Time constant of kappa.
    targets : Targets
        What labels stand for. Samples with spike trains of their own need none, and take no notice of it.
    kernel : {"euler", "exact"}
        c = 1 - dt/tau, as in sequence-label STBP, or c = exp(-dt/tau).

    Raises
    ------
    RuleError
        A kernel, time constant or targets that are none.

    References
    ----------
    M. C. W. van Rossum, A novel spike distance, Neural Computation 13, 2001.
    Z. Wang, Y. Ye, H. Liu, Y. Xu, Y. Fan, W. Wang, Spiking sequence label-based spatio-temporal back-propagation
    algorithm for training deep spiking neural networks, Journal of Electronics & Information Technology 46(6),
    2596-2604, 2024 (in Chinese), doi 10.11999/JEIT230705.
    """

    references = (papers.VAN_ROSSUM, papers.SEQUENCE_STBP)

    tau: Any = field(default_factory=lambda: 5 * ms)
    targets: Targets = Targets()
    kernel: str = "euler"
    name: ClassVar[str] = "van-rossum"
    output: ClassVar[str] = "spikes"
    takes: ClassVar[tuple[str, ...]] = ("labels", "trains")

    def __post_init__(self) -> None:
        if get_dimensions(self.tau) is not second.dim or np.ndim(self.tau) or not float(self.tau) > 0:
            raise RuleError("VanRossum", "tau is wrong", got=repr(self.tau), expected="a time > 0, e.g. 5*ms")
        if self.kernel not in ("euler", "exact"):
            raise RuleError("VanRossum", "kernel is wrong", got=repr(self.kernel), expected="'euler' or 'exact'")
        self._check_targets(self.targets)

    def decay(self, spec: NetworkSpec) -> float:
        """The factor c of one time step.

        Parameters
        ----------
        spec : NetworkSpec

        Returns
        -------
        float
        """
        ratio = float(spec.dt) / float(self.tau)
        return 1.0 - ratio if self.kernel == "euler" else float(np.exp(-ratio))

    def check(self, spec: NetworkSpec) -> None:
        super().check(spec)
        self.targets.trains(spec)
        if self.decay(spec) < -1e-9:
            raise RuleError(
                "VanRossum",
                "tau is shorter than a time step",
                got=f"{self.tau} with dt = {spec.dt}",
                expected=f"at least {spec.dt}",
                remedy="use a longer tau, or kernel='exact'",
            )

    def of_trials(self, activity: DiscreteActivity, labels: torch.Tensor, spec: NetworkSpec) -> torch.Tensor:
        spikes = activity.output
        decay = self.decay(spec)  # linear: filtered difference = difference of filtered trains
        potential = activity.filtered(spikes - _trains(self.targets, spec, labels, spikes), decay, 1.0 - decay)
        return potential[activity.burn_in_steps :].square().sum(dim=(0, 2)) / 2


@dataclass(frozen=True)
class Hamming(Loss):
    """Number of steps in which spikes and targets differ, sum_t sum_i |o_i[t] - d_i[t]|.

    Its derivative is sign(o - d).

    Parameters
    ----------
    targets : Targets
        What labels stand for. Samples with spike trains of their own need none, and take no notice of it.

    Raises
    ------
    RuleError
        Targets that are none.

    References
    ----------
    Z. Wang, Y. Ye, H. Liu, Y. Xu, Y. Fan, W. Wang, Spiking sequence label-based spatio-temporal back-propagation
    algorithm for training deep spiking neural networks, Journal of Electronics & Information Technology 46(6),
    2596-2604, 2024 (in Chinese), doi 10.11999/JEIT230705.
    """

    references = (papers.SEQUENCE_STBP,)

    targets: Targets = Targets()
    name: ClassVar[str] = "hamming"
    output: ClassVar[str] = "spikes"
    takes: ClassVar[tuple[str, ...]] = ("labels", "trains")

    def __post_init__(self) -> None:
        self._check_targets(self.targets)

    def check(self, spec: NetworkSpec) -> None:
        super().check(spec)
        self.targets.trains(spec)

    def of_trials(self, activity: DiscreteActivity, labels: torch.Tensor, spec: NetworkSpec) -> torch.Tensor:
        spikes = activity.output
        difference = spikes - _trains(self.targets, spec, labels, spikes)
        return difference[activity.burn_in_steps :].abs().sum(dim=(0, 2))


@dataclass(frozen=True)
class SpikeCount(Loss):
    """Squared error of the spike counts n_i, 1/(2T) sum_i (n_i - m_i)^2 (Shrestha & Orchard 2018, SLAYER).

    Parameters
    ----------
    desired, undesired : float
        m: spikes per trial of the label's neuron, and of the others.

    Raises
    ------
    RuleError
        Counts that are no numbers >= 0.
    """

    references = (papers.SLAYER,)

    desired: float = 10
    undesired: float = 1
    name: ClassVar[str] = "spike-count"
    output: ClassVar[str] = "spikes"

    def __post_init__(self) -> None:
        for name in ("desired", "undesired"):
            value = getattr(self, name)
            if not (is_number(value) and value >= 0):
                raise RuleError("SpikeCount", f"{name} is wrong", got=repr(value), expected="a finite number >= 0")

    def check(self, spec: NetworkSpec) -> None:
        super().check(spec)
        steps = spec.n_steps - spec.burn_in_steps
        for name in ("desired", "undesired"):
            if getattr(self, name) > steps:
                raise RuleError(
                    "SpikeCount",
                    f"{name} is more than a neuron can fire",
                    got=getattr(self, name),
                    expected=f"at most {steps}, one in each step after the burn-in",
                )

    def of_trials(self, activity: DiscreteActivity, labels: torch.Tensor, spec: NetworkSpec) -> torch.Tensor:
        spikes = activity.output[activity.burn_in_steps :]
        counts = spikes.sum(dim=0)
        wanted = self.undesired + (self.desired - self.undesired) * _one_hot(labels, counts)
        return (counts - wanted).square().sum(dim=1) / (2 * len(spikes))


@dataclass(frozen=True)
class RateMSE(Loss):
    """Squared error of the firing rates, 1/2 sum_i (y_i - 1/T sum_t o_i[t])^2, y = 1 for the label, else 0.

    The loss of STBP (Wu et al. 2018).
    """

    references = (papers.STBP,)

    name: ClassVar[str] = "rate-mse"
    output: ClassVar[str] = "spikes"

    def of_trials(self, activity: DiscreteActivity, labels: torch.Tensor, spec: NetworkSpec) -> torch.Tensor:
        spikes = activity.output[activity.burn_in_steps :]
        counts = spikes.sum(dim=0)
        return (_one_hot(labels, counts) - counts / len(spikes)).square().sum(dim=1) / 2


@dataclass(frozen=True)
class ReadoutMSE(Loss):
    """Mean squared error of the readout against the one-hot label, over steps and classes.

    References
    ----------
    R. Gaurav, D. A. Do, T. T. Doan, Y. Yi, DALTON: deep local learning in SNNs via local weights and
    surrogate-derivative transfer, IEEE Transactions on Emerging Topics in Computing 13(3), 2025,
    doi 10.1109/TETC.2024.3440932.
    """

    references = (papers.DALTON,)

    name: ClassVar[str] = "readout-mse"
    output: ClassVar[str] = "readout"

    def of_trials(self, activity: DiscreteActivity, labels: torch.Tensor, spec: NetworkSpec) -> torch.Tensor:
        assert activity.readout is not None
        readout = activity.readout[activity.burn_in_steps :]
        return (readout - _one_hot(labels, readout)).square().mean(dim=(0, 2))


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """Cross-entropy of softmax(logits): the mean readout over the steps, or the spike counts where there is none.

    Parameters
    ----------
    label_smoothing : float
        e in [0, 1): the label's probability is to be 1 - e + e/n, that of the others e/n, n classes (Szegedy et al.
        2016).
    every_step : bool
        The mean over the steps of the cross-entropy of each step's readout, in the place of that of the mean readout
        (temporal efficient training, Deng et al. 2022).

    Raises
    ------
    RuleError
        Label smoothing outside of [0, 1).
    """

    label_smoothing: float = 0.0
    every_step: bool = False
    name: ClassVar[str] = "cross-entropy"
    output: ClassVar[str] = "logits"

    def cited(self) -> tuple[Reference, ...]:
        smoothing = (papers.LABEL_SMOOTHING,) if self.label_smoothing else ()
        return (*super().cited(), *smoothing, *((papers.TEMPORAL_EFFICIENT,) if self.every_step else ()))

    def __post_init__(self) -> None:
        smoothing = self.label_smoothing
        if not (is_number(smoothing) and 0 <= smoothing < 1):
            raise RuleError(
                "CrossEntropy",
                "label_smoothing is wrong",
                got=repr(smoothing),
                expected="a number in [0, 1), e.g. 0.1",
            )
        if not isinstance(self.every_step, bool):
            raise RuleError("CrossEntropy", "every_step is wrong", got=repr(self.every_step), expected="True or False")

    def check(self, spec: NetworkSpec) -> None:
        super().check(spec)
        if self.every_step and spec.readout is None:
            raise RuleError(
                "CrossEntropy",
                "every_step compares a readout with the label, and the network has none",
                got="readout=None",
                expected="NetworkSpec(..., readout=Readout(n))",
                remedy="add a readout, or use CrossEntropy(), which takes spike counts",
            )

    def of_trials(self, activity: DiscreteActivity, labels: torch.Tensor, spec: NetworkSpec) -> torch.Tensor:
        from torch.nn.functional import cross_entropy

        smoothing = self.label_smoothing
        if not self.every_step:
            return cross_entropy(activity.logits, labels, reduction="none", label_smoothing=smoothing)
        assert activity.readout is not None
        readout = activity.readout[activity.burn_in_steps :]
        repeated = labels.expand(len(readout), -1).flatten()
        entropy = cross_entropy(readout.flatten(0, 1), repeated, reduction="none", label_smoothing=smoothing)
        return entropy.view(len(readout), -1).mean(0)


def _one_hot(labels: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    from torch.nn.functional import one_hot

    return one_hot(labels, like.shape[-1]).to(like.dtype)


def _trains(targets: Targets, spec: NetworkSpec, given: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Target trains, shape (T, B, out): those that labels stand for, or those of the samples themselves."""
    import torch

    if given.ndim == 3:
        return given.transpose(0, 1).to(like)
    trains = torch.from_numpy(targets.trains(spec)).to(like).permute(2, 0, 1).contiguous()
    return trains[:, given]
