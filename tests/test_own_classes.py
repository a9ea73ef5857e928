"""The example in the docstring of each public base class runs: Learner, Experiment, command line, resume."""

from __future__ import annotations

import doctest
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from brian2 import ms
from typer.testing import CliRunner

import brianlearn as bl
from brianlearn.cli import app
from brianlearn.network.storable import Storable
from brianlearn.scripts.loading import load_experiment
from brianlearn.training.serialise import own_classes

#: Base class -> name of a class of its example -> what it is given in an experiment.
KINDS = {
    bl.Encoder: {"Burst": "input=bl.Input((1, 8, 8), Burst(4))", "Leaky": "input=bl.Input((1, 8, 8), Leaky(0.8))"},
    bl.Surrogate: {"Cauchy": "neuron=bl.CubaLIF(R=2.0, surrogate=Cauchy(0.7))"},
    bl.Init: {"LogNormal": "weights=LogNormal(-2.0)"},
    bl.Layer: {"Hidden": "layer=Hidden(7)"},
    bl.Optimiser: {"Nesterov": "optimiser=Nesterov(0.01, momentum=0.8)"},
    bl.Schedule: {"InverseRoot": "optimiser=bl.Adam(0.01, schedule=InverseRoot(2.0))"},
    bl.Loss: {"AbsoluteError": "rule=bl.SurrogateBPTT(loss=AbsoluteError())"},
    bl.SpikeTrain: {"Late": "readout=None, rule=bl.STBP(loss=bl.Hamming(bl.Targets(label=Late())))"},
    bl.Augmentation: {"Contrast": "augment=Contrast(0.3)"},
    bl.DataSource: {"Stripes": "data=Stripes(seed=3)"},
    bl.Connection: {"ToNeighbours": "connection=ToNeighbours(3)"},
    bl.Rule: {"Reservoir": "rule=Reservoir(deep=1), layer=bl.Dense(6, bl.CubaLIF(R=4.0)), second=True"},
    bl.ThreeFactorRule: {"Global": "rule=Global(), layer=bl.Dense(6, bl.CubaLIF(R=4.0)), second=True"},
}
#: In every test run; the others are slow.
FAST = ("Leaky", "Global")
CASES = [
    pytest.param(base, name, use, id=name, marks=[] if name in FAST else pytest.mark.slow)
    for base, uses in KINDS.items()
    for name, use in uses.items()
]

SCRIPT = """
from brian2 import ms

def experiment():
    return made({use})

def made(input=bl.Input((1, 8, 8)), neuron=bl.CubaLIF(R=2.0), weights=bl.Normal(2.0), layer=None,
         readout=bl.Readout(10), rule=bl.DALTON(), optimiser=bl.SGD(0.1), augment=None, data="digits",
         connection=None, second=False):
    layers = [layer or bl.Dense(6, neuron, weights=weights)]
    if readout is None or second:
        layers.append(bl.Dense(10, neuron))
    spec = bl.NetworkSpec(input, layers, readout, duration=6*ms)
    if connection is not None:
        populations = [
            bl.Population("input", (1, 8, 8), bl.IntegrateAndFireEncoder()),
            bl.Population("hidden", 64, neuron),
            bl.Population("readout", 10, bl.LinearReadout()),
        ]
        projections = [
            bl.Projection("in1", "input", "hidden", connection, weights=bl.Normal(4.0)),
            bl.Projection("out", "hidden", "readout"),
        ]
        spec = bl.NetworkSpec(populations=populations, projections=projections, duration=6*ms)
    return bl.Experiment(
        spec, rule, optimiser, data, augment=augment, limit=8, test_limit=4, epochs=1, batch_size=4,
        device="numpy" if isinstance(rule, bl.ThreeFactorRule) else "cpu", dtype="float64", runs="runs")
"""


def example(base: type) -> str:
    """The statements of a docstring's example that define something."""
    found = doctest.DocTestParser().get_examples(base.__doc__ or "")
    return "\n".join(e.source for e in found if e.source.startswith(("import", "from", "@", "class", "def")))


@pytest.mark.parametrize(("base", "name", "use"), CASES)
def test_the_example_of_a_base_class_runs_everywhere(base, name, use, tmp_path, monkeypatch):
    if base in (bl.Rule, bl.Loss, bl.SpikeTrain):
        pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    script = Path(f"own_{name.lower()}.py")
    script.write_text(example(base) + SCRIPT.format(use=use), encoding="utf-8")

    experiment = load_experiment(script, ())
    learner = bl.Learner(
        experiment.spec, experiment.rule, experiment.optimiser, device=experiment.device, dtype="float64", batch_size=4
    )
    state = learner.init()
    rng = np.random.default_rng(1)
    new, metrics = learner.learn(state, bl.Samples(rng.random((4, 1, 8, 8)), [0, 1, 2, 3]))
    assert metrics.samples == 4 and any((new.weights[n] != w).any() for n, w in state.weights.items())

    def train(*arguments: str) -> Path:
        done = CliRunner().invoke(app, ["train", str(script), "--json", *arguments])
        assert done.exit_code == 0, done.output
        return Path(json.loads(done.stdout.splitlines()[-1])["run"])

    folder = train()
    stored = own_classes(json.loads((folder / "config.json").read_text()))
    assert stored == {f"{script.stem}:{name}"}
    assert train("--resume", str(folder), "--epochs", "2") == folder
    straight = replace(experiment, epochs=2).run(progress=False)
    ours, theirs = np.load(folder / "weights.npz"), np.load(straight.run / "weights.npz")
    assert all(np.array_equal(ours[key], theirs[key]) for key in theirs.files)

    again = bl.Experiment.from_run(folder)
    assert again.settings() | {"epochs": 1} == experiment.settings()
    found = bl.evaluate(folder, limit=2)
    assert 0 <= found.test_accuracy <= 1


def test_every_public_base_class_has_an_example():
    public = [getattr(bl, name) for name in bl.__all__]
    kinds = [kind for kind in public if isinstance(kind, type) and issubclass(kind, Storable)]
    assert {kind for kind in kinds if getattr(kind, "__abstractmethods__", None)} <= set(KINDS)


# what is wrong ------------------------------------------------------------------------------------------------------


class Forgetful(bl.Augmentation):
    def __init__(self, what):
        self.what = what

    def __call__(self, samples, keys):
        return {"none": None, "array": samples.inputs, "fewer": samples[:1]}[self.what]


@pytest.mark.parametrize("what", ["none", "array", "fewer"])
def test_what_an_augmentation_returns_is_checked(what):
    samples = bl.Samples(np.ones((3, 1, 2, 2)), [0, 1, 2])
    with pytest.raises(bl.DataError, match="Forgetful: it does not return the samples"):
        Forgetful(what).changed(samples, np.zeros((3, 2), np.uint64))


class Empty(bl.DataSource):
    def load(self, dt=None):
        return np.zeros((3, 1, 8, 8))


def small(**options):
    spec = bl.NetworkSpec(bl.Input((1, 8, 8)), [bl.Dense(3, bl.CubaLIF())], bl.Readout(10), duration=3 * ms)
    return bl.Experiment(spec, limit=2, test_limit=2, device="numpy", **options)


def test_what_a_source_loads_is_checked():
    with pytest.raises(bl.DataError, match=r"Empty: load\(\) gives no data"):
        small(data=Empty()).run(progress=False)


@dataclass(frozen=True, eq=False)
class Nothing(bl.Rule):
    learning_rate_scale: dict = field(default_factory=dict)
    name: ClassVar[str] = "nothing"


@pytest.mark.parametrize("engine", ["auto", "brian", "discrete"])
def test_a_rule_that_says_nothing_is_refused_before_anything_is_built(engine):
    spec = small().spec
    with pytest.raises(bl.RuleError, match=r"Nothing: it does not say how weights are learned"):
        bl.Learner(spec, Nothing(), engine=engine)
    with pytest.raises(bl.RuleError, match=r"Nothing: it does not say how weights are learned"):
        bl.Experiment(spec, Nothing(), engine=engine)


@dataclass(frozen=True, eq=False)
class Half(bl.Rule):
    learning_rate_scale: dict = field(default_factory=dict)
    name: ClassVar[str] = "half"
    engines: ClassVar[tuple] = ("discrete",)


@dataclass(frozen=True, eq=False)
class Foreign(Half):
    loss: bl.Loss = field(default_factory=bl.CrossEntropy)
    engines: ClassVar[tuple] = ("brian", "discrete")


@pytest.mark.parametrize("rule", [Half(), Foreign()])
def test_a_rule_that_names_engines_and_not_how_they_learn_is_refused(rule):
    with pytest.raises(bl.RuleError, match=r"it does not say how the engines that it names would learn by it"):
        bl.Learner(small().spec, rule)
    with pytest.raises(bl.RuleError, match=r"see the example of brianlearn.Rule"):
        bl.Experiment(small().spec, rule)


def test_what_is_no_augmentation_is_named_with_the_base_class():
    with pytest.raises(bl.RuleError, match=r"augment is of the wrong type(.|\n)*subclass of bl.Augmentation"):
        small(augment=lambda samples, keys: samples)


def test_a_data_set_by_name_is_stored_as_before(tmp_path):
    source = bl.DataSource("digits_events", denoise=5 * ms)
    assert isinstance(source, bl.DataSource)
    stored = small(data=source).settings()["data"]["source"]
    assert stored["$type"] == "DataSource" and stored["name"] == "digits_events"
    with pytest.raises(bl.DataError, match="it lacks methods"):
        type("Nothing", (bl.DataSource,), {})()


def test_classes_of_a_run_that_cannot_be_stored_leave_no_folder(tmp_path):
    with pytest.raises(bl.SpecError, match="cannot be stored"):
        small(augment=Forgetful("none"), runs=tmp_path).run(progress=False)
    assert list(tmp_path.iterdir()) == []
