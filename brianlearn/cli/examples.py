"""``brianlearn examples`` and ``brianlearn new``: the example networks, and a script that begins as one."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from brianlearn.errors import SpecError
from brianlearn.scripts.loading import example_scripts, find_example, summary

__all__ = ["list_examples", "new_script"]

DEFAULT = "digits"


def list_examples(as_json: bool) -> None:
    """Print names and first lines of the example networks."""
    found = example_scripts()
    if as_json:
        print(json.dumps([{"name": n, "summary": summary(path), "path": str(path)} for n, path in found.items()]))
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, path in found.items():
        table.add_row(name, summary(path))
    console = Console()
    console.print(table)
    console.print("\nbrianlearn train NAME trains one, brianlearn new NAME copies one to begin with", highlight=False)


def new_script(script: Path, example: str | None = None) -> Path:
    """Copy an example network.

    Parameters
    ----------
    script : pathlib.Path
        The new file; ``.py`` is added where it is missing.
    example : str, optional
        Which one: that of the file's name where there is one, else ``digits``.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    SpecError
        No such example, a file that is there already, or one that cannot be written.
    """
    found = example_scripts()
    target = script if script.suffix == ".py" else script.with_name(f"{script.name}.py")
    name = (example or (target.stem if target.stem in found else DEFAULT)).removesuffix(".py")
    text = find_example(name).read_text(encoding="utf-8").replace(f"network_specs/{name}.py", str(target))
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise SpecError(
            str(target), "the file is there already", expected="the name of a new file", remedy="give another name"
        ) from None
    except OSError as error:
        raise SpecError(str(target), "the file cannot be written", got=error.strerror or str(error)) from None
    return target
