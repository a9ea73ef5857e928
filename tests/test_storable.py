"""Classes of a user's own in run folders: stored by module and name, opened again only where they are known."""

import dataclasses
import importlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from brian2 import ms

import brianlearn as bl
from brianlearn.network.storable import Storable, known_classes, stored_class
from brianlearn.scripts.loading import load_experiment, run_script
from brianlearn.training.serialise import from_dict, own_classes, to_dict

SCRIPT = '''
from dataclasses import dataclass
import numpy as np
from brian2 import ms
import brianlearn as bl

@dataclass(frozen=True)
class Above(bl.Encoder):
    """A spike in every step for what is above a level."""
    level: float = 0.5
    precomputed = True

    def raster(self, values, n_steps, seeds):
        return np.broadcast_to((values > self.level)[:, None], (len(values), n_steps, values.shape[1]))

class Mine(bl.DALTON):
    pass

def experiment(level: float = 0.5):
    return encoded(Above(level))

def encoded(encoder):
    spec = bl.NetworkSpec(
        bl.Input((1, 8, 8), encoder), [bl.Dense(5, bl.DaltonIF())], bl.Readout(10), duration=3 * ms)
    return bl.Experiment(spec, Mine(), bl.SGD(0.1), "digits", limit=4, test_limit=2, epochs=1, batch_size=2,
                         device="numpy", runs="runs")

def study():
    return bl.Study(encoded, axes={"seed": [1]}, fixed={"encoder": Above(0.3)})

if __name__ == "__main__":
    bl.main(experiment)
'''


@dataclass(frozen=True)
class Above(bl.Encoder):
    level: float = 0.5
    derived: float = dataclasses.field(default=0.0, init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "derived", 2 * self.level)


class Louder(bl.DALTON):
    """Another class with the fields of DALTON."""


class WithInit(bl.DALTON):
    def __init__(self, gain: float) -> None:
        super().__init__()
        object.__setattr__(self, "gain", gain)


class Plain(bl.Surrogate):
    def expression(self, x: str) -> str:
        return f"0*{x}"


class Outer:
    @dataclass(frozen=True)
    class Inner(bl.Surrogate):
        width: float = 1.0


def through_json(obj):
    return from_dict(json.loads(json.dumps(to_dict(obj), allow_nan=False)))


@pytest.mark.parametrize("obj", [Above(0.25), Outer.Inner(3.0)])
def test_a_class_at_the_top_level_comes_back(obj):
    stored = to_dict(obj)
    assert stored["$type"] == f"{__name__}:{type(obj).__qualname__}"
    assert own_classes({"a": [stored]}) == {stored["$type"]}
    assert through_json(obj) == obj


def test_a_subclass_without_fields_of_its_own_is_not_its_base():
    assert type(through_json(Louder(eligibility="trace"))) is Louder
    assert type(through_json(bl.DALTON())) is bl.DALTON
    assert own_classes(to_dict(bl.DALTON())) == set()


def local_class():
    @dataclass(frozen=True)
    class Local(bl.Surrogate):
        pass

    return Local()


@pytest.mark.parametrize(
    ("obj", "name", "remedy"),
    [
        (local_class(), "Local", "move Local to the top level"),
        (Plain(), "Plain", "dataclass"),
        (WithInit(2.0), "WithInit", "dataclass"),
        (lambda samples, keys: samples, "lambda", "subclass of bl.Rule"),
        (bl.Surrogate(), "Surrogate", "subclass"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_what_cannot_be_found_again_is_refused_with_the_remedy(obj, name, remedy):
    with pytest.raises(bl.SpecError, match="cannot be stored") as caught:
        to_dict({"a": [obj]})
    assert name in caught.value.got
    assert remedy in caught.value.remedy


def test_a_file_imports_nothing(tmp_path, monkeypatch):
    (tmp_path / "never_loaded.py").write_text("raise RuntimeError('it was imported')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(bl.SpecError, match="not known here") as caught:
        from_dict({"$type": "never_loaded:Mine", "gain": 1.0}, "config.json")
    assert "never_loaded" not in sys.modules
    assert "`import never_loaded`" in caught.value.remedy
    assert caught.value.subject == "config.json"


@pytest.mark.parametrize("name", ["Storable", "Rule", "ThreeFactorRule", "Optimiser", "os:system", "builtins:dict", ""])
def test_abstract_classes_and_what_is_no_class_of_ours_are_not_built(name):
    with pytest.raises(bl.SpecError, match=r"unknown type|not known here"):
        from_dict({"$type": name})


def test_short_names_are_of_the_package_alone():
    assert all(kind.__module__.startswith("brianlearn.") == (":" not in name) for name, kind in known_classes().items())


def module_of(folder: Path, text: str):
    folder.mkdir(exist_ok=True)
    (folder / "same_name.py").write_text("from dataclasses import dataclass\nimport brianlearn as bl\n" + text)
    sys.modules.pop("same_name", None)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        return importlib.import_module("same_name")
    finally:
        sys.path.remove(str(folder))


SURROGATE = "@dataclass(frozen=True)\nclass S(bl.Surrogate):\n    def expression(self, x): return '{}'\n"


def test_two_different_classes_of_one_name_are_refused(tmp_path):
    one, two = module_of(tmp_path / "a", SURROGATE.format(1)), module_of(tmp_path / "b", SURROGATE.format(2))
    for attempt in (lambda: to_dict(one.S()), lambda: to_dict(two.S()), lambda: from_dict({"$type": "same_name:S"})):
        with pytest.raises(bl.SpecError, match="two different classes") as caught:
            attempt()
        assert str(tmp_path / "a") in caught.value.got and str(tmp_path / "b") in caught.value.got


def test_of_a_file_that_is_loaded_again_the_newest_class_counts(tmp_path):
    text = SURROGATE.replace("class S", "class Again")
    first, same = module_of(tmp_path, text.format(1)), module_of(tmp_path, text.format(1))
    assert to_dict(first.Again()) == to_dict(same.Again()) == {"$type": "same_name:Again"}
    os.utime(tmp_path / "same_name.py", (1, 1))
    changed = module_of(tmp_path, text.format("2 + 3"))
    assert type(from_dict({"$type": "same_name:Again"})) is changed.Again
    with pytest.raises(bl.SpecError, match="two different classes") as caught:
        to_dict(first.Again())
    assert "make the object again" in caught.value.remedy


def test_an_abstract_class_says_what_it_lacks():
    class Nothing(bl.RandomAffine.__mro__[1]):
        pass

    with pytest.raises(bl.BrianLearnError, match="__call__"):
        Nothing()


def test_a_class_of_the_package_cannot_be_defined_twice():
    with pytest.raises(TypeError, match="called Adam"):
        type("Adam", (Storable,), {"__module__": "brianlearn.elsewhere"})
    assert stored_class("Adam", "") is bl.Adam


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run([sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.slow
def test_a_script_has_one_name_however_it_runs(tmp_path, monkeypatch):
    """By Python, by the command line, loaded here, and imported: what one has written the others go on with."""
    script = tmp_path / "own_net.py"
    script.write_text(SCRIPT)
    monkeypatch.chdir(tmp_path)
    done = run(tmp_path, "own_net.py", "--json")
    assert done.returncode == 0, done.stderr
    folder = Path(json.loads(done.stdout.splitlines()[-1])["run"])
    assert own_classes(json.loads((folder / "config.json").read_text())) == {"own_net:Above", "own_net:Mine"}

    alone = run(tmp_path, "-m", "brianlearn", "evaluate", str(folder))
    assert alone.returncode == 1 and "--script own_net.py" in alone.stderr and "Traceback" not in alone.stderr

    command = ["-m", "brianlearn", "train", "own_net.py", "--resume", str(folder), "--epochs", "2", "--json"]
    resumed = run(tmp_path, *command)
    assert resumed.returncode == 0, resumed.stderr

    experiment = load_experiment(script, ())
    again = load_experiment(script, ())  # the classes are defined anew; the objects of before can still be stored
    assert experiment.settings() == again.settings()
    straight = dataclasses.replace(experiment, epochs=2).run(progress=False)
    for name, array in np.load(folder / "weights.npz").items():
        assert np.array_equal(array, np.load(straight.run / "weights.npz")[name])

    found = run(tmp_path, "-m", "brianlearn", "evaluate", str(folder), "--script", "own_net.py", "--json")
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["test_accuracy"] == straight.test_accuracy

    sys.modules.pop("own_net", None)
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("own_net")
    assert type(bl.Experiment.from_run(folder).rule) is module.Mine


@pytest.mark.slow
def test_a_worker_of_a_study_gives_classes_the_same_name(tmp_path, monkeypatch):
    script = tmp_path / "own_study.py"
    script.write_text(SCRIPT)
    monkeypatch.chdir(tmp_path)
    study = run_script(script)["study"]()
    assert study.run(workers=1, progress=False).done == 1
    (folder,) = (path.parent for path in study.folder.rglob("config.json"))
    experiment = bl.Experiment.from_run(folder)
    assert (type(experiment.rule).__name__, experiment.spec.input.encoder.level) == ("Mine", 0.3)


def test_an_error_of_a_constructor_is_of_the_kind_of_the_class():
    with pytest.raises(bl.RuleError, match="feedback is wrong"):
        from_dict({"$type": f"{__name__}:Louder", "feedback": 3})
    with pytest.raises(bl.SpecError, match="no such field"):
        from_dict({"$type": f"{__name__}:Above", "gain": 3})


def test_a_run_of_before_the_newer_fields_of_optimisers_goes_on(tmp_path):
    """What a class has gained since, with None for what it was, makes no other experiment."""
    spec = bl.NetworkSpec(bl.Input((1, 8, 8)), [bl.Dense(4, bl.DaltonIF())], bl.Readout(10), duration=3 * ms)
    experiment = bl.Experiment(
        spec, bl.DALTON(), bl.Adam(0.01), "digits", limit=4, test_limit=2, epochs=1, device="numpy", runs=tmp_path
    )
    folder = experiment.run(progress=False).run
    config = json.loads((folder / "config.json").read_text())
    for newer in ("schedule", "clip_value", "clip_norm"):
        assert config["optimiser"].pop(newer) is None
    (folder / "config.json").write_text(json.dumps(config))
    assert bl.Experiment.from_run(folder).optimiser == experiment.optimiser
    longer = dataclasses.replace(experiment, epochs=2)
    straight = longer.run(progress=False).run
    resumed = longer.run(resume=folder, progress=False).run
    ours, theirs = np.load(resumed / "weights.npz"), np.load(straight / "weights.npz")
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs.files)
