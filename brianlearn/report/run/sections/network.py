"""The graph: populations and projections."""

from __future__ import annotations

from matplotlib.figure import Figure

from brianlearn.network.encoders import Encoder
from brianlearn.network.projection import ALWAYS
from brianlearn.network.unit_names import quantity_text
from brianlearn.plot.network import connection_text, network_size, population_text
from brianlearn.plot.network import network as draw
from brianlearn.report.page.blocks import Facts, Picture, Section, Table
from brianlearn.report.page.svg import inked
from brianlearn.report.run.view import RunView

__all__ = ["network"]


def network(view: RunView) -> Section:
    """What is connected with what."""
    spec = view.spec
    with inked():
        figure = Figure(figsize=network_size(spec), layout="constrained")
        draw(spec, ax=figure.subplots())
    names = ", ".join(p.name for p in (*spec.graph.inputs, *spec.neurons, *spec.graph.readouts) if p.name != ALWAYS)
    arrows = "; ".join(f"{q.source} to {q.target}" for q in spec.graph.projections)
    picture = Picture.of(figure, "Populations and projections.", f"Graph of the populations {names}: {arrows}.")
    populations = []
    for p in (*spec.graph.inputs, *spec.neurons, *spec.graph.readouts):
        if p.name == ALWAYS:
            continue
        if isinstance(p.neuron, Encoder):
            what = f"{type(p.neuron).__name__}"
        elif p.is_readout:
            tau = spec.graph.tau_of(p.name)
            what = "linear" if tau is None else f"leaky, tau = {quantity_text(tau)}"
        else:
            what = "equations below"
        populations.append([p.name, population_text(p), what])
    projections = []
    for q in (*spec.projections, *spec.readout_projections):
        weights = "x".join(map(str, q.weight_shape))
        learned = "learned" if q.learned else "fixed"
        projections.append(
            [q.name, f"{q.source} \N{RIGHTWARDS ARROW} {q.target}", connection_text(q),
             f"{q.connectivity.n_synapses:,}", weights, learned]
        )  # fmt: skip
    facts = [("trial", f"{quantity_text(spec.duration)} in steps of {quantity_text(spec.dt)}"), ("timing", spec.timing)]
    if float(spec.burn_in):
        facts.append(("burn-in", quantity_text(spec.burn_in)))
    return Section("network", "Network").with_blocks(
        picture,
        Facts("time", facts),
        Table("Populations", ["population", "size", "what"], populations),
        Table(
            "Projections",
            ["projection", "from, to", "connection", "synapses", "weights", ""],
            projections,
            (3,),
        ),
    )
