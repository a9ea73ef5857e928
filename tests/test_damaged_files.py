"""Files that ask for more than they hold, and texts that no parser was made for: refused by name, in little memory."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import struct
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import event_files as files
import numpy as np
import pytest
from brian2 import ms

import brianlearn as bl
from brianlearn.data.arrays import parse_npy, parse_npz
from brianlearn.data.cifar10 import read_batch
from brianlearn.data.dvs_gesture import read_labels
from brianlearn.data.events.aedat4 import read_aedat4
from brianlearn.data.events.formats import read_npy
from brianlearn.data.idx import read_idx
from brianlearn.data.unpacking import DamagedContentError
from brianlearn.errors import BrianLearnError, DataError, RunFolderError
from brianlearn.training.checkpoint import Checkpoint
from brianlearn.training.files import read_arrays, read_json, write_arrays
from brianlearn.training.run_folder import RunFolder
from brianlearn.training.serialise import from_dict

#: Bytes: what unpacks further is refused after 64 MiB and some, held in pieces and once as a whole.
MEMORY = 2**28


@pytest.fixture
def little_memory() -> Iterator[None]:
    tracemalloc.start()
    yield
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MEMORY, f"{peak >> 20} MiB"


def npy(header: str, data: bytes = bytes(32)) -> bytes:
    text = header.encode("latin1")
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def described(shape: str = "(4,)", kind: str = "'<f8'") -> str:
    return f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}\n"


HEADERS = {
    "a shape of TiB": described("(1000000000000,)"),
    "a shape beyond 64 bits": described("(4611686018427387904, 8)"),
    "a negative shape": described("(-4,)"),
    "a type of GiB": described("(1,)", "'<U999999999'"),
    "a type without size": described("(1000000000,)", "'<U0'"),
    "a type with a shape": described("()", "('<f8', (4,))"),
    "objects": described("(4,)", "'|O'"),
    "no type": described("(4,)", "'<f9'"),
    "an open bracket": described("(4,")[:-4],
    "brackets": "(" * 5000,
    "operations": "-" * 5000 + "1",
    "no end of a text": "{'descr': '<f8",
    "a line that goes on": "{'descr': \\",
    "an indent": "{\n  'a': 1\n b",
    "a number of 5000 digits": described(f"({'9' * 5000},)"),
    "zeros": "\0" * 64,
    "no UTF-8": "\xff\xfe{",
    "too short an array": described("(5,)"),
    "too long an array": described("(3,)"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers_of_arrays(name: str, tmp_path: Path, little_memory: None) -> None:
    content = npy(HEADERS[name])
    with pytest.raises(DamagedContentError, match=r"at byte \d+"):
        parse_npy(content)
    file = files.write(tmp_path / "1.npy", content)
    with pytest.raises(DataError, match=r"byte \d+") as caught:
        read_npy(file, 1000, 128, 128)
    assert caught.value.subject == str(file)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", ["<f8", ">i4", "?", "<U5", "float16"])
def test_arrays_come_back(kind: str, order: Any) -> None:
    array = np.array(np.arange(12).reshape(3, 4), kind, order=order)
    stream = io.BytesIO()
    np.save(stream, array)
    read = parse_npy(stream.getvalue())
    assert read.dtype == array.dtype and np.array_equal(read, array)
    for save in (np.savez, np.savez_compressed):
        stream = io.BytesIO()
        save(stream, a=array, b=np.float64(3), c=np.zeros((0, 2)))
        arrays = parse_npz(stream.getvalue())
        assert list(arrays) == ["a", "b", "c"] and np.array_equal(arrays["a"], array)
        assert arrays["b"] == 3 and arrays["c"].shape == (0, 2) and arrays["a"].flags.writeable


def archive(content: bytes, *, method: int = zipfile.ZIP_DEFLATED, names: tuple[str, ...] = ("a.npy",)) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as opened:
        for name in names:
            opened.writestr(name, content)
    return stream.getvalue()


def patched(content: bytes, signature: bytes, place: int, value: bytes) -> bytes:
    start = content.index(signature) + place
    return content[:start] + value + content[start + len(value) :]


ZEROS = npy(described(f"({2**25},)"), bytes(2**28))
SMALL = archive(npy(described()))
ARCHIVES: dict[str, Callable[[], bytes]] = {
    "a member of 256 MiB of zeros": lambda: archive(ZEROS),
    "a compression that is none": lambda: patched(SMALL, b"PK\1\2", 10, b"\x63\0"),
    "a compression by LZMA": lambda: archive(npy(described()), method=zipfile.ZIP_LZMA),
    "a version that is none": lambda: patched(SMALL, b"PK\1\2", 6, b"\xff\0"),
    "an encrypted member": lambda: patched(SMALL, b"PK\1\2", 8, b"\1\0"),
    "a size of 4 GiB": lambda: patched(SMALL, b"PK\1\2", 24, b"\xfe\xff\xff\xff"),
    "a directory of 4 GiB": lambda: patched(SMALL, b"PK\5\6", 12, b"\xfe\xff\xff\xff"),
    "a member that is no array": lambda: archive(b"x", names=("a.txt",)),
    "no zip file": lambda: b"PK\3\4",
}


@pytest.mark.parametrize("name", ARCHIVES)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_archives_of_arrays(name: str, tmp_path: Path) -> None:
    file = files.write(tmp_path / "weights.npz", ARCHIVES[name]())
    tracemalloc.start()
    with pytest.raises(RunFolderError, match=r"damaged(.|\n)*byte \d+") as caught:
        read_arrays(file)
    assert tracemalloc.get_traced_memory()[1] < MEMORY
    tracemalloc.stop()
    assert caught.value.subject == str(file)


PICKLES = {
    "a place in the memo": b"\x80\x02}r" + struct.pack("<I", 2**26) + b".",
    "a place in the memo, as text": b"\x80\x02}p67108864\n.",
    "a byte array of TiB": b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b".",
    "a text of TiB": b"\x80\x04\x8d" + struct.pack("<Q", 2**40) + b".",
    "a frame of TiB": b"\x80\x04\x95" + struct.pack("<Q", 2**40) + b"}.",
    "an array of 2 GiB": b"cnumpy\nndarray\n(I2000000000\ntR.",
    "an array without its bytes": b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
    b"(I1\n(I2000000000\ntcnumpy\ndtype\n(S'u1'\ntRI00\nS''\ntb.",
    "a type of GiB": b"cnumpy\ndtype\n(S'V2000000000'\ntR.",
    "a codec": b"c_codecs\nencode\n(S'a'\nS'punycode'\ntR.",
    "lists in lists": pickle.dumps({"data": 1, "labels": (many := [[[[[[7] * 30] * 30] * 30] * 30] * 30] * 30)}),
    "depth": b"(" * 20000 + b"t" * 20000 + b".",
}
assert many


@pytest.mark.parametrize("name", PICKLES)
def test_pickles_that_want_more_than_they_hold(name: str, tmp_path: Path, little_memory: None) -> None:
    file = files.write(tmp_path / "data_batch_1", PICKLES[name])
    with pytest.raises(DataError, match=r"byte \d+") as caught:
        read_batch(file)
    assert caught.value.subject == str(file)


def test_labels_in_lists_of_lists(tmp_path: Path, little_memory: None) -> None:
    """30^6 numbers from 500 bytes."""
    images = np.zeros((30, 3072), np.uint8)
    file = files.write(tmp_path / "data_batch_1", pickle.dumps({b"data": images, b"labels": many}))
    with pytest.raises(DataError, match="do not fit"):
        read_batch(file)


def test_gzip_that_unpacks_too_far(tmp_path: Path) -> None:
    header = bytes((0, 0, 8, 3)) + np.array((2**10, 2**9, 2**9), ">u4").tobytes()
    file = files.write(tmp_path / "images.gz", gzip.compress(header + bytes(2**28)))
    tracemalloc.start()
    with pytest.raises(DataError, match=r"gzip(.|\n)*more than \d+ bytes(.|\n)*at byte"):
        read_idx(file, 3)
    assert tracemalloc.get_traced_memory()[1] < MEMORY
    tracemalloc.stop()


@pytest.mark.parametrize("compression", [1, 3], ids=["LZ4", "Zstandard"])
def test_packets_that_unpack_too_far(compression: int, tmp_path: Path) -> None:
    lz4, zstandard = pytest.importorskip("lz4.frame"), pytest.importorskip("zstandard")
    compress = lz4.compress if compression == 1 else zstandard.compress
    frame = compress(bytes(2**28))
    content = bytearray(files.aedat4([(1, 2, 3, 1)], compress=lambda _: frame))
    plain = files.aedat4([])
    content[next(k for k, (a, b) in enumerate(zip(plain, content, strict=False)) if (a, b) == (0, 1))] = compression
    file = files.write(tmp_path / "a.aedat4", bytes(content))
    tracemalloc.start()
    with pytest.raises(DataError, match=r"cannot be decompressed(.|\n)*more than \d+ bytes"):
        read_aedat4(file)
    assert tracemalloc.get_traced_memory()[1] < MEMORY
    tracemalloc.stop()


HEAD = b"class,startTime_usec,endTime_usec\n"
ROW = b"1,100,200\n"


@pytest.mark.parametrize(
    "content",
    [
        HEAD + ROW,
        HEAD + ROW + b"\n",
        HEAD + ROW + b"   \n\t\n",
        HEAD + b"\n" + ROW,
        HEAD + ROW[:-1],
        (HEAD + ROW).replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + HEAD + ROW,
        b"\xef\xbb\xbf" + (HEAD + ROW + b"\n").replace(b"\n", b"\r\n"),
        b'"class","startTime_usec","endTime_usec"\n"1","100","200"\n',
        HEAD + b" 1 , 100 ,200\n",
    ],
)
def test_label_tables(content: bytes, tmp_path: Path) -> None:
    assert read_labels(files.write(tmp_path / "t.csv", content)) == [(0, 100, 200)]


@pytest.mark.parametrize(
    "row",
    ["1,100", "1,100,200,3", "1,100.0,200.0", "\u00b2,100,200", "\u0661,100,200", "1,,200", "a,b,c", "-1,100,200",
     f"1,100,{'9' * 5000}", '1,"100,200', "1,100,\0", "1;100;200"],
)  # fmt: skip
def test_label_tables_with_other_rows(row: str, tmp_path: Path) -> None:
    file = files.write(tmp_path / "t.csv", b"\xef\xbb\xbf" + HEAD + ROW + row.encode())
    with pytest.raises(DataError, match=r"a row holds no label(.|\n)*line 3, byte 47") as caught:
        read_labels(file)
    assert caught.value.subject == str(file)


TEXTS = {
    "no UTF-8": b'{"a": "\xff"}',
    "half a surrogate pair": b'{"a": "\\ud800"}',
    "depth": b"[" * 100_000,
    "a number of 5000 digits": b"9" * 5000,
    "nothing": b"",
    "half": b'{"a": ',
}


@pytest.mark.parametrize("name", TEXTS)
def test_texts_of_run_folders(name: str, tmp_path: Path) -> None:
    file = files.write(tmp_path / "config.json", TEXTS[name])
    with pytest.raises(RunFolderError, match="the file is damaged") as caught:
        read_json(file)
    assert caught.value.subject == str(file)
    if name != "nothing":
        files.write(tmp_path / "metrics.jsonl", b'{"epoch": 1}\n' + TEXTS[name] + b"\n")
        with pytest.raises(RunFolderError, match="damaged"):
            RunFolder(tmp_path).metrics()


HUGE = 10**400
CHANGES: dict[str, Any] = {
    "a learning rate": {"$type": "Adam", "learning_rate": HUGE},
    "a quantity": {"$type": "Quantity", "value": HUGE, "unit": "second"},
    "an array": {"$type": "array", "dtype": "float64", "value": [HUGE]},
    "an integer array": {"$type": "array", "dtype": "int8", "value": [HUGE]},
    "a shape": {"$type": "Input", "shape": [HUGE, "a"]},
    "a rotation": {"$type": "RandomAffine", "rotation": HUGE},
    "a power of a unit": {"$type": "Quantity", "value": 1, "unit": f"second ** {HUGE}"},
}


@pytest.mark.parametrize("name", CHANGES)
def test_numbers_beyond_floats(name: str) -> None:
    with pytest.raises(BrianLearnError):
        from_dict(CHANGES[name], "config.json")


@pytest.mark.parametrize(
    "change",
    [
        {"steps": float("inf")}, {"epoch": -1}, {"epoch": 1.5}, {"seed": "1"}, {"chunk": 2**70}, {"chunk": None},
        {"parts": 3}, {"parts": [[]]}, {"parts": [{"samples": 0}]}, {"format": 2},
        {"parts": [{"samples": 1, "accuracy": "a", "loss": 0, "firing_rates": {}, "seconds": 0}]},
        {"parts": [{"samples": 1, "accuracy": 1, "loss": 0, "firing_rates": [], "seconds": 0}]},
    ],
)  # fmt: skip
def test_headers_of_checkpoints(change: dict[str, Any], tmp_path: Path) -> None:
    """Written anew by the package, so that only the change is wrong."""
    spec = bl.NetworkSpec(bl.Input((4,)), [bl.Dense(3, bl.DaltonIF())], bl.Readout(2), duration=5 * ms)
    state = bl.Learner(spec, bl.DALTON(), bl.Adam(), device="numpy").init()
    file = tmp_path / "checkpoint.npz"
    Checkpoint(state).save(file)
    assert Checkpoint.load(file).state.seed == 0
    arrays = read_arrays(file)
    header = json.loads(str(arrays["header"])) | change
    write_arrays(file, arrays | {"header": np.array(json.dumps(header))})
    with pytest.raises(RunFolderError, match="checkpoint is damaged") as caught:
        Checkpoint.load(file)
    assert caught.value.subject == str(file)
    arrays["optimiser/dense1/m"] = arrays["optimiser/dense1/m"] * np.nan
    write_arrays(file, arrays)
    with pytest.raises(RunFolderError, match="m of dense1"):
        Checkpoint.load(file)
