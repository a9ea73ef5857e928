"""Data sets of tonic become binned recordings: its own classes on small files in their layouts, and made-up ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2 import ms, us
from event_files import five_bytes, some_events, spiking_digits
from hypothesis import given, settings
from hypothesis import strategies as st

import brianlearn as bl
from brianlearn.errors import DataError, UnitError

FIELDS = {"t": np.int64, "x": np.int16, "y": np.int16, "p": bool}


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("BRIANLEARN_CACHE", str(folder))
    return folder


class Made:
    """A data set in memory, as tonic's are to those who use them."""

    def __init__(self, items: list[Any], sensor_size: Any = (4, 3, 2), **attributes: Any) -> None:
        self.items, self.sensor_size, self.read = items, sensor_size, 0
        vars(self).update(attributes)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, k: int) -> Any:
        self.read += 1
        found = self.items[k]
        if isinstance(found, Exception):
            raise found
        return found


def events(rows: list[tuple[int, ...]], names: str = "txyp") -> np.ndarray:
    return np.array([tuple(row) for row in rows], [(name, FIELDS[name]) for name in names])


ONE = (events([(0, 3, 2, 1), (2999, 0, 1, 0)]), 1)


def counts(samples: bl.Samples) -> list[dict[tuple[int, int], int]]:
    """(step, input) -> events, of each recording."""
    found: list[dict[tuple[int, int], int]] = []
    for k in range(len(samples)):
        loaded = samples.inputs[k : k + 1].load()
        found.append({})
        for at in zip(loaded.step.tolist(), loaded.neuron.tolist(), strict=True):
            found[-1][at] = found[-1].get(at, 0) + 1
    return found


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_every_event_is_in_its_step_and_place(data: st.DataObject) -> None:
    """By plain whole numbers; several orders and types of fields, with and without rows, unsorted."""
    names = data.draw(st.sampled_from(["txyp", "xytp", "txp", "pxt"]))
    width, height, channels = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 7), st.sampled_from([1, 2])))
    height = height if "y" in names else 1
    dt = data.draw(st.integers(1, 5000))
    kinds = FIELDS | {"p": data.draw(st.sampled_from([bool, np.int8, np.uint8, np.int64]))}
    recordings, expected = [], []
    for _ in range(data.draw(st.integers(1, 4))):
        rows = data.draw(
            st.lists(
                st.tuples(
                    st.integers(0, 10**7), st.integers(0, width - 1), st.integers(0, height - 1), st.integers(0, 1)
                ),
                max_size=15,
            )
        )
        table = np.zeros(len(rows), [(name, kinds[name]) for name in names])
        for name, column in zip("txyp", np.array(rows, np.int64).reshape(-1, 4).T, strict=True):
            if name in names:
                table[name] = column
        recordings.append((table, data.draw(st.integers(0, 5))))
        expected.append({})
        for t, x, y, p in rows:
            at = (t // dt, ((p if channels == 2 else 0) * height + (y if "y" in names else 0)) * width + x)
            expected[-1][at] = expected[-1].get(at, 0) + 1
    made = bl.data.from_tonic(
        Made(recordings, (width, height, channels)), Made([], (width, height, channels)), dt=dt * us
    )
    assert made.shape == (channels, height, width) and len(made.test) == 0
    assert counts(made.train) == expected
    assert made.train.labels.tolist() == [label for _, label in recordings]
    dense = made.train.inputs.load()
    assert dense.durations.tolist() == [max((s for s, _ in part), default=-1) + 1 for part in expected]


WRONG = {
    "frames": (np.zeros((5, 2, 3, 4)), 0, r"recording 1: these are no events(.|\n)*\(5, 2, 3, 4\)(.|\n)*ToFrame"),
    "x outside": (events([(0, 4, 0, 0)]), 0, r"recording 1(.|\n)*outside of the shape(.|\n)*x = 4"),
    "no rows": (events([(0, 3, 1)], "txp"), 0, "recording 1: the events have no y"),
    "before 0": (events([(-5, 0, 0, 0)]), 0, "recording 1: a time is negative"),
    "no times": (events([(0, 0, 0)], "xyp"), 0, "recording 1: these are no events(.|\n)*x, y, p"),
    "a class that there is not": (ONE[0], 7, "recording 1: the label is no class(.|\n)*7(.|\n)*0 to 1"),
    "a label of text": (ONE[0], "c", "recording 1: the label is no class(.|\n)*'c'(.|\n)*a, b"),
    "half a label": (ONE[0], 0.5, "recording 1: the label is no class"),
    "a box": (ONE[0], {"box": 1}, "recording 1: the label is no class"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_recordings_are_named(name: str, cache: Path) -> None:
    recording, label, message = WRONG[name]
    with pytest.raises(DataError, match=message):
        bl.data.from_tonic(Made([ONE, (recording, label)], classes=["a", "b"]), Made([ONE], classes=["a", "b"]))
    assert not list(cache.rglob("*.events*")), "nothing is cached half"


def test_wrong_data_sets_are_named() -> None:
    good = Made([ONE])
    for wrong, message in (
        ((good, [1]), "test has no sensor_size"),
        ((3, good), "train is no data set(.|\n)*int"),
        ((Made([ONE], None), good), "train has no sensor_size(.|\n)*Made(.|\n)*240, 180, 2"),
        ((Made([ONE], (4, 3)), good), "sensor_size is wrong"),
        ((Made([ONE], (4, 3, 1)), good), "train and test differ in sensor_size"),
        ((Made([ONE[0]]), good), r"recording 0: this is not \(events, label\)"),
        ((Made([(*ONE, 5)]), good), r"recording 0: this is not \(events, label\)(.|\n)*3 things"),
        ((Made([ONE, ValueError("a broken transform")]), good), "recording 1: (.|\n)*ValueError: a broken transform"),
    ):
        with pytest.raises(DataError, match=message):
            bl.data.from_tonic(*wrong)
    with pytest.raises(UnitError, match="dt is no time"):
        bl.data.from_tonic(good, good, dt=1)
    with pytest.raises(DataError, match="classes are wrong"):
        bl.data.from_tonic(good, good, classes=["a", "a"])


def test_labels_and_classes() -> None:
    text = Made([(ONE[0], "dog"), (ONE[0], b"cat")])
    for given_classes, expected in ((["cat", "dog"], [1, 0]), (("dog", "bird", "cat"), [0, 2])):
        data = bl.data.from_tonic(text, text, classes=given_classes)
        assert data.classes == tuple(given_classes) and data.train.labels.tolist() == expected
    with pytest.raises(DataError, match=r"label is no class(.|\n)*classes=\["):
        bl.data.from_tonic(text, text)
    data = bl.data.from_tonic(Made([(ONE[0], np.array(3, np.uint8))]), Made([(ONE[0], np.array([1])[0])]))
    assert data.classes == ("0", "1", "2", "3") and sorted([*data.train.ids, *data.test.ids]) == [0, 1]


def test_the_cache(cache: Path) -> None:
    train, test = Made([ONE, ONE]), Made([ONE])
    first = bl.data.from_tonic(train, test)
    again = bl.data.from_tonic(train, test)
    assert train.read == 4 and first.train.inputs.digest() == again.train.inputs.digest()
    assert len(list(cache.rglob("*"))) == 3, "the same content is one file"
    train.items[0] = (ONE[0], 0)
    assert bl.data.from_tonic(train, test).train.labels.tolist() == [0, 1]
    assert first.train.labels.tolist() == [1, 1] and first.train.inputs.load().step.size == 4, "as long as it is used"
    keyed = bl.data.from_tonic(train, test, cache_key="mine")
    before = train.read
    assert bl.data.from_tonic(train, test, cache_key="mine").train.inputs.digest() == keyed.train.inputs.digest()
    assert train.read == before
    for other in ({"dt": 2 * ms}, {"sensor_size": (5, 3, 2)}, {"classes": ["a", "b"]}):
        bl.data.from_tonic(train, test, cache_key="mine", **other)
        assert train.read == (before := before + 2)


def test_spiking_heidelberg_digits(tmp_path: Path) -> None:
    """Tonic's own class, on files in the layout of the data set."""
    pytest.importorskip("h5py")
    tonic = pytest.importorskip("tonic")
    expected = {}
    for part, n in (("train", 4), ("test", 2)):
        expected[part] = spiking_digits(tmp_path / "SHD" / f"shd_{part}.h5", n, seed=n)
        (tmp_path / "SHD" / f"shd_{part}.h5.zip").touch()  # it looks whether the archive is there, and not into it
    sets = [tonic.datasets.SHD(str(tmp_path), train=train) for train in (True, False)]
    data = bl.data.from_tonic(*sets, dt=2 * ms)
    assert (data.name, data.shape, len(data.classes), data.classes[:2]) == ("SHD", (1, 1, 700), 20, ("zero", "one"))
    for part in ("train", "test"):
        samples, recordings = getattr(data, part), expected[part]
        assert samples.labels.tolist() == [label for _, _, label in recordings]
        for found, (times, units, _) in zip(counts(samples), recordings, strict=True):
            plain: dict[tuple[int, int], int] = {}
            for at in zip((int(float(t) * 1e6) // 2000 for t in times), units.tolist(), strict=True):
                plain[at] = plain.get(at, 0) + 1
            assert found == plain
    # its own transforms of events
    fewer = [
        tonic.datasets.SHD(str(tmp_path), train=train, transform=tonic.transforms.CropTime(max=100_000))
        for train in (True, False)
    ]
    cropped = bl.data.from_tonic(*fewer, dt=2 * ms)
    assert cropped.train.inputs.durations.max() <= 51 < data.train.inputs.durations.max()
    frames = tonic.datasets.SHD(str(tmp_path), transform=tonic.transforms.ToFrame((700, 1, 1), time_window=1000))
    with pytest.raises(DataError, match=r"SHD, train, recording 0: these are no events(.|\n)*ToFrame"):
        bl.data.from_tonic(frames, frames)


def test_parts_of_a_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """N-Caltech101 of tonic has one set, recordings of several sizes, and labels of text."""
    pytest.importorskip("h5py")
    tonic, data_of_torch = pytest.importorskip("tonic"), pytest.importorskip("torch.utils.data")
    monkeypatch.setattr(tonic.dataset.Dataset, "_folder_contains_at_least_n_files_of_type", lambda *_: True)
    folder = tmp_path / "NCALTECH101"
    recordings = {}
    for k, label in enumerate(["anchor", "anchor", "ant", "zebra"]):
        recordings[f"{label}/image_{k:04d}.bin"] = some_events(50, seed=k, side=30 + 20 * k)
        file = folder / "Caltech101" / label / f"image_{k:04d}.bin"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(five_bytes(recordings[f"{label}/image_{k:04d}.bin"]))
    (folder / "N-Caltech101-archive.zip").touch()
    whole = tonic.datasets.NCALTECH101(str(tmp_path))
    train, test = (data_of_torch.Subset(whole, part) for part in ([3, 0], [1, 2]))
    with pytest.raises(DataError, match="NCALTECH101, whose recordings may differ in size"):
        bl.data.from_tonic(train, test)
    data = bl.data.from_tonic(train, test, sensor_size=(100, 90, 2))
    assert (data.name, data.classes) == ("NCALTECH101", ("anchor", "ant", "zebra"))
    names = [path.split("Caltech101/")[1] for path in whole.data]
    for samples, part in ((data.train, [3, 0]), (data.test, [1, 2])):
        assert samples.labels.tolist() == [data.classes.index(names[k].split("/")[0]) for k in part]
        for found, k in zip(counts(samples), part, strict=True):
            rows = recordings[names[k]]
            left, top = min(x for _, x, _, _ in rows), min(y for _, _, y, _ in rows)  # tonic moves them to the corner
            plain: dict[tuple[int, int], int] = {}
            for t, x, y, p in rows:
                at = (t // 1000, (p * 90 + y - top) * 100 + x - left)
                plain[at] = plain.get(at, 0) + 1
            assert found == plain


def test_the_same_as_the_built_in_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """N-MNIST, read and binned by way of tonic and by this package's own reader."""
    pytest.importorskip("h5py")
    nmnist = pytest.importorskip("tonic").datasets.NMNIST
    monkeypatch.setattr(nmnist, "_folder_contains_at_least_n_files_of_type", lambda *_: True)
    for part, digits in (("Train", (3, 0, 9)), ("Test", (1, 2))):
        for k, digit in enumerate(digits):
            file = tmp_path / "NMNIST" / part / str(digit) / f"{k + 1:05d}.bin"
            file.parent.mkdir(parents=True)
            file.write_bytes(five_bytes(some_events(200, seed=k, side=34, length=300_000)))
    for name in (nmnist.train_filename, nmnist.test_filename):
        (tmp_path / "NMNIST" / name).touch()
    theirs = bl.data.from_tonic(*(nmnist(str(tmp_path), train=train) for train in (True, False)), dt=3 * ms)
    ours = bl.load("nmnist", tmp_path / "NMNIST", dt=3 * ms)
    for a, b in ((ours.train, theirs.train), (ours.test, theirs.test)):
        by_label = np.argsort(a.labels)  # tonic goes through the folders, ours is in the order of MNIST
        assert a.labels[by_label].tolist() == b.labels.tolist()
        assert counts(a[by_label]) == counts(b)


def test_columns_of_matlab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ASL-DVS of tonic gives arrays (n, 1)."""
    pytest.importorskip("h5py")
    tonic = pytest.importorskip("tonic")
    from scipy.io import savemat

    monkeypatch.setattr(tonic.dataset.Dataset, "_folder_contains_at_least_n_files_of_type", lambda *_: True)
    rows = np.array(some_events(40, side=180))
    for letter in "ab":
        folder = tmp_path / "ASLDVS" / letter
        folder.mkdir(parents=True)
        savemat(folder / f"{letter}_0001.mat", dict(zip(("ts", "x", "y", "pol"), rows.T[:, :, None], strict=True)))
    (tmp_path / "ASLDVS" / "ASLDVS.zip").touch()
    whole = tonic.datasets.ASLDVS(str(tmp_path))
    data = bl.data.from_tonic(whole, whole)
    assert data.shape == (2, 180, 240) and data.train.labels.tolist() == [0, 1] and data.classes[25] == "z"
    plain: dict[tuple[int, int], int] = {}
    for t, x, y, p in rows.tolist():
        at = (t // 1000, (p * 180 + 179 - y) * 240 + x)
        plain[at] = plain.get(at, 0) + 1
    assert counts(data.train) == [plain, plain]


def test_an_experiment(tmp_path: Path) -> None:
    """From tonic's data set into a network, on Brian2."""
    rng = np.random.default_rng(0)
    times = [rng.integers(0, 20000, 40) for _ in range(8)]
    items = [(events([(int(t), k % 4, 1) for t in times[k]], "txp"), k % 2) for k in range(8)]
    data = bl.data.from_tonic(Made(items, (4, 1, 1)), Made(items[:2], (4, 1, 1)))
    layers, timing = [bl.Dense(8, bl.CubaLIF())], {"dt": 1 * ms, "duration": 20 * ms}
    spec = bl.NetworkSpec(bl.Input((1, 1, 4), bl.Spikes()), layers, bl.Readout(2), **timing)
    experiment = bl.Experiment(spec, bl.DALTON(), data=data, epochs=1, engine="brian", device="numpy", runs=tmp_path)
    rates = experiment.run(progress=False).metrics[0]["firing_rates_hz"]
    fired = sum(len(np.unique(t // 1000)) for t in times)
    assert rates["input"] == pytest.approx(fired / (8 * 4 * 20e-3))
