"""Back-propagation through time with surrogate derivatives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from brianlearn.citing import papers
from brianlearn.errors import RuleError
from brianlearn.learning.losses import Loss, ReadoutMSE, VanRossum
from brianlearn.learning.rules.base import Rule
from brianlearn.network.spec import NetworkSpec

__all__ = ["STBP", "BackPropagation", "SurrogateBPTT"]


class BackPropagation(Rule, abstract=True):
    """Base class of the rules that follow the gradient of one loss through all layers and time steps.

    Attributes
    ----------
    loss : Loss
    reset_path : {"kept", "detached"}
        Whether the spike that resets a neuron passes gradient.

    Raises
    ------
    RuleError
        What is no loss, another reset path, a scale that is no number.
    """

    loss: Loss
    reset_path: str
    engines: ClassVar[Any] = ("discrete",)

    def __post_init__(self) -> None:
        owner = type(self).__name__
        if not isinstance(self.loss, Loss):
            raise RuleError(
                owner, "loss is of the wrong type", got=repr(self.loss), expected="a loss, e.g. bl.Hamming()"
            )
        if self.reset_path not in ("kept", "detached"):
            raise RuleError(owner, "reset_path is wrong", got=repr(self.reset_path), expected="'kept' or 'detached'")
        self._check_learning_rate_scale()

    def learned(self, spec: NetworkSpec) -> tuple[str, ...]:
        readouts = (p.name for p in spec.readout_projections if p.learned)
        constants = (one.key for one in spec.learned_constants)
        return (*super().learned(spec), *readouts, *spec.learned_delays, *constants)

    def check(self, spec: NetworkSpec, batch_size: int) -> None:
        super().check(spec, batch_size)
        self.loss.check(spec)


@dataclass(frozen=True, eq=False)
class STBP(BackPropagation):
    r"""Spatio-temporal back-propagation: the full derivative of the recurrence, the reset included.

    With u the membrane, o the spikes and a the postsynaptic potentials (PSPs) of `SequenceLIF`,

        a_l[t] = (1 - 1/tau_s) a_l[t-1] + (1/tau_s) o_l[t]
        u_l[t] = (1 - 1/tau_m) u_l[t-1] (1 - o_l[t-1]) + W_l a_{l-1}[t],    o_l[t] = [u_l[t] > V_th],

    (time constants in steps) the derivatives of the loss by a and by u, the PSP and the membrane iteration factor, are

        da_l[t] = W_{l+1}^T du_{l+1}[t] + (1 - 1/tau_s) da_l[t+1]
        du_l[t] = (1/tau_s) sigma'(u_l[t]) da_l[t] + (1 - 1/tau_m) du_l[t+1] ((1 - o_l[t]) - u_l[t] sigma'(u_l[t]))

    and g_l = sum_t du_l[t] outer a_{l-1}[t]. `brianlearn.discrete.run.iteration_factors` is this recursion; learning
    itself takes the same derivative of any neuron's statements. The original STBP is `STBPNeuron` with `RateMSE`.

    Parameters
    ----------
    loss : Loss
        Losses on spikes need a network without a readout: its last layer, one neuron for each class, is the output.
    reset_path : {"kept", "detached"}
        Whether the spike that resets passes gradient: the last term of du_l.
    learning_rate_scale : mapping, optional
        Layer name -> factor on the learning rate.

    Raises
    ------
    RuleError
        What is no loss, another reset path, a scale that is no number.

    Notes
    -----
    The neuron with PSPs and the two iteration factors are those of sequence-label STBP (Wang et al. 2024). Two things
    differ from how that paper prints them. *The first layer's input*: spikes of the input make PSPs as those of any
    layer do, so that it is a_0 that drives u_1 and stands in g_1. *The grouping of equation 11*: in du_l the leak
    (1 - 1/tau_m) du_l[t+1] multiplies the whole derivative of u_l[t] (1 - o_l[t]), the difference in brackets. This is
    the derivative of the equations above as they stand: torch's autograd gives the same to 1e-10.

    References
    ----------
    Y. Wu et al., Spatio-temporal backpropagation for training high-performance spiking neural networks, Frontiers in
    Neuroscience 12, 2018.
    Z. Wang, Y. Ye, H. Liu, Y. Xu, Y. Fan, W. Wang, Spiking sequence label-based spatio-temporal back-propagation
    algorithm for training deep spiking neural networks, Journal of Electronics & Information Technology 46(6),
    2596-2604, 2024 (in Chinese), doi 10.11999/JEIT230705.
    """

    references = (papers.STBP, papers.SEQUENCE_STBP)

    loss: Loss = VanRossum()
    reset_path: str = "kept"
    learning_rate_scale: Mapping[str, float] = field(default_factory=dict)

    name: ClassVar[str] = "stbp"


@dataclass(frozen=True, eq=False)
class SurrogateBPTT(BackPropagation):
    """Back-propagation through time with surrogate derivatives and a detached reset, on networks with a readout.

    The upper baseline of the DALTON paper: mean squared error of the readout, whose weights learn too.

    Parameters
    ----------
    loss : Loss
        `ReadoutMSE` or `CrossEntropy`.
    reset_path : {"detached", "kept"}
        Whether the spike that resets passes gradient.
    train_readout : bool
        Whether the readout learns.
    learning_rate_scale : mapping, optional
        Layer name -> factor on the learning rate.

    Raises
    ------
    RuleError
        What is no loss, another reset path, a scale that is no number.

    References
    ----------
    E. Neftci, H. Mostafa, F. Zenke, Surrogate gradient learning in spiking neural networks, IEEE Signal Processing
    Magazine 36, 2019.
    R. Gaurav, D. A. Do, T. T. Doan, Y. Yi, DALTON: deep local learning in SNNs via local weights and
    surrogate-derivative transfer, IEEE Transactions on Emerging Topics in Computing 13(3), 2025,
    doi 10.1109/TETC.2024.3440932.
    """

    references = (papers.SURROGATE_GRADIENTS, papers.DALTON)

    loss: Loss = ReadoutMSE()
    reset_path: str = "detached"
    train_readout: bool = True
    learning_rate_scale: Mapping[str, float] = field(default_factory=dict)

    name: ClassVar[str] = "bptt"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.train_readout, bool):
            raise RuleError(
                "SurrogateBPTT", "train_readout is wrong", got=repr(self.train_readout), expected="True or False"
            )

    def learned(self, spec: NetworkSpec) -> tuple[str, ...]:
        fixed = () if self.train_readout else {p.name for p in spec.readout_projections}
        return tuple(name for name in super().learned(spec) if name not in fixed)

    def check(self, spec: NetworkSpec, batch_size: int) -> None:
        if spec.readout is None:
            raise RuleError(
                "SurrogateBPTT",
                "the rule needs a readout",
                got="readout=None",
                expected="NetworkSpec(..., readout=Readout(n))",
                remedy="add a readout, or use STBP(), which learns with losses on output spikes",
            )
        super().check(spec, batch_size)
