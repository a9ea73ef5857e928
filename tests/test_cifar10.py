"""CIFAR10 in its binary and its python format."""

from __future__ import annotations

import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest

import brianlearn as bl
from brianlearn.data.cifar10 import RECORD, read_batch
from brianlearn.data.download import unpack
from brianlearn.errors import DataError


@pytest.fixture(autouse=True)
def nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIANLEARN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("BRIANLEARN_DATA", raising=False)


def images(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(256, size=(n, 3, 32, 32)).astype(np.uint8), rng.integers(10, size=n)


def binary(pixels: np.ndarray, labels: np.ndarray) -> bytes:
    return b"".join(bytes([k]) + image.tobytes() for image, k in zip(pixels, labels, strict=True))


def pickled(pixels: np.ndarray, labels: np.ndarray) -> bytes:
    """As Python 2 wrote it: keys are bytes."""
    batch = {
        b"batch_label": b"training batch 1 of 5",
        b"labels": labels.tolist(),
        b"data": pixels.reshape(len(pixels), -1),
        b"filenames": [b"a.png"] * len(pixels),
    }
    return pickle.dumps(batch, protocol=2)


WRITERS = {"cifar-10-batches-bin": (binary, ".bin"), "cifar-10-batches-py": (pickled, "")}


@pytest.mark.parametrize("folder", WRITERS)
def test_both_formats(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, suffix = WRITERS[folder]
    (tmp_path / folder).mkdir()
    parts = [images(3, 1), images(2, 2), images(4, 3)]
    for name, part in zip(("data_batch_1", "data_batch_2", "test_batch"), parts, strict=True):
        (tmp_path / folder / f"{name}{suffix}").write_bytes(write(*part))
    (tmp_path / folder / "batches.meta").write_bytes(b"not read")
    monkeypatch.setenv("BRIANLEARN_DATA", str(tmp_path))
    for data in (bl.load("cifar10"), bl.load("cifar10", tmp_path), bl.load("cifar10", tmp_path / folder)):
        assert data.shape == (3, 32, 32) and data.classes[3] == "cat" and data.train.inputs.dtype == np.float32
        both = np.concatenate([parts[0][0], parts[1][0]])
        assert np.array_equal(data.train.inputs, (both / 255).astype(np.float32))
        assert data.train.labels.tolist() == [*parts[0][1], *parts[1][1]]
        assert np.array_equal(data.test.inputs, (parts[2][0] / 255).astype(np.float32))
        assert sorted([*data.train.ids, *data.test.ids]) == list(range(9))


def test_damaged_binary_files(tmp_path: Path) -> None:
    file = tmp_path / "data_batch_1.bin"
    whole = binary(*images(3, 1))
    bad_label = bytearray(whole)
    bad_label[2 * RECORD] = 10
    for content, message in (
        (b"", "empty"),
        (whole[:-1], rf"byte {len(whole) - 1}, in a record that begins at byte {2 * RECORD}"),
        (whole + b"1", "truncated"),
        (bytes(bad_label), rf"label 10 at byte {2 * RECORD}"),
    ):
        file.write_bytes(content)
        with pytest.raises(DataError, match=message) as caught:
            read_batch(file)
        assert caught.value.subject == str(file)
    with pytest.raises(DataError, match="no test_batch"):
        bl.load("cifar10", tmp_path)
    (tmp_path / "empty").mkdir()
    for folder in ("empty", "none"):
        with pytest.raises(DataError, match=r"holds no file|no such folder"):
            bl.load("cifar10", tmp_path / folder)


class Harmful:
    def __reduce__(self):
        return (print, ("a pickle ran a program",))


def test_damaged_pickles(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pixels, labels = images(3, 1)
    whole = pickled(pixels, labels)
    for content, message in (
        (whole[: len(whole) // 2], "not a whole file"),
        (b"abc", "not a whole file"),
        (pickle.dumps(Harmful()), "no part of a numpy array"),
        (pickle.dumps([1, 2]), "something else than CIFAR10"),
        (pickle.dumps({b"data": pixels.reshape(3, -1)[:2], b"labels": labels.tolist()}, protocol=2), "do not fit"),
        (pickle.dumps({b"data": pixels.reshape(3, -1), b"labels": [1, 2, 77]}, protocol=2), "label 77 of image 2"),
        (pickle.dumps({b"data": pixels.reshape(3, -1), b"labels": [1, 2, -1]}, protocol=2), "label -1"),
    ):
        file = tmp_path / "data_batch_1"
        file.write_bytes(content)
        with pytest.raises(DataError, match=message):
            read_batch(file)
    assert "ran a program" not in capsys.readouterr().out


def test_archives_unpack_whole_or_not_at_all(tmp_path: Path) -> None:
    inside = tmp_path / "cifar-10-batches-bin"
    inside.mkdir()
    (inside / "data_batch_1.bin").write_bytes(b"123" * 10_000)

    def archive(name: str) -> Path:
        with tarfile.open(tmp_path / name, "w:gz") as tar:
            tar.add(inside, "cifar-10-batches-bin")
        return tmp_path / name

    target = tmp_path / "cache" / "cifar10" / "bin"
    damaged = archive("a.tar.gz")
    damaged.write_bytes(damaged.read_bytes()[:-40])
    with pytest.raises(DataError, match="cannot be unpacked"):
        unpack(damaged, target, "cifar-10-batches-bin")
    with pytest.raises(DataError, match=r"something else(.|\n)*cifar-10-batches-bin"):
        unpack(archive("b.tar.gz"), target, "other")
    assert not target.exists() and not list(target.parent.iterdir()), "nothing is left half"
    whole = archive("c.tar.gz")
    assert (unpack(whole, target, "cifar-10-batches-bin") / "data_batch_1.bin").stat().st_size == 30_000
    assert not whole.exists()


@pytest.mark.data
def test_real_files(data_folder: Path) -> None:
    folder = data_folder / "cifar-10-batches-bin"
    if not folder.is_dir():
        pytest.skip("no CIFAR10")
    data = bl.load("cifar10", folder)
    assert len(data.train) % 10_000 == 0 and len(data.test) >= 1000
    assert data.train.labels[:5].tolist() == [6, 9, 9, 4, 1], "frog, truck, truck, deer, automobile"
    assert data.test.labels[:4].tolist() == [3, 8, 8, 0], "cat, ship, ship, airplane"
    assert data.train.inputs[:10_000].mean(axis=(0, 2, 3)) == pytest.approx([0.492, 0.483, 0.447], abs=0.005)
