"""Data: sets by name, idx files and every way they can be damaged, downloads, and samples and events as such."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import threading
from pathlib import Path

import numpy as np
import pytest
from brian2 import ms

from brianlearn.data import DataSet, RandomAffine, known_data, load, mnist, read_idx, read_labelled_images
from brianlearn.data import download as downloads
from brianlearn.errors import BrianLearnError, DataError, ShapeError
from brianlearn.learning import LearnerState
from brianlearn.network import DaltonIF, Dense, Events, Input, NetworkSpec, Raster, Readout, Samples, Spikes

# idx files -----------------------------------------------------------------------------------------------------------


def idx(values: np.ndarray) -> bytes:
    """The content of an idx file."""
    return bytes((0, 0, 8, values.ndim)) + np.array(values.shape, ">u4").tobytes() + values.astype(np.uint8).tobytes()


def write_set(folder: Path, n=7, n_test=3, suffix="", shape=(4, 5), seed=0) -> dict[str, np.ndarray]:
    """Write the four files of a small data set; the arrays that they hold."""
    rng = np.random.default_rng(seed)
    arrays = {
        "train-images-idx3-ubyte": rng.integers(0, 256, (n, *shape)),
        "train-labels-idx1-ubyte": rng.integers(0, 10, n),
        "t10k-images-idx3-ubyte": rng.integers(0, 256, (n_test, *shape)),
        "t10k-labels-idx1-ubyte": rng.integers(0, 10, n_test),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in arrays.items():
        content = idx(values)
        (folder / (name + suffix)).write_bytes(gzip.compress(content) if suffix == ".gz" else content)
    return arrays


@pytest.fixture
def no_data(monkeypatch, tmp_path):
    """No data set to be found, and an empty cache."""
    monkeypatch.delenv("BRIANLEARN_DATA", raising=False)
    monkeypatch.setenv("BRIANLEARN_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.mark.parametrize("packed", [False, True])
def test_read_idx(tmp_path, rng, packed):
    values = rng.integers(0, 256, (5, 3, 4))
    path = tmp_path / "images"
    path.write_bytes(gzip.compress(idx(values)) if packed else idx(values))
    read = read_idx(path, 3)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, values)
    np.testing.assert_array_equal(read_idx(str(path), 3), values)


IMAGES = idx(np.zeros((5, 3, 4)))
PACKED = gzip.compress(IMAGES)

DAMAGED = {
    # content, what the error must say was got and expected
    "empty": (b"", "0 bytes", "an idx file"),
    "one byte": (IMAGES[:1], "00 at byte 0", "00 00 08 03"),
    "half a magic number": (IMAGES[:3], "the end of the file at byte 3", "3 (images)"),
    "half a header": (IMAGES[:10], "the end of the file at byte 10", "16 bytes"),
    "only a header": (IMAGES[:16], "the end of the file at byte 16", "at byte 76: 16 of header and 5 x 3 x 4 of data"),
    "truncated": (IMAGES[:-1], "the end of the file at byte 75", "at byte 76"),
    "too long": (IMAGES + b"\0", "the end of the file at byte 77", "at byte 76"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + b"0" * 70, "89 50 4e 47 at byte 0", "00 00 08 03"),
    "a web page": (b"<html><body>404 Not Found</body></html>", "3c 68 74 6d at byte 0", "magic number"),
    "floats": (b"\0\0\x0d\x03" + IMAGES[4:], "00 00 0d 03 at byte 0", "00 00 08 03"),
    "labels": (idx(np.zeros(5)), "1 at byte 3", "3 (images)"),
    "no images": (idx(np.zeros((0, 3, 4))), "0 at byte 4", "at least 1"),
    "no pixels": (idx(np.zeros((5, 3, 0))), "0 at byte 12", "at least 1"),
    "huge lengths": (IMAGES[:4] + b"\xff" * 12 + IMAGES[16:], "at byte 76", "4294967295 x 4294967295 x 4294967295"),
    "truncated gzip": (PACKED[:-9], f"{len(PACKED) - 9} bytes", "a whole gzip file"),
    "only the start of gzip": (PACKED[:2], "2 bytes", "a whole gzip file"),
    "damaged gzip": (PACKED[:-8] + b"\0\0\0\0" + PACKED[-4:], f"{len(PACKED)} bytes", "a whole gzip file"),
    "gzip of a truncated file": (gzip.compress(IMAGES[:-1]), "the end of the file at byte 75", "at byte 76"),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_damaged_idx_files(tmp_path, what):
    content, got, expected = DAMAGED[what]
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(DataError) as info:
        read_idx(path, 3)
    assert info.value.subject == str(path)
    assert got in str(info.value.got)
    assert expected in str(info.value.expected)


def test_images_given_as_labels(tmp_path):
    (tmp_path / "labels").write_bytes(IMAGES)
    with pytest.raises(DataError, match="number of axes") as info:
        read_idx(tmp_path / "labels", 1)
    assert info.value.expected == "1 (labels)"
    assert "changed places" in info.value.remedy


def test_missing_and_unreadable_idx_files(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_idx(tmp_path / "nothing", 3)
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(tmp_path, 3)  # a folder


def test_images_and_labels_that_differ_in_number(tmp_path):
    (tmp_path / "images").write_bytes(IMAGES)
    (tmp_path / "labels").write_bytes(idx(np.zeros(4)))
    with pytest.raises(DataError, match="differ in number") as info:
        read_labelled_images(tmp_path / "images", tmp_path / "labels")
    assert info.value.subject == str(tmp_path / "labels")
    assert "4 labels" in info.value.got
    assert "5" in info.value.expected


# data sets by name ---------------------------------------------------------------------------------------------------


def test_digits():
    digits = load("digits")
    assert digits.shape == (1, 8, 8)
    assert (len(digits.train), len(digits.test)) == (1437, 360)
    assert digits.train.inputs.dtype == np.float32
    assert (digits.train.inputs.min(), digits.train.inputs.max()) == (0, 1)
    assert digits.classes == tuple("0123456789")
    assert np.bincount(digits.test.labels).min() > 30
    ids = np.concatenate([digits.train.ids, digits.test.ids])
    np.testing.assert_array_equal(ids, np.arange(1797))


def test_split():
    digits = load("digits")
    train, test = digits.split(test=500)
    assert (len(train), len(test)) == (1297, 500)
    np.testing.assert_array_equal(test.inputs[-360:], digits.test.inputs)
    np.testing.assert_array_equal(train.inputs, digits.train.inputs[:1297])
    np.testing.assert_array_equal(np.concatenate([train.ids, test.ids]), np.arange(1797))
    np.testing.assert_array_equal(test.labels[:140], digits.train.labels[1297:])
    same = digits.split(test=360)
    assert same[0] is digits.train
    assert same[1] is digits.test


@pytest.mark.parametrize("test", [0, 1797, -1, 2.5, True])
def test_splits_that_cannot_be(test):
    with pytest.raises(DataError, match="cannot be split") as info:
        load("digits").split(test=test)
    assert "1 to 1796" in info.value.expected


def test_split_of_events():
    events = Events([0, 3, 1], [4, 0, 2], [0, 2, 3], (5,))
    more = Events([7], [1], [0, 0, 1], (5,))
    data = DataSet("events", Samples(events, [0, 1]), Samples(more, [1, 0], ids=[2, 3]), ("a", "b"))
    train, test = data.split(test=1)
    assert data.shape == (5,)
    assert (len(train), len(test)) == (3, 1)
    np.testing.assert_array_equal(train.inputs.dense(8)[:2], events.dense(8))
    np.testing.assert_array_equal(test.inputs.dense(8)[0], more.dense(8)[1])


def test_unknown_data_set():
    with pytest.raises(DataError, match="unknown data set") as info:
        load("mnsit")
    assert info.value.got == "'mnsit'"
    assert info.value.expected == ", ".join(known_data())
    assert {
        "digits",
        "digits_events",
        "mnist",
        "mnist_events",
        "fashion_mnist",
        "cifar10",
        "nmnist",
        "dvs_gesture",
        "cifar10_dvs",
        "shd",
        "channel_orders",
        "spoken_words",
        "ssc",
    } == {*known_data()}
    with pytest.raises(DataError, match="takes no path"):
        load("digits", path="somewhere")


def test_data_sets_of_the_wrong_kind():
    inputs = np.zeros((2, 3))
    with pytest.raises(DataError, match="no labels"):
        DataSet("x", Samples(inputs), Samples(inputs, [0, 0]), ("a",))
    with pytest.raises(DataError, match=r"train: a label has no class\.\n  got: +label 1 at position 1"):
        DataSet("x", Samples(inputs, [0, 1]), Samples(inputs, [0, 0]), ("a",))
    with pytest.raises(DataError, match="differ in shape") as info:
        DataSet("x", Samples(inputs, [0, 0]), Samples(np.zeros((2, 4)), [0, 0]), ("a",))
    assert info.value.got == "(3,) and (4,)"


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("inside", [".", "raw"])
def test_images_from_a_folder(no_data, name, suffix, inside):
    arrays = write_set(no_data / "mine" / inside, suffix=suffix)
    data = load(name, path=no_data / "mine")
    assert (data.name, data.shape, len(data.train), len(data.test)) == (name, (1, 4, 5), 7, 3)
    assert data.train.inputs.dtype == np.float32
    np.testing.assert_array_equal(
        data.train.inputs[:, 0], (arrays["train-images-idx3-ubyte"] / 255.0).astype(np.float32)
    )
    np.testing.assert_array_equal(data.test.labels, arrays["t10k-labels-idx1-ubyte"])
    np.testing.assert_array_equal(data.test.ids, [7, 8, 9])
    assert len(data.classes) == 10


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("mnist", "MNIST"),
        ("mnist", "MNIST/raw"),
        ("fashion_mnist", "FashionMNIST"),
        ("fashion_mnist", "FashionMNIST/raw"),
        ("fashion_mnist", "fashion_mnist"),
    ],
)
def test_images_under_brianlearn_data(no_data, monkeypatch, name, folder):
    monkeypatch.setenv("BRIANLEARN_DATA", str(no_data / "data"))
    write_set(no_data / "data" / folder, suffix=".gz")
    assert len(load(name).train) == 7


def test_names_with_a_point(no_data):
    write_set(no_data / "mine")
    for path in list((no_data / "mine").iterdir()):
        path.rename(path.with_name(path.name.replace("-idx", ".idx")))
    assert len(load("mnist", path=no_data / "mine").train) == 7


def test_images_from_the_cache(no_data):
    write_set(no_data / "cache" / "mnist", suffix=".gz")
    assert len(load("mnist").train) == 7


def test_missing_folders_and_files(no_data, monkeypatch):
    with pytest.raises(DataError, match="no such folder"):
        load("mnist", path=no_data / "nothing")
    (no_data / "empty").mkdir()
    with pytest.raises(DataError, match="holds no file of 'mnist'") as info:
        load("mnist", path=no_data / "empty")
    assert "train-images-idx3-ubyte" in info.value.expected
    write_set(no_data / "part")
    (no_data / "part" / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="only a part") as info:
        load("mnist", path=no_data / "part")
    assert info.value.got == "no t10k-labels-idx1-ubyte"
    monkeypatch.setenv("BRIANLEARN_DATA", str(no_data / "nothing"))
    with pytest.raises(DataError, match="BRIANLEARN_DATA: there is no such folder"):
        load("mnist")


def test_a_truncated_file_in_a_set(no_data):
    write_set(no_data / "mine")
    path = no_data / "mine" / "t10k-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DataError, match="truncated") as info:
        load("mnist", path=no_data / "mine")
    assert info.value.subject == str(path)


def test_a_label_that_is_no_class(no_data):
    write_set(no_data / "mine")
    (no_data / "mine" / "train-labels-idx1-ubyte").write_bytes(idx(np.full(7, 10)))
    with pytest.raises(DataError, match="label 10 at position 0"):
        load("mnist", path=no_data / "mine")


# downloads -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def mirror(no_data, monkeypatch):
    """A web server on this machine, and the data set that it offers."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    folder = no_data / "mirror"
    write_set(folder, suffix=".gz")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    md5 = tuple(hashlib.md5((folder / f"{name}.gz").read_bytes()).hexdigest() for name in mnist.FILES)
    url = f"http://127.0.0.1:{server.server_port}/"
    yield folder, mnist.ImageSource("mnist", ("MNIST",), url, md5, mnist.MNIST.classes)
    server.shutdown()
    server.server_close()


def cached(tmp_path):
    return sorted(path.name for path in (tmp_path / "cache").rglob("*") if path.is_file())


def test_download_once(mirror, no_data):
    folder, source = mirror
    assert len(mnist.load_idx_images(source).train) == 7
    assert cached(no_data) == sorted(f"{name}.gz" for name in mnist.FILES)
    for path in folder.iterdir():
        path.unlink()
    assert len(mnist.load_idx_images(source).train) == 7  # from the cache


def test_progress_of_a_download(mirror, no_data, monkeypatch, capsys):
    folder, source = mirror
    file = folder / "train-images-idx3-ubyte.gz"
    monkeypatch.setattr(downloads, "PIECE", 100)
    bar = downloads.Bar(file.name)
    monkeypatch.setattr(downloads, "Bar", lambda name: bar)
    downloads.download("mnist", source.url + file.name, source.md5[0], no_data / "cache", "fetch it by hand")
    assert bar.total == bar.done == file.stat().st_size > 100
    assert not capsys.readouterr().out  # and nothing but a line of pooch's on stderr, which is no terminal here


def test_download_of_another_file_leaves_nothing(mirror, no_data):
    folder, source = mirror
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(b"something else"))
    with pytest.raises(DataError, match=r"train-labels-idx1-ubyte\.gz is not on this machine and could not be") as info:
        mnist.load_idx_images(source)
    assert "hash" in info.value.got
    assert cached(no_data) == ["train-images-idx3-ubyte.gz"]


def test_download_of_a_missing_file(mirror, no_data):
    folder, source = mirror
    (folder / "train-images-idx3-ubyte.gz").unlink()
    with pytest.raises(DataError, match="could not be downloaded") as info:
        mnist.load_idx_images(source)
    assert "404" in info.value.got
    assert cached(no_data) == []


def test_offline_error_says_where_to_put_the_files(no_data, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    source = mnist.ImageSource("mnist", ("MNIST",), "http://127.0.0.1:9/", mnist.MNIST.md5, mnist.MNIST.classes)
    with pytest.raises(DataError, match="could not be downloaded") as info:
        mnist.load_idx_images(source)
    message = str(info.value)
    for words in (
        "train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz",
        str(no_data / "cache" / "mnist"),
        "MNIST under BRIANLEARN_DATA",
        "BRIANLEARN_DATA is now not set",
        "path=",
        "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    ):
        assert words in message
    assert cached(no_data) == []


# the real thing ------------------------------------------------------------------------------------------------------


@pytest.mark.data
def test_real_mnist(data_folder):
    if not (data_folder / "MNIST").is_dir():
        pytest.skip("no MNIST under BRIANLEARN_DATA")
    data = load("mnist", path=data_folder / "MNIST")
    assert (data.shape, len(data.train), len(data.test)) == ((1, 28, 28), 60000, 10000)
    assert np.bincount(data.train.labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(data.test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert data.train.inputs.mean(dtype=float) == pytest.approx(0.1306604762738429, rel=1e-6)
    assert data.test.labels[:5].tolist() == [7, 2, 1, 0, 4]
    md5 = tuple(hashlib.md5((data_folder / "MNIST" / f"{n}.gz").read_bytes()).hexdigest() for n in mnist.FILES)
    assert md5 == mnist.MNIST.md5


# samples -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def spec():
    return NetworkSpec(Input((1, 2, 2)), [Dense(5, DaltonIF())], Readout(3), duration=10 * ms)


def test_samples():
    samples = Samples([[[[0, 1], [2, 3]]]] * 4, [0, 1, 2, 0])
    assert samples.inputs.dtype == float
    assert samples.labels.dtype == np.int64
    part = samples[1:3]
    assert (part.labels.tolist(), part.ids.tolist(), len(part)) == ([1, 2], [1, 2], 2)
    assert samples[[3, 0]].ids.tolist() == [3, 0]
    assert samples[np.array([True, False, False, True])].ids.tolist() == [0, 3]
    for dtype in (np.float32, np.uint8):
        values = np.zeros((2, 4), dtype)
        assert Samples(values).inputs is values  # as it is, without a copy


@pytest.mark.parametrize("inputs", ["abc", [[1, 2], [3]], np.zeros(3), object(), [["a"]]])
def test_inputs_that_are_no_samples(inputs):
    with pytest.raises(DataError, match="inputs") as info:
        Samples(inputs)
    assert "(n, ...)" in str(info.value.expected)


@pytest.mark.parametrize("labels", [[0, 1], [0.0, 0.5, 2.0], [[0], [1], [2]], [True, False, True], ["a", "b", "c"]])
def test_labels_of_the_wrong_shape_or_type(labels):
    with pytest.raises(DataError, match="labels have the wrong shape or type") as info:
        Samples(np.zeros((3, 4)), labels)
    assert info.value.expected == "integers, shape (3,)"


@pytest.mark.parametrize("ids", [[0], [0.5, 1.0, 2.0]])
def test_wrong_ids(ids):
    with pytest.raises(DataError, match="ids have the wrong shape or type"):
        Samples(np.zeros((3, 4)), ids=ids)


@pytest.mark.parametrize("label", [-1, 3, 255])
def test_labels_out_of_range(spec, label):
    samples = Samples(np.zeros((3, 1, 2, 2)), [0, label, 2], ids=[7, 8, 9])
    with pytest.raises(DataError, match="a label is out of range") as info:
        samples.check(spec, labels=True)
    assert info.value.got == f"label {label} of sample 8 (position 1)"
    assert info.value.expected == "0 to 2: the output has 3 classes"
    samples.check(spec, labels=False)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_that_are_not_finite(spec, value, dtype):
    inputs = np.zeros((4, 1, 2, 2), dtype)
    inputs[2, 0, 1, 1] = inputs[3, 0, 0, 0] = value
    with pytest.raises(DataError, match="an input is not finite") as info:
        Samples(inputs, [0, 1, 2, 0], ids=[5, 6, 7, 8]).check(spec, labels=True)
    assert info.value.got == "NaN or infinity in sample 7 (position 2), 2 samples in all"


def test_inputs_of_another_shape(spec):
    with pytest.raises(ShapeError, match="inputs do not fit the network") as info:
        Samples(np.zeros((3, 2, 2)), [0, 1, 2]).check(spec, labels=True)
    assert (info.value.got, info.value.expected) == ((2, 2), (1, 2, 2))


def test_missing_labels(spec):
    with pytest.raises(DataError, match="there are no labels"):
        Samples(np.zeros((3, 1, 2, 2))).check(spec, labels=True)


def test_no_samples_fit(spec):
    Samples(np.zeros((0, 1, 2, 2)), np.zeros(0, int)).check(spec, labels=True)


def test_events_need_their_encoder(spec):
    events = Events([0], [3], [0, 1], (1, 2, 2))
    with pytest.raises(DataError, match="inputs and encoder do not fit"):
        Samples(events, [0]).check(spec, labels=True)
    takes = NetworkSpec(Input((1, 2, 2), Spikes()), [Dense(5, DaltonIF())], Readout(3), duration=10 * ms)
    Samples(events, [0]).check(takes, labels=True)
    with pytest.raises(DataError, match="inputs and encoder do not fit"):
        Samples(np.zeros((1, 1, 2, 2)), [0]).check(takes, labels=True)
    with pytest.raises(ShapeError):
        Samples(Events([0], [3], [0, 1], (4,)), [0]).check(takes, labels=True)


# events and rasters --------------------------------------------------------------------------------------------------


def test_events():
    events = Events([0, 2, 5, 1], [3, 3, 0, 1], [0, 3, 3, 4], (2, 2))
    dense = events.dense(4)
    assert dense.shape == (3, 4, 4)
    assert np.argwhere(dense).tolist() == [[0, 0, 3], [0, 2, 3], [2, 1, 1]]  # step 5 is left out
    assert len(events) == 3
    chosen = events[[2, 0]]
    np.testing.assert_array_equal(chosen.dense(6), events.dense(6)[[2, 0]])
    assert len(events[:0]) == 0
    np.testing.assert_array_equal(Events([], [], [0, 0], (4,)).dense(3), np.zeros((1, 3, 4)))


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        (([0], [4], [0, 1]), "out of range"),
        (([0], [-1], [0, 1]), "out of range"),
        (([-1], [0], [0, 1]), "out of range"),
        (([0, 1], [0], [0, 2]), "differ in shape"),
        (([0], [0], [0, 2]), "offsets"),
        (([0], [0], [1, 1]), "offsets"),
        (([0, 1], [0, 0], [0, 2, 1, 2]), "offsets"),
        (([0.5], [0], [0, 1]), "step does not hold integers"),
        (([0], [0.0], [0, 1]), "neuron does not hold integers"),
    ],
)
def test_wrong_events(fields, problem):
    with pytest.raises(DataError, match=problem) as info:
        Events(*fields, (4,))
    assert isinstance(info.value, BrianLearnError)


def test_rasters():
    first = Raster(np.array([0, 0, 1]), np.array([0, 2, 1]), np.array([3, 0, 5]), 2, 3, (2, 3))
    second = Raster(np.array([0]), np.array([2]), np.array([1]), 1, 3, (2, 3))
    both = Raster.concatenate([first, second])
    assert (both.n_trials, both.n_steps, both.shape, len(both)) == (3, 3, (2, 3), 4)
    np.testing.assert_array_equal(both.dense(), np.concatenate([first.dense(), second.dense()]))
    assert first.dense().shape == (2, 3, 2, 3)
    assert np.argwhere(first.dense()).tolist() == [[0, 0, 1, 0], [0, 2, 0, 0], [1, 1, 1, 2]]


# augmentation --------------------------------------------------------------------------------------------------------


def _keys(n: int, epoch: int = 0) -> np.ndarray:
    return LearnerState({}, epoch=epoch, seed=3).sample_keys(np.arange(n), learning=True)


def test_random_affine_moves_images_by_what_was_drawn():
    image = np.zeros((1, 1, 9, 9), np.float32)
    image[0, 0, 4, 4] = 1.0
    samples = Samples(np.repeat(image, 400, axis=0), np.arange(400) % 10)
    moved = RandomAffine(shift=0.5)(samples, _keys(400))
    assert moved.inputs.dtype == np.float32 and np.array_equal(moved.labels, samples.labels)
    rows = (moved.inputs[:, 0].sum(axis=2) * np.arange(9)).sum(axis=1) - 4
    assert abs(rows.mean()) < 0.1 and abs(rows.std() - 0.5) < 0.06
    # turning and scaling leave the middle where it is; a shear moves columns only
    turned = RandomAffine(rotation=10, scale=0.1, shear=0.1)(samples, _keys(400)).inputs
    assert np.allclose(turned[:, 0, 4, 4], 1.0)
    bar = np.zeros((50, 1, 9, 9), np.float32)
    bar[:, :, 2] = 1.0
    sheared = RandomAffine(shear=0.3)(Samples(bar, np.zeros(50, int)), _keys(50)).inputs
    assert np.allclose(sheared[:, 0, :2], 0) and np.allclose(sheared[:, 0, 2, 3:6], 1)
    turned = RandomAffine(rotation=10)(Samples(bar, np.zeros(50, int)), _keys(50)).inputs
    assert np.abs(turned[:, 0, 1]).max() > 0.3


def test_random_affine_depends_on_the_sample_not_on_its_place():
    values = np.random.default_rng(0).random((6, 2, 5, 5))
    samples = Samples(values, np.zeros(6, int))
    change = RandomAffine(rotation=10, scale=0.1, shear=0.1, shift=0.5)
    whole, part = change(samples, _keys(6)), change(samples[2:4], _keys(6)[2:4])
    assert np.array_equal(whole.inputs[2:4], part.inputs)
    assert not np.array_equal(whole.inputs, change(samples, _keys(6, epoch=1)).inputs)
    assert np.allclose(RandomAffine()(samples, _keys(6)).inputs, values)


def test_random_affine_refuses_what_is_no_image():
    with pytest.raises(DataError, match="rotation"):
        RandomAffine(rotation=-1)
    with pytest.raises(ShapeError, match=r"\(2, 5\)"):
        RandomAffine(rotation=5)(Samples(np.zeros((2, 5)), np.zeros(2, int)), _keys(2))
