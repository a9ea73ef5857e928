"""Networks as NIR files in snnTorch, Norse and SpikingJelly: how many spikes differ from ours, and why.

    .venv-nir/bin/python benchmarks/nir_importers.py      (`make test-nir` makes the environment, tests and runs it)

Every network fires on the same input spikes here and in each importer. Files are written three times: as `bl.to_nir`
writes them where nothing is said; with the importer's time step and factors where it wants them (``gains=...``); and
with time constants for Euler's method, too (``discretisation="euler"``). Where spikes differ all the same, the graph
is changed into what the importer seems to make of it; where this graph, read by `bl.from_nir`, fires the importer's
spikes, nothing else differs.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import dataclasses
import importlib.metadata
import io
import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np
import torch
from brian2 import ms, prefs, second

import brianlearn as bl

STEPS, SAMPLES, DT = 100, 5, 1 * ms
LIF = bl.LIF(tau_m=10 * ms)
CUBA = bl.CubaLIF(tau_m=10 * ms, tau_s=4 * ms, R=3.0)
INTEGRATOR = bl.Neuron("dv/dt = 0/second : 1", threshold="v > 1", reset="v = 0", input="v")


def dense(neuron: bl.Neuron, **options: Any) -> bl.NetworkSpec:
    """Two layers of 20 and 10 neurons."""
    populations = [bl.Population("input", (16,), bl.Spikes())]
    populations += [bl.Population("a", 20, neuron), bl.Population("b", 10, neuron)]
    drive = {"weights": bl.Normal(2.0)}
    projections = [
        bl.Projection("feed", "input", "a", **drive, **options),
        bl.Projection("on", "a", "b", **drive),
    ]
    return bl.NetworkSpec(populations=populations, projections=projections, duration=STEPS * DT, dt=DT)


def recurrent(neuron: bl.Neuron) -> bl.NetworkSpec:
    """A layer that hears itself one step later."""
    spec = dense(neuron)
    own = bl.Projection("own", "a", "a", weights=bl.Normal(0.6), delay=DT)
    return dataclasses.replace(
        spec, declared=dataclasses.replace(spec.declared, projections=(*spec.declared.projections, own))
    )


def conv(pool: int) -> bl.NetworkSpec:
    """A convolution, with an average pool or without, and a dense layer."""
    layers = [bl.Conv(4, 3, LIF, pool=pool, weights=bl.Uniform(3.0 * pool)), bl.Dense(10, LIF, weights=bl.Normal(3.0))]
    return bl.NetworkSpec(bl.Input((1, 8, 8), bl.Spikes()), layers, duration=STEPS * DT, dt=DT)


NETWORKS: dict[str, bl.NetworkSpec] = {
    "IF": dense(INTEGRATOR),
    "LIF": dense(LIF),
    "LIF, reset to -0.3": dense(bl.LIF(tau_m=10 * ms, reset="v = -0.3")),
    "LIF, reset subtracts": dense(bl.LIF(tau_m=10 * ms, reset="v -= 1")),
    "CubaLIF": dense(CUBA),
    "CubaLIF, reset subtracts": dense(bl.CubaLIF(tau_m=10 * ms, tau_s=4 * ms, R=3.0, reset="v -= 1")),
    "convolution": conv(1),
    "convolution, average pool": conv(2),
    "recurrent": recurrent(LIF),
    "recurrent CubaLIF": recurrent(CUBA),
    "delay of 3 ms": dense(LIF, delay=3 * DT),
}


def run(module: Any, dense_input: np.ndarray) -> np.ndarray:
    """The output of a torch module, step by step from a new state: (T, n)."""
    state, found = None, []
    with torch.no_grad():
        for x in torch.from_numpy(dense_input.astype(np.float32)):
            out = module(x[None], state)
            y, state = out if isinstance(out, tuple) else (out, None)
            found.append(y.detach().numpy().ravel())
    return np.array(found)


def snntorch_module(graph: Any, soft: bool) -> Any:
    from snntorch.import_nir import import_from_nir

    return import_from_nir(graph)


def norse_module(graph: Any, soft: bool) -> Any:
    import norse.torch
    from norse.torch.functional.reset import reset_subtract, reset_value

    return norse.torch.from_nir(
        graph, ignore_warnings=True, dt=float(DT), reset_method=reset_subtract if soft else reset_value
    )


def spikingjelly_module(graph: Any, soft: bool) -> Any:
    from spikingjelly.activation_based.nir_exchange.from_nir import import_from_nir

    return import_from_nir(graph, dt=float(DT))


# what importers seem to make of a graph, as another graph ------------------------------------------------------------


def changed(graph: Any, change: Callable[[Any], Any]) -> Any:
    """A copy with other nodes."""
    made = copy.deepcopy(graph)
    made.metadata.clear()
    made.nodes = {name: change(node) for name, node in made.nodes.items()}
    return made


def as_it_is(node: Any) -> Any:
    """No change."""
    return node


def reset_to_zero(graph: Any) -> Any:
    """Every reset goes to 0, whatever v_reset says."""

    def change(node: Any) -> Any:
        if hasattr(node, "v_reset"):
            node.v_reset = np.zeros_like(node.v_threshold)
        return node

    return changed(graph, change)


def through_the_cycle(graph: Any) -> Any:
    """What reaches a population that hears itself goes through the weights of its cycle, too."""
    made = changed(graph, as_it_is)
    cycles = [(a, b) for a, b in made.edges if (b, a) in made.edges and hasattr(made.nodes[b], "weight")]
    for neuron, weights in cycles:
        made.edges = [(a, weights if b == neuron and a != weights else b) for a, b in made.edges]
    return made


def a_step_later(graph: Any) -> Any:
    """What a population that hears itself gives comes back two steps later."""
    made = changed(graph, as_it_is)
    for neuron, weights in [(a, b) for a, b in made.edges if (b, a) in made.edges and hasattr(made.nodes[b], "weight")]:
        made.nodes[f"{weights}_late"] = nir.Delay(np.full(made.nodes[neuron].v_threshold.shape, 2 * DT / second))
        made.edges.remove((neuron, weights))
        made.edges += [(neuron, f"{weights}_late"), (f"{weights}_late", weights)]
    return made


def without_the_cycle(graph: Any) -> Any:
    """A population does not hear itself."""
    made = changed(graph, as_it_is)
    for neuron, weights in [(a, b) for a, b in made.edges if (b, a) in made.edges and hasattr(made.nodes[b], "weight")]:
        made.edges = [e for e in made.edges if e not in ((neuron, weights), (weights, neuron))]
        del made.nodes[weights]
    return made


def without_delays(graph: Any) -> Any:
    """Delays are left out."""
    made = changed(graph, as_it_is)
    for name in [name for name, node in made.nodes.items() if isinstance(node, nir.Delay)]:
        after = [b for a, b in made.edges if a == name]
        made.edges = [(a, after[0] if b == name else b) for a, b in made.edges if a != name]
        del made.nodes[name]
    return made


def without_the_input(graph: Any) -> Any:
    """What is delayed never arrives."""
    return changed(
        graph, lambda node: nir.Delay(node.delay + STEPS * DT / second) if isinstance(node, nir.Delay) else node
    )


def without_scale(node: Any) -> Any:
    """An IF whose r counts for each step, as snnTorch's."""
    return nir.IF(np.ones_like(node.r), node.v_threshold, node.v_reset) if isinstance(node, nir.IF) else node


CAUSES: dict[str, Callable[[Any], Any]] = {
    "resets to v_reset, does not subtract": lambda graph: changed(graph, as_it_is),
    "delays are left out": without_delays,
    "what is delayed never arrives": without_the_input,
    "reset to 0, whatever v_reset says": reset_to_zero,
    "input goes through the recurrent weights": through_the_cycle,
    "the cycle takes two steps": a_step_later,
    "the cycle is left out": without_the_cycle,
}


@dataclass(frozen=True)
class Importer:
    """A package that reads NIR, its time step, where it wants factors, and what else it wants."""

    package: str
    module: Callable[[Any, bool], Any]
    dt: float
    gains: str
    wants: Callable[[Any], Any] = as_it_is


IMPORTERS = (
    Importer("snntorch", snntorch_module, 1e-4, "weights", without_scale),
    Importer("norse", norse_module, float(DT), "unit"),
    Importer("spikingjelly", spikingjelly_module, float(DT), "weights"),
)


def events(spec: bl.NetworkSpec) -> tuple[bl.Events, np.ndarray]:
    shape = spec.input.shape
    given = np.random.default_rng(7).random((SAMPLES, STEPS, *shape)) < 0.25
    sample, step, neuron = np.nonzero(given.reshape(SAMPLES, STEPS, -1))
    return bl.Events(step, neuron, np.searchsorted(sample, np.arange(SAMPLES + 1)), shape), given


def ours(spec: bl.NetworkSpec, weights: Any, given: bl.Events) -> np.ndarray:
    learner = bl.Learner(spec, device="numpy", dtype="float64")
    state = dataclasses.replace(learner.init(), weights=weights)
    found = learner.infer(state, bl.Samples(given), record=["spikes"]).spikes[spec.output].dense()
    return found.reshape(SAMPLES, STEPS, -1)


def theirs(importer: Importer, graph: Any, given: np.ndarray, soft: bool) -> np.ndarray | str:
    """Spikes (samples, T, n), or what went wrong."""
    found = []
    for sample in given:
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                found.append(run(importer.module(copy.deepcopy(graph), soft), sample))
        except Exception as error:  # whatever a package raises
            lines = [line for line in str(error).splitlines() if line.strip()]
            return f"{type(error).__name__}: {lines[0].strip() if lines else ''}"[:70]
    return np.array(found) > 0.5


def difference(a: np.ndarray, b: np.ndarray | str) -> str:
    if isinstance(b, str):
        return b
    return f"an output of {b[0, 0].size} values" if b.size != a.size else str(int((a != b.reshape(a.shape)).sum()))


@dataclass(frozen=True)
class Row:
    """One network in one importer.

    Attributes
    ----------
    package, network : str
    spikes : int
        Of the output, here.
    plain, exact, euler : str
        Spikes that differ, or what went wrong: of the file that `bl.to_nir` writes; of one with factors for the
        importer; of one with time constants for Euler's method, too.
    cause : str
        Where spikes differ in the last one: with which change of the graph our spikes are the importer's.
    """

    package: str
    network: str
    spikes: int
    plain: str
    exact: str
    euler: str
    cause: str


def row(importer: Importer, name: str, spec: bl.NetworkSpec) -> Row:
    """Compare."""
    weights = bl.Learner(spec, device="numpy", dtype="float64", seed=1).init().weights
    given, dense_input = events(spec)
    soft = "subtracts" in name
    mine = ours(spec, weights, given)
    fitted = {
        how: bl.to_nir(spec, weights, importer.dt * second, discretisation=how, gains=importer.gains, soft_reset=soft)
        for how in ("exact", "euler")
    }
    found = [theirs(importer, bl.to_nir(spec, weights, soft_reset=soft), dense_input, soft)]
    found += [theirs(importer, changed(graph, importer.wants), dense_input, soft) for graph in fitted.values()]
    differs = [difference(mine, each) for each in found]
    cause = why(importer, fitted["euler"], given, found[-1]) if differs[-1].isdigit() and differs[-1] != "0" else ""
    return Row(importer.package, name, int(mine.sum()), *differs, cause)


def why(importer: Importer, graph: Any, given: bl.Events, found: np.ndarray | str) -> str:
    """The change of the graph with which our spikes are the importer's."""
    times = dict(dt=importer.dt * second, duration=STEPS * importer.dt * second)
    for text, change in CAUSES.items():
        try:
            spec, weights = bl.from_nir(change(graph), **times, discretisation="euler")
        except bl.BrianLearnError:  # a graph without what the change is about
            continue
        if difference(ours(spec, weights, given), found) == "0":
            return text
    return "not known"


def version(name: str) -> str:
    """Of a package."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def versions() -> str:
    """Of all packages that take part."""
    packages = ("nir", "nirtorch", "snntorch", "norse", "spikingjelly", "torch")
    return ", ".join(f"{name} {version(name)}" for name in packages)


def main() -> None:
    """Print the table."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    prefs.codegen.target = "numpy"
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    print(versions(), "", "| importer | network | spikes | file as it is | factors | and Euler | why |", sep="\n")
    print("|---|---|---|---|---|---|---|")
    for importer in IMPORTERS:
        for name, spec in NETWORKS.items():
            print(f"| {' | '.join(map(str, dataclasses.astuple(row(importer, name, spec))))} |", flush=True)


if __name__ == "__main__":
    main()
