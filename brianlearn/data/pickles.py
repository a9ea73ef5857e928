"""Pickles of arrays, numbers and text, read without running anything that they name.

A pickle is a program: it may call what it imports, and ask for memory at will. Here only what a numpy array names can
be imported, as stand-ins of this module, which check that the bytes of an array are there before they make one.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from typing import Any

import numpy as np

from brianlearn.data.unpacking import DamagedContentError

__all__ = ["parse_pickle"]

#: Operations that name a place of the memo, for which the unpickler makes room up to the number that they give.
PLACES = ("PUT", "BINPUT", "LONG_BINPUT")


class _Type:
    """Stands for numpy.dtype, of plain numbers."""

    def __init__(self, name: Any, align: Any = False, copy: Any = False) -> None:
        name = name.decode("ascii") if isinstance(name, bytes) else name
        if not isinstance(name, str) or name[:1] not in tuple("biuf") or not name[1:].isdigit():
            raise pickle.UnpicklingError(f"an array of {name!r}")
        self.dtype = np.dtype(name)

    def __setstate__(self, state: Any) -> None:
        """Version, byte order, and what only other types have."""
        order = state[1]
        order = order.decode("ascii") if isinstance(order, bytes) else order
        if order not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError(f"byte order {order!r}")
        self.dtype = np.dtype(f"{order}{self.dtype.kind}{self.dtype.itemsize}")


class _Array:
    """Stands for numpy.ndarray."""

    array: np.ndarray

    def __setstate__(self, state: Any) -> None:
        """Version, shape, type, whether in Fortran's order, and the bytes."""
        _, shape, kind, fortran, content = state
        self._fill(content, kind, shape, fortran)

    def _fill(self, content: Any, kind: Any, shape: Any, fortran: Any) -> None:
        if not isinstance(kind, _Type) or not isinstance(content, bytes | bytearray):
            raise pickle.UnpicklingError("an array of something else than numbers")
        if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
            raise pickle.UnpicklingError(f"an array of shape {str(shape)[:80]}")
        if math.prod(shape) * kind.dtype.itemsize != len(content):
            raise pickle.UnpicklingError(f"an array {kind.dtype} {shape} of {len(content)} bytes")
        flat = np.frombuffer(content, kind.dtype)
        self.array = flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)


def _reconstruct(*_: Any) -> _Array:
    """Stands for the function of this name: an array that is filled later."""
    return _Array()


def _frombuffer(content: Any, kind: Any, shape: Any, order: Any) -> _Array:
    array = _Array()
    array._fill(content, kind, shape, order == "F")
    return array


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    """Stands for codecs.encode, by which the older protocols keep bytes."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"bytes as {str(encoding)[:20]!r}")
    return text.encode("latin1")


_STANDS_FOR: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy.core.numeric", "_frombuffer"): _frombuffer,
    ("numpy._core.numeric", "_frombuffer"): _frombuffer,
    ("numpy", "ndarray"): "ndarray",  # an argument only
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _encode,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _STANDS_FOR:
            raise pickle.UnpicklingError(f"it wants {module}.{name}, which is no part of a numpy array")
        return _STANDS_FOR[module, name]


def parse_pickle(content: bytes) -> dict[str, Any]:
    """The dictionary that a pickle holds, of arrays and whatever else is no object.

    Parameters
    ----------
    content : bytes
        All of the file.

    Returns
    -------
    dict
        Names as text, also where they are bytes; arrays of numpy, read-only. What has another name is left out;
        nothing is left of a pickle that is no dictionary.

    Raises
    ------
    DamagedContentError
        No whole pickle, or one that names anything else than a numpy array does.
    """
    stream = io.BytesIO(content)
    try:
        for operation, argument, place in pickletools.genops(content):
            if operation.name in PLACES and not 0 <= int(str(argument)) <= len(content):
                raise DamagedContentError(f"place {str(argument)[:20]} of the memo", place or 0)
        found = _Unpickler(stream, encoding="bytes").load()
    except DamagedContentError:
        raise
    except Exception as error:  # whatever damaged bytes make of themselves
        raise DamagedContentError("no whole pickle of arrays and numbers", stream.tell(), error) from error
    result = {}
    for key, value in found.items() if isinstance(found, dict) else ():
        if isinstance(key, str | bytes):
            name = key.decode("latin1") if isinstance(key, bytes) else key
            result[name] = getattr(value, "array", None) if isinstance(value, _Array) else value
    return result
