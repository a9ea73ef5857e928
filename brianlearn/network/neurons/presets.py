"""Neuron models of the field, ready to use. Each function returns a `Neuron`; its equations can be printed."""

from __future__ import annotations

from typing import Any

from brian2 import ms

from brianlearn.citing import papers
from brianlearn.citing.references import cites
from brianlearn.network.neurons.neuron import Neuron
from brianlearn.network.neurons.surrogates import FastSigmoid, Rectangular, Surrogate

__all__ = ["LIF", "AdaptiveLIF", "CubaLIF", "DaltonIF", "STBPNeuron", "SequenceLIF"]


@cites(papers.LAPICQUE)
def LIF(tau_m: Any = 20 * ms, *, surrogate: Surrogate = FastSigmoid(), **options: Any) -> Neuron:
    """Leaky integrate-and-fire neuron; a presynaptic spike steps the membrane (delta synapse).

    tau_m dv/dt = -v;  spike if v > 1;  v <- 0.

    Parameters
    ----------
    tau_m : brian2.Quantity
        Membrane time constant.
    surrogate : Surrogate
    **options : object
        Other fields of `Neuron` (``refractory``, ``floor``, ``reset``, ...).

    Returns
    -------
    Neuron

    References
    ----------
    N. Brunel, M. C. W. van Rossum, Lapicque's 1907 paper: from frogs to integrate-and-fire, Biological Cybernetics 97,
    337-339, 2007.
    """
    fields: dict[str, Any] = dict(
        equations="dv/dt = -v/tau_m : 1",
        threshold="v > 1",
        reset="v = 0",
        input="v",
        constants=dict(tau_m=tau_m),
        surrogate=surrogate,
    )
    return Neuron(**(fields | options))


@cites(papers.CUBA)
def CubaLIF(
    tau_m: Any = 20 * ms, tau_s: Any = 5 * ms, R: float = 1.0, *, surrogate: Surrogate = FastSigmoid(), **options: Any
) -> Neuron:
    """Leaky integrate-and-fire neuron with an exponential synaptic current (CUBA LIF).

    tau_m dv/dt = -v + R I;  tau_s dI/dt = -I;  spike if v > 1;  v <- 0.

    Parameters
    ----------
    tau_m, tau_s : brian2.Quantity
        Membrane and synaptic time constants; they may be equal.
    R : float
        Membrane resistance, dimensionless.
    surrogate : Surrogate
    **options : object
        Other fields of `Neuron`.

    Returns
    -------
    Neuron

    References
    ----------
    R. Brette et al., Simulation of networks of spiking neurons: a review of tools and strategies, Journal of
    Computational Neuroscience 23(3), 349-398, 2007 (its networks of current-based neurons).
    """
    fields: dict[str, Any] = dict(
        equations="""dv/dt = (R*I - v)/tau_m : 1
dI/dt = -I/tau_s : 1""",
        threshold="v > 1",
        reset="v = 0",
        input="I",
        constants=dict(tau_m=tau_m, tau_s=tau_s, R=R),
        surrogate=surrogate,
    )
    return Neuron(**(fields | options))


@cites(papers.DALTON)
def DaltonIF(tau_s: Any = 5 * ms, *, surrogate: Surrogate = FastSigmoid(slope=5.0), **options: Any) -> Neuron:
    """The neuron of the DALTON paper: an integrate-and-fire neuron with a synaptic current and a floor at 0.

    Per time step, I <- a I + (weighted spikes), v <- max(v + I, 0), spike if v > 1, v <- 0, with a = exp(-dt/tau_s).
    As a differential equation the membrane integrates the current, scaled so that a current of 1 raises v by 1 in one
    step: dv/dt = I/(tau_s (1 - exp(-dt/tau_s))).

    Parameters
    ----------
    tau_s : brian2.Quantity
        Synaptic time constant (tau_cur of the paper: 1 or 5 ms).
    surrogate : Surrogate
    **options : object
        Other fields of `Neuron`.

    Returns
    -------
    Neuron

    References
    ----------
    R. Gaurav, D. A. Do, T. T. Doan, Y. Yi, DALTON: deep local learning in SNNs via local weights and
    surrogate-derivative transfer, IEEE Transactions on Emerging Topics in Computing 13(3), 2025,
    doi 10.1109/TETC.2024.3440932.
    """
    fields: dict[str, Any] = dict(
        equations="""dv/dt = I/(tau_s*(1 - exp(-dt/tau_s))) : 1
dI/dt = -I/tau_s : 1""",
        threshold="v > 1",
        reset="v = 0",
        input="I",
        constants=dict(tau_s=tau_s),
        floor=0.0,
        surrogate=surrogate,
    )
    return Neuron(**(fields | options))


@cites(papers.ADAPTIVE_LIF)
def AdaptiveLIF(
    tau_m: Any = 20 * ms,
    tau_a: Any = 200 * ms,
    beta: float = 0.2,
    *,
    surrogate: Surrogate = FastSigmoid(),
    **options: Any,
) -> Neuron:
    """Leaky integrate-and-fire neuron with an adaptive threshold (ALIF; Bellec et al. 2018).

    tau_m dv/dt = -v;  tau_a da/dt = -a;  spike if v > 1 + beta a;  v <- 0, a <- a + 1.

    Parameters
    ----------
    tau_m, tau_a : brian2.Quantity
        Membrane and adaptation time constants.
    beta : float
        Threshold increase per unit of adaptation, dimensionless.
    surrogate : Surrogate
    **options : object
        Other fields of `Neuron`.

    Returns
    -------
    Neuron
    """
    fields: dict[str, Any] = dict(
        equations="""dv/dt = -v/tau_m : 1
da/dt = -a/tau_a : 1""",
        threshold="v > 1 + beta*a",
        reset="v = 0; a += 1",
        input="v",
        constants=dict(tau_m=tau_m, tau_a=tau_a, beta=beta),
        surrogate=surrogate,
    )
    return Neuron(**(fields | options))


@cites(papers.SEQUENCE_STBP)
def SequenceLIF(
    tau_m: Any = 5 * ms,
    tau_s: Any = 3 * ms,
    v_th: float = 1.0,
    *,
    surrogate: Surrogate = FastSigmoid(slope=2.0),
    **options: Any,
) -> Neuron:
    """The neuron of sequence-label STBP: postsynaptic potentials (PSPs) a and membrane v, with Euler's factors.

    With time constants in time steps, and o the spikes,

        a[t] = (1 - 1/tau_s) a[t-1] + (1/tau_s) o[t]
        v[t] = (1 - 1/tau_m) v[t-1] (1 - o[t-1]) + W a[t] of the layer before,    o[t] = [v[t] > v_th].

    The weighted sum of PSPs is a PSP of the weighted sum of spikes, so that I/tau_s below is W a:
    dv/dt = -v/tau_m + I/tau_s;  dI/dt = -I/tau_s;  spike if v > v_th;  v <- 0.

    Parameters
    ----------
    tau_m, tau_s : brian2.Quantity
        Membrane and synaptic time constants, at least one time step.
    v_th : float
        Threshold.
    surrogate : Surrogate
        By default one that is nowhere 0, so that silent neurons learn to speak.
    **options : object
        Other fields of `Neuron`.

    Returns
    -------
    Neuron

    References
    ----------
    Z. Wang, Y. Ye, H. Liu, Y. Xu, Y. Fan, W. Wang, Spiking sequence label-based spatio-temporal back-propagation
    algorithm for training deep spiking neural networks, Journal of Electronics & Information Technology 46(6),
    2596-2604, 2024 (in Chinese), doi 10.11999/JEIT230705.
    """
    fields: dict[str, Any] = dict(
        equations="""dv/dt = -v/tau_m + I/tau_s : 1
dI/dt = -I/tau_s : 1""",
        threshold="v > v_th",
        reset="v = 0",
        input="I",
        constants=dict(tau_m=tau_m, tau_s=tau_s, v_th=v_th),
        surrogate=surrogate,
        method="euler",
    )
    return Neuron(**(fields | options))


@cites(papers.STBP)
def STBPNeuron(
    decay: float = 0.25, v_th: float = 0.5, *, surrogate: Surrogate = Rectangular(1.0), **options: Any
) -> Neuron:
    """The neuron of STBP (Wu et al. 2018), v[t] = decay v[t-1] (1 - o[t-1]) + W o[t] of the layer before.

    As differential equations for Euler's method, in which the input lasts for one step:
    dv/dt = ((decay - 1) v + I)/dt;  dI/dt = -I/dt;  spike if v > v_th;  v <- 0.

    Parameters
    ----------
    decay : float
        What is left of the membrane after one time step (tau in the paper).
    v_th : float
        Threshold.
    surrogate : Surrogate
        Rectangular in the paper.
    **options : object
        Other fields of `Neuron`.

    Returns
    -------
    Neuron

    References
    ----------
    Y. Wu et al., Spatio-temporal backpropagation for training high-performance spiking neural networks, Frontiers in
    Neuroscience 12, 2018.
    """
    fields: dict[str, Any] = dict(
        equations="""dv/dt = ((decay - 1)*v + I)/dt : 1
dI/dt = -I/dt : 1""",
        threshold="v > v_th",
        reset="v = 0",
        input="I",
        constants=dict(decay=decay, v_th=v_th),
        surrogate=surrogate,
        method="euler",
    )
    return Neuron(**(fields | options))
