"""Networks as NIR graphs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from brianlearn.citing import papers
from brianlearn.citing.references import published_in
from brianlearn.interop.by_trial import package
from brianlearn.interop.nir.arguments import one_of, seconds
from brianlearn.interop.nir.discretisation import DISCRETISATIONS
from brianlearn.interop.nir.files import written
from brianlearn.interop.nir.layout import Layout
from brianlearn.interop.nir.remembered import rebuilt, signed
from brianlearn.learning.delays import rounded
from brianlearn.learning.rules.paths import OF_RULES
from brianlearn.learning.weights import check_weights
from brianlearn.network.spec import NetworkSpec

if TYPE_CHECKING:
    import nir

__all__ = ["GAINS", "to_nir"]

#: Where the factor goes by which a spike's weight enters a neuron.
GAINS = ("neurons", "weights", "unit")


@published_in(papers.NIR)
def to_nir(
    spec: NetworkSpec,
    weights: Mapping[str, np.ndarray],
    dt: Any = None,
    path: str | os.PathLike[str] | None = None,
    *,
    discretisation: str = "exact",
    gains: str = "neurons",
    soft_reset: bool = False,
) -> nir.NIRGraph:
    """A network as a NIR graph, which other simulators and neuromorphic hardware read.

    What a neuron is in NIR its equations decide, whatever its class and the names in it: IF, LIF or CubaLIF. Inputs are
    the spikes (or values) that encoders make; potentials count from that at the start of a trial; units are seconds and
    those of Brian2 without prefixes. `from_nir` gives the same network back.

    Parameters
    ----------
    spec : NetworkSpec
        Timing ``"same_step"`` or ``"brian2"``, whose spikes are then written with delays of a step.
    weights : mapping
        Projection -> array, e.g. of a learner's state or of a result. Those of rules (feedback) are left out.
    dt : brian2.Quantity, optional
        The time step with which the graph will be run; that of the network where it is not given. A step then does what
        a step of the network does: some packages have a step of 0.1 ms that nobody can change.
    path : path-like, optional
        A file to write as well.
    discretisation : {"exact", "euler"}, optional
        How the reader will integrate. ``"exact"``: the equations themselves, with the time constants of the network.
        ``"euler"``: time constants with which a step of Euler's method does what a step of the network does,
        1 - dt/tau = exp(-dt/tau of the network); for snnTorch, Norse and SpikingJelly.
    gains : {"neurons", "weights", "unit"}, optional
        What a spike of weight 1 does to a neuron is a matter of r (and w_in). ``"neurons"``: weights stay, and r says
        it. ``"weights"``: r is tau/dt (1/dt of IF), w_in is tau_syn/dt, and what is left is a factor of the weights,
        for SpikingJelly and snnTorch, which take nothing else. ``"unit"``: r (but that of
        IF) and w_in are 1, for Norse, which has no r.
    soft_reset : bool, optional
        Write resets that subtract as resets to a value, v_threshold minus what is subtracted. In steps that is another
        neuron, and without it such networks are refused; for readers that can be told to subtract.

    Returns
    -------
    nir.NIRGraph
        Its metadata hold the network, from which `from_nir` has what NIR has no word for, such as surrogates.

    Raises
    ------
    BrianLearnError
        If nir is not installed.
    SpecError
        What NIR has no word for, by name: other neurons, noise, floors, refractory periods, pipelined timing.
    WeightsError
        Weights of another network.
    UnitError
        A time step without a unit.
    DataError
        A file that cannot be written.

    References
    ----------
    J. E. Pedersen et al., Neuromorphic intermediate representation: a unified instruction set for interoperable
    brain-inspired computing, Nature Communications 15, 8122, 2024, doi 10.1038/s41467-024-52259-9.

    Examples
    --------
    >>> import brianlearn as bl
    >>> from brian2 import ms
    >>> spec = bl.NetworkSpec(bl.Input((4,), bl.Spikes()), [bl.Dense(3, bl.LIF())], bl.Readout(2), duration=10*ms)
    >>> graph = bl.to_nir(spec, bl.Learner(spec, device="numpy").init().weights)
    >>> {name: type(node).__name__ for name, node in graph.nodes.items()}
    {'input': 'Input', 'dense1': 'LIF', 'weights_dense1': 'Linear', 'readout': 'Linear', 'output': 'Output'}
    >>> graph.nodes["dense1"].tau
    array([0.02, 0.02, 0.02])
    """
    owner = "to_nir"
    package("nir", owner)
    one_of(owner, "discretisation", discretisation, DISCRETISATIONS)
    one_of(owner, "gains", gains, GAINS)
    step = float(spec.dt) if dt is None else seconds(owner, "dt", dt)
    own = {q.name for q in (*spec.projections, *spec.readout_projections)}
    mine = {n: np.asarray(w) for n, w in weights.items() if n in own or not n.startswith(OF_RULES)}
    found = check_weights(spec, None, mine)
    fixed, found = rounded(spec.with_learned_constants(found), found)
    found = {name: w for name, w in found.items() if name not in {c.key for c in spec.learned_constants}}
    graph = rebuilt(fixed, found, step, discretisation, gains, soft_reset)
    if graph is None:
        graph = Layout(fixed, step, discretisation, gains, soft_reset).graph(found)
        if gains == "neurons":
            signed(graph, fixed, step, discretisation, soft_reset)
    if path is not None:
        written(graph, path)
    return graph
