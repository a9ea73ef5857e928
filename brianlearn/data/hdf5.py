"""HDF5 files that may be damaged: the library itself can loop for ever, or crash, on one."""

from __future__ import annotations

import sys
import time
from importlib.util import find_spec
from pathlib import Path

from brianlearn.errors import DataError
from brianlearn.machine.leftovers import temporary_folder
from brianlearn.machine.scratch import scratch_folder

__all__ = ["check_hdf5"]

#: Seconds without progress after which a file counts as damaged; a piece takes milliseconds.
PATIENCE = 60.0
AGAIN = "copy or unpack the file again"

#: Reads all members, piece by piece, and prints a point for each; or says in two lines what went wrong.
_READ = """
import sys
import h5py
what = "this is no whole HDF5 file"
try:
    with h5py.File(sys.argv[1], "r") as file:
        for name in sys.argv[2:]:
            what = f"{name} cannot be read"
            member = file[name]
            for first in range(0, len(member), 100):
                member[first : first + 100]
                print(".", end="", flush=True)
except BaseException as error:
    print(f"\\n{what}\\n{type(error).__name__}: {' '.join(str(error).split())}")
    sys.exit(1)
"""


def check_hdf5(path: Path, members: tuple[str, ...], layout: str) -> None:
    """Read arrays of an HDF5 file from their first to their last element, in a process of its own.

    What could be read there can be read here.

    Parameters
    ----------
    path : pathlib.Path
    members : tuple of str
        Paths of the arrays in the file.
    layout : str
        What the file should hold, for errors.

    Raises
    ------
    DataError
        A file that cannot be read, or that the library crashes on or does not come to an end with; h5py, which is not
        installed.
    """
    from brianlearn.machine.child import end, start

    if find_spec("h5py") is None:
        raise DataError(str(path), "the file is HDF5, and h5py is not installed", remedy="pip install h5py")
    with temporary_folder(scratch_folder(2**20) / "brianlearn-hdf5") as folder:
        said = folder / "said"
        with said.open("wb") as output:
            process = start([sys.executable, "-c", _READ, str(path.resolve()), *members], folder, output)
            try:
                size, since = 0, time.monotonic()
                while process.poll() is None and time.monotonic() - since < PATIENCE:
                    time.sleep(0.01)
                    if said.stat().st_size != size:
                        size, since = said.stat().st_size, time.monotonic()
                status = process.poll()
            finally:
                end(process)
        text = said.read_text(errors="replace")
    if status == 0:
        return
    lines = text.splitlines()
    problem, got = "this is no whole HDF5 file", f"HDF5's library ends with status {status}"
    if status is None:
        got = f"HDF5's library reads for more than {PATIENCE:g} s without an end, after {text.count('.')} pieces"
    elif status == 1 and len(lines) >= 2:
        problem, got = lines[-2], lines[-1]
    raise DataError(str(path), problem, got=got, expected=f"HDF5 with {layout}", remedy=AGAIN)
