"""What the documentation says runs: the Python in docs/ and the examples in docstrings."""

from __future__ import annotations

import doctest
import importlib
import json
import pkgutil
import re
import runpy
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

import brianlearn
from brianlearn.cli.app import app
from brianlearn.training.serialise import own_classes

DOCS = Path(__file__).parent.parent / "docs"
OWN = (
    "own_loss.md",
    "own_optimiser.md",
    "own_encoder.md",
    "own_neuron.md",
    "own_connection.md",
    "own_initial_weights.md",
    "own_augmentation.md",
)
PAGES = (
    *OWN,
    "warnings.md",
    "neurons.md",
    "networks.md",
    "learned_delays.md",
    "rules.md",
    "own_rule.md",
    "synaptic_rules.md",
    "recording.md",
    "plots.md",
    "reports.md",
    "targets.md",
    "data.md",
    "own_data.md",
    "stbp.md",
    "verify.md",
    "certificates.md",
    "callbacks.md",
    "learned_constants.md",
    "fitting.md",
    "adopt.md",
    "citing.md",
    "faq.md",
    "devices.md",
    "plain_brian2.md",
    "schedule.md",
    "nir.md",
)
#: Without torch, brianlearn.discrete cannot be imported, and so not looked into; its own test is skipped.
MODULES = sorted(m.name for m in pkgutil.walk_packages(brianlearn.__path__, "brianlearn.", onerror=lambda name: None))


@pytest.mark.parametrize("page", PAGES)
def test_python_of_a_page(page):
    if page in (
        *OWN[:5],
        "networks.md",
        "learned_delays.md",
        "rules.md",
        "own_rule.md",
        "stbp.md",
        "targets.md",
        "verify.md",
        "certificates.md",
        "learned_constants.md",
        "fitting.md",
        "adopt.md",
        "devices.md",
        "plain_brian2.md",
    ):
        pytest.importorskip("torch")
    if page == "nir.md":
        pytest.importorskip("nir")
    if page == "callbacks.md":
        pytest.importorskip("tensorboard")
    if page == "recording.md":
        pytest.importorskip("neo")
        pytest.importorskip("pynapple")
        pytest.importorskip("pynwb")
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    scope: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, f"docs/{page}", "exec"), scope)


@pytest.mark.parametrize("module", [m for m in MODULES if not m.endswith("__main__")])
def test_examples_of_docstrings(module):
    if module.startswith(
        (
            "brianlearn.discrete",
            *(f"brianlearn.training.{name}" for name in ("verify", "adopted", "fit", "certificates")),
        )
    ):
        pytest.importorskip("torch")
    for package in ("neo", "pynapple"):
        if module == f"brianlearn.interop.{package}_objects":
            pytest.importorskip(package)
    if module == "brianlearn.interop.spike_trains":
        pytest.importorskip("neo")
    if module == "brianlearn.interop.nwb_files":
        pytest.importorskip("pynwb")
    if module.startswith("brianlearn.interop.nir"):
        pytest.importorskip("nir")
    assert doctest.testmod(importlib.import_module(module)).failed == 0


def test_nobody_is_told_to_install_this_package_from_an_index() -> None:
    """It is on none: remedies and pages name the packages that are missing."""
    root = Path(__file__).parents[1]
    files = [
        root / "README.md",
        *root.glob("docs/*.md"),
        *root.glob("brianlearn/**/*.py"),
        *root.glob("brianlearn/**/*.md"),
    ]
    told = re.compile(r"pip install[^\n`]*brianlearn\b(?!\.)")
    assert len(files) > 100
    assert [str(file.relative_to(root)) for file in files if told.search(file.read_text(encoding="utf-8"))] == []


#: Where each page to write something of one's own has a complete example, which the tests above run.
OWN_PAGES = ("rule", "loss", "neuron", "encoder", "connection", "data", "optimiser", "initial_weights", "augmentation")


def test_there_is_a_page_for_whatever_a_user_may_write() -> None:
    for name in OWN_PAGES:
        assert f"own_{name}.md" in PAGES
        assert f"own_{name}.md" in (DOCS / "index.md").read_text(encoding="utf-8")
        assert f"own_{name}.md" in (DOCS.parent / "mkdocs.yml").read_text(encoding="utf-8")


ONE_FILE = (brianlearn.ThreeFactorRule, brianlearn.Loss, brianlearn.Encoder, brianlearn.Connection)
DIFFS = re.findall(r"```diff\n(.*?)```", (DOCS / "one_file.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize(
    ("diff", "kind"),
    [
        pytest.param(diff, kind, id=kind.__name__, marks=[pytest.mark.slow] if n else [])
        for n, (diff, kind) in enumerate(zip(DIFFS, ONE_FILE, strict=True))  # the first in every run of the tests
    ],
)
def test_the_whole_change_is_one_file(diff, kind, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    if kind is brianlearn.Loss:
        pytest.importorskip("torch")
    subprocess.run(["git", "apply", "-"], input=diff, text=True, check=True, cwd=tmp_path)
    (script,) = tmp_path.iterdir()
    defined = runpy.run_path(str(script))
    (own,) = [each for each in defined.values() if isinstance(each, type) and each.__module__ == "<run_path>"]
    assert issubclass(own, kind)
    device = ["--device", "numpy"] if kind is not brianlearn.Loss else []
    few = ["--limit", "4", "--test-limit", "2", "--epochs", "1", "--batch-size", "2", "--json"]
    done = CliRunner().invoke(app, ["train", str(script), *device, *few])
    assert done.exit_code == 0, done.output
    run = Path(json.loads(done.stdout.splitlines()[-1])["run"])
    assert f"{script.stem}:{own.__name__}" in own_classes(json.loads((run / "config.json").read_text()))
