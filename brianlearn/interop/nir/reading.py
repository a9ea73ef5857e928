"""NIR graphs as networks."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from brian2 import ms, second

from brianlearn.citing import papers
from brianlearn.citing.references import published_in
from brianlearn.errors import SpecError
from brianlearn.interop.nir.arguments import one_of, seconds
from brianlearn.interop.nir.discretisation import DISCRETISATIONS
from brianlearn.interop.nir.files import opened
from brianlearn.interop.nir.flat import flat
from brianlearn.interop.nir.reader import Options, encoder_of, read
from brianlearn.interop.nir.remembered import remember, restored, said
from brianlearn.network.encoders import Encoder
from brianlearn.network.neurons.surrogates import FastSigmoid, Surrogate
from brianlearn.network.spec import NetworkSpec

if TYPE_CHECKING:
    import nir

__all__ = ["from_nir"]

#: Where a file does not say: the time step that most packages read NIR with, and a trial.
DT, DURATION = 0.1 * ms, 100 * ms


@published_in(papers.NIR)
def from_nir(
    graph: nir.NIRGraph | str | os.PathLike[str],
    *,
    dt: Any = None,
    duration: Any = None,
    encoder: Encoder | Mapping[str, Encoder] | None = None,
    discretisation: str | None = None,
    soft_reset: bool | None = None,
    at_rest: bool | None = None,
    surrogate: Surrogate | None = None,
) -> tuple[NetworkSpec, dict[str, np.ndarray]]:
    """A NIR graph as a network and its weights.

    Neurons, and inputs, become populations; the nodes between two of them a projection, with the name of the node that
    has the weights. Names that cannot be used as they are get another form, which `to_nir` takes back. A file that
    `to_nir` wrote gives the network that was written, as long as its nodes say what the network says.

    Parameters
    ----------
    graph : nir.NIRGraph or path-like
        With nested graphs, cycles, several inputs and outputs.
    dt : brian2.Quantity, optional
        Time step; that of the network which the file was written from, else 0.1 ms, as most packages take it.
    duration : brian2.Quantity, optional
        Of a trial; as `dt`, else 100 ms.
    encoder : Encoder or mapping, optional
        Of all inputs, or node -> encoder; that of the network which the file was written from, else `Spikes`.
    discretisation : {"exact", "euler"}, optional
        How equations become steps, and an input that arrives in one. ``"exact"``: as a delta of area dt at the
        beginning of the step, and the equation is solved. ``"euler"``: one step of Euler's method, the current of
        CubaLIF first, as snnTorch, Norse and SpikingJelly do. That with which a file was written, else ``"exact"``.
    soft_reset : bool, optional
        Whether a spike subtracts v_threshold - v_reset, in the place of setting v_reset; False where nothing says so.
    at_rest : bool, optional
        Whether membranes begin with v_leak (IF: with v_reset), as in Norse and SpikingJelly, in the place of 0.
    surrogate : Surrogate, optional
        Of all neurons that fire.

    Returns
    -------
    spec : NetworkSpec
        Of populations and projections. Delays are multiples of dt. A cycle without a delay takes one step on the way
        that closes it (docs/nir.md). LI at the outputs is a leaky readout where one time constant serves; elsewhere
        LI and CubaLI are neurons that never fire.
    weights : dict of str to numpy.ndarray
        Name of a projection -> array, as `LearnerState` has it. Where the network was read from nodes, they are its
        initial weights too: those of ``learner.init()``.

    Raises
    ------
    BrianLearnError
        If nir is not installed.
    DataError
        What is no NIR graph or file; nodes without a counterpart; parameters that cannot be right.
    ShapeError
        Nodes that do not fit one another.
    SpecError
        Delays that are no multiples of dt, cycles without a neuron, and what no network has: signals of LI that reach
        other neurons.
    UnitError
        Times without a unit.

    References
    ----------
    J. E. Pedersen et al., Neuromorphic intermediate representation: a unified instruction set for interoperable
    brain-inspired computing, Nature Communications 15, 8122, 2024, doi 10.1038/s41467-024-52259-9.

    Examples
    --------
    >>> import nir
    >>> import numpy as np
    >>> import brianlearn as bl
    >>> from brian2 import ms
    >>> ones = np.ones(3)
    >>> graph = nir.NIRGraph.from_list(
    ...     nir.Affine(np.eye(3, 2), np.zeros(3)),
    ...     nir.LIF(tau=0.02*ones, r=20*ones, v_leak=0*ones, v_threshold=ones))
    >>> spec, weights = bl.from_nir(graph, dt=1*ms, duration=20*ms)
    >>> [p.name for p in spec.populations], weights["affine"].shape
    (['input', 'lif'], (3, 2))
    """
    owner = "from_nir"
    found = opened(owner, graph)
    for name, value in (("encoder", encoder), ("surrogate", surrogate)):
        kind = {"encoder": Encoder | Mapping, "surrogate": Surrogate}[name]
        if value is not None and not isinstance(value, kind):
            raise SpecError(owner, f"{name} is of the wrong type", got=repr(value), expected=f"a bl.{name.title()}")
    if discretisation is not None:
        one_of(owner, "discretisation", discretisation, DISCRETISATIONS)
    step = None if dt is None else seconds(owner, "dt", dt)
    kept = restored(found, step, discretisation, soft_reset, at_rest)
    if kept is not None and surrogate is None:
        return _changed(kept[0], duration, encoder), kept[1]
    told = said(found)
    options = Options(
        told.get("dt", float(DT)) if step is None else step,
        discretisation or told.get("discretisation", "exact"),
        bool(told.get("soft_reset") if soft_reset is None else soft_reset),
        bool(told.get("at_rest") if at_rest is None else at_rest),
        surrogate or FastSigmoid(),
    )
    if duration is None:
        duration = told.get("duration", float(DURATION)) * second
        duration = max(1, round(float(duration) / options.dt)) * options.dt * second
    flattened = flat(found)
    content = read(flattened, options, encoder)
    spec = NetworkSpec(
        populations=content.populations,
        projections=content.projections,
        output=content.output,
        dt=options.dt * second,
        duration=duration,
    )
    remember(spec, found, content, options)
    return spec, content.weights


def _changed(spec: NetworkSpec, duration: Any, encoder: Any) -> NetworkSpec:
    """A restored network with another trial, or other encoders."""
    if duration is not None:
        spec = dataclasses.replace(spec, duration=duration)
    if encoder is None:
        return spec
    if spec.declared is None:
        made = encoder_of("input", encoder)
        return dataclasses.replace(spec, input=dataclasses.replace(spec.input, encoder=made))
    populations = [
        dataclasses.replace(p, neuron=encoder_of(p.name, encoder))
        if isinstance(p.neuron, Encoder) and not p.neuron.makes_its_own
        else p
        for p in spec.declared.populations
    ]
    return dataclasses.replace(spec, declared=dataclasses.replace(spec.declared, populations=populations))
