"""N-MNIST's binary files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from brian2 import ms

import brianlearn as bl
from brianlearn.data.events.formats import read_five_bytes
from brianlearn.errors import DataError


def record(*events: tuple[int, int, int, int]) -> bytes:
    """(x, y, polarity, microseconds) as five bytes each."""
    rows = [(x << 32) | (y << 24) | (p << 23) | t for x, y, p, t in events]
    return b"".join(row.to_bytes(5, "big") for row in rows)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BRIANLEARN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "NMNIST"
    for part, digits in (("Train", (5, 0, 4)), ("Test", (7, 2))):
        for k, digit in enumerate(digits):
            file = root / part / str(digit) / f"{k + 1:05d}.bin"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(record((k, 1, 0, 100), (k, 1, 0, 900), (33, 33, 1, 2500), (2, 3, 1, 70000)))
    return root


def test_events_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(record((3, 5, 1, 17), (0, 240, 0, 0), (33, 0, 0, 2**23 - 1)))
    events = read_five_bytes(file, 34, 34)
    assert events.time.tolist() == [17, 2**23 - 1 + 2**13], "the middle one says that the clock overflowed"
    assert [events.x.tolist(), events.y.tolist(), events.polarity.tolist()] == [[3, 33], [5, 0], [1, 0]]


def test_recordings_become_events(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bl.load("nmnist", folder)
    assert data.train.labels.tolist() == [5, 0, 4], "in the order of MNIST"
    assert data.test.labels.tolist() == [7, 2]
    assert data.shape == (2, 34, 34)
    assert sorted([*data.train.ids, *data.test.ids]) == [0, 1, 2, 3, 4]
    second = data.train[1:2].inputs.load()
    assert second.step.tolist() == [0, 0, 2, 70]
    assert second.dense(100).sum() == 3, "two events of one pixel in a step are one spike"
    assert second.neuron.tolist() == [34 + 1, 34 + 1, 2 * 34 * 34 - 1, 34 * 34 + 3 * 34 + 2]
    monkeypatch.setenv("BRIANLEARN_DATA", str(folder.parent))
    coarse = bl.load("nmnist", dt=12 * ms).train[:1].inputs.load()
    assert sorted(set(zip(coarse.step.tolist(), coarse.neuron.tolist(), strict=True))) == [
        (0, 34),
        (0, 2 * 34 * 34 - 1),
        (5, 34 * 34 + 3 * 34 + 2),
    ]


def test_an_experiment_bins_at_its_time_step(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    monkeypatch.setenv("BRIANLEARN_DATA", str(folder.parent))
    spec = bl.NetworkSpec(
        bl.Input((2, 34, 34), bl.Spikes()), [bl.Dense(10, bl.SequenceLIF(20 * ms, 20 * ms))], None,
        dt=10 * ms, duration=80 * ms,
    )  # fmt: skip
    result = bl.Experiment(spec, bl.STBP(bl.Hamming()), data="nmnist", epochs=1, runs=tmp_path).run(progress=False)
    assert result.metrics[0]["firing_rates_hz"]["input"] == pytest.approx(2 / (2312 * 0.08) * 1.5, rel=0.01)
    again = bl.Experiment.from_run(result.run).run(resume=result.run, progress=False)
    assert again.test_loss == result.test_loss


def test_damaged_recordings_are_named(folder: Path, tmp_path: Path) -> None:
    file = folder / "Train" / "0" / "00002.bin"
    whole = file.read_bytes()
    for content, message in (
        (whole[:-1], "truncated(.|\n)*byte 19, in an event that begins at byte 15"),
        (b"", "is empty"),
        (record((40, 3, 0, 5)), "x = 40, y = 3, polarity 0 in event 0, at byte 0"),
    ):
        file.write_bytes(content)
        with pytest.raises(DataError, match=message) as caught:
            bl.load("nmnist", folder)
        assert caught.value.subject == str(file)
        assert not list((tmp_path / "cache").rglob("*.events*")), "nothing is cached half"
    with pytest.raises(DataError, match="cannot be read"):
        read_five_bytes(folder / "none.bin", 34, 34)


def test_missing_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIANLEARN_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"not on this machine(.|\n)*data fetch nmnist"):
        bl.load("nmnist")
    with pytest.raises(DataError, match=r"no such folder"):
        bl.load("nmnist", tmp_path / "nothing")
    monkeypatch.delenv("BRIANLEARN_DATA")
    with pytest.raises(DataError, match="BRIANLEARN_DATA is not set"):
        bl.load("nmnist")
    (tmp_path / "Train").mkdir()
    (tmp_path / "Test").mkdir()
    with pytest.raises(DataError, match="no recordings"):
        bl.load("nmnist", tmp_path)
    with pytest.raises(DataError, match="dt is wrong"):
        bl.load("nmnist", tmp_path, dt=5)


@pytest.mark.data
def test_official_files(data_folder: Path) -> None:
    """Every file of the subset is read; the first recordings are the first digits of MNIST."""
    if not (data_folder / "NMNIST").is_dir():
        pytest.skip("no NMNIST")
    data = bl.load("nmnist", data_folder / "NMNIST", dt=12 * ms)
    assert data.train.labels[:8].tolist() == [5, 0, 4, 1, 9, 2, 1, 3]
    events = data.train.inputs.load()
    lengths = np.diff(events.offsets)
    assert lengths.min() > 500 and lengths.max() < 10000 and events.step.max() < 30
