"""NIR files: HDF5, read and written by the package nir."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from brianlearn.errors import DataError
from brianlearn.interop.by_trial import package

__all__ = ["opened", "written"]


def opened(owner: str, given: Any) -> Any:
    """A graph, or that of a file.

    Parameters
    ----------
    owner : str
        Who asks, for errors.
    given : nir.NIRGraph or path-like

    Returns
    -------
    nir.NIRGraph

    Raises
    ------
    BrianLearnError
        If nir is not installed.
    DataError
        What is no NIR graph, and no file of one.
    """
    nir = package("nir", owner)
    if isinstance(given, nir.NIRGraph):
        return given
    if not isinstance(given, str | os.PathLike):
        raise DataError(owner, "this is no NIR graph", got=repr(given)[:200], expected="a nir.NIRGraph, or a file")
    file = Path(given)
    if not file.is_file():
        raise DataError(owner, "there is no such file", got=file, expected="a NIR file")
    try:
        graph = nir.read(file, type_check=False)  # which nir does wrongly for kernels that are not square
    except Exception as error:  # of h5py or nir, whatever is in the file
        raise DataError(owner, f"{file.name} cannot be read", got=repr(error)[:200], expected="a NIR file") from error
    if not isinstance(graph, nir.NIRGraph):
        raise DataError(owner, f"{file.name} holds no graph", got=type(graph).__name__, expected="a nir.NIRGraph")
    return graph


def written(graph: Any, path: str | os.PathLike[str]) -> None:
    """Write a graph; the file appears as a whole.

    Parameters
    ----------
    graph : nir.NIRGraph
    path : path-like

    Raises
    ------
    DataError
        A folder that cannot be written to.
    """
    nir, file = package("nir", "to_nir"), Path(path)
    part = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        nir.write(part, graph)
        part.replace(file)
    except OSError as error:
        raise DataError(
            "to_nir", "the file cannot be written", got=f"{file}: {error}", expected="a file name"
        ) from None
    finally:
        part.unlink(missing_ok=True)
