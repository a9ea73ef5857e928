"""The tutorials: notebooks that are stored with their outputs, and run."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
TUTORIALS = ROOT / "docs" / "tutorials"
SCRIPTS = sorted(TUTORIALS.glob("*.py"))
NAMES = [script.stem for script in SCRIPTS]
#: What only one machine has: folders of users, of the system, of an environment.
OF_A_MACHINE = re.compile(
    r"(?<![\w.])/(home|root|tmp|usr|opt|work|Users|var|mnt)/|[A-Z]:\\\\|site-packages|ipykernel_\d"
)


def stored(name: str) -> dict[str, Any]:
    book: dict[str, Any] = json.loads((TUTORIALS / f"{name}.ipynb").read_text(encoding="utf-8"))
    return book


def code_cells(name: str) -> list[dict[str, Any]]:
    return [cell for cell in stored(name)["cells"] if cell["cell_type"] == "code"]


def test_every_script_has_its_notebook_and_every_notebook_its_script() -> None:
    assert len(NAMES) == 10 and [path.stem for path in sorted(TUTORIALS.glob("*.ipynb"))] == NAMES
    assert [name[:2] for name in NAMES] == [f"{k:02d}" for k in range(1, len(NAMES) + 1)]
    pages = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert [name for name in NAMES if f"tutorials/{name}.md" not in pages] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_stored_as_it_ran(name: str) -> None:
    cells = code_cells(name)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))  # once, from the top
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} <= {"stream", "display_data", "execute_result"}  # no error
    assert not [output for output in outputs if output.get("name") == "stderr"]  # nor a warning
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    printed = [output for output in outputs if output.get("name") == "stdout"]
    assert len(pictures) >= 2 and printed


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_says_nothing_of_the_machine_that_made_it(name: str) -> None:
    text = "\n".join(
        [
            *("".join(cell["source"]) for cell in stored(name)["cells"]),
            *("".join(output.get("text", "")) for cell in code_cells(name) for output in cell["outputs"]),
            *(
                "".join(output["data"].get("text/plain", ""))
                for cell in code_cells(name)
                for output in cell["outputs"]
                if "data" in output
            ),
            json.dumps(stored(name)["metadata"]),
        ]
    )
    assert OF_A_MACHINE.search(text) is None


def test_notebooks_are_small() -> None:
    sizes = {path.name: path.stat().st_size for path in TUTORIALS.glob("*.ipynb")}
    assert max(sizes.values()) < 250_000 and sum(sizes.values()) < 2_000_000


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_holds_the_cells_of_its_script(name: str) -> None:
    """Whoever changes a script makes its notebook again: make tutorials."""
    pytest.importorskip("jupytext")
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        from tutorials import notebook_of
    finally:
        sys.path.pop(0)
    script = notebook_of(TUTORIALS / f"{name}.py")
    made = [(cell["cell_type"], cell["source"]) for cell in script.cells]
    assert made == [(cell["cell_type"], "".join(cell["source"])) for cell in stored(name)["cells"]]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", NAMES)
def test_a_tutorial_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("torch", "jupytext", "nbclient", "ipykernel"):
        pytest.importorskip(package)
    if name == "10_to_hardware":
        pytest.importorskip("nir")
        if shutil.which("g++") is None:
            pytest.skip("no C++ compiler")
    if name == "09_a_parameter_study":
        pytest.importorskip("xarray")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    from tutorials import execute, notebook_of

    book = notebook_of(TUTORIALS / f"{name}.py")
    execute(book, str(tmp_path))  # raises what a cell raises
    outputs = [output for cell in book.cells if cell["cell_type"] == "code" for output in cell["outputs"]]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 2
