"""Networks that are written with Brian2: adopted, compared spike for spike, taught, and written back."""

from __future__ import annotations

from typing import Any

import brian2 as b
import numpy as np
import pytest
from brian2 import Hz, ms, mV, nA, nS, pA, pF, second

import brianlearn as bl

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
        taum=20 * ms, taue=5 * ms, taui=10 * ms, Vt=-50 * mV, Vr=-60 * mV, El=-60 * mV, Ee=0 * mV, Ei=-80 * mV,
        gl=10 * nS, I=0.22 * nA,
    )  # fmt: skip
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
        C=281 * pF, gL=30 * nS, EL=-70.6 * mV, VT=-50.4 * mV, DeltaT=2 * mV, tauw=144 * ms, aw=4 * nS, bw=80.5 * pA,
        taus=5 * ms,
    )  # fmt: skip
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
        C=20 * pF, gL=2 * nS, EL=-60 * mV, gCa=4 * nS, ECa=120 * mV, gK=8 * nS, EK=-84 * mV, phi=0.067 / ms,
    )  # fmt: skip
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


SCRIPTS = [
    cuba, coba, brunel, adaptive_threshold, izhikevich, adex, several_objects, hh_like, timed_poisson, counting
]  # fmt: skip


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
    assert again.agrees and again.spikes == pytest.approx(found.spikes, rel=0.5)
