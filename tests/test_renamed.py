"""Old names: they work and warn where a user sees it; files with them open in silence."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import brianlearn as bl
from brianlearn.renamed import OLD_NAMES
from brianlearn.training.serialise import from_dict, to_dict

RUNS = Path(__file__).parent / "data" / "v0.1"
NAMES = {old: new for old, new in OLD_NAMES.items() if "." not in new}
PACKAGES = {old: new for old, new in OLD_NAMES.items() if "." in new}


@pytest.mark.parametrize("old", NAMES)
def test_an_old_name_is_the_new_one_and_says_so(old: str) -> None:
    with pytest.warns(bl.RenamedWarning, match=rf"brianlearn\.{old}: is now called brianlearn\.{NAMES[old]}") as caught:
        assert getattr(bl, old) is getattr(bl, NAMES[old])
    assert {Path(warning.filename) for warning in caught} == {Path(__file__)}
    assert old not in bl.__all__ and NAMES[old] in bl.__all__ and old not in dir(bl)
    room = importlib.import_module(getattr(bl, NAMES[old]).__module__.rpartition(".")[0])
    with pytest.warns(bl.RenamedWarning):
        assert getattr(room, old) is getattr(room, NAMES[old])


@pytest.mark.parametrize("old", PACKAGES)
def test_an_old_package_is_the_new_one_and_says_so(old: str) -> None:
    new = importlib.import_module(PACKAGES[old])
    module = importlib.import_module(f"brianlearn.{old}")
    name = new.__all__[0]
    with pytest.warns(bl.RenamedWarning, match=rf"brianlearn\.{old}: is now called {PACKAGES[old]}"):
        assert getattr(module, name) is getattr(new, name)
    with pytest.raises(AttributeError), pytest.warns(bl.RenamedWarning):
        module.nothing  # noqa: B018


def test_a_misspelt_name_is_no_old_name() -> None:
    with pytest.raises(AttributeError, match="did you mean 'PoissonEncoder'"):
        bl.PoisonEncoder  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'Bernouli'"):
        bl.network.Bernouli  # noqa: B018
    with pytest.raises(AttributeError):  # another room's
        bl.learning.Bernoulli  # noqa: B018


def test_a_script_with_old_names_runs_and_its_user_sees_a_warning(tmp_path: Path) -> None:
    """In a module that is not the main one, where Python hides deprecations."""
    (tmp_path / "mine.py").write_text("import brianlearn as bl\nencoder = bl.Bernoulli(0.5)\n")
    (tmp_path / "main.py").write_text("import mine\nprint(mine.encoder)\n")
    command = [sys.executable, "main.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "PoissonEncoder(gain=0.5)\n"
    assert done.stderr.count("is now called brianlearn.PoissonEncoder") == 1 and "mine.py:2" in done.stderr
    silent = subprocess.run([*command[:1], "-W", "ignore", "main.py"], cwd=tmp_path, capture_output=True, text=True)
    assert silent.stderr == ""


@pytest.mark.parametrize("old", ["IntegrateAndFire", "Bernoulli", "Latency"])
def test_files_keep_the_name_under_which_a_class_was_first_stored(old: str) -> None:
    encoder = getattr(bl, NAMES[old])()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stored = to_dict(encoder)
        assert stored["$type"] == old
        assert from_dict(stored) == encoder


@pytest.mark.parametrize("folder", sorted(RUNS.glob("*/config.json")), ids=lambda path: path.parent.name)
def test_a_run_folder_of_an_earlier_version_opens_in_silence(folder: Path) -> None:
    stored = json.loads(folder.read_text())["spec"]
    with warnings.catch_warnings():
        warnings.simplefilter("error", bl.RenamedWarning)
        spec = from_dict(stored)
    assert isinstance(spec, bl.NetworkSpec) and type(spec.input.encoder) is bl.IntegrateAndFireEncoder
