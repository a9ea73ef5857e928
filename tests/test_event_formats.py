"""Event recordings written in their official layouts are read back to the same events; others are refused."""

from __future__ import annotations

from pathlib import Path

import event_files as files
import numpy as np
import pytest
from brian2 import ms

import brianlearn as bl
from brianlearn.data.cifar10_dvs import CLASSES as CIFAR_CLASSES
from brianlearn.data.cifar10_dvs import training_recordings
from brianlearn.data.events.aedat4 import read_aedat4
from brianlearn.data.events.formats import read_aedat2, read_aedat31, read_five_bytes, read_npy
from brianlearn.data.events.pipeline import Pipeline
from brianlearn.errors import DataError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BRIANLEARN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("BRIANLEARN_DATA", raising=False)
    return tmp_path / "cache"


def tuples(events: bl.RawEvents) -> list[files.Event]:
    return list(zip(*(getattr(events, name).tolist() for name in ("time", "x", "y", "polarity")), strict=True))


EVENTS = files.some_events(120)
FORMATS = {
    "five": (lambda path: read_five_bytes(path, 128, 128), files.five_bytes),
    "aedat2": (read_aedat2, files.aedat2),
    "aedat31": (read_aedat31, files.aedat31),
    "aedat4": (read_aedat4, files.aedat4),
}


@pytest.mark.parametrize("name", FORMATS)
def test_round_trip(name: str, tmp_path: Path) -> None:
    read, content = FORMATS[name]
    assert tuples(read(files.write(tmp_path / "a", content(EVENTS)))) == EVENTS


@pytest.mark.parametrize("name", FORMATS)
def test_truncated_empty_and_foreign_files(name: str, tmp_path: Path) -> None:
    """Cut anywhere but between whole events or packets, a file is refused, with a byte in it."""
    read, write = FORMATS[name]
    whole = write(EVENTS)
    cuts = [0, 1, 13, len(whole) - 1, len(whole) - 3]
    for cut in cuts:
        file = files.write(tmp_path / "cut", whole[:cut])
        with pytest.raises(DataError, match=r"byte \d+") as caught:
            read(file)
        assert str(file) in caught.value.subject
    with pytest.raises(DataError, match="cannot be read"):
        read(tmp_path / "none")
    for other, (_, content) in FORMATS.items():
        if other != name:
            with pytest.raises(DataError):
                read(files.write(tmp_path / other, content(EVENTS)))
    outside = (500, 127, 5, 1) if name == "aedat2" else (500, 130, 5, 1)
    if name != "aedat2":  # which has 7 bits
        with pytest.raises(DataError, match=r"outside of the camera's field(.|\n)*x = 130"):
            read(files.write(tmp_path / "outside", write([*EVENTS, outside])))


def test_cut_everywhere(tmp_path: Path) -> None:
    """No cut of a file gives other events than the first ones."""
    for name, (read, write) in FORMATS.items():
        whole = write(EVENTS[:20])
        for cut in range(len(whole)):
            file = files.write(tmp_path / "cut", whole[:cut])
            try:
                found = tuples(read(file))
            except DataError:
                continue
            assert found == EVENTS[: len(found)], (name, cut)


def test_invalid_and_late_events(tmp_path: Path) -> None:
    late = [(2**31 + 5, 3, 4, 1), (2**33 + 7, 5, 6, 0)]
    file = files.write(tmp_path / "a", files.aedat31([*EVENTS, *late], invalid=(1, 119)))
    assert tuples(read_aedat31(file)) == [e for k, e in enumerate(EVENTS) if k not in (1, 119)] + late
    with pytest.raises(DataError, match="no polarity events"):
        read_aedat31(files.write(tmp_path / "b", files.aedat31([])))


def test_addresses_of_a_dvs128(tmp_path: Path) -> None:
    """Written out by hand: 0x0A28 is row 10 from below, column 20 from the right, bit 0 = 0: brighter."""
    records = [(0x0A28, 1000), (0x0A29, 2000), (0x0000, 3000), (0x7FFE, 4000)]
    read = read_aedat2(files.write(tmp_path / "a", files.aedat2_records(records)))
    assert tuples(read) == [(1000, 107, 117, 1), (2000, 107, 117, 0), (3000, 127, 127, 1), (4000, 0, 0, 1)]


def test_one_scene_in_all_formats(tmp_path: Path) -> None:
    """The same network input, whichever format the recording has."""
    pipeline = Pipeline(128, 128, 1e-3)
    codes = [
        pipeline.codes(read(files.write(tmp_path / name, write(EVENTS)))) for name, (read, write) in FORMATS.items()
    ]
    assert all(np.array_equal(code, codes[0]) for code in codes)


@pytest.mark.parametrize("start", [-3000, 2**31 - 3000, 2**32 - 3000, -1, 2**31, 0])
@pytest.mark.parametrize("late", [False, True], ids=["in order", "out of order"])
def test_clock_of_32_bits_goes_on(start: int, late: bool, tmp_path: Path) -> None:
    times = [0, 1000, 2000, 4000, 3000, 5000, 6000] if late else [1000 * k for k in range(7)]
    records = [(files.dvs128_address(k, 3, 1), start + t) for k, t in enumerate(times)]
    events = read_aedat2(files.write(tmp_path / "a", files.aedat2_records(records)))
    assert events.since(int(events.time[0])).time.tolist() == times and events.x.tolist() == list(range(7))
    assert 0 <= events.time[0] < 2**32 and len(Pipeline(128, 128, 1e-3).codes(events)) == 7, "nothing vanishes"


def test_long_recordings_pass_the_clock_twice(tmp_path: Path) -> None:
    times = [k * 2**30 for k in range(12)]
    events = read_aedat2(files.write(tmp_path / "a", files.aedat2([(t, 1, 2, 0) for t in times])))
    assert events.time.tolist() == times


def test_special_events_of_aedat2(tmp_path: Path) -> None:
    """They have no pixel; an address of another camera is refused."""
    records = [(files.dvs128_address(x, y, p), t) for t, x, y, p in EVENTS]
    special = [(0x8000, EVENTS[3][0]), (0x8A28, EVENTS[3][0]), (0x8000_8000, EVENTS[3][0])]
    whole = files.aedat2_records([*records[:4], *special, *records[4:]])
    assert tuples(read_aedat2(files.write(tmp_path / "a", whole))) == EVENTS
    with pytest.raises(DataError, match="no events"):
        read_aedat2(files.write(tmp_path / "b", files.aedat2_records(special)))
    other = files.aedat2_records([*records, (130 << 12 | 90 << 22, 7)])  # of a DAVIS
    with pytest.raises(DataError, match=rf"none of a DVS128(.|\n)*byte {len(other) - 8}"):
        read_aedat2(files.write(tmp_path / "c", other))


def test_events_without_pixel_are_not_checked(tmp_path: Path) -> None:
    """An event that is marked invalid may be anywhere; one of the clock of N-MNIST too."""
    outside = (EVENTS[0][0], 200, 300, 0)
    whole = files.aedat31([outside, *EVENTS], invalid=(0,))
    assert tuples(read_aedat31(files.write(tmp_path / "a", whole))) == EVENTS
    clock = bytes([255, 240, 0, 31, 255])
    read = read_five_bytes(files.write(tmp_path / "b", clock + files.five_bytes([(5, 1, 2, 1)])), 34, 34)
    assert tuples(read) == [(2**13 + 5, 1, 2, 1)]


def test_times_that_no_clock_shows(tmp_path: Path) -> None:
    for time in (2**62, -(2**62), 2**63 - 1):
        with pytest.raises(DataError, match=r"time of an event makes no sense(.|\n)*in event 1"):
            read_aedat4(files.write(tmp_path / "a", files.aedat4([(5, 1, 2, 1), (time, 1, 2, 1)])))
    whole = bytearray(files.aedat31(EVENTS))
    place = whole.index(b"#!END-HEADER\r\n") + 14
    whole[place + 36 + 15] = 255  # overflows of the clock in the second packet
    with pytest.raises(DataError, match=rf"makes no sense(.|\n)*overflows(.|\n)*packet at byte {place + 36}"):
        read_aedat31(files.write(tmp_path / "b", bytes(whole)))
    with pytest.raises(DataError, match=r"too many time steps(.|\n)*larger dt"):
        Pipeline(128, 128, 1e-12).codes(bl.RawEvents([0, 10**15], [0, 0], [0, 0], [0, 0]))


def test_damaged_packets(tmp_path: Path) -> None:
    whole = bytearray(files.aedat31(EVENTS))
    place = whole.index(b"#!END-HEADER\r\n") + 14
    whole[place + 28 + 8 + 4] = 5  # bytes per event of the second packet
    with pytest.raises(DataError, match=rf"makes no sense(.|\n)*packet at byte {place + 36}"):
        read_aedat31(files.write(tmp_path / "a", bytes(whole)))
    whole = bytearray(files.aedat4(EVENTS))
    whole[14 + 4] = 255  # the root of the header
    with pytest.raises(DataError, match="offset to byte"):
        read_aedat4(files.write(tmp_path / "b", bytes(whole)))


def test_compressed(tmp_path: Path) -> None:
    lz4 = pytest.importorskip("lz4.frame")
    whole = files.aedat4(EVENTS, compress=lz4.compress)
    assert tuples(read_aedat4(files.write(tmp_path / "a", whole))) == EVENTS
    damaged = bytearray(whole)
    damaged[-20] ^= 255
    with pytest.raises(DataError, match="byte"):
        read_aedat4(files.write(tmp_path / "b", bytes(damaged)))


def test_aedat_reads_the_same(tmp_path: Path) -> None:
    """Our test files are right by another implementation of the format."""
    aedat = pytest.importorskip("aedat")
    file = files.write(tmp_path / "a.aedat4", files.aedat4(EVENTS))
    events = np.concatenate([packet["events"] for packet in aedat.Decoder(str(file))])
    assert [tuple(map(int, event)) for event in events] == EVENTS


def test_arrays(tmp_path: Path) -> None:
    file = files.npy(tmp_path / "3.npy", EVENTS)
    assert tuples(read_npy(file, 1000, 128, 128)) == [(t // 1000 * 1000, x, y, p) for t, x, y, p in EVENTS]
    whole = file.read_bytes()
    for content in (whole[:-8], whole[:40], b"", whole.replace(b"NUMPY", b"MUMPY")):
        with pytest.raises(DataError, match="byte"):
            read_npy(files.write(tmp_path / "cut.npy", content), 1000, 128, 128)
    for array in (np.zeros((3, 5)), np.zeros(4), np.zeros((0, 4)), np.array(["a"] * 4)[None], np.full((2, 4), 0.5)):
        np.save(tmp_path / "other.npy", array)
        with pytest.raises(DataError, match="the array holds no"):
            read_npy(tmp_path / "other.npy", 1000, 128, 128)
    np.save(tmp_path / "objects.npy", np.array([[{}] * 4]), allow_pickle=True)
    with pytest.raises(DataError, match=r"Object arrays|pickle"):
        read_npy(tmp_path / "objects.npy", 1000, 128, 128)


def gestures(folder: Path, users: tuple[int, ...] = (1, 23, 24)) -> dict[tuple[int, int], list[files.Event]]:
    """Two gestures of each user, in the official layout; the events of each by user and label."""
    found = {}
    for user in users:
        stem = f"user{user:02d}_fluorescent"
        first = files.some_events(60, seed=user, start=1_000_000)
        second = files.some_events(40, seed=100 + user, start=2_000_000)
        files.write(folder / f"{stem}.aedat", files.aedat31(first + second))
        table = "class,startTime_usec,endTime_usec\n1,1000000,1100000\n11,2000000,2100000\n"
        files.write(folder / f"{stem}_labels.csv", table.encode())
        found[user, 0] = [(t - 1_000_000, x, y, p) for t, x, y, p in first]
        found[user, 10] = [(t - 2_000_000, x, y, p) for t, x, y, p in second]
    return found


def spikes(recordings: bl.Recordings) -> list[list[tuple[int, int]]]:
    """(step, neuron) of each recording."""
    events = recordings.load()
    pairs = list(zip(events.step.tolist(), events.neuron.tolist(), strict=True))
    return [pairs[a:b] for a, b in zip(events.offsets[:-1], events.offsets[1:], strict=True)]


def expected(events: list[files.Event], side: int = 128, small: int = 128) -> list[tuple[int, int]]:
    f = side // small
    return sorted({(t // 1000, (p * small + y // f) * small + x // f) for t, x, y, p in events})


def test_gestures_in_the_official_layout(tmp_path: Path) -> None:
    made = gestures(tmp_path / "DvsGesture")
    data = bl.load("dvs_gesture", tmp_path)
    assert data.shape == (2, 128, 128) and len(data.classes) == 11
    assert data.train.labels.tolist() == [0, 10, 0, 10] and data.test.labels.tolist() == [0, 10]
    assert spikes(data.train.inputs) == [expected(made[key]) for key in ((1, 0), (1, 10), (23, 0), (23, 10))]
    assert spikes(data.test.inputs) == [expected(made[key]) for key in ((24, 0), (24, 10))]
    small = bl.load("dvs_gesture", tmp_path, size=(32, 32))
    assert small.shape == (2, 32, 32)
    assert spikes(small.test.inputs) == [expected(made[key], small=32) for key in ((24, 0), (24, 10))]


def test_gestures_as_tonic_unpacks_them(tmp_path: Path) -> None:
    made = {}
    for user, part in ((2, "Train"), (29, "Test")):
        for label in (0, 10, 2):
            events = files.some_events(50, seed=user + label, start=5_000_000)
            files.npy(tmp_path / f"ibmGesture{part}" / f"user{user:02d}_led" / f"{label}.npy", events)
            start = events[0][0] // 1000 * 1000
            made[user, label] = [(t // 1000 * 1000 - start, x, y, p) for t, x, y, p in events]
    data = bl.load("dvs_gesture", tmp_path)
    assert data.train.labels.tolist() == [0, 2, 10]
    assert spikes(data.train.inputs) == [expected(made[2, label]) for label in (0, 2, 10)]
    assert spikes(data.test.inputs) == [expected(made[29, label]) for label in (0, 2, 10)]
    wrong = tmp_path / "ibmGestureTest" / "user03_led"
    files.npy(wrong / "1.npy", EVENTS)
    with pytest.raises(DataError, match="wrong part of the data set"):
        bl.load("dvs_gesture", tmp_path)


def test_mislabelled_gestures(tmp_path: Path, cache: Path) -> None:
    folder = tmp_path / "g"
    gestures(folder)
    table = folder / "user23_fluorescent_labels.csv"
    header = "class,startTime_usec,endTime_usec\n"
    for content, message in (
        (header + "1,1000000,1100000\n12,2000000,2100000\n", r"class 12(.|\n)*line 3, byte 52"),
        (header + "1,1100000,1000000\n", "end after the start"),
        (header + "1,9000000,9100000\n", "a label has no events"),
        (header + "one,2,3\n", "line 2, byte 34"),
        ("a,b\n", "not a table of labels"),
        ("", "empty"),
    ):
        table.write_text(content)
        with pytest.raises(DataError, match=message) as caught:
            bl.load("dvs_gesture", folder)
        assert caught.value.subject == str(table)
        assert not list(cache.rglob("dvs_gesture-train*")), "nothing is cached half"
    table.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        bl.load("dvs_gesture", folder)
    files.write(folder / "user31_led.aedat", files.aedat31(EVENTS))
    with pytest.raises(DataError, match=r"'31'(.|\n)*1 to 29"):
        bl.load("dvs_gesture", folder)


@pytest.mark.parametrize("suffix", ["aedat", "aedat4"])
def test_cifar10_dvs(suffix: str, tmp_path: Path) -> None:
    made = {}
    for label, name in enumerate(CIFAR_CLASSES):
        for k in range(11):
            events = files.some_events(20, seed=100 * label + k, start=700_000)
            content = files.aedat4(events) if suffix == "aedat4" else (files.aedat31, files.aedat2)[k % 2](events)
            files.write(tmp_path / "CIFAR10DVS" / name / f"cifar10_{name}_{k}.{suffix}", content)
            made[label, k] = [(t - events[0][0], x, y, p) for t, x, y, p in events]
    data = bl.load("cifar10_dvs", tmp_path)
    assert [file.name.rsplit("-", 1)[0] for file in (tmp_path / "cache").rglob("*.events")] == ["cifar10_dvs-2"]
    # the first nine tenths of each class, in the order of the numbers in their names
    assert data.train.labels.tolist() == [label for label in range(10) for _ in range(10)]
    assert data.test.labels.tolist() == list(range(10))
    assert spikes(data.test.inputs) == [expected(made[label, 10]) for label in range(10)]
    assert spikes(data.train.inputs[12:13]) == [expected(made[1, 2])]
    drawn = bl.load("cifar10_dvs", tmp_path, split_seed=3)
    again = bl.load("cifar10_dvs", tmp_path, split_seed=3)
    assert drawn.test.ids.tolist() == again.test.ids.tolist() != data.test.ids.tolist()
    assert sorted([*drawn.train.ids, *drawn.test.ids]) == list(range(110))
    file = tmp_path / "CIFAR10DVS" / "deer" / f"cifar10_deer_4.{suffix}"
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(DataError, match=r"truncated(.|\n)*byte") as caught:
        bl.load("cifar10_dvs", tmp_path)
    assert str(file) in caught.value.subject


@pytest.mark.parametrize("suffix", ["aedat", "aedat4"])
def test_cifar10_dvs_out_of_order(suffix: str, tmp_path: Path) -> None:
    """Times count from the earliest event, which need not be the first one in the file."""
    made = []
    for label, name in enumerate(CIFAR_CLASSES):
        for k in range(2):
            events = files.some_events(40, seed=100 * label + k, start=700_000)
            shuffled = [events[j] for j in np.random.default_rng(label).permutation(40)]
            assert shuffled[0][0] > events[0][0]
            content = files.aedat4(shuffled) if suffix == "aedat4" else (files.aedat31, files.aedat2)[k](shuffled)
            files.write(tmp_path / "CIFAR10DVS" / name / f"cifar10_{name}_{k}.{suffix}", content)
            made.append(expected([(t - events[0][0], x, y, p) for t, x, y, p in events]))
    data = bl.load("cifar10_dvs", tmp_path)
    assert spikes(data.train.inputs) == made[::2] and spikes(data.test.inputs) == made[1::2]
    assert [len(recording) for recording in made] == [40] * 20


def test_split_of_cifar10_dvs() -> None:
    labels = np.repeat(np.arange(10), 1000)
    first = training_recordings(labels).reshape(10, 1000)
    assert first[:, :900].all() and not first[:, 900:].any()
    drawn = training_recordings(labels, 5).reshape(10, 1000)
    assert (drawn.sum(axis=1) == 900).all() and (drawn[0] != drawn[1]).any()


@pytest.mark.data
def test_tonic_reads_the_same(data_folder: Path) -> None:
    """The recordings of N-MNIST, and our filter, against tonic's."""
    tonic = pytest.importorskip("tonic")
    found = sorted((data_folder / "NMNIST" / "Test").rglob("*.bin"))[:10]
    if not found:
        pytest.skip("no NMNIST")
    for file in found:
        theirs = tonic.io.read_mnist_file(str(file), dtype=tonic.datasets.NMNIST.dtype)
        ours = read_five_bytes(file, 34, 34)
        assert tuples(ours) == list(zip(*(theirs[n].tolist() for n in ("t", "x", "y", "p")), strict=True))
        kept = bl.data.denoised(ours.sorted(), 10_000, 34, 34)
        filtered = tonic.functional.denoise_numpy(theirs, 10_000)
        # tonic takes all pixels to have spoken at the very start of the recording
        assert kept.time[kept.time >= 10_000].tolist() == filtered["t"][filtered["t"] >= 10_000].tolist()


@pytest.mark.data
def test_gesture_clips(data_folder: Path) -> None:
    clips = sorted((data_folder / "dvs_gesture_clips").glob("*.bs2"))
    if not clips:
        pytest.skip("no clips")
    for clip in clips:
        events = read_five_bytes(clip, 128, 128)
        assert len(events) == clip.stat().st_size // 5 > 60_000
        assert 1.4e6 < events.time.max() < 1.5e6 and events.x.max() == 127
        kept = bl.data.denoised(events.sorted(), float(5 * ms) * 1e6, 128, 128)
        assert 0.5 * len(events) < len(kept) < len(events)
