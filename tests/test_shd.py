"""SHD and SSC, from files in their published layout."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import event_files as files
import numpy as np
import pytest
from brian2 import ms
from typer.testing import CliRunner

import brianlearn as bl
from brianlearn.cli import app
from brianlearn.data import hdf5
from brianlearn.errors import DataError

h5py = pytest.importorskip("h5py")
WORDS = [f"word{k}" for k in range(35)]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BRIANLEARN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BRIANLEARN_DATA", str(tmp_path))
    return tmp_path / "cache"


@pytest.mark.parametrize(("name", "kind"), [("shd", np.float16), ("shd", np.float32), ("ssc", np.float16)])
def test_recordings(name: str, kind: type, tmp_path: Path) -> None:
    classes = files.SPOKEN if name == "shd" else WORDS
    expected = {
        part: files.spiking_digits(tmp_path / name.upper() / f"{name}_{part}.h5", n, n, kind, classes)
        for part, n in (("train", 5), ("test", 3))
    }
    data = bl.load(name, dt=2 * ms)
    assert data.shape == (1, 1, 700) and data.classes == tuple(classes)
    for part, samples in (("train", data.train), ("test", data.test)):
        assert samples.labels.tolist() == [label for _, _, label in expected[part]]
        for k, (times, units, _) in enumerate(expected[part]):
            loaded = samples.inputs[k : k + 1].load()
            found = Counter(zip(loaded.step.tolist(), loaded.neuron.tolist(), strict=True))
            # of 16 and 32 bits: exact in 64, and no multiple of 2 ms but for rounding
            assert found == Counter(zip((int(float(t) / 2e-3 + 1e-6) for t in times), units.tolist(), strict=True))
    assert sorted([*data.train.ids, *data.test.ids]) == list(range(8))


def test_the_same_as_through_tonic(tmp_path: Path) -> None:
    tonic = pytest.importorskip("tonic")
    for part in ("train", "test"):
        files.spiking_digits(tmp_path / "SHD" / f"shd_{part}.h5", 3, len(part))
        (tmp_path / "SHD" / f"shd_{part}.h5.zip").touch()
    ours = bl.load("shd")
    theirs = bl.data.from_tonic(*(tonic.datasets.SHD(str(tmp_path), train=train) for train in (True, False)), dt=1 * ms)
    assert ours.classes == theirs.classes
    for part in ("train", "test"):
        a, b = getattr(ours, part), getattr(theirs, part)
        assert a.inputs.digest() == b.inputs.digest() and a.labels.tolist() == b.labels.tolist()


def change(path: Path, **members: object) -> None:
    """Replace members; None removes one."""
    with h5py.File(path, "r+") as file:
        for name, value in members.items():
            name = name.replace("__", "/")
            del file[name]
            if isinstance(value, list):
                kind = h5py.vlen_dtype(np.asarray(value[0]).dtype)
                file.create_dataset(name, (len(value),), kind)
                for k, row in enumerate(value):
                    file[name][k] = row
            elif value is not None:
                file[name] = value


WRONG = {
    "labels missing": ({"labels": None}, "labels cannot be read(.|\n)*KeyError"),
    "times missing": ({"spikes__times": None}, "spikes/times cannot be read"),
    "names missing": ({"extra__keys": None}, "extra/keys cannot be read"),
    "another number of names": ({"extra__keys": np.array([b"a", b"b"])}, "classes are wrong(.|\n)*2 names(.|\n)*20"),
    "fewer labels": ({"labels": np.array([1], np.uint16)}, r"differ in shape(.|\n)*labels \(1,\)"),
    "label out of range": ({"labels": np.array([1, 20], np.uint16)}, "no class(.|\n)*label 20 of recording 1"),
    "labels of text": ({"labels": np.array([b"a", b"b"])}, "labels are no whole numbers"),
    "a channel too many": (
        {"spikes__units": [np.array([3, 700], np.uint16)] * 2, "spikes__times": [np.zeros(2, np.float16)] * 2},
        r"shd_train.h5, recording 0: an event lies outside(.|\n)*x = 700 of event 1",
    ),
    "a time before 0": (
        {"spikes__units": [np.array([3], np.uint16)] * 2, "spikes__times": [np.full(1, -0.5, np.float16)] * 2},
        "recording 0: a time is negative",
    ),
    "no number": (
        {"spikes__units": [np.array([3], np.uint16)] * 2, "spikes__times": [np.full(1, np.nan, np.float16)] * 2},
        "recording 0: a time is not finite",
    ),
    "another length": (
        {"spikes__units": [np.array([3], np.uint16)] * 2, "spikes__times": [np.zeros(4, np.float16)] * 2},
        "recording 0: x and t differ in shape",
    ),
    "times as whole numbers": (
        {"spikes__units": [np.array([3], np.uint16)] * 2, "spikes__times": [np.zeros(1, np.int32)] * 2},
        "recording 0: it holds something else",
    ),
    "another kind of array": ({"spikes__times": np.zeros((2, 4), np.float16)}, r"differ in shape(.|\n)*\(2, 4\)"),
}


@pytest.mark.parametrize("name", WRONG)
def test_files_of_another_layout_are_named(name: str, tmp_path: Path, cache: Path) -> None:
    members, message = WRONG[name]
    for part in ("train", "test"):
        files.spiking_digits(tmp_path / "SHD" / f"shd_{part}.h5", 2)
    change(tmp_path / "SHD" / "shd_train.h5", **members)
    with pytest.raises(DataError, match=message) as caught:
        bl.load("shd")
    assert "shd_train.h5" in caught.value.subject
    assert not list(cache.rglob("*.events*")), "nothing is cached half"


def test_files_on_which_the_library_hangs_or_crashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose reading has no end stands for the first: a pipe that nobody writes to."""
    os.mkfifo(tmp_path / "endless.h5")
    monkeypatch.setattr(hdf5, "PATIENCE", 2.0)
    with pytest.raises(DataError, match=r"endless.h5: this is no whole HDF5 file(.|\n)*more than 2 s without an end"):
        hdf5.check_hdf5(tmp_path / "endless.h5", ("labels",), "labels")
    monkeypatch.setattr(hdf5, "_READ", "import os; os.abort()")
    with pytest.raises(DataError, match=r"no whole HDF5 file(.|\n)*ends with status (-6|134)"):
        hdf5.check_hdf5(tmp_path / "endless.h5", ("labels",), "labels")


def test_damaged_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"not on this machine(.|\n)*data fetch shd"):
        bl.load("shd")
    file = tmp_path / "SHD" / "shd_train.h5"
    for part in ("train", "test"):
        files.spiking_digits(file.with_name(f"shd_{part}.h5"), 2)
    whole = file.read_bytes()
    for content in (b"", b"something else", whole[:100], whole[: len(whole) // 2]):
        file.write_bytes(content)
        with pytest.raises(DataError, match="no whole HDF5 file") as caught:
            bl.load("shd")
        assert caught.value.subject == str(file)
    for option, message in (({"size": (8, 8)}, "spikes without pixels"), ({"split_seed": 1}, "official split")):
        with pytest.raises(DataError, match=message):
            bl.DataSource("shd", **option)


def test_the_command_line(tmp_path: Path) -> None:
    for part, n in (("train", 4), ("test", 2)):
        files.spiking_digits(tmp_path / "SHD" / f"shd_{part}.h5", n)
    found = json.loads(CliRunner().invoke(app, ["data", "check", "shd", "--json"]).stdout)
    assert (found["train"], found["test"], found["complete"], found["classes"]) == (4, 2, False, 20)
    listed = {line["name"]: line for line in json.loads(CliRunner().invoke(app, ["data", "list", "--json"]).stdout)}
    assert listed["shd"]["where"] == str(tmp_path / "SHD") and listed["ssc"]["where"] is None
    assert (listed["ssc"]["train"], listed["ssc"]["test"]) == (75466, 20382)
