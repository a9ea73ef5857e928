"""What a compiled program depends on: every field of every description, but for a named list."""

from __future__ import annotations

import dataclasses
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2 import Hz, Mohm, ms, mV, prefs

import brianlearn as bl
from brianlearn.brian.build.plan import Plan
from brianlearn.brian.cpp import standalone
from brianlearn.brian.cpp.build_cache import fingerprint
from brianlearn.brian.cpp.fingerprint import EXCEPTIONS, sources
from brianlearn.learning.optimisers import Optimiser
from brianlearn.learning.rules.base import Rule
from brianlearn.learning.rules.local import LocalRule
from brianlearn.network.connections import Bias
from brianlearn.network.graph import Graph
from brianlearn.network.layers import Layer
from brianlearn.network.neurons.neuron import Neuron
from brianlearn.network.own_spikes import EveryStep
from brianlearn.network.storable import known_classes
from brianlearn.training.learner import Learner

NEURON = bl.Neuron(
    "dv/dt = (4*I - v)/tau_m : 1\ndI/dt = -I/tau_s : 1",
    threshold="v > 1",
    reset="v = 0",
    input="I",
    constants=dict(tau_m=20 * ms, tau_s=5 * ms),
    floor=-2.0,
    refractory=3 * ms,
)
SPEC = bl.NetworkSpec(
    bl.Input((1, 6, 6), bl.IntegrateAndFireEncoder(0.7, bias=0.05)),
    [
        bl.Conv(2, 2, NEURON, padding=1, pool=2, weights=bl.Normal(3.0)),
        bl.Dense(8, NEURON, dropout=0.2, weights=bl.Normal(3.0)),
        bl.Dense(6, NEURON, weights=bl.Normal(3.0)),
    ],
    bl.Readout(3, tau=5 * ms),
    duration=20 * ms,
    burn_in=2 * ms,
)
PIPELINED = dataclasses.replace(
    SPEC, timing="pipelined", layers=[SPEC.layers[0], *(dataclasses.replace(x, dropout=0.0) for x in SPEC.layers[1:])]
)


def name_of(spec: Any = SPEC, rule: Any = None, optimiser: Any = None, **fields: Any) -> str:
    plan = dict(batch_size=2, capacity=4, dtype="float64") | fields
    return fingerprint(Plan(spec, rule or bl.DALTON(), optimiser or bl.Adam(1e-3), **plan))


def within(neuron: Any = NEURON, dense: Any = None, conv: Any = None, spec: Any = SPEC, **fields: Any) -> Any:
    """`SPEC` with another neuron in its middle layer, or another layer, or other fields of its own."""
    first, middle, last = spec.layers
    middle = dataclasses.replace(middle, neuron=neuron) if dense is None else dense
    return dataclasses.replace(spec, layers=[conv or first, middle, last], **fields)


def of_surrogate(surrogate: Any) -> str:
    return name_of(within(dataclasses.replace(NEURON, surrogate=surrogate)))


def of_background(encoder: Any) -> str:
    """A population beside the one that samples feed."""
    declared = graph().declared
    more = bl.Population("background", 1, encoder), bl.Projection("noise", "background", "hidden")
    return name_of(
        bl.NetworkSpec(
            populations=[*declared.populations, more[0]],
            projections=[*declared.projections, more[1]],
            duration=20 * ms,
        )
    )


def of_encoder(encoder: Any) -> str:
    return name_of(within(input=bl.Input((1, 6, 6), encoder)))


def of_plan(plan: Plan) -> str:
    return fingerprint(plan)


def graph(
    connection: Any = None, hidden: Any = None, readout: Any = None, projection: Any = None, neuron: Any = NEURON
) -> bl.NetworkSpec:
    """A graph with another part."""
    return bl.NetworkSpec(
        populations=[
            bl.Population("input", (2, 6, 6), bl.IntegrateAndFireEncoder()),
            bl.Population("maps", neuron),
            hidden or HIDDEN,
            bl.Population("readout", 3, readout or bl.LinearReadout(tau=5 * ms)),
        ],
        projections=[
            bl.Projection("conv", "input", "maps", connection or bl.Conv2d(2, 2)),
            projection or UP,
            bl.Projection("out", "hidden", "readout"),
            bl.Projection("early", "maps", "readout"),
        ],
        duration=20 * ms,
    )


HIDDEN = bl.Population("hidden", 50, NEURON, dropout=0.2)
UP = bl.Projection("up", "maps", "hidden", weights=bl.Normal(3.0))


def of_connection(value: Any) -> str:
    return name_of(graph(connection=value))


def of_up(value: Any) -> str:
    """A kind that any target will do for."""
    return name_of(graph(projection=dataclasses.replace(UP, connection=value)))


REWARDED = bl.SynapticRule(
    "c : 1",
    on_pre="c += k",
    update="gradient -= L*c",
    third_factor=bl.Reward("gain*(2*correct - 1)", baseline=0.1, constants=dict(gain=2.0)),
    constants=dict(k=0.5),
)

#: An object of every class that a plan can hold, how it gets into one, and for every field other values that must
#: make another program. Those that must not are in `SHARED`.
CHANGES: dict[type, tuple[Any, Callable[[Any], str], dict[str, list[Any]]]] = {
    Plan: (
        Plan(SPEC, bl.DALTON(), bl.Adam(1e-3), 2, 4, "float64"),
        of_plan,
        dict(
            spec=[PIPELINED],
            rule=[None, bl.TFR()],
            optimiser=[bl.SGD(1e-3), bl.Momentum(1e-3)],
            batch_size=[1, 4],
            capacity=[6],
            dtype=["float32"],
            record=[("spikes",), ("readout",)],
            workers=[2],
            profile=[True],
            implementation=["synapses", "third_factor"],
            expanded=[True],
            targets=["values", "steps"],
        ),
    ),
    bl.NetworkSpec: (
        SPEC,
        name_of,
        dict(
            input=[bl.Input((1, 6, 6), bl.DirectCurrent())],
            layers=[SPEC.layers[:2], [SPEC.layers[0], SPEC.layers[2], SPEC.layers[1]]],
            readout=[bl.Readout(3), bl.Readout(4, tau=5 * ms)],
            duration=[21 * ms],
            dt=[0.5 * ms],
            burn_in=[0 * ms],
            timing=["pipelined"],
            declared=[graph().declared],
        ),
    ),
    Graph: (
        graph().declared,
        lambda value: name_of(dataclasses.replace(graph(), declared=value)),
        dict(
            populations=[graph(hidden=dataclasses.replace(HIDDEN, dropout=0.0)).declared.populations],
            projections=[graph(connection=bl.Conv2d(2, 2, stride=2)).declared.projections],
            layers=[],
            output=[],
        ),
    ),
    bl.Population: (
        HIDDEN,
        lambda value: name_of(graph(hidden=value)),
        dict(
            name=[],
            shape=[(5, 10)],
            neuron=[dataclasses.replace(NEURON, floor=None)],
            dropout=[0.0],
            dropout_every=["step"],
        ),
    ),
    bl.LinearReadout: (bl.LinearReadout(tau=5 * ms), lambda value: name_of(graph(readout=value)), dict(tau=[None])),
    bl.Projection: (
        UP,
        lambda value: name_of(graph(projection=value)),
        dict(
            name=["upwards"],
            source=["input"],
            target=[],
            connection=[bl.Sparse(0.5)],
            weights=[],
            learned=[False],
            delay=[1 * ms],
            sign=["excitatory"],
            bias=[True],
            variable=["I"],
        ),
    ),
    bl.AllToAll: (bl.AllToAll(), of_up, {}),
    bl.OneToOne: (bl.OneToOne(), of_up, {}),
    bl.Sparse: (
        bl.Sparse(0.5),
        of_up,
        dict(probability=[0.6], pairs=[], seed=[1], to_self=[False]),
    ),
    bl.Conv2d: (
        bl.Conv2d(2, 2),
        of_connection,
        dict(channels=[4], kernel=[3, (2, 3)], stride=[2], padding=[1, (0, 1)], dilation=[2], groups=[2], pool=[2]),
    ),
    bl.SumPool2d: (bl.SumPool2d(2), of_connection, dict(kernel=[3], stride=[1], padding=[(0, 1)])),
    bl.AvgPool2d: (bl.AvgPool2d(2), of_connection, dict(kernel=[3], stride=[1], padding=[(0, 1)])),
    bl.Pooled: (
        bl.Pooled(bl.SumPool2d(2), bl.Conv2d(2, 2)),
        of_connection,
        dict(pool=[bl.AvgPool2d(2), bl.SumPool2d(3)], then=[bl.Conv2d(3, 2), bl.Conv2d(2, 1)]),
    ),
    bl.Input: (
        SPEC.input,
        lambda value: name_of(within(input=value)),
        dict(shape=[(2, 6, 6), (1, 9, 4)], encoder=[bl.PoissonEncoder()]),
    ),
    bl.Conv: (
        SPEC.layers[0],
        lambda layer: name_of(within(conv=layer)),
        dict(
            channels=[3],
            kernel=[3],
            neuron=[dataclasses.replace(NEURON, floor=None)],
            stride=[2],
            padding=[0],
            pool=[1],
            dropout=[0.5],
            weights=[],
            name=["first"],
            dropout_every=[],
            bias=[True],
        ),
    ),
    bl.Dense: (
        SPEC.layers[1],
        lambda layer: name_of(within(dense=layer)),
        dict(
            size=[9],
            neuron=[dataclasses.replace(NEURON, floor=None)],
            dropout=[0.0],
            weights=[],
            name=["middle"],
            dropout_every=["step"],
            bias=[True],
        ),
    ),
    bl.Readout: (
        SPEC.readout,
        lambda value: name_of(within(readout=value)),
        dict(classes=[4], tau=[None], weights=[], bias=[True]),
    ),
    bl.Neuron: (
        NEURON,
        lambda neuron: name_of(within(neuron)),
        dict(
            equations=["dv/dt = (5*I - v)/tau_m : 1\ndI/dt = -I/tau_s : 1"],
            threshold=["v > 1.5", "I > 1", "v > 1 + 0*tau_m/tau_s"],
            reset=["v = 0.5", "v -= 1"],
            input=["v", ("I", "v")],
            constants=[
                dict(tau_m=np.linspace(5, 20, 8) * ms, tau_s=5 * ms),
            ],
            surrogate=[bl.ArcTan()],
            refractory=[None, 2 * ms],
            floor=[None, -1.0],
            method=["euler", "rk2"],
            v_scale=[2.0],
            weight_unit=[2.0],
            initial=[dict(v=0.5), dict(I=0.1), dict(v=np.linspace(0, 0.5, 8))],
            learn=[bl.Learned("tau_m", per="neuron")],
        ),
    ),
    bl.Learned: (
        bl.Learned("tau_m", per="neuron"),
        lambda value: name_of(within(dataclasses.replace(NEURON, learn=value))),
        dict(name=[], per=["population"], bounds=[], unit=[], initial=[]),
    ),
    bl.IntegrateAndFireEncoder: (SPEC.input.encoder, of_encoder, dict(gain=[0.8], bias=[0.0, 0.1])),
    bl.DirectCurrent: (bl.DirectCurrent(), of_encoder, dict(gain=[2.0])),
    bl.PoissonEncoder: (bl.PoissonEncoder(), of_encoder, dict(gain=[0.5])),
    bl.PoissonBackground: (bl.PoissonBackground(8 * Hz), of_background, dict(rate=[])),
    EveryStep: (EveryStep(), of_background, {}),
    Bias: (Bias(), of_up, dict(by_channel=[True])),
    bl.TimeToFirstSpikeEncoder: (bl.TimeToFirstSpikeEncoder(), of_encoder, dict(threshold=[0.5])),
    bl.Spikes: (bl.Spikes(), of_encoder, {}),
    bl.IntegrateEvents: (bl.IntegrateEvents(), of_encoder, dict(gain=[2.0], bias=[0.1])),
    bl.FastSigmoid: (bl.FastSigmoid(), of_surrogate, dict(slope=[6.0])),
    bl.Rectangular: (bl.Rectangular(), of_surrogate, dict(width=[2.0])),
    bl.ArcTan: (bl.ArcTan(), of_surrogate, dict(slope=[3.0])),
    bl.Sigmoid: (bl.Sigmoid(), of_surrogate, dict(slope=[3.0])),
    bl.Triangular: (bl.Triangular(), of_surrogate, dict(width=[2.0])),
    bl.Gaussian: (bl.Gaussian(), of_surrogate, dict(width=[2.0])),
    **{
        kind: (
            kind(1e-3),
            lambda o: name_of(optimiser=o),
            dict(
                learning_rate=[],
                halve_every=[],
                reset_each_epoch=[],
                decay=[],
                schedule=[],
                clip_value=[0.1],
                clip_norm=[1.0],
                **own,
            ),
        )
        for kind, own in {
            bl.SGD: {},
            bl.Momentum: dict(momentum=[0.5]),
            bl.Adam: dict(beta1=[0.8], beta2=[0.99], eps=[1e-6]),
            bl.AdamW: dict(beta1=[0.8], beta2=[0.99], eps=[1e-6], weight_decay=[0.0]),
            bl.RMSprop: dict(alpha=[0.9], eps=[1e-6]),
            bl.Lion: dict(beta1=[0.8], beta2=[0.9], weight_decay=[0.1]),
        }.items()
    },
    **{
        rule: (
            rule(eligibility="spike"),
            lambda value: name_of(rule=value),
            dict(
                eligibility=["trace"],
                credit=["through_time"],
                feedback=["mirror"],
                update=["step"],
                burn_in=[],
                learning_rate_scale=[],
                **({"signal": ["symmetric"]} if rule is bl.EProp else {}),
            ),
        )
        for rule in (bl.TFR, bl.DALTON, bl.DFA, bl.EProp, bl.DECOLLE)
    },
    bl.SynapticRule: (
        REWARDED,
        lambda value: name_of(rule=value),
        dict(
            model=["c : 1 # another text"],
            on_pre=["c += 2*k"],
            on_post=["c -= k"],
            update=["gradient -= 2*L*c"],
            every=["trial"],
            third_factor=[bl.DALTON()],
            constants=[],
            initial=[dict(c=0.5)],
            w_min=[0.0],
            w_max=[1.0],
            burn_in=[],
            learning_rate_scale=[],
        ),
    ),
    bl.Reward: (
        REWARDED.third_factor,
        lambda value: name_of(rule=dataclasses.replace(REWARDED, third_factor=value)),
        dict(value=["gain*(3*correct - 1)"], baseline=[None], constants=[]),
    ),
}

#: Fields of which no other value makes sense alone; what they name counts by the others.
ELSEWHERE = {
    (Graph, "layers"),
    (Graph, "output"),
    (bl.Population, "name"),
    (bl.Projection, "target"),
    (bl.Sparse, "pairs"),
}
#: Of one constant that is learned, these change what a run brings: see (Neuron, "learn").
ELSEWHERE |= {(bl.Learned, field) for field in ("name", "bounds", "unit", "initial")}

#: (class, field) -> values that the same program serves.
SHARED: dict[tuple[type, str], list[Any]] = {
    (Optimiser, "learning_rate"): [0.5],
    (Optimiser, "halve_every"): [3],
    (Optimiser, "decay"): [0.9],
    (Optimiser, "schedule"): [bl.Halving(2)],
    (Optimiser, "reset_each_epoch"): [True],
    (Rule, "learning_rate_scale"): [{"dense1": 2.0, "conv1": 0.0}],
    (LocalRule, "burn_in"): [4 * ms],
    (bl.SynapticRule, "constants"): [dict(k=0.7)],
    (bl.Reward, "constants"): [dict(gain=0.5)],
    (bl.Reward, "baseline"): [0.9],
    (Neuron, "constants"): [dict(tau_m=3 * ms, tau_s=3 * ms)],
    (Neuron, "method"): ["exact"],
    (Neuron, "initial"): [dict(v=0.0)],
    (Neuron, "learn"): ["tau_m", bl.Learned("tau_s", bounds=(1 * ms, 9 * ms), unit=2 * ms, initial="uniform")],
    (Layer, "weights"): [bl.Normal(1.0), bl.Uniform(2.0)],
    (Layer, "name"): ["dense1"],
    (Layer, "dropout"): [0.6],
    (Layer, "dropout_every"): [],
    (Layer, "bias"): [],
    (bl.Readout, "bias"): [],
    (bl.Projection, "bias"): [],
    (bl.PoissonBackground, "rate"): [9 * Hz],
    (bl.Readout, "weights"): [bl.Normal(0.5)],
    (bl.Readout, "tau"): [9 * ms],
    (bl.Population, "dropout"): [0.6],
    (bl.Population, "dropout_every"): [],
    (bl.LinearReadout, "tau"): [9 * ms],
    (bl.Projection, "weights"): [bl.Normal(1.0), None],
    (bl.NetworkSpec, "duration"): [0.02 * 1000 * ms],
    (bl.NetworkSpec, "burn_in"): [5 * ms],
    (Plan, "optimiser"): [bl.Adam(0.3)],
    (Plan, "batch_size"): [],
    (Plan, "capacity"): [3],
    (Plan, "workers"): [],
}


def changes() -> Iterator[tuple[str, Any, Callable[[Any], str], str, Any]]:
    for kind, (value, name, fields) in CHANGES.items():
        for field, others in fields.items():
            for k, other in enumerate(others):
                yield f"{kind.__name__}.{field}-{k}", value, name, field, other


ALL = list(changes())


def test_every_class_and_field_is_tried() -> None:
    """A new field, or class, has to say here whether programs depend on it."""
    for kind, (_, _, fields) in CHANGES.items():
        assert set(fields) == {field.name for field in dataclasses.fields(kind)}, kind.__name__
        for field, others in fields.items():
            # what makes no other program is an exception by name
            known = others or any((base, field) in EXCEPTIONS for base in kind.__mro__)
            assert known or (kind, field) in ELSEWHERE, f"{kind.__name__}.{field}"
    assert set(SHARED) == set(EXCEPTIONS)
    # what can be stored with a network or rule, and is no part of what runs in Brian2
    elsewhere = {"STBP", "SurrogateBPTT", "NamedData", "LearnedDelays"}  # which are fixed delays there
    modules = ("losses", "targets", "augment", "window", "schedules", "initial", "fluctuations")
    known_here = {  # not those of other tests, pages, and examples in docstrings
        name: kind
        for name, kind in known_classes().items()
        if ":" not in name and getattr(sys.modules.get(kind.__module__), kind.__name__, None) is kind
    }
    stored = {kind.__name__ for kind in known_here.values() if not kind.__module__.endswith(modules)}
    assert stored - elsewhere == {kind.__name__ for kind in CHANGES} - {"Plan"}


@pytest.mark.parametrize(("value", "name", "field", "other"), [c[1:] for c in ALL], ids=[c[0] for c in ALL])
def test_another_value_is_another_program(value: Any, name: Callable[[Any], str], field: str, other: Any) -> None:
    changed = dataclasses.replace(value, **{field: other})
    if field == "rule" and other is None:
        changed = dataclasses.replace(changed, optimiser=bl.Momentum(1.0))
        # a program that learns nothing has no optimiser, and no batches
        assert name(changed) == name(dataclasses.replace(changed, optimiser=bl.SGD(0.1)))
    assert name(changed) != name(value)


@pytest.mark.parametrize(
    ("key", "other"),
    [(key, other) for key, others in SHARED.items() for other in others],
    ids=lambda x: f"{x[0].__name__}.{x[1]}" if isinstance(x, tuple) else "",
)
def test_what_a_run_replaces_is_the_same_program(key: tuple[type, str], other: Any) -> None:
    kind, field = key
    tried = [
        c
        for cls, c in CHANGES.items()
        if issubclass(cls, kind) and not (field in ("name", "dropout") and cls is bl.Conv)
    ]
    assert tried
    for value, name, _ in tried:
        if hasattr(value, "size") and field == "name":
            assert value.name is None  # and called dense1
        assert name(dataclasses.replace(value, **{field: other})) == name(value)


def test_burn_in_of_pipelined_networks() -> None:
    """They count the steps themselves."""
    names = [
        name_of(PIPELINED),
        name_of(dataclasses.replace(PIPELINED, burn_in=3 * ms)),
        name_of(PIPELINED, bl.DALTON(burn_in=3 * ms)),
        name_of(PIPELINED, bl.DALTON(burn_in=4 * ms)),
    ]
    assert len(set(names)) == 4
    assert name_of(PIPELINED, bl.DALTON(burn_in=2 * ms)) == names[0]


def test_units_of_constants() -> None:
    """The same numbers and texts with another unit."""

    def name(unit: Any) -> str:
        neuron = bl.Neuron(
            "dv/dt = -v/tau : 1", "v > 1", "v = 0*a/a", "v", constants=dict(tau=10 * ms, a=3 * unit), method="euler"
        )
        return name_of(within(neuron))

    assert name(mV) != name(Mohm)


def test_classes_of_ones_own() -> None:
    """With the fields of a dataclass, attributes, or a method alone: all that makes other statements counts."""

    class Attribute(bl.FastSigmoid.__base__):  # type: ignore[name-defined, misc]
        def __init__(self, k: float) -> None:
            self.k = k

        def expression(self, x: str) -> str:
            return f"{self.k!r}*int({x} > 0)"

    def method(text: str) -> Any:
        class Method(bl.FastSigmoid.__base__):  # type: ignore[name-defined, misc]
            def expression(self, x: str) -> str:
                return text.replace("x", x)

        return Method()

    names = [
        of_surrogate(s) for s in (Attribute(1.0), Attribute(2.0), method("exp(-abs(x))"), method("1/(1 + abs(x))"))
    ]
    assert len(set(names)) == 4
    assert of_surrogate(Attribute(1.0)) == names[0]

    class Other(bl.DALTON):
        def logits(self, spec: Any) -> dict[str, int]:
            return {name: 2 * n for name, n in super().logits(spec).items()}

    class Same(bl.DALTON):
        pass

    assert len({name_of(), name_of(rule=Other()), name_of(rule=Same())}) == 3


def test_preferences_of_brian2() -> None:
    before, plain = prefs["codegen.cpp.define_macros"], name_of()
    try:
        prefs["codegen.cpp.define_macros"] = [("OTHER", "1")]
        assert name_of() != plain
    finally:
        prefs["codegen.cpp.define_macros"] = before
    assert name_of() == plain


#: Networks of which any two have the same program, or must not.
PAIRS: dict[str, tuple[Any, ...]] = {
    "input": (NEURON, dataclasses.replace(NEURON, input="v")),
    "constants": (NEURON, NEURON.with_constants(tau_m=9 * ms, tau_s=9 * ms)),
    "initial": (NEURON, dataclasses.replace(NEURON, initial=dict(v=0.6))),
    "weight_unit": (NEURON, dataclasses.replace(NEURON, weight_unit=1.7)),
    "heterogeneous": (NEURON, NEURON.with_constants(tau_m=np.linspace(5, 30, 8) * ms)),
    "v_scale": (NEURON, dataclasses.replace(NEURON, v_scale=0.5)),
}


@pytest.mark.cpp_standalone
@pytest.mark.slow
@pytest.mark.parametrize("pair", PAIRS)
def test_programs_from_one_cache_do_what_numpy_does(pair: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BRIANLEARN_CACHE", str(tmp_path))
    builds: list[Path] = []
    compile_plan = standalone._compile
    monkeypatch.setattr(
        standalone, "_compile", lambda plan, folder: (builds.append(folder), compile_plan(plan, folder))
    )
    rng = np.random.default_rng(0)
    samples = bl.Samples(rng.uniform(0, 1, (4, 1, 6, 6)), rng.integers(0, 3, 4))
    results: dict[str, list[Any]] = {"numpy": [], "cpp_standalone": []}
    for neuron, device in itertools.product(PAIRS[pair], results):
        settings = dict(device=device, dtype="float64", chunk_size=4, batch_size=2, seed=1)
        learner = Learner(within(neuron), bl.DALTON(), bl.Adam(1e-2), **settings)
        state, metrics = learner.learn(learner.init(), samples)
        results[device].append((dict(state.weights), metrics.loss, metrics.firing_rates["dense1"]))
    for numpy, compiled in zip(results["numpy"], results["cpp_standalone"], strict=True):
        for layer, weights in numpy[0].items():
            np.testing.assert_allclose(compiled[0][layer], weights, rtol=0, atol=1e-12)
        assert compiled[1:] == pytest.approx(numpy[1:])
    first, second = results["numpy"]
    assert not np.allclose(first[0]["dense1"], second[0]["dense1"], rtol=0, atol=1e-6), "the pair tells nothing apart"
    assert len(builds) == (1 if pair == "constants" else 2)


def test_sources_are_those_that_decide_what_a_program_does():
    """A module of networks, rules or this engine that moves to another folder stays among them."""
    deciding = {
        Path(str(module.__file__))
        for name, module in sys.modules.items()
        if name.startswith(("brianlearn.brian.", "brianlearn.learning.", "brianlearn.network."))
    }
    assert {Path(str(sys.modules[kind.__module__].__file__)) for kind in (Plan, Rule, Neuron, LocalRule)} <= deciding
    assert deciding <= set(sources())
