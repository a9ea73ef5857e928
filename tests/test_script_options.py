"""Options of network scripts, and the networks of the DALTON paper that they choose."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Literal

import pytest
import typer
from brian2 import ms
from typer.testing import CliRunner

import brianlearn as bl
from brianlearn.cli import app
from brianlearn.errors import SpecError
from brianlearn.scripts.options import ScriptUsageError, option_names, script_options, usage

SPECS = Path(__file__).parents[1] / "network_specs"


def example(
    name: str = "a",
    size: int = 3,
    factor: float | None = None,
    arch: Literal["A1", "A2"] = "A1",
    count: Literal[1, 2] = 1,
    very_deep: bool = False,
) -> None:
    pass


def test_options_follow_the_signature() -> None:
    assert script_options(example, [], "s") == {}
    given = ["--very-deep", "--arch", "A2", "--count", "2", "--factor", "0.5", "--size", "7", "--name", "b"]
    assert script_options(example, given, "s") == dict(name="b", size=7, factor=0.5, arch="A2", count=2, very_deep=True)
    assert script_options(example, ["--no-very-deep"], "s") == {"very_deep": False}
    assert "--very-deep" in usage(example, "some/script.py") and usage(lambda: None, "s") == ""
    for wrong in (["--arch", "A3"], ["--size", "1.5"], ["--nope"], ["--size"], ["extra"]):
        with pytest.raises(ScriptUsageError):
            script_options(example, wrong, "s")


def test_parameters_that_cannot_be_options() -> None:
    def without_default(a: int) -> None: ...

    def of_another_type(a: list[int] = []) -> None: ...  # noqa: B006

    for function in (without_default, of_another_type):
        with pytest.raises(SpecError, match="'a' of experiment"):
            script_options(function, [], "s")


def test_command_line_of_a_script(tmp_path: Path) -> None:
    script = tmp_path / "net.py"
    script.write_text(
        "from brian2 import ms\nimport brianlearn as bl\n"
        "def experiment(size: int = 5) -> bl.Experiment:\n"
        "    spec = bl.NetworkSpec(bl.Input((1, 8, 8)), [bl.Dense(size, bl.DaltonIF())], bl.Readout(10),"
        " duration=10*ms)\n"
        "    return bl.Experiment(spec, device='numpy', limit=4, test_limit=2, epochs=1)\n"
    )
    options = ["--size", "7", "--runs", str(tmp_path), "--json"]
    result = CliRunner().invoke(app, ["train", str(script), *options])
    assert result.exit_code == 0, result.output
    config = json.loads(Path(json.loads(result.stdout.splitlines()[-1])["run"], "config.json").read_text())
    assert config["spec"]["layers"][0]["size"] == 7
    for arguments, message in ((["--nope", "3"], "unrecognized arguments: --nope"), (["--size", "x"], "invalid int")):
        result = CliRunner().invoke(app, ["train", str(script), *arguments])
        assert result.exit_code == 2 and message in " ".join(result.stderr.replace("│", " ").split())
    result = CliRunner().invoke(app, ["train", "--nope", "3"])
    assert result.exit_code == 2


PAPER = runpy.run_path(str(SPECS / "dalton_paper.py"), run_name="test")
#: Neurons of each layer on 28 x 28, from the paper's architectures by hand.
SIZES = {
    "A1": [16 * 13 * 13, 128, 64],
    "A2": [32 * 11 * 11, 32 * 3 * 3, 512, 128],
    "A3": [48 * 12 * 12, 64 * 5 * 5, 128 * 1 * 1, 512, 256],
    "A4": [24 * 26 * 26, 24 * 12 * 12, 48 * 5 * 5, 48 * 1 * 1, 256, 128],
    "A5": [64 * 26 * 26, 64 * 12 * 12, 128 * 5 * 5, 128 * 1 * 1, 1024, 1024],
}


@pytest.mark.parametrize("arch", SIZES)
def test_architectures(arch: str) -> None:
    experiment = PAPER["experiment"](arch=arch)
    assert [p.n_post for p in experiment.spec.projections] == SIZES[arch]
    assert experiment.spec.n_steps == 40 and float(experiment.optimiser.rate_at(30)) == 5e-4
    strided = PAPER["experiment"](dataset="cifar10", arch=arch, strided=True)
    pooled = PAPER["experiment"](dataset="cifar10", arch=arch)
    assert strided.spec.n_steps == 60 and (strided.augment is not None) == (arch == "A5")
    for a, b in zip(strided.spec.layers, pooled.spec.layers, strict=True):
        assert a.dropout == b.dropout
        if isinstance(a, bl.Conv):
            assert (a.stride, a.pool) == (b.pool, b.stride)
    # a stride of 2 does not lose the last row that a pool leaves out
    assert all(a.n_post >= b.n_post for a, b in zip(strided.spec.projections, pooled.spec.projections, strict=True))


@pytest.mark.parametrize(
    ("dataset", "shape", "steps", "classes"),
    [
        ("fashion_mnist", (1, 28, 28), 50, 10),
        ("nmnist", (2, 34, 34), 300, 10),
        ("dvs_gesture", (2, 32, 32), 500, 11),
        ("cifar10_dvs", (2, 32, 32), 500, 10),
        ("digits_events", (2, 16, 16), 60, 10),
    ],
)
def test_data_sets(dataset: str, shape: tuple[int, ...], steps: int, classes: int) -> None:
    experiment = PAPER["experiment"](dataset=dataset, path=None if dataset == "digits_events" else "somewhere")
    spec = experiment.spec
    assert (spec.input.shape, spec.n_steps, spec.classes) == (shape, steps, classes)
    assert experiment.rule.update == ("step" if shape[0] == 2 else "batch")
    assert experiment.data.name == dataset
    if dataset == "nmnist":
        assert experiment.data.denoise == 100 * ms and spec.burn_in_steps == 50 and experiment.batch_size == 50
    assert (experiment.augment is not None) == (steps == 500)


def test_timing_matters() -> None:
    """Neither inputs nor targets hold the class in their rates; distances are those of van Rossum's loss."""
    import numpy as np

    names = runpy.run_path(str(SPECS / "timing_matters.py"), run_name="test")
    samples, spec = names["task"](40, 3), names["experiment"]().spec
    spikes = samples.inputs.dense(names["STEPS"])
    assert (spikes.sum(axis=1) == 1).all()
    trains = names["TARGETS"].trains(spec)
    assert (trains.sum(axis=2) == 4).all() and len(np.unique(trains, axis=0)) == 4
    apart = names["distances"](spec, trains.swapaxes(1, 2))
    assert np.allclose(np.diag(apart), 0) and (apart + np.eye(4) > 0.5).all()
    assert np.allclose(names["distances"](spec, np.zeros((1, names["STEPS"], 4))), 1)


@pytest.mark.parametrize("dataset", ["nmnist", "cifar10", "mnist"])
def test_stbp_networks(dataset: str) -> None:
    experiment = runpy.run_path(str(SPECS / "stbp_paper.py"), run_name="test")["experiment"](dataset)
    assert experiment.spec.n_steps == 25 and experiment.spec.readout is None
    assert [type(layer).__name__ for layer in experiment.spec.layers[:2]] == ["Conv", "Conv"]


def test_options_of_the_scripts_are_not_those_of_the_command_line() -> None:
    """The command line takes its own options itself: a script's parameter of such a name would never be given."""
    train = typer.main.get_command(app).commands["train"]
    own = {option for parameter in train.params for option in parameter.opts}
    assert "--rule" in own
    taken = {}
    for path in SPECS.glob("*.py"):
        experiment = runpy.run_path(str(path), run_name="test").get("experiment")
        taken[path.name] = own & set(option_names(experiment)) if callable(experiment) else set()
    assert not {name: options for name, options in taken.items() if options}
