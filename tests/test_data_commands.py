"""brianlearn data list | fetch | check."""

from __future__ import annotations

import json
from pathlib import Path

import event_files as files
import pytest
from typer.testing import CliRunner

from brianlearn.cli import app
from brianlearn.data import nmnist
from brianlearn.data.download import download
from brianlearn.errors import DataError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BRIANLEARN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BRIANLEARN_DATA", str(tmp_path / "data"))
    for part in ("Train", "Test"):
        for label in (0, 1):
            content = files.five_bytes(files.some_events(30, seed=label, side=34))
            files.write(tmp_path / "data" / "NMNIST" / part / str(label) / "00001.bin", content)
    return tmp_path / "data" / "NMNIST"


def call(*arguments: object):
    return CliRunner().invoke(app, ["data", *map(str, arguments)])


def test_list(folder: Path) -> None:
    found = {line["name"]: line for line in json.loads(call("list", "--json").stdout)}
    assert found["nmnist"]["where"] == str(folder) and found["mnist"]["where"] is None
    assert (found["cifar10_dvs"]["train"], found["cifar10_dvs"]["test"]) == (9000, 1000)
    text = call("list").stdout
    assert all(name in text for name in found) and "built in" in text


def test_check(folder: Path) -> None:
    found = json.loads(call("check", "nmnist", "--json").stdout)
    assert (found["train"], found["test"], found["complete"]) == (2, 2, False) and found["shape"] == [2, 34, 34]
    assert found["mean"] == pytest.approx(30, abs=1) and found["where"] == str(folder)
    assert "a part of the data set" in call("check", "nmnist", "--path", folder).stdout
    # nothing in the cache stands for files that have changed since
    file = folder / "Train" / "1" / "00001.bin"
    file.write_bytes(file.read_bytes()[:-2])
    result = call("check", "nmnist")
    assert result.exit_code == 1 and "truncated" in result.stderr and str(file) in result.stderr.replace("\n", "")
    for name, message in (("mnist", "not on this machine"), ("nope", "unknown data set")):
        result = call("check", name)
        assert result.exit_code == 1 and message in result.stderr


def test_check_of_built_in_data() -> None:
    found = json.loads(call("check", "digits", "--json").stdout)
    assert found["complete"] and found["where"] == "built in" and found["longest"] is None


def test_check_of_all_that_is_there(folder: Path) -> None:
    found = json.loads(call("check", "--json").stdout)
    assert [each["name"] for each in found] == ["digits", "digits_events", "nmnist", "channel_orders", "spoken_words"]
    # a damaged one is named, and the others are checked all the same
    (folder / "Test" / "0" / "00001.bin").write_bytes(b"abc")
    result = call("check")
    assert result.exit_code == 1 and "00001.bin" in result.stderr.replace("\n", "")
    assert "digits_events" in result.stdout and "nmnist" not in result.stdout
    result = call("check", "--path", folder)
    assert result.exit_code == 1 and "give a name" in result.stderr


def test_fetch(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "already in" in call("fetch", "nmnist").stdout
    assert "built in" in call("fetch", "digits").stdout
    import zipfile

    # archives that are there already, in the place of a download
    monkeypatch.setenv("BRIANLEARN_DATA", str(tmp_path))

    def archive(data_set: str, url: str, md5: str, place: Path, remedy: str, name: str) -> Path:
        place.mkdir(parents=True, exist_ok=True)
        part = name.removeprefix("nmnist-").removesuffix(".zip")
        with zipfile.ZipFile(place / name, "w") as opened:
            for file in (folder / part).rglob("*.bin"):
                opened.write(file, file.relative_to(folder))
        return place / name

    monkeypatch.setattr(nmnist, "download", archive)
    assert "is now in" in call("fetch", "nmnist").stdout.replace("\n", "")
    found = json.loads(call("check", "nmnist", "--json").stdout)
    assert found["train"] == 2 and found["where"] == str(tmp_path / "cache" / "nmnist")


def test_a_failed_download_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"could not be downloaded(.|\n)*put it there") as caught:
        download("x", "http://127.0.0.1:9/a.zip", "0" * 32, tmp_path, "put it there")
    assert "0" * 32 in str(caught.value) and not list(tmp_path.glob("*.zip"))
