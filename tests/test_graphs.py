"""Graphs of populations: skip connections, several readouts, all kinds of connections, against plain numpy."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
from brian2 import ms
from scipy import sparse

import brianlearn as bl
from brianlearn.errors import BrianLearnError, ShapeError, SpecError
from brianlearn.training.serialise import from_dict, to_dict

torch = pytest.importorskip("torch")

RATE, N, T = 0.5, 5, 12
NEURON = bl.CubaLIF(R=4.0, tau_s=3 * ms)
IF = bl.DaltonIF(tau_s=2 * ms)


@dataclass(frozen=True)
class Shifted(bl.Connection):
    """A kind of one's own: neuron i to neuron i + 1, in a circle, through one of two weights."""

    def weight_shape(self, source: tuple[int, ...], target: tuple[int, ...]) -> tuple[int, ...]:
        return (2,)

    def synapses(self, source: tuple[int, ...], target: tuple[int, ...]) -> tuple[Any, Any, Any]:
        pre = np.arange(prod(source))[::-1]
        return pre, (pre + 1) % prod(target), pre % 2


PAIRS = [(3, 0), (0, 1), (3, 7), (5, 5), (1, 6)]


def skip() -> bl.NetworkSpec:
    """Input to both hidden populations, both of them to the readout."""
    return bl.NetworkSpec(
        populations=[
            bl.Population("input", (1, 5, 4), bl.IntegrateAndFireEncoder()),
            bl.Population("readout", 4, bl.LinearReadout()),
            bl.Population("second", 8, NEURON),  # declared before what it hears
            bl.Population("first", 9, NEURON),
        ],
        projections=[
            bl.Projection("up", "first", "second", weights=bl.Normal(4.0)),
            bl.Projection("in1", "input", "first", weights=bl.Normal(4.0)),
            bl.Projection("past", "input", "second", weights=bl.Normal(4.0)),
            bl.Projection("out1", "first", "readout", weights=bl.Uniform(1.0)),
            bl.Projection("out2", "second", "readout", weights=bl.Uniform(1.0)),
        ],
        duration=T * ms,
    )


def kinds() -> bl.NetworkSpec:
    """Every kind of connection, two readouts, one of them leaky, dead ends of none."""
    return bl.NetworkSpec(
        populations=[
            bl.Population("input", (2, 6, 5), bl.IntegrateAndFireEncoder()),
            bl.Population("maps", IF),
            bl.Population("wide", bl.CubaLIF(R=6.0)),
            bl.Population("pooled", NEURON),
            bl.Population("summed", NEURON),
            bl.Population("same", (4, 3, 2), IF),
            bl.Population("few", 8, NEURON),
            bl.Population("ring", 8, NEURON),
            bl.Population("out", 4, bl.LinearReadout()),
            bl.Population("aux", 4, bl.LinearReadout(tau=5 * ms)),
        ],
        projections=[
            bl.Projection("conv", "input", "maps", bl.Conv2d(4, (3, 2), stride=(2, 1), padding=(1, 0), groups=2)),
            bl.Projection("dilated", "input", "wide", bl.Conv2d(2, 2, dilation=2, pool=2), weights=bl.Uniform(3.0)),
            bl.Projection("average", "maps", "pooled", bl.AvgPool2d((1, 2)), weights=bl.Normal(4.0)),
            bl.Projection("sum", "maps", "summed", bl.SumPool2d(2, stride=1), learned=False),
            bl.Projection("one", "pooled", "same", bl.OneToOne(), weights=bl.Normal(2.0)),
            bl.Projection("again", "input", "same", bl.Conv2d(4, 2, stride=2), weights=bl.Uniform(2.0)),
            bl.Projection("sparse", "wide", "few", bl.Sparse(0.5, seed=3), weights=bl.Normal(4.0)),
            bl.Projection("pairs", "same", "few", bl.Sparse(pairs=PAIRS), weights=bl.Normal(4.0)),
            bl.Projection("rest", "summed", "few", weights=bl.Normal(3.0)),
            bl.Projection("shifted", "few", "ring", Shifted(), weights=bl.Normal(9.0)),
            bl.Projection("ring_out", "ring", "out"),
            bl.Projection("few_out", "few", "out"),
            bl.Projection("same_aux", "same", "aux"),
        ],
        duration=T * ms,
        burn_in=2 * ms,
    )


NETS = {"skip": skip, "kinds": kinds}


# the reference -------------------------------------------------------------------------------------------------------


def maps(p: bl.Projection, W: np.ndarray, s: np.ndarray) -> np.ndarray:
    """What spikes s (in_shape) add up to at the targets, from the definition of the kind; factor 1 for weights of 1."""
    match p.name:
        case "conv":
            parts = [reference_conv(W[2 * g : 2 * g + 2], s[g : g + 1], (2, 1), (1, 0), (1, 1)) for g in (0, 1)]
            return np.concatenate(parts)
        case "dilated":
            return reference.average_pool(reference_conv(W, s, (1, 1), (0, 0), (2, 2)), 2)
        case "again":
            return reference_conv(W, s, (2, 2), (0, 0), (1, 1))
        case "average":
            c, h, w = s.shape
            return W[0] * s[:, :, : w // 2 * 2].reshape(c, h, w // 2, 2).mean(axis=3)
        case "sum":
            return W[0] * (s[:, 1:, 1:] + s[:, 1:, :-1] + s[:, :-1, 1:] + s[:, :-1, :-1])
        case "one":
            return W * s.ravel()
        case "sparse" | "pairs":
            c = p.connectivity
            pairs = sorted(PAIRS) if p.name == "pairs" else list(zip(c.pre, c.post, strict=True))
            matrix = np.zeros((p.n_post, p.n_pre))
            for w, (pre, post) in zip(W, pairs, strict=True):
                matrix[post, pre] += w
            return matrix @ s.ravel()
        case "shifted":
            return np.roll(s.ravel() * W[np.arange(8) % 2], 1)
        case _:
            return W @ s.ravel()


def reference_conv(W: np.ndarray, s: np.ndarray, stride: Any, padding: Any, dilation: Any) -> np.ndarray:
    """A cross-correlation from its definition, one output at a time."""
    padded = np.pad(s, [(0, 0), (padding[0],) * 2, (padding[1],) * 2])
    o, _, kh, kw = W.shape
    rows = (padded.shape[1] - (kh - 1) * dilation[0] - 1) // stride[0] + 1
    cols = (padded.shape[2] - (kw - 1) * dilation[1] - 1) // stride[1] + 1
    out = np.zeros((o, rows, cols))
    for y in range(rows):
        for x in range(cols):
            ys, xs = y * stride[0] + dilation[0] * np.arange(kh), x * stride[1] + dilation[1] * np.arange(kw)
            out[:, y, x] = np.einsum("ocab,cab->o", W, padded[:, ys][:, :, xs])
    return out


def jacobian(p: bl.Projection, shape: tuple[int, ...]) -> np.ndarray:
    """d(target)/d(weight, source), shape (n_post, n_weights, n_pre): maps are linear in both."""
    n_pre, n_w = prod(p.in_shape), prod(shape)
    found = np.zeros((p.n_post, n_w, n_pre))
    for k in range(n_w):
        for j in range(n_pre):
            w, s = np.zeros(n_w), np.zeros(n_pre)
            w[k] = s[j] = 1
            found[:, k, j] = maps(p, w.reshape(shape), s.reshape(p.in_shape)).ravel()
    return found


_JACOBIANS: dict[tuple[str, ...], np.ndarray] = {}


def simulate(spec: bl.NetworkSpec, weights: Any, x: Any, labels: np.ndarray, rule: Any) -> tuple[Any, Any, Any]:
    """Spikes (n, T, neurons) by population, mean readout, and mean gradients, step by step.

    ``x``: values of the one input, or what each input sends, (n, T, neurons) by name.
    """
    if not isinstance(x, dict):
        x = {"input": np.stack([reference.integrate_and_fire()(v, T).reshape(T, -1) for v in x])}
    n_samples = len(labels)
    every = [*spec.projections, *spec.readout_projections]
    D = {}
    for p in every:
        key = (p.name, *map(str, (p.in_shape, p.out_shape, weights[p.name].shape)))
        if key not in _JACOBIANS:
            _JACOBIANS[key] = jacobian(p, weights[p.name].shape)
        D[p.name] = _JACOBIANS[key]
    M = {p.name: np.einsum("ikj,k->ij", D[p.name], weights[p.name].ravel()) for p in every}
    populations = {p.name: p for p in spec.populations}
    order = [p.name for p in spec.neurons]
    neurons = {n: reference.neuron_of(populations[n].neuron, 1e-3, (populations[n].n,)) for n in order}
    readouts = [p.name for p in spec.populations if p.is_readout]
    taus = {r: populations[r].neuron.tau for r in readouts}
    decay = {r: 0.0 if tau is None else np.exp(-1e-3 / float(tau)) for r, tau in taus.items()}
    spikes = {n: np.zeros((n_samples, T, populations[n].n)) for n in (*x, *order)}
    logits = np.zeros((n_samples, 4))
    g = {p.name: np.zeros(weights[p.name].size) for p in spec.projections}
    burn_in = spec.burn_in_steps
    for k, label in enumerate(labels):
        target = np.eye(4)[label]
        run = {}
        for n in order:
            layer = reference.Dense(n, populations[n].n, neurons[n])
            run[n] = reference.Population(layer, (populations[n].n,))
        traces = {p.name: reference.Trace(neurons[p.target], (p.n_pre,)) for p in spec.projections}
        y = {r: np.zeros(4) for r in readouts}
        local = {n: np.zeros(4) for n in order}
        for t in range(T):
            now, done = {n: sent[k, t] for n, sent in x.items()}, {}
            for n in order:
                done[n] = run[n].receive(sum(M[p.name] @ now[p.source] for p in spec.projections if p.target == n))
                now[n] = done[n].spikes
            for n in now:
                spikes[n][k, t] = now[n]
            eligible = {p.name: traces[p.name].advance(now[p.source]) for p in spec.projections}
            if rule is None or rule.eligibility == "spike":
                eligible = {p.name: now[p.source] for p in spec.projections}
            for r in readouts:
                onto = [q for q in spec.readout_projections if q.target == r]
                y[r] = decay[r] * y[r] + sum(M[q.name] @ now[q.source] for q in onto)
            if t >= burn_in:
                logits[k] += y[spec.output] / (T - burn_in)
            if rule is None or t < burn_in:
                continue
            L: dict[str, np.ndarray] = {}
            for n in reversed(order):
                own = [q for q in spec.readout_projections if q.source == n]
                parts = [M[q.name].T @ (y[q.target] - target) for q in own]
                units = 4 * len(own)
                above = [q for q in spec.projections if q.source == n]
                if type(rule).__name__ == "TFR" and not own:
                    R = weights[f"readout_{n}"]
                    local[n] = R @ now[n] + decay[spec.output] * local[n]
                    parts, units = [R.T @ (local[n] - target)], 4
                if type(rule).__name__ == "DALTON" or getattr(rule, "signal", "") == "symmetric":
                    parts += [M[q.name].T @ (done[q.target].psi * L[q.target]) for q in above]
                    units += sum(q.n_post for q in above)
                if type(rule).__name__ == "DFA" and not own:
                    names = [f"feedback_{n}"] if len(readouts) == 1 else [f"feedback_{n}_{r}" for r in readouts]
                    parts = [weights[name].T @ (y[r] - target) for name, r in zip(names, readouts, strict=True)]
                    units = 4 * len(readouts)
                L[n] = sum(parts)
                scale = 1.0 if type(rule).__name__ == "EProp" else 2 / units
                error = scale * done[n].psi * done[n].gate * L[n]
                for p in spec.projections:
                    if p.target == n:
                        g[p.name] += np.einsum("i,ikj,j->k", error, D[p.name], eligible[p.name])
    return spikes, logits, {n: v.reshape(weights[n].shape) / n_samples for n, v in g.items()}


def senses() -> bl.NetworkSpec:
    """Three inputs: values, a direct current, and events."""
    return bl.NetworkSpec(
        populations=[
            bl.Population("eye", (1, 4, 4), bl.IntegrateAndFireEncoder()),
            bl.Population("skin", 5, bl.DirectCurrent(gain=0.5)),
            bl.Population("ear", 6, bl.Spikes()),
            bl.Population("seen", 9, NEURON),
            bl.Population("both", 8, NEURON),
            bl.Population("readout", 4, bl.LinearReadout()),
        ],
        projections=[
            bl.Projection("see", "eye", "seen", weights=bl.Normal(4.0)),
            bl.Projection("touch", "skin", "both", weights=bl.Normal(1.0)),
            bl.Projection("hear", "ear", "both", weights=bl.Normal(4.0)),
            bl.Projection("up", "seen", "both", weights=bl.Normal(4.0)),
            bl.Projection("out", "both", "readout"),
        ],
        duration=T * ms,
    )


def sensed() -> tuple[dict[str, Any], dict[str, np.ndarray], np.ndarray]:
    """Inputs by name, what each of them sends in every step (n, T, neurons), and labels."""
    rng = np.random.default_rng(8)
    eye, skin = rng.uniform(0, 0.9, (N, 1, 4, 4)), rng.uniform(0, 1, (N, 5))
    heard = rng.random((N, T, 6)) < 0.3
    given = {"eye": eye, "skin": skin, "ear": bl.Events.from_dense(heard.astype(float), "BTN")}
    sent = {
        "eye": np.stack([reference.integrate_and_fire()(v, T).reshape(T, -1) for v in eye]),
        "skin": np.broadcast_to(0.5 * skin[:, None], (N, T, 5)),
        "ear": heard.astype(float),
    }
    return given, sent, rng.integers(0, 4, N)


def samples(spec: bl.NetworkSpec) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    return rng.uniform(0, 0.9, (N, *spec.input.shape)), rng.integers(0, 4, N)


def check(name: str, rule: Any, **options: Any) -> None:
    if name == "senses":
        spec, (given, x, labels) = senses(), sensed()
    else:
        spec = NETS[name]()
        x, labels = samples(spec)
        given = x
    options = {"engine": "discrete", "device": "cpu"} | options
    learner = bl.Learner(spec, rule, bl.SGD(RATE), dtype="float64", batch_size=N, **options)
    before = learner.init()
    spikes, logits, expected = simulate(spec, before.weights, x, labels, rule)
    active = learner.infer(before, bl.Samples(given, labels), record=("spikes",))
    for n, raster in active.spikes.items():
        np.testing.assert_array_equal(raster.dense().reshape(N, T, -1), spikes[n] != 0, err_msg=n)
        assert spikes[n].any(), f"{n} is silent in this test"
    np.testing.assert_allclose(active.logits, logits, rtol=0, atol=1e-12)
    after, _ = learner.learn(before, bl.Samples(given, labels))
    for p in [*spec.projections, *spec.readout_projections]:
        change = (before.weights[p.name] - after.weights[p.name]) / RATE
        if not p.learned or p in spec.readout_projections:
            assert not change.any(), p.name
            continue
        assert np.abs(expected[p.name]).max() > 1e-5, f"{p.name} does not learn in this test"
        np.testing.assert_allclose(change, expected[p.name], rtol=0, atol=1e-11, err_msg=p.name)


RULES = {
    "dalton": bl.DALTON(),
    "tfr": bl.TFR(),
    "dfa": bl.DFA(),
    "dalton-trace": bl.DALTON(eligibility="trace"),
    "eprop": bl.EProp(signal="symmetric"),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", NETS)
def test_discrete_equals_the_reference(name: str, rule: str) -> None:
    check(name, RULES[rule])


@pytest.mark.parametrize(("name", "rule"), [("skip", "eprop"), ("kinds", "dalton"), ("skip", "tfr"), ("kinds", "dfa")])
def test_brian_equals_the_reference(name: str, rule: str) -> None:
    check(name, RULES[rule], engine="brian", device="numpy")


@pytest.mark.parametrize("rule", ["dalton", "eprop"])
def test_several_inputs_equal_the_reference(rule: str) -> None:
    check("senses", RULES[rule])
    check("senses", RULES[rule], engine="brian", device="numpy")


def test_several_inputs_train_in_a_run_folder(tmp_path: Path) -> None:
    spec, (given, _, labels) = senses(), sensed()
    data = (bl.Samples(given, labels), bl.Samples({name: part[:3] for name, part in given.items()}, labels[:3]))
    found = {}
    for engine, device in (("brian", "numpy"), ("discrete", "cpu")):
        runs = dict(runs=tmp_path / engine, engine=engine, device=device, dtype="float64", batch_size=2)
        experiment = bl.Experiment(spec, bl.DALTON(), bl.SGD(0.01), data, epochs=2, **runs)
        run = experiment.run(progress=False).run
        found[engine] = np.load(run / "weights.npz")
    for name in found["brian"].files:
        np.testing.assert_allclose(found["brian"][name], found["discrete"][name], rtol=0, atol=1e-12)


@pytest.mark.slow
@pytest.mark.cpp_standalone
def test_several_inputs_compiled_equal_the_reference() -> None:
    check("senses", RULES["dalton-trace"], engine="brian", device="cpp_standalone")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda g: g["eye"], "several inputs"),
        (lambda g: {"eye": g["eye"], "ear": g["ear"]}, "eye, skin, ear"),
        (lambda g: g | {"nose": g["skin"]}, "nose"),
        (lambda g: g | {"skin": g["skin"][:2]}, "skin 2"),
        (lambda g: g | {"skin": g["ear"]}, "fit"),
        (lambda g: g | {"skin": g["skin"][:, :3]}, "fit"),
    ],
)
def test_wrong_inputs_are_named(change: Any, text: str) -> None:
    given, _, labels = sensed()
    learner = bl.Learner(senses(), bl.DALTON(), engine="discrete")
    with pytest.raises(BrianLearnError, match=text):
        learner.learn(learner.init(), bl.Samples(change(given), labels))


@pytest.mark.parametrize("rule", [bl.DALTON(feedback="mirror"), bl.TFR(feedback="mirror")], ids=["dalton", "tfr"])
def test_mirrors_equal_the_reference(rule: Any) -> None:
    check("skip", rule, engine="brian", device="numpy")


@pytest.mark.slow
@pytest.mark.cpp_standalone
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", NETS)
def test_compiled_equals_the_reference(name: str, rule: str) -> None:
    check(name, RULES[rule], engine="brian", device="cpp_standalone")


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["dalton", "eprop"])
def test_cython_equals_the_reference(rule: str) -> None:
    check("kinds", RULES[rule], engine="brian", device="cython")


@pytest.mark.parametrize("name", NETS)
def test_steps_learn_the_same_on_both_engines(name: str) -> None:
    spec = NETS[name]()
    x, labels = samples(spec)
    for rule in (bl.DALTON(update="step"), bl.DFA(update="step", eligibility="trace")):
        found = []
        for engine, device in (("brian", "numpy"), ("discrete", "cpu")):
            learner = bl.Learner(spec, rule, bl.SGD(1e-2), engine=engine, device=device, dtype="float64", batch_size=1)
            found.append(learner.learn(learner.init(), bl.Samples(x[:2], labels[:2]))[0].weights)
        for key, w in found[0].items():
            np.testing.assert_allclose(found[1][key], w, rtol=0, atol=1e-12, err_msg=key)


@pytest.mark.parametrize("name", NETS)
def test_back_propagation_equals_autograd_of_a_plain_loop(name: str) -> None:
    spec = NETS[name]()
    x, labels = samples(spec)
    learner = bl.Learner(spec, bl.SurrogateBPTT(), bl.SGD(RATE), dtype="float64", batch_size=N)
    before = learner.init()
    after, _ = learner.learn(before, bl.Samples(x, labels))
    plain = bl.export(spec, before.weights, dtype=torch.float64, kernels=False)
    activity = plain(x)
    target = torch.nn.functional.one_hot(torch.tensor(labels), 4)
    readouts = [activity.readout, *activity.others.values()]
    loss = sum(((y[spec.burn_in_steps :] - target) ** 2).mean() for y in readouts)
    assert len(readouts) == len(spec.graph.readouts)
    names = [p.name for p in spec.projections if p.learned]
    found = torch.autograd.grad(loss, [plain.get_parameter(n) for n in names])
    for key, g in zip(names, found, strict=True):
        change = (before.weights[key] - after.weights[key]) / RATE
        np.testing.assert_allclose(change, g.numpy(), rtol=0, atol=1e-10, err_msg=key)


def test_a_graph_that_is_a_chain_is_the_chain() -> None:
    chain = bl.NetworkSpec(bl.Input((1, 5, 4)), [bl.Dense(9, NEURON), bl.Dense(8, NEURON)], bl.Readout(4), T * ms)
    graph = bl.NetworkSpec(populations=chain.populations, projections=list(chain.graph.projections), duration=T * ms)
    x, labels = samples(chain)
    for engine, device in (("brian", "numpy"), ("discrete", "cpu")):
        found = []
        for spec in (chain, graph):
            learner = bl.Learner(spec, bl.DALTON(), bl.Adam(1e-2), engine=engine, device=device, batch_size=N)
            found.append(learner.learn(learner.init(), bl.Samples(x, labels))[0].weights)
        assert all((found[0][name] == found[1][name]).all() for name in found[0])


# descriptions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETS)
def test_a_graph_comes_back_from_a_file(name: str) -> None:
    spec = NETS[name]()
    if name == "kinds":  # with a kind of one's own it needs the script
        spec = skip()
    again = from_dict(to_dict(spec))
    assert again.describe() == spec.describe()
    first, second = (bl.Learner(s, bl.DALTON(), engine="discrete").init().weights for s in (spec, again))
    assert first.keys() == second.keys() and all((first[k] == second[k]).all() for k in first)


def test_replacing_keeps_the_graph() -> None:
    spec = dataclasses.replace(skip(), duration=20 * ms).with_constants(tau_m=30 * ms)
    assert spec.n_steps == 20 and [p.name for p in spec.neurons] == ["first", "second"]
    assert all(float(p.neuron.constants["tau_m"]) == pytest.approx(0.03) for p in spec.neurons)


def test_the_description_names_projections() -> None:
    text = skip().describe()
    assert "up: dense from first, past: dense from input" in text and "out1 from first, out2 from second" in text
    text = kinds().describe()
    assert "conv 3x2, stride (2, 1), padding (1, 0), groups 2" in text and "average pool 1x2" in text


def test_counting_and_packing_make_no_list(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("a list of synapses was made")

    for kind in (bl.AllToAll, bl.Conv2d, bl.AvgPool2d, bl.OneToOne):
        monkeypatch.setattr(kind, "synapses", never)
    layers = [bl.Conv(4, 3, IF, pool=2, padding=1), bl.Dense(10, IF)]
    spec = bl.NetworkSpec(bl.Input((2, 12, 12)), layers, bl.Readout(4), duration=T * ms)
    assert spec.projections[0].connectivity.n_synapses == 4 * 2 * (3 * 12 - 2) ** 2
    weights = bl.Learner(spec, bl.DALTON(), engine="discrete").init().weights
    for p in spec.projections:
        np.testing.assert_array_equal(p.connectivity.unpack(p.connectivity.pack(weights[p.name])), weights[p.name])


@pytest.mark.parametrize("p", kinds().projections, ids=lambda p: p.name)
def test_counts_are_those_of_the_list(p: bl.Projection) -> None:
    c = p.connectivity
    assert c.n_synapses == len(c.pre) == len(c.post) == len(c.weight)
    assert c.weight.max() < p.n_weights and c.pre.max() < p.n_pre and c.post.max() < p.n_post
    assert np.all(np.diff(c.pre) >= 0)


def test_a_sparse_matrix_gives_its_synapses() -> None:
    matrix = sparse.random_array((7, 5), density=0.4, rng=np.random.default_rng(0), format="coo")
    made = bl.Sparse.from_matrix(matrix)
    pre, post, _ = made.synapses((5,), (7,))
    dense = np.zeros((7, 5))
    dense[post, pre] = sparse.csc_array(matrix).data
    np.testing.assert_array_equal(dense, matrix.toarray())


@dataclass(frozen=True, eq=False)
class Paired(bl.Layer):
    """A layer of one's own: one synapse for each neuron, where it says so."""

    neuron: Any = NEURON
    says: bool = True
    dropout: float = 0.0
    dropout_every: str = "trial"
    name: str | None = None
    weights: Any = field(default_factory=bl.Normal)
    kind = "paired"

    @property
    def connection(self) -> bl.Connection:
        return bl.OneToOne() if self.says else super().connection


def test_a_layer_of_ones_own_says_its_connection() -> None:
    spec = bl.NetworkSpec(bl.Input((1, 5, 4)), [Paired(), bl.Dense(6, NEURON)], bl.Readout(4), T * ms)
    assert [p.name for p in spec.neurons] == ["paired1", "dense1"]
    assert spec.projections[0].weight_shape == (20,) and spec.neurons[0].shape == (1, 5, 4)
    with pytest.raises(SpecError, match="how it is connected"):
        bl.NetworkSpec(bl.Input((1, 5, 4)), [Paired(says=False)], bl.Readout(4), T * ms)


def _graph(populations: Any = (), projections: Any = (), **options: Any) -> bl.NetworkSpec:
    base = skip().declared
    assert base is not None
    return bl.NetworkSpec(
        populations=[*base.populations, *populations],
        projections=[*base.projections, *projections],
        **{"duration": T * ms, **options},
    )


WRONG: dict[str, tuple[Any, type[BrianLearnError], str]] = {
    "cycle": (
        lambda: _graph(projections=[bl.Projection("back", "second", "first")]),
        SpecError,
        "first -> second",
    ),
    "self": (lambda: _graph(projections=[bl.Projection("own", "first", "first")]), SpecError, "cycle"),
    "unknown source": (lambda: _graph(projections=[bl.Projection("p", "frist", "second")]), SpecError, "first"),
    "onto an input": (lambda: _graph(projections=[bl.Projection("p", "first", "input")]), SpecError, "input"),
    "from a readout": (lambda: _graph(projections=[bl.Projection("p", "readout", "second")]), SpecError, "no spikes"),
    "two of a name": (lambda: _graph(projections=[bl.Projection("up", "input", "second")]), SpecError, "up"),
    "nothing reaches it": (lambda: _graph([bl.Population("lone", 3, NEURON)]), SpecError, "lone"),
    "reaches nothing": (
        lambda: _graph([bl.Population("end", 3, NEURON)], [bl.Projection("p", "first", "end")]),
        SpecError,
        "end",
    ),
    "no shape": (
        lambda: _graph([bl.Population("end", NEURON)], [bl.Projection("p", "first", "end")]),
        ShapeError,
        "end",
    ),
    "one to one": (lambda: _graph(projections=[bl.Projection("p", "first", "second", bl.OneToOne())]), ShapeError, "9"),
    "conv of a vector": (
        lambda: _graph(projections=[bl.Projection("p", "first", "second", bl.Conv2d(2, 3))]),
        ShapeError,
        "three axes",
    ),
    "readouts differ": (
        lambda: _graph([bl.Population("aux", 3, bl.LinearReadout())], [bl.Projection("p", "first", "aux")]),
        SpecError,
        "aux 3",
    ),
    "pairs outside": (
        lambda: _graph(projections=[bl.Projection("p", "first", "second", bl.Sparse(pairs=[(9, 0)]))]),
        ShapeError,
        "9",
    ),
    "pipelined": (lambda: _graph(timing="pipelined"), SpecError, "chains"),
    "both forms": (
        lambda: bl.NetworkSpec(bl.Input((3,)), populations=skip().populations, projections=[], duration=T * ms),
        SpecError,
        "chain or a graph",
    ),
    "probability": (lambda: bl.Sparse(1.5), SpecError, "probability"),
    "pair twice": (lambda: bl.Sparse(pairs=[(0, 1), (0, 1)]), SpecError, "twice"),
    "groups": (lambda: bl.Conv2d(3, 3, groups=2), SpecError, "groups"),
    "kernel": (lambda: bl.Conv2d(3, (3, 3, 3)), SpecError, "kernel"),
    "name": (lambda: bl.Population("2nd", 3, NEURON), SpecError, "letters"),
    "no neuron": (lambda: bl.Population("x", 3), SpecError, "neuron"),
    "dropout of a readout": (lambda: bl.Population("x", 3, bl.LinearReadout(), dropout=0.1), SpecError, "drop"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_named(what: str) -> None:
    make, kind, text = WRONG[what]
    with pytest.raises(kind, match=text):
        make()


@pytest.mark.parametrize("kind", [lambda **o: bl.Conv2d(4, kernel=3, **o), lambda **o: bl.Sparse(0.5, **o)])
@pytest.mark.parametrize("option", ["neuron", "dropout"])
def test_a_connection_that_is_given_neurons_says_where_they_belong(kind, option):
    with pytest.raises(bl.ArgumentError, match=rf"no argument '{option}'(.|\n)*bl.Conv and bl.Dense are layers"):
        kind(**{option: 0.5})


def test_a_connection_is_no_layer_of_a_chain():
    with pytest.raises(bl.SpecError, match=r"layer is of the wrong type(.|\n)*a connection alone has no neurons"):
        bl.NetworkSpec(bl.Input((1, 4, 4)), [bl.Conv2d(4, 3)], bl.Readout(2), duration=5 * ms)
