"""From one time step of a membrane to the parameters of a NIR node that make this step, as readers integrate it.

With dt the reader's time step, p and a what is left of membrane and current after one step, and g what an input of 1
adds to the membrane in its step:

* ``"exact"`` (an input is a delta of area dt, the equation is solved): tau = -dt/log(p), and for an input onto the
  membrane p (r dt/tau) = g; onto a current, w_in dt/tau_syn is what it adds to the current.
* ``"euler"`` (one step of Euler's method, the current first): tau = dt/(1 - p), and r dt/tau = g.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from brianlearn.errors import SpecError
from brianlearn.interop.nir.membrane import Membrane

__all__ = ["DISCRETISATIONS", "node_parameters", "readout_parameters"]

DISCRETISATIONS = ("exact", "euler")


@dataclass(frozen=True)
class _Step:
    """How a reader integrates."""

    euler: bool
    dt: float

    def tau(self, owner: str, keep: np.ndarray) -> np.ndarray:
        """The time constant that leaves ``keep`` after a step."""
        low = -1e-12 if self.euler else 0.0
        if not ((keep > low) & (keep < 1)).all():
            raise SpecError(
                owner,
                "no time constant makes this step",
                got=f"a factor of {float(keep.min()):g} to {float(keep.max()):g} in each step",
                expected="a factor in [0, 1)" if self.euler else "a factor in (0, 1)",
                remedy=None if self.euler else "discretisation='euler' can write a factor of 0",
            )
        tau: np.ndarray = self.dt / (1 - keep) if self.euler else -self.dt / np.log(keep)
        return tau

    def jump(self, keep: np.ndarray) -> np.ndarray:
        """What is left at the end of a step of an input onto the membrane."""
        return np.ones_like(keep) if self.euler else keep

    def coupling(self, tau_mem: np.ndarray, tau_syn: np.ndarray) -> np.ndarray:
        """What a current of 1 at the start of a step adds to the membrane, per r."""
        if self.euler:
            return self.dt / tau_mem
        from scipy.linalg import expm

        matrix = np.zeros((len(tau_mem), 2, 2))
        matrix[:, 0, 0], matrix[:, 0, 1], matrix[:, 1, 1] = -1 / tau_mem, 1 / tau_mem, -1 / tau_syn
        found: np.ndarray = expm(matrix * self.dt)[:, 0, 1]
        return found


def node_parameters(
    owner: str, m: Membrane, discretisation: str, own_dt: float, dt: float, kind: str | None = None
) -> tuple[str, dict[str, np.ndarray]]:
    """The kind of node that a membrane is, and its parameters.

    Parameters
    ----------
    owner : str
        The population, for errors.
    m : Membrane
    discretisation : {"exact", "euler"}
    own_dt, dt : float
        Time steps of the network and of the reader, seconds.
    kind : str, optional
        The kind that is wanted, where it can be.

    Returns
    -------
    kind : str
    parameters : dict of str to numpy.ndarray, shape (n,)

    Raises
    ------
    SpecError
        Factors that no time constant makes; a current onto a membrane that does not leak.
    """
    step = _Step(discretisation == "euler", dt)
    plain = m.exact != step.euler and dt == own_dt  # the equations themselves, without a detour through their step
    lasting = m.lasting or kind in ("CubaLIF", "CubaLI")
    p: dict[str, np.ndarray] = {}
    if m.integrates:
        if m.current_keep is not None and m.lasting:
            raise SpecError(
                owner,
                "NIR has no neuron like this: a current that lasts, onto a membrane that does not leak",
                got="dv/dt = k*I, dI/dt = -I/tau_s",
                expected="a membrane with a leak (nir.CubaLIF), or inputs that step the membrane (nir.IF)",
                remedy="brianlearn export RUN DIR --to brian2 takes all neurons along",
            )
        if m.reset is None:
            raise SpecError(
                owner, "NIR has no integrator without a leak that is an output", got="dv/dt = k*I", expected="a leak"
            )
        p["r"] = m.gain / dt
    else:
        tau = -1 / m.rate if plain else step.tau(owner, m.keep)
        p["tau_mem" if lasting else "tau"], p["v_leak"] = tau, m.rest
        if lasting and m.current_keep is not None:
            assert m.current_rate is not None and m.coupling is not None
            tau_syn = -1 / m.current_rate if plain else step.tau(owner, m.current_keep)
            p["tau_syn"] = tau_syn
            if plain:
                p["r"], p["w_in"] = m.coupling * tau, np.full_like(tau, m.unit) * tau_syn / dt
            elif step.euler:
                p["r"], p["w_in"] = tau / dt, m.gain * tau_syn / dt
            else:
                p["r"] = m.gain / m.unit / step.coupling(tau, tau_syn)
                p["w_in"] = np.full_like(tau, m.unit) * tau_syn / dt
        else:
            p["r"] = m.gain / step.jump(m.keep) * tau / dt
            if plain and m.current_keep is None and not step.euler:
                p["r"] = np.full_like(tau, m.unit) * tau / dt
    if m.reset is not None:
        p["v_threshold"], p["v_reset"] = m.threshold, m.reset
    name = ("IF" if m.integrates else "LIF") if m.reset is not None else "LI"
    return ("Cuba" if "tau_syn" in p else "") + name, p


def readout_parameters(tau: float, n: int, discretisation: str, own_dt: float, dt: float) -> dict[str, np.ndarray]:
    """The parameters of the nir.LI that is a leaky readout, y[t] = exp(-dt/tau) y[t-1] + x[t].

    Parameters
    ----------
    tau : float
        Seconds.
    n : int
    discretisation : {"exact", "euler"}
    own_dt, dt : float
        Time steps of the network and of the reader, seconds.

    Returns
    -------
    dict of str to numpy.ndarray, shape (n,)
    """
    step, keep = _Step(discretisation == "euler", dt), np.full(n, np.exp(-own_dt / tau))
    found = np.full(n, tau) if dt == own_dt and not step.euler else step.tau("readout", keep)
    return {"tau": found, "r": found / dt / step.jump(keep), "v_leak": np.zeros(n)}
