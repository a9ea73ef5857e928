"""Arrays in files, .npy and .npz, read without pickle and with no more memory than the file can justify."""

from __future__ import annotations

import io
import math
import warnings
import zipfile

import numpy as np

from brianlearn.data.unpacking import Allowance, DamagedContentError

__all__ = ["parse_npy", "parse_npz"]


def parse_npy(content: bytes) -> np.ndarray:
    """The array that the content of an .npy file holds.

    Parameters
    ----------
    content : bytes
        All of the file.

    Returns
    -------
    numpy.ndarray
        A read-only view of the content.

    Raises
    ------
    DamagedContentError
        No whole .npy file, one that goes on after its array, or one that holds objects, with the byte.
    """
    stream = io.BytesIO(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy's, of headers that Python 2 wrote
            version = np.lib.format.read_magic(stream)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = read(stream)
    except Exception as error:  # numpy evaluates the header as Python: whatever damaged bytes make of themselves
        raise DamagedContentError(f"{content[:6]!r} at byte 0 and a header that cannot be read", 0, error) from error
    start = stream.tell()
    if dtype.hasobject:
        raise DamagedContentError("Object arrays, which would need pickle", start)
    size = math.prod(shape) * dtype.itemsize  # Python's integers: a damaged header cannot overflow
    if dtype.subdtype is not None or dtype.itemsize < 1 or min(shape, default=0) < 0:
        raise DamagedContentError(f"an array {dtype} {shape}", start)
    if start + size != len(content):
        raise DamagedContentError(
            f"the end of the file instead of byte {start + size} (header: {dtype} {shape})", len(content)
        )
    flat = np.frombuffer(content, dtype, math.prod(shape), start)
    return flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)


def parse_npz(content: bytes) -> dict[str, np.ndarray]:
    """The arrays that the content of an .npz file holds, by name.

    Raises
    ------
    DamagedContentError
        As of `parse_npy`; members that are encrypted, compressed in another way than by deflate, there twice, or that
        unpack to more than the file may (see `Allowance`).
    """
    allowance = Allowance(len(content))
    arrays: dict[str, np.ndarray] = {}
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except Exception as error:
        raise DamagedContentError("no whole zip file", len(content), error) from error
    for member in archive.infolist():
        where = member.header_offset
        name = member.filename.removesuffix(".npy")
        if name == member.filename or name in arrays:
            raise DamagedContentError(f"the member {member.filename!r}", where)
        if member.flag_bits & 1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DamagedContentError(f"an encrypted or compressed member {name!r} ({member.compress_type})", where)
        try:
            with archive.open(member) as opened:
                unpacked = allowance.read(opened)
            if len(unpacked) != member.file_size:
                raise DamagedContentError(f"{len(unpacked)} of {member.file_size} bytes", 0)
            arrays[name] = parse_npy(unpacked).copy(order="K")
        except DamagedContentError as error:
            raise DamagedContentError(f"{error} of the member {name!r}, which begins", where) from error
        except Exception as error:
            raise DamagedContentError(f"a damaged member {name!r}", where, error) from error
    return arrays
