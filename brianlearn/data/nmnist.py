"""N-MNIST: MNIST digits before an event camera (Orchard et al. 2015), from its official binary files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from brianlearn.data.dataset import DataSet
from brianlearn.data.mnist import DATA_VARIABLE
from brianlearn.errors import DataError
from brianlearn.spec.samples import Events, Samples

__all__ = ["load_nmnist", "read_events"]

#: Polarities, height, width.
SHAPE = (2, 34, 34)
SITE = "https://www.garrickorchard.com/datasets/n-mnist"
#: The y of events that say that the camera's clock has overflowed, and by how many microseconds.
OVERFLOW_ROW, OVERFLOW = 240, 2**13


def read_events(path: str | os.PathLike[str]) -> tuple[np.ndarray, np.ndarray]:
    """Read one recording.

    An event has five bytes: x, y, then one bit of polarity and 23 bits of time, the highest bit first.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    time : numpy.ndarray of int64, shape (events,)
        Microseconds.
    neuron : numpy.ndarray of int64, shape (events,)
        Flat index into (2, 34, 34): polarity, row, column.

    Raises
    ------
    DataError
        A file that is missing, truncated, or of another format.
    """
    try:
        raw = np.fromfile(path, np.uint8)
    except OSError as error:
        raise DataError(
            str(path), "the recording cannot be read", got=error.strerror or str(error), expected="a .bin file"
        ) from None
    if not len(raw) or len(raw) % 5:
        raise DataError(
            str(path),
            "the recording is truncated" if len(raw) else "the recording is empty",
            got=f"{len(raw)} bytes",
            expected="5 bytes for each event",
            remedy="copy or unpack the file again",
        )
    x, y, high, middle, low = raw.reshape(-1, 5).astype(np.int64).T
    time = ((high & 127) << 16) | (middle << 8) | low
    overflow = y == OVERFLOW_ROW
    time = (time + OVERFLOW * np.cumsum(overflow))[~overflow]
    x, y, polarity = x[~overflow], y[~overflow], (high >> 7)[~overflow]
    bad = (x >= SHAPE[2]) | (y >= SHAPE[1])
    if bad.any():
        k = int(np.argmax(bad))
        raise DataError(
            str(path),
            "an event lies outside of the camera's field",
            got=f"x = {x[k]}, y = {y[k]} in event {k}",
            expected=f"x < {SHAPE[2]}, y < {SHAPE[1]}: a recording of N-MNIST",
        )
    return time, np.ravel_multi_index((polarity, y, x), SHAPE)


def load_nmnist(path: str | os.PathLike[str] | None = None, dt: float = 1e-3) -> DataSet:
    """Load N-MNIST, or a part of it.

    Parameters
    ----------
    path : path-like, optional
        The folder with ``Train`` and ``Test``, which hold ``<class>/<index>.bin``. Where it is not given,
        ``$BRIANLEARN_DATA/NMNIST``.
    dt : float
        Seconds. Events of a pixel and polarity that fall into one time step become one spike.

    Returns
    -------
    DataSet
        `Events` of shape (2, 34, 34), in the order of MNIST. A recording lasts about 300 ms.

    Raises
    ------
    DataError
        Missing or damaged files.
    """
    folder = _folder(path)
    parts, start = [], 0
    for name in ("Train", "Test"):
        files = sorted(folder.joinpath(name).glob("[0-9]/*.bin"), key=lambda file: (file.stem, file.parent.name))
        if not files:
            raise DataError(
                str(folder / name),
                "the folder holds no recordings",
                expected=f"{name}/0/00002.bin and so on, as in {name}.zip of {SITE}",
            )
        parts.append(_samples(files, dt, start))
        start += len(files)
    return DataSet("nmnist", parts[0], parts[1], tuple(map(str, range(10))))


def _folder(path: str | os.PathLike[str] | None) -> Path:
    data = os.environ.get(DATA_VARIABLE)
    candidates = [Path(path), Path(path) / "NMNIST"] if path is not None else [Path(data) / "NMNIST"] if data else []
    for folder in candidates:
        if (folder / "Train").is_dir() and (folder / "Test").is_dir():
            return folder
    raise DataError(
        "data set 'nmnist'",
        "it is not on this machine",
        got=", ".join(f"no Train and Test in {folder}" for folder in candidates) or f"{DATA_VARIABLE} is not set",
        expected="a folder with Train and Test, which hold <class>/<index>.bin",
        remedy=f"unpack Train.zip and Test.zip of {SITE} into a folder NMNIST under {DATA_VARIABLE}, or give path=...",
    )


def _samples(files: list[Path], dt: float, start: int) -> Samples:
    size = int(np.prod(SHAPE))
    steps, neurons, lengths = [], [], []
    for file in files:
        time, neuron = read_events(file)
        step = np.floor(time * 1e-6 / dt + 1e-9).astype(np.int64)
        step, neuron = np.divmod(np.unique(step * size + neuron), size)
        steps.append(step.astype(np.int32))
        neurons.append(neuron.astype(np.int32))
        lengths.append(len(step))
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    events = Events(np.concatenate(steps), np.concatenate(neurons), offsets, SHAPE)
    labels = np.array([int(file.parent.name) for file in files])
    return Samples(events, labels, np.arange(start, start + len(files)))
