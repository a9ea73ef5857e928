"""Networks that are written with Brian2: adopted, compared spike for spike, taught, and written back."""

from __future__ import annotations

from typing import Any

import brian2 as b
import numpy as np
import pytest
from brian2 import Hz, Mohm, ms, mV, nA, nS, pA, pF, second

import brianlearn as bl
from brianlearn.errors import BrianLearnWarning, SpecError, WeightsError

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def numpy_target() -> Any:
    before = b.prefs.codegen.target
    b.prefs.codegen.target = "numpy"
    b.start_scope()
    b.seed(1)
    yield
    b.prefs.codegen.target = before
    b.start_scope()


def generator(n: int = 8, rate: float = 60.0, duration: float = 0.05, dt: float = 1e-4, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    step, neuron = np.nonzero(rng.random((round(duration / dt), n)) < rate * dt)
    return b.SpikeGeneratorGroup(n, neuron, step * dt * second, name="stimulus")


# scripts --------------------------------------------------------------------------------------------------------------


def cuba() -> tuple[list[Any], dict[str, Any]]:
    """Vogels and Abbott's network of current-based neurons (J Neurosci 25:10786, 2005), made smaller."""
    constants = dict(taum=20 * ms, taue=5 * ms, taui=10 * ms, Vt=-50 * mV, Vr=-60 * mV, El=-49 * mV)
    group = b.NeuronGroup(
        200,
        """dv/dt = (ge + gi - (v - El))/taum : volt (unless refractory)
        dge/dt = -ge/taue : volt
        dgi/dt = -gi/taui : volt""",
        threshold="v > Vt",
        reset="v = Vr",
        refractory=5 * ms,
        method="exact",
        name="neurons",
        namespace=constants,
    )
    group.v = "Vr + rand()*(Vt - Vr)"
    exc = b.Synapses(group[:160], group, on_pre="ge += we", name="exc", namespace=dict(we=60 * 0.27 / 10 * 5 * mV))
    inh = b.Synapses(group[160:], group, on_pre="gi += wi", name="inh", namespace=dict(wi=-20 * 4.5 / 10 * 5 * mV))
    exc.connect(p=0.1)
    inh.connect(p=0.1)
    return [group, exc, inh], dict(outputs=group)


def coba() -> tuple[list[Any], dict[str, Any]]:
    """The same with conductances; Hodgkin and Huxley's channels left out."""
    constants = dict(
        taum=20 * ms,
        taue=5 * ms,
        taui=10 * ms,
        Vt=-50 * mV,
        Vr=-60 * mV,
        El=-60 * mV,
        Ee=0 * mV,
        Ei=-80 * mV,
        gl=10 * nS,
        I=0.22 * nA,
    )
    group = b.NeuronGroup(
        150,
        """dv/dt = (ge*(Ee - v) + gi*(Ei - v) + gl*(El - v) + I)/(gl*taum) : volt (unless refractory)
        dge/dt = -ge/taue : siemens
        dgi/dt = -gi/taui : siemens""",
        threshold="v > Vt",
        reset="v = Vr",
        refractory="5*ms",
        method="exponential_euler",
        name="neurons",
        namespace=constants,
    )
    group.v = "El + (randn()*5 - 5)*mV"
    group.ge = "(randn()*1.5 + 4)*10*nS"
    group.gi = "(randn()*12 + 20)*10*nS"
    exc = b.Synapses(group, group, "w : siemens", on_pre="ge += w", name="exc")
    exc.connect("i < 120", p=0.1)
    exc.w = 6 * nS
    inh = b.Synapses(group, group, "w : siemens", on_pre="gi += w", name="inh")
    inh.connect("i >= 120", p=0.1)
    inh.w = 67 * nS
    return [group, exc, inh], dict(outputs=group)


def brunel() -> tuple[list[Any], dict[str, Any]]:
    """Brunel's sparsely connected network (J Comput Neurosci 8:183, 2000): delta synapses with delays, made smaller."""
    constants = dict(tau=20 * ms, theta=20 * mV, Vr=10 * mV, J=0.8 * mV, g=5.0)
    group = b.NeuronGroup(
        200,
        "dv/dt = -v/tau : volt (unless refractory)",
        threshold="v > theta",
        reset="v = Vr",
        refractory=2 * ms,
        method="exact",
        name="neurons",
        namespace=constants,
    )
    outside = b.PoissonGroup(100, rates=400 * Hz, name="outside")
    exc = b.Synapses(group, group, on_pre="v += J", delay=1.5 * ms, name="exc", namespace=constants)
    inh = b.Synapses(group, group, on_pre="v -= g*J", delay=1.5 * ms, name="inh", namespace=constants)
    ext = b.Synapses(outside, group, on_pre="v += J", name="ext", namespace=constants)
    exc.connect("i < 160", p=0.1)
    inh.connect("i >= 160", p=0.1)
    ext.connect(p=0.3)
    return [group, outside, exc, inh, ext], dict(outputs="neurons")


def adaptive_threshold() -> tuple[list[Any], dict[str, Any]]:
    group = b.NeuronGroup(
        12,
        """dv/dt = -v/(10*ms) : volt
        dvt/dt = (10*mV - vt)/(15*ms) : volt""",
        threshold="v > vt",
        reset="v = 0*mV; vt += 3*mV",
        method="exact",
        name="neurons",
    )
    group.vt = 10 * mV
    given = generator()
    feed = b.Synapses(given, group, "w : volt", on_pre="v += w", name="feed")
    feed.connect()
    feed.w = "3*mV + rand()*4*mV"
    return [group, given, feed], dict(outputs=group)


def izhikevich() -> tuple[list[Any], dict[str, Any]]:
    """Izhikevich's neurons (IEEE Trans Neural Netw 14:1569, 2003) with parameters of each neuron, Euler."""
    group = b.NeuronGroup(
        20,
        """dv/dt = (0.04*v**2 + 5*v + 140 - u + I_in + drive)/ms : 1
        du/dt = a*(b*v - u)/ms : 1
        dI_in/dt = -I_in/(5*ms) : 1
        a : 1 (constant)
        b : 1 (constant)
        c : 1 (constant)
        d : 1 (constant)
        drive : 1""",
        threshold="v > 30",
        reset="v = c; u += d",
        method="euler",
        name="neurons",
    )
    group.a, group.b = "0.02 + 0.08*rand()", "0.25 - 0.05*rand()"
    group.c, group.d = "-65 + 15*rand()**2", "8 - 6*rand()**2"
    group.v, group.u, group.drive = -65, "b*v", "3*rand()"
    given = generator(rate=150)
    feed = b.Synapses(given, group, "w : 1", on_pre="I_in += w", name="feed")
    feed.connect(p=0.7)
    feed.w = "10*rand()"
    back = b.Synapses(group, group, "w : 1", on_pre="I_in += w", delay=2 * ms, name="back")
    back.connect("i != j", p=0.4)
    back.w = "2*randn()"
    return [group, given, feed, back], dict(outputs=group)


def adex() -> tuple[list[Any], dict[str, Any]]:
    """Brette and Gerstner's neuron (J Neurophysiol 94:3637, 2005), two groups, heterogeneous delays."""
    space = dict(
        C=281 * pF,
        gL=30 * nS,
        EL=-70.6 * mV,
        VT=-50.4 * mV,
        DeltaT=2 * mV,
        tauw=144 * ms,
        aw=4 * nS,
        bw=80.5 * pA,
        taus=5 * ms,
    )
    model = """dvm/dt = (gL*(EL - vm) + gL*DeltaT*exp((vm - VT)/DeltaT) + I - w)/C : volt
        dw/dt = (aw*(vm - EL) - w)/tauw : amp
        dI/dt = -I/taus : amp"""
    options = dict(threshold="vm > -40*mV", reset="vm = EL; w += bw", method="exponential_euler", namespace=space)
    first = b.NeuronGroup(10, model, name="first", **options)
    second_ = b.NeuronGroup(6, model, name="second", **options)
    first.vm = second_.vm = space["EL"]
    given = generator(rate=200)
    feed = b.Synapses(given, first, "weight : amp", on_pre="I_post += weight", name="feed")
    feed.connect()
    feed.weight = "0.3*nA + 0.4*nA*rand()"
    on = b.Synapses(first, second_, "weight : amp\ngain : 1 (shared)", on_pre="I_post += gain*weight", name="on")
    on.connect(p=0.8)
    on.weight, on.gain = "1.5*nA*rand()", 2.0
    on.delay = "int(rand()*20)*0.1*ms"
    return [first, second_, given, feed, on], dict(outputs="second")


def several_objects() -> tuple[list[Any], dict[str, Any]]:
    """Several objects and several synapses for a pair, subgroups, a linked parameter, neurons that nothing reaches."""
    other = b.NeuronGroup(10, "strength : volt (constant)", name="source_of_link")
    other.strength = "(10 + i)*mV"
    pacemaker = b.NeuronGroup(
        4,
        "dx/dt = speed : 1\nspeed : Hz (constant)",
        threshold="x > 1",
        reset="x = 0",
        name="pacemaker",
        method="euler",
    )
    pacemaker.speed = "(100 + 37*i)*Hz"
    group = b.NeuronGroup(
        10,
        """dv/dt = (pull - v)/(8*ms) : volt
        pull : volt (linked)""",
        threshold="v > 15*mV",
        reset="v -= 15*mV",
        name="neurons",
        method="exact",
    )
    group.pull = b.linked_var(other, "strength")
    one = b.Synapses(pacemaker[1:3], group[2:8], "w : volt", on_pre="v += w", name="one")
    one.connect()
    one.w = "2*mV + 1*mV*i"
    two = b.Synapses(pacemaker, group, "w : volt\nf : 1", on_pre="v += -w*f", name="two")
    two.connect(i=[0, 0, 3], j=[5, 5, 9])
    two.w, two.f = [1, 2, 3] * mV, [0.5, 1, 2]
    return [other, pacemaker, group, one, two], dict(outputs="neurons", weights=dict(two="w"))


def hh_like() -> tuple[list[Any], dict[str, Any]]:
    """Morris and Lecar's neuron (Biophys J 35:193, 1981) with rk4, a threshold on a voltage and a reset of nothing."""
    space = dict(
        C=20 * pF,
        gL=2 * nS,
        EL=-60 * mV,
        gCa=4 * nS,
        ECa=120 * mV,
        gK=8 * nS,
        EK=-84 * mV,
        phi=0.067 / ms,
    )
    group = b.NeuronGroup(
        5,
        """dV/dt = (-gL*(V - EL) - gCa*m*(V - ECa) - gK*n*(V - EK) + I + Idc)/C : volt
        dn/dt = phi*(ninf - n)*cosh((V - 12*mV)/(34.8*mV)) : 1
        m = 0.5*(1 + tanh((V + 1.2*mV)/(18*mV))) : 1
        ninf = 0.5*(1 + tanh((V - 12*mV)/(17.4*mV))) : 1
        dI/dt = -I/(4*ms) : amp
        Idc : amp (constant)""",
        threshold="V > 0*mV",
        refractory=3 * ms,
        method="rk4",
        name="neurons",
        namespace=space,
    )
    group.V, group.Idc = -60 * mV, "60*pA + 15*pA*i"
    given = generator(rate=100)
    feed = b.Synapses(given, group, "w : amp", on_pre="I += w", name="feed")
    feed.connect()
    feed.w = 30 * pA
    return [group, given, feed], dict(outputs="neurons")


def timed_poisson() -> tuple[list[Any], dict[str, Any]]:
    """Poisson neurons whose rates are a timed array; two of three groups hear them."""
    stimulus = b.TimedArray(np.array([[0, 800], [600, 0], [300, 300]]) * Hz, dt=15 * ms)
    given = b.PoissonGroup(2, rates="stimulus(t, i)", name="given", namespace=dict(stimulus=stimulus))
    options = dict(threshold="v > 1", reset="v = 0", method="exact", refractory=1 * ms)
    model = "dv/dt = (x - v)/(10*ms) : 1\ndx/dt = -x/(4*ms) : 1"
    up = b.NeuronGroup(8, model, name="up", **options)
    down = b.NeuronGroup(5, model, name="down", **options)
    a = b.Synapses(given, up, "w : 1", on_pre="x += w", name="given_up")
    a.connect()
    a.w = "1 + rand()"
    c = b.Synapses(up, down, "w : 1", on_pre="x += 0.5*w", name="up_down", delay=0.3 * ms)
    c.connect(p=0.6)
    c.w = "6*rand()"
    d = b.Synapses(down, up, on_pre="v -= 0.5", name="down_up")
    d.connect(p=0.5)
    return [given, up, down, a, c, d], dict(outputs="down")


def counting() -> tuple[list[Any], dict[str, Any]]:
    """Parameters that the reset changes, a subexpression, and weights that are whole numbers."""
    group = b.NeuronGroup(
        6,
        """dv/dt = -v/tau : 1
        tau = 5*ms*(1 + n) : second
        n : 1""",
        threshold="v > 1",
        reset="v = 0; n += 0.5",
        method="euler",
        name="neurons",
    )
    given = generator(rate=200)
    feed = b.Synapses(given, group, "w : integer", on_pre="v += 0.2*w", name="feed")
    feed.connect()
    feed.w = "1 + int(3*rand())"
    return [group, given, feed], dict(outputs=group)


def timed_currents() -> tuple[list[Any], dict[str, Any]]:
    """Currents that are timed arrays: one for all, and one for each neuron; in a subexpression too."""
    rng = np.random.default_rng(2)
    common = b.TimedArray(rng.normal(0.3, 0.4, 60) * nA, dt=1 * ms)
    own = b.TimedArray(rng.normal(0.2, 0.3, (20, 7)) * nA, dt=2.5 * ms)
    group = b.NeuronGroup(
        7,
        """dv/dt = (R*(total + I) - v)/(8*ms) : volt
        dI/dt = -I/(4*ms) : amp
        total = common(t) + own(t, i) : amp""",
        threshold="v > 10*mV",
        reset="v = 0*mV",
        method="euler",
        name="neurons",
        namespace=dict(R=40 * Mohm, common=common, own=own),
    )
    linear = b.NeuronGroup(
        3,
        "dv/dt = (common(t)/nA - v)/(8*ms) : 1",
        threshold="v > 0.3",
        reset="v = 0",
        method="exact",
        name="linear",
        namespace=dict(common=common),
    )
    feed = b.Synapses(linear, group, "w : amp", on_pre="I += w", name="feed")
    feed.connect()
    feed.w = "0.3*nA*rand()"
    return [group, linear, feed], dict(outputs="neurons")


SCRIPTS = [
    cuba,
    coba,
    brunel,
    adaptive_threshold,
    izhikevich,
    adex,
    several_objects,
    hh_like,
    timed_poisson,
    timed_currents,
    counting,
]


def read(script: Any, **options: Any) -> tuple[Any, Any]:
    objects, asked = script()
    return objects, bl.adopt(objects, duration=50 * ms, **asked, **options)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda s: s.__name__)
def test_scripts_fire_the_same_spikes(script: Any) -> None:
    _, adopted = read(script)
    found = adopted.verify()
    assert found.spikes > 20, found
    assert found.agrees, found.first
    assert found.mismatches.keys() == {p.name for p in (*adopted.spec.graph.inputs, *adopted.spec.neurons)}
    again = adopted.verify()  # the objects are where they were
    assert again.agrees and again.spikes == found.spikes, "random numbers begin where they began"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda s: s.__name__)
def test_plain_objects_of_an_adopted_network_are_the_script(script: Any) -> None:
    """``to_brian2(adopt(x)) = x``."""
    objects, adopted = read(script)
    trains = adopted._run_objects()
    parts = {}
    for p in adopted.spec.graph.fed:
        step, neuron = trains.get(p.name, (np.zeros(0, int), np.zeros(0, int)))
        parts[p.name] = bl.Events(step, neuron, np.array([0, len(step)]), (p.n,))
    samples = bl.Samples(next(iter(parts.values())) if len(parts) == 1 else parts)
    del objects
    network = bl.to_brian2(adopted.spec, adopted.weights, samples)
    monitors = {p.name: b.SpikeMonitor(network[p.name]) for p in adopted.spec.neurons}
    network.add(*monitors.values())
    network.run(adopted.spec.duration)
    for name, monitor in monitors.items():
        found = sorted(zip(np.rint(np.array(monitor.t) / 1e-4).astype(int), np.array(monitor.i), strict=True))
        assert found == sorted(zip(*trains[name], strict=True)), name


def test_what_was_read() -> None:
    objects, adopted = read(several_objects)
    spec = adopted.spec
    assert [p.name for p in spec.neurons] == ["pacemaker", "neurons"] and spec.output == "neurons"
    assert spec.timing == "brian2" and float(spec.dt) == 1e-4
    one = next(p for p in spec.projections if p.name == "one")
    pairs = set(map(tuple, one.connection.pairs.tolist()))
    assert pairs == {(i, j) for i in (1, 2) for j in range(2, 8)}
    assert [p.name for p in spec.projections if p.name.startswith("two")] == ["two", "two_2"]
    neuron = next(p for p in spec.neurons if p.name == "neurons").neuron
    np.testing.assert_array_equal(np.asarray(neuron.constants["pull"]), np.asarray(objects[2].pull))
    assert adopted.written_back == ("one", "two", "two_2")
    unit = float(np.asarray(neuron.weight_unit))
    assert unit == 2.0 ** round(np.log2(unit))
    np.testing.assert_array_equal(
        adopted.weights["one"] * unit, np.asarray(objects[3].w)[np.argsort(pairs_of(objects[3]))]
    )


def pairs_of(synapses: Any) -> np.ndarray:
    return np.asarray(synapses.i) * 1000 + np.asarray(synapses.j)


def test_magic_network_and_names_of_the_script() -> None:
    tau, weight = 10 * ms, 0.6
    given = generator()
    neurons = b.NeuronGroup(3, "dv/dt = -v/tau : 1", threshold="v > 1", reset="v = 0", method="exact")
    feed = b.Synapses(given, neurons, on_pre="v += weight")
    feed.connect()
    spikes = b.SpikeMonitor(neurons)
    adopted = bl.adopt(duration=50 * ms)
    assert float(adopted.spec.neurons[0].neuron.constants["tau"]) == float(tau)
    assert adopted.verify().agrees
    network = b.Network(b.collect())
    other = bl.adopt(network, duration=50 * ms)
    assert other.verify().agrees and other.spec.neurons[0].name == neurons.name
    network.run(50 * ms)  # it runs as before, from its start
    trains = adopted.samples().inputs
    activity = bl.export(adopted.spec, adopted.weights, dtype=torch.float64)(trains)
    assert int(activity.spikes[neurons.name].sum()) == spikes.num_spikes > 0
    assert weight == 0.6


def test_delays_that_are_no_multiples_are_rounded_with_a_warning() -> None:
    given = generator()
    neurons = b.NeuronGroup(2, "v : 1", threshold="v > 1", reset="v = 0", name="neurons")
    feed = b.Synapses(given, neurons, on_pre="v += 0.6", delay=0.25 * ms, name="feed")
    feed.connect()
    with pytest.warns(BrianLearnWarning, match="rounded to 3 steps"):
        adopted = bl.adopt([given, neurons, feed], duration=50 * ms)
    assert adopted.spec.projections[0].delay_steps(adopted.spec.dt) == 3


def test_poisson_samples_have_the_rates_of_the_script() -> None:
    objects, adopted = read(timed_poisson)
    samples = adopted.samples(400, targets=np.zeros(400, int), seed=3)
    counts = np.zeros((2, 3))
    np.add.at(counts, (samples.inputs.neuron, np.minimum(samples.inputs.step // 150, 2)), 1)
    expected = 400 * np.array([[0, 600 * 0.015, 300 * 0.02], [800 * 0.015, 0, 300 * 0.02]])
    np.testing.assert_allclose(counts, expected, rtol=0.05)
    again = adopted.samples(400, targets=np.zeros(400, int), seed=3)
    np.testing.assert_array_equal(samples.inputs.step, again.inputs.step)
    assert len(objects) == 6


# taught, and written back ---------------------------------------------------------------------------------------------


def taught(adopted: Any, rule: Any, epochs: int = 3, **options: Any) -> Any:
    """Two classes of spikes, learned on the discrete engine."""
    spec, n = adopted.spec, 8
    rng = np.random.default_rng(5)
    dense = rng.random((n, spec.n_steps, spec.graph.fed[0].n)) < 0.01 * (1 + np.arange(n) % 2)[:, None, None]
    events = bl.Events.from_dense(dense.astype(int), axes="BTN")
    samples = bl.Samples(events, np.arange(n) % 2)
    learner = bl.Learner(spec, rule, bl.Adam(0.05), engine="discrete", device="cpu", batch_size=n, **options)
    state = learner.init(adopted.weights)
    losses = []
    for _ in range(epochs):
        state, metrics = learner.learn(state, samples)
        losses.append(metrics.loss)
    assert losses[-1] < losses[0]
    return state


@pytest.mark.parametrize("rule", [bl.SurrogateBPTT(), bl.TFR()], ids=["bptt", "tfr"])
@pytest.mark.parametrize("script", [adaptive_threshold, izhikevich, adex], ids=lambda s: s.__name__)
def test_taught_and_written_back(script: Any, rule: Any) -> None:
    objects, adopted = read(script, readout=bl.Readout(2, tau=10 * ms))
    before = {
        o.name: np.array(o.state(adopted._read.adopted[o.name].delivery.weight, use_units=False)[:])
        for o in objects
        if isinstance(o, b.Synapses)
    }
    state = taught(adopted, rule)
    written = adopted.write_back(state)
    for name, w in written.items():
        scale = np.abs(state.weights[name]).max()
        np.testing.assert_allclose(w, state.weights[name], rtol=0, atol=1e-12 * scale, err_msg=name)
    changed = False
    for o in objects:
        if isinstance(o, b.Synapses):
            now = np.array(o.state(adopted._read.adopted[o.name].delivery.weight, use_units=False)[:])
            changed |= bool((now != before[o.name]).any())
    assert changed
    found = adopted.verify()  # the script's own objects, with their new weights
    assert found.agrees and found.spikes > 20, found.first
    again = bl.adopt(objects, duration=50 * ms, outputs=adopted.spec.neurons[-1].name)
    for name in before:
        np.testing.assert_allclose(
            again.weights[name] * again._read.adopted[name].unit,
            adopted.weights[name] * adopted._read.adopted[name].unit,
            rtol=1e-12,
        )


def test_learned_constants_are_written_back() -> None:
    tau_s = 4 * ms
    given = generator(rate=200)
    neurons = b.NeuronGroup(
        6,
        "dv/dt = (x - v)/tau_m : 1\ndx/dt = -x/tau_s : 1\ntau_m : second (constant)",
        threshold="v > v_th",
        reset="v = 0",
        method="exact",
        name="neurons",
        namespace=dict(v_th=1.0),
    )
    neurons.tau_m = "(10 + 2*i)*ms"
    feed = b.Synapses(given, neurons, "w : 1", on_pre="x += w", name="feed")
    feed.connect()
    feed.w = "1.5 + rand()"
    adopted = bl.adopt(
        [given, neurons, feed],
        duration=50 * ms,
        readout=bl.Readout(2, tau=10 * ms),
        learn=("tau_s", "v_th", bl.Learned("tau_m", per="neuron", bounds=(1 * ms, 100 * ms))),
    )
    assert adopted.verify().agrees
    state = taught(adopted, bl.SurrogateBPTT())
    adopted.write_back(state)
    assert np.unique(np.round(np.asarray(neurons.tau_m) / 1e-3 - 10 - 2 * np.arange(6), 6)).size > 1
    assert float(neurons.namespace["tau_s"]) != float(tau_s) and neurons.namespace["v_th"] != 1.0
    found = adopted.verify()
    assert found.agrees and found.spikes > 20, found.first
    alone = bl.adopt([given, neurons, feed], duration=50 * ms, learn=bl.Learned("tau_s", per="neuron"))
    with pytest.raises(WeightsError, match="a value for each neuron"):
        alone.write_back({**alone.weights, "neurons.tau_s": np.linspace(0.9, 1.1, 6)})


def test_learned_delays_are_written_back() -> None:
    given = generator(rate=200)
    neurons = b.NeuronGroup(6, LIF, threshold="v > 1", reset="v = 0", method="exact", name="neurons")
    feed = b.Synapses(given, neurons, "w : 1", on_pre="v += w", name="feed")
    feed.connect(p=0.8)
    feed.w, feed.delay = "0.5 + 0.5*rand()", "(1 + int(3*rand()))*ms"
    before = np.array(feed.delay)
    delays = bl.LearnedDelays((0 * ms, 5 * ms), epochs=2, learning_rate_scale=20)
    adopted = bl.adopt(
        [given, neurons, feed], duration=50 * ms, readout=bl.Readout(2, tau=10 * ms), learn_delays=dict(feed=delays)
    )
    order = adopted._read.adopted["feed"].index
    np.testing.assert_allclose(adopted.weights["feed_delay"], before[order] / 1e-3, rtol=1e-12)
    assert adopted.verify().agrees
    state = taught(adopted, bl.SurrogateBPTT())
    adopted.write_back(state)
    after = np.array(feed.delay)
    assert (after != before).any() and after.min() >= 0 and after.max() <= 5e-3
    np.testing.assert_allclose(np.round(after / 1e-4), after / 1e-4, rtol=0, atol=1e-9)
    found = adopted.verify()
    assert found.agrees and found.spikes > 20, found.first
    one = b.Synapses(given, neurons, "w : 1", on_pre="v += w", name="one", delay=1 * ms)
    one.connect()
    with pytest.raises(SpecError, match="one delay for all synapses"):
        bl.adopt([given, neurons, one], duration=50 * ms, learn_delays=dict(one=delays))


def test_whole_numbers_stay_whole_and_nothing_is_half_written() -> None:
    objects, adopted = read(counting)
    feed = objects[-1]
    before = np.array(feed.w)
    unit = adopted._read.adopted["feed"].unit
    with pytest.raises(WeightsError, match="holds whole numbers"):
        adopted.write_back({"feed": adopted.weights["feed"] * 1.3})
    np.testing.assert_array_equal(np.array(feed.w), before)
    adopted.write_back({"feed": adopted.weights["feed"] + 0.2 / unit})
    np.testing.assert_array_equal(np.array(feed.w), before + 1)
    assert adopted.verify().agrees


def test_constants_of_the_script_are_not_written() -> None:
    _, adopted = read(cuba)
    assert adopted.written_back == ()
    assert not any(p.learned for p in adopted.spec.projections if p.name in ("exc", "inh"))
    with pytest.raises(WeightsError, match="constants of the script"):
        adopted.write_back({"exc": adopted.weights["exc"] * 2})
    with pytest.raises(SpecError, match="no mapping"):
        adopted.write_back([1, 2])


# refusals -------------------------------------------------------------------------------------------------------------

LIF = "dv/dt = -v/(10*ms) : 1"


def simple(
    model: str = LIF, on_pre: str = "v += w", synapse: str = "w : 1", connect: bool = True, **options: Any
) -> Any:
    given = generator()
    fields: dict[str, Any] = dict(threshold="v > 1", reset="v = 0", method="euler", name="neurons")
    neurons = b.NeuronGroup(3, model, **{**fields, **options.pop("group", {})})
    feed = b.Synapses(given, neurons, synapse, on_pre=on_pre, name="feed", **options)
    if connect:
        feed.connect()
    return [given, neurons, feed]


def with_run_regularly() -> Any:
    objects = simple()
    objects[1].run_regularly("v += 0.1", dt=1 * ms)
    return objects


def with_clock() -> Any:
    return simple(group=dict(dt=0.5 * ms))


def with_summed() -> Any:
    given, neurons, feed = simple(LIF + "\ngap : 1")
    gap = b.Synapses(neurons, neurons, "gap_post = v_pre - v_post : 1 (summed)", name="gap_junctions")
    gap.connect()
    return [given, neurons, feed, gap]


def stdp() -> Any:
    """Song, Miller and Abbott's rule (Nat Neurosci 3:919, 2000) as Brian2's users write it."""
    model = "w : 1\ndApre/dt = -Apre/(20*ms) : 1 (event-driven)\ndApost/dt = -Apost/(20*ms) : 1 (event-driven)"
    return simple(
        synapse=model,
        on_pre="v += w\nApre += 0.01\nw = clip(w + Apost, 0, 1)",
        on_post="Apost += -0.01\nw = clip(w + Apre, 0, 1)",
    )


def linked_to_a_state() -> Any:
    source = b.NeuronGroup(3, "dx/dt = -x/(5*ms) : 1", threshold="x > 1", reset="x = 0", name="source", method="euler")
    given, neurons, feed = simple("dv/dt = (y - v)/(10*ms) : 1\ny : 1 (linked)")
    neurons.y = b.linked_var(source, "x")
    return [source, given, neurons, feed]


def multiple_pathways() -> Any:
    return simple(on_pre=dict(up="v += w", down="v -= w"))


def my_function() -> Any:
    @b.check_units(x=1, result=1)
    def squared(x: Any) -> Any:
        return x**2

    return simple("dv/dt = (squared(v) - v)/(10*ms) : 1", group=dict(namespace=dict(squared=squared)))


def timed_current(call: str = "current(t)", dt: Any = 1 * ms, values: Any = (0, 1, 2), more: str = "") -> Any:
    current = b.TimedArray(np.array(values), dt=dt)
    return simple(f"dv/dt = ({call} - v)/(10*ms) : 1{more}", group=dict(namespace=dict(current=current)))


def poisson_input() -> Any:
    objects = simple()
    return [*objects, b.PoissonInput(objects[1], "v", 10, 100 * Hz, weight=0.1)]


def operation() -> Any:
    return [*simple(), b.NetworkOperation(lambda: None)]


def without_threshold() -> Any:
    return simple(group=dict(threshold=None, reset=None))


def with_a_part() -> Any:
    objects = simple()
    return [*objects, objects[1][:2]]


def later_slot() -> Any:
    objects = simple()
    objects[2].pre.when = "end"
    return objects


REFUSED = {
    "run_regularly": (with_run_regularly, "run_regularly changes"),
    "time steps": (with_clock, "time step is another one"),
    "gap junctions": (with_summed, "summed variable"),
    "stdp": (stdp, "dynamics of their own"),
    "on_post": (lambda: simple(on_post="w += 0.1"), "on_post changes the synapses"),
    "linked": (linked_to_a_state, "linked to a variable that changes"),
    "pathways": (multiple_pathways, "no pathway or several"),
    "statements": (lambda: simple(on_pre="v += w; v += 1"), "several statements"),
    "set": (lambda: simple(on_pre="v = w"), "does something else than to add"),
    "multiplies": (lambda: simple(on_pre="v *= w"), "does something else than to add"),
    "synaptic": (lambda: simple(on_pre="w += 1"), "no variable of the target"),
    "not linear": (lambda: simple(on_pre="v += w**2"), "not proportional"),
    "offset": (lambda: simple(on_pre="v += w + 1"), "not proportional"),
    "two weights": (lambda: simple(on_pre="v += w*x", synapse="w : 1\nx : 1"), "several parameters could be"),
    "state": (lambda: simple(on_pre="v += w*(2 - v_post)"), "depends on 'v_post', which changes"),
    "random weight": (lambda: simple(on_pre="v += w*rand()"), "'rand' is random"),
    "no synapses": (lambda: simple(connect=False), "no synapses"),
    "noise": (lambda: simple("dv/dt = -v/(10*ms) + xi*(5*ms)**-0.5 : 1"), "it is noisy"),
    "random reset": (lambda: simple(group=dict(reset="v = rand()")), "it is noisy"),
    "time": (lambda: simple("dv/dt = (sin(2*pi*t/second) - v)/(10*ms) : 1"), "depends on the time of the run"),
    "timed later": (lambda: timed_current("current(t + 1*ms)"), "something else than now"),
    "timed steps": (lambda: timed_current(dt=0.25 * ms), "no whole number of time steps"),
    "timed columns": (lambda: timed_current("current(t, i)", values=[[1, 2]]), "no column for each neuron"),
    "timed name": (lambda: timed_current(more="\ncurrent_now : 1"), "would hold what"),
    "timed threshold": (
        lambda: simple(group=dict(threshold="v > 1 + c(t)", namespace=dict(c=b.TimedArray([0, 1], dt=1 * ms)))),
        "depends on the time of the run",
    ),
    "function": (my_function, "function of your own"),
    "threshold": (without_threshold, "no threshold"),
    "condition": (lambda: simple(group=dict(threshold="v > 1 and v < 2")), "NeuronGroup 'neurons': .*threshold"),
    "no way": (
        lambda: simple(
            "dv/dt = -v/(10*ms) : volt",
            synapse="w : volt",
            group=dict(threshold="v > 0*mV", reset="v = 0*mV"),
        ),
        "v_scale=10",
    ),
    "refractory": (lambda: simple(group=dict(refractory="v > 0.5")), "refractory period is no constant"),
    "events": (lambda: simple(group=dict(events=dict(low="v < 0"))), "events of its own"),
    "poisson input": (poisson_input, "PoissonGroup and Synapses"),
    "operation": (operation, "cannot be adopted"),
    "slot": (later_slot, "another slot"),
    "part": (with_a_part, "part of a group"),
    "no object": (lambda: [*simple(), "neurons"], "cannot be adopted"),
    "missing group": (lambda: simple()[1:], "not among the groups"),
    "unknown name": (lambda: simple("dv/dt = -v/unheard_of : 1"), "cannot be resolved"),
    "name of on_pre": (lambda: simple(on_pre="v += w*unheard_of"), "cannot be resolved"),
    "shared": (lambda: simple(LIF + "\ns : 1 (shared)", on_pre="s += w"), "'s'"),
    "period": (lambda: [b.SpikeGeneratorGroup(3, [0], [1] * ms, period=5 * ms, name="again")], "no neurons"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_everything_else_is_refused_by_name(what: str) -> None:
    make, text = REFUSED[what]
    objects = make()
    with pytest.raises(bl.BrianLearnError, match=text) as caught:
        bl.adopt(objects, duration=50 * ms)
    assert "got:" in str(caught.value) and "expected:" in str(caught.value)


WRONG = {
    "outputs": (dict(outputs="neuron"), "names no group.*\n.*\n.*\n.*neurons"),
    "inputs": (dict(inputs=["stimuli"]), "inputs names no group"),
    "weights": (dict(weights=dict(feet="w")), "weights names no Synapses"),
    "weight": (dict(weights=dict(feed="x")), "no synaptic parameter"),
    "noise": (dict(noise="yes"), "noise is wrong"),
    "readout": (dict(readout=10), "readout is of the wrong type"),
    "learn": (dict(learn=dict(neuron=("tau",))), "learn names no group"),
    "delays": (dict(learn_delays=dict(fed=1)), "learn_delays names no Synapses"),
    "no delays": (dict(learn_delays=dict(feed=5 * ms)), "of the wrong type"),
    "constant": (dict(learn="tua"), "tua"),
    "duration": (dict(duration=50), "duration"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_arguments_are_named(what: str) -> None:
    options, text = WRONG[what]
    objects = simple()
    with pytest.raises(bl.BrianLearnError, match=text):
        bl.adopt(objects, **{"duration": 50 * ms, **options})


def test_noise_may_be_taken_with_seeds() -> None:
    objects = simple("dv/dt = (1.2 - v)/(10*ms) + 0.5*xi*(10*ms)**-0.5 : 1")
    adopted = bl.adopt(objects, duration=50 * ms, noise="seeded")
    samples, counts = adopted.samples(), []
    for engine in (bl.Brian(device="numpy"), bl.Discrete()):
        learner = bl.Learner(adopted.spec, engine=engine, dtype="float64")
        counts.append(len(learner.infer(learner.init(adopted.weights), samples, record=("spikes",)).spikes["neurons"]))
    assert counts[0] == counts[1] > 0


def test_an_adopted_network_that_has_run_is_refused() -> None:
    objects = simple()
    network = b.Network(*objects)
    network.run(1 * ms)
    with pytest.raises(SpecError, match="has run already"):
        bl.adopt(network, duration=5 * ms)


def test_objects_that_have_run_since_are_not_verified() -> None:
    """Neither those of a list, nor a network's; a network that is restored is as it was."""
    objects = simple()
    adopted = bl.adopt(objects, duration=5 * ms)
    assert adopted.verify().agrees
    b.Network(*objects).run(1 * ms)
    with pytest.raises(SpecError, match="have run since they were adopted"):
        adopted.verify()
    network = b.Network(*simple())
    adopted = bl.adopt(network, duration=5 * ms)
    network.store()
    network.run(1 * ms)
    with pytest.raises(SpecError, match=r"a network at t = 1\. ms"):
        adopted.verify()
    network.restore()
    assert adopted.verify().agrees


@pytest.mark.slow
@pytest.mark.cpp_standalone
@pytest.mark.parametrize("script", [cuba, adex, izhikevich, several_objects], ids=lambda s: s.__name__)
def test_all_engines_run_adopted_networks(script: Any) -> None:
    _, adopted = read(script)
    samples, found = adopted.samples(2), []
    for engine in (
        bl.Discrete(),
        bl.Brian(device="numpy"),
        bl.Brian(device="cython"),
        bl.Brian(device="cpp_standalone"),
    ):
        learner = bl.Learner(adopted.spec, engine=engine, dtype="float64")
        spikes = learner.infer(learner.init(adopted.weights), samples, record=("spikes",)).spikes
        found.append({name: raster.dense() for name, raster in spikes.items()})
    for other in found[1:]:
        for name, spikes in other.items():
            np.testing.assert_array_equal(spikes, found[0][name], err_msg=name)
