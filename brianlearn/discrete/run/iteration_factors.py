"""Sequence-label STBP written out: the recursion of its two iteration factors, as in the equations.

Slow and readable, for dense layers of `SequenceLIF`: what autograd and the generated kernels are tested against, and
the derivation of what they compute. Time constants are in time steps; spike trains are (T, B, neurons); layers are
0 (the input) to L (the output).

The recursion is that of sequence-label STBP (Wang et al. 2024, doi 10.11999/JEIT230705), with two differences from how
the paper prints it:

* the first layer's input: the spikes of the input are filtered to PSPs a_0 as those of any layer are;
* the grouping of equation 11: in the membrane factor, (1 - 1/tau_m) dLoss/du_l[t+1] multiplies the whole derivative of
  u_l[t] (1 - o_l[t]) by u_l[t], which is (1 - o_l[t]) - u_l[t] sigma'(u_l[t]).

Both follow from the forward equations as they stand here, of which autograd has the same derivative.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from brianlearn.network.neurons.surrogates import Surrogate

__all__ = ["Factors", "Trace", "backward", "forward"]


@dataclass(frozen=True, eq=False)
class Trace:
    """What the layers did; entry l of a list belongs to layer l.

    Attributes
    ----------
    spikes : list of numpy.ndarray, shape (T, B, n_l)
        o_l.
    psps : list of numpy.ndarray, shape (T, B, n_l)
        a_l, the postsynaptic potentials that the spikes make.
    membranes : list of numpy.ndarray, shape (T, B, n_l)
        u_l before the reset; an empty array for the input.
    """

    spikes: list[np.ndarray]
    psps: list[np.ndarray]
    membranes: list[np.ndarray]


@dataclass(frozen=True, eq=False)
class Factors:
    """Derivatives of the loss; entry l of a list belongs to layer l, entry 0 is empty.

    Attributes
    ----------
    psp, membrane : list of numpy.ndarray, shape (T, B, n_l)
        The iteration factors dLoss/da_l[t] and dLoss/du_l[t].
    gradients : list of numpy.ndarray, shape (n_l, n_{l-1})
        dLoss/dW_l.
    """

    psp: list[np.ndarray]
    membrane: list[np.ndarray]
    gradients: list[np.ndarray]


def _filter(spikes: np.ndarray, tau_s: float) -> np.ndarray:
    """a[t] = (1 - 1/tau_s) a[t-1] + (1/tau_s) o[t]."""
    psp = np.zeros_like(spikes)
    a = np.zeros_like(spikes[0])
    for t, o in enumerate(spikes):
        a = (1 - 1 / tau_s) * a + o / tau_s
        psp[t] = a
    return psp


def forward(
    weights: Sequence[np.ndarray], inputs: np.ndarray, *, tau_m: float, tau_s: float, v_th: float = 1.0
) -> Trace:
    """Run a batch of trials, u_l[t] = (1 - 1/tau_m) u_l[t-1] (1 - o_l[t-1]) + W_l a_{l-1}[t], o_l = [u_l > v_th].

    Parameters
    ----------
    weights : sequence of numpy.ndarray, shape (n_l, n_{l-1})
        W_1 to W_L.
    inputs : numpy.ndarray, shape (T, B, n_0)
        Spikes.
    tau_m, tau_s : float
        Time steps.
    v_th : float

    Returns
    -------
    Trace
    """
    spikes = [np.asarray(inputs, float)]
    psps, membranes = [_filter(spikes[0], tau_s)], [np.zeros(0)]
    for w in weights:
        drive = psps[-1] @ w.T
        u, o = np.zeros_like(drive), np.zeros_like(drive)
        before, fired = np.zeros_like(drive[0]), np.zeros_like(drive[0])
        for t, x in enumerate(drive):
            before = (1 - 1 / tau_m) * before * (1 - fired) + x
            fired = (before > v_th).astype(float)
            u[t], o[t] = before, fired
        membranes.append(u)
        spikes.append(o)
        psps.append(_filter(o, tau_s))
    return Trace(spikes, psps, membranes)


def backward(
    weights: Sequence[np.ndarray],
    trace: Trace,
    targets: np.ndarray,
    surrogate: Surrogate,
    *,
    loss: str,
    tau_m: float,
    tau_s: float,
    v_th: float = 1.0,
    reset_path: str = "kept",
) -> Factors:
    """The iteration factors, from the output to the first layer and from the last step to the first.

    Parameters
    ----------
    weights : sequence of numpy.ndarray
    trace : Trace
        From `forward`.
    targets : numpy.ndarray, shape (T, B, n_L)
        Target spikes d.
    surrogate : Surrogate
        sigma', a function of u - v_th.
    loss : {"van-rossum", "hamming"}
        Summed over steps, neurons and samples.
    tau_m, tau_s, v_th : float
    reset_path : {"kept", "detached"}
        Without the reset path, the term u sigma'(u) of the membrane factor is left out.

    Returns
    -------
    Factors
    """
    output = len(weights)
    steps = len(targets)
    of_psps, of_spikes = np.zeros_like(trace.psps[output]), np.zeros_like(trace.psps[output])
    if loss == "van-rossum":
        of_psps = trace.psps[output] - _filter(np.asarray(targets, float), tau_s)
    elif loss == "hamming":
        of_spikes = np.sign(trace.spikes[output] - targets)
    else:
        raise ValueError(f"loss is {loss!r}, expected 'van-rossum' or 'hamming'")
    psp, membrane = [np.zeros(0)] * (output + 1), [np.zeros(0)] * (output + 1)
    gradients = [np.zeros(0)] * (output + 1)
    for layer in range(output, 0, -1):
        u, o = trace.membranes[layer], trace.spikes[layer]
        sigma = surrogate(u - v_th)
        psp_factor, membrane_factor = np.zeros_like(u), np.zeros_like(u)
        later_psp, later_membrane = np.zeros_like(u[0]), np.zeros_like(u[0])
        for t in range(steps - 1, -1, -1):
            later_psp = (1 - 1 / tau_s) * later_psp
            later_psp += of_psps[t] if layer == output else membrane[layer + 1][t] @ weights[layer]
            through_reset = u[t] * sigma[t] if reset_path == "kept" else 0.0  # equation 11, grouped as above
            later_membrane = (1 - 1 / tau_m) * later_membrane * ((1 - o[t]) - through_reset)
            later_membrane += sigma[t] * later_psp / tau_s
            if layer == output:
                later_membrane += sigma[t] * of_spikes[t]
            psp_factor[t], membrane_factor[t] = later_psp, later_membrane
        psp[layer], membrane[layer] = psp_factor, membrane_factor
        gradients[layer] = np.einsum("tbi,tbj->ij", membrane_factor, trace.psps[layer - 1])
    return Factors(psp, membrane, gradients)
