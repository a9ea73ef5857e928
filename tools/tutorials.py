#!/usr/bin/env python3
"""Makes docs/tutorials/*.ipynb, with their outputs, from the scripts of the same names: make tutorials.

A script is a notebook as text (jupytext's percent format). It runs in an empty folder, in the kernel of this Python; a
notebook is written when all of its cells ran without an error. Pictures become palettes of 128 colours, to be small.
"""

from __future__ import annotations

import argparse
import base64
import io
import os
import tempfile
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from PIL import Image

TUTORIALS = Path(__file__).parents[1] / "docs" / "tutorials"


def notebook_of(script: Path) -> nbformat.NotebookNode:
    """The notebook that a script is, without outputs; cells are numbered, so that making it again changes nothing.

    Parameters
    ----------
    script : pathlib.Path

    Returns
    -------
    nbformat.NotebookNode
    """
    book = jupytext.read(script, fmt="py:percent")
    for k, cell in enumerate(book.cells):
        cell["id"], cell["metadata"] = f"cell-{k}", {}
    book["metadata"] = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python"},
    }
    return book


def execute(book: nbformat.NotebookNode, folder: str, timeout: float = 600) -> None:
    """Run all cells of a notebook in a folder, and keep their outputs in it.

    Parameters
    ----------
    book : nbformat.NotebookNode
    folder : str
    timeout : float
        Seconds for a cell.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        The first cell that fails.
    """
    NotebookClient(book, timeout=timeout, kernel_name="python3", resources={"metadata": {"path": folder}}).execute()


def slim(book: nbformat.NotebookNode) -> None:
    """Take out what differs from run to run and says nothing, and make pictures small.

    Parameters
    ----------
    book : nbformat.NotebookNode
    """
    book["metadata"].pop("widgets", None)
    for cell in book.cells:
        cell["metadata"] = {}
        drawn = any("image/png" in output.get("data", {}) for output in cell.get("outputs", []))
        if drawn:  # then the value of the last line is its axes
            cell["outputs"] = [output for output in cell["outputs"] if not _is_text(output)]
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                data.pop("text/plain", None)
                picture = Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).convert("RGB")
                small = io.BytesIO()
                picture.quantize(128, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
                    small, "PNG", optimize=True
                )
                data["image/png"] = base64.b64encode(small.getvalue()).decode()
            if "metadata" in output:
                output["metadata"] = {}


def _is_text(output: nbformat.NotebookNode) -> bool:
    return output["output_type"] == "execute_result" and "image/png" not in output["data"]


def main() -> None:
    """Make those that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="e.g. 01_first_network; all of them where none is named")
    names = parser.parse_args().names
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for script in sorted(TUTORIALS.glob("*.py")):
        if names and script.stem not in names:
            continue
        book, began = notebook_of(script), time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            execute(book, folder)
        slim(book)
        nbformat.validate(book)
        path = script.with_suffix(".ipynb")
        text = nbformat.writes(book).rstrip("\n") + "\n"
        path.write_text(text, encoding="utf-8")
        print(f"{path.name}: {time.perf_counter() - began:.0f} s, {len(text) / 1e3:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
