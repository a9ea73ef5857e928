"""``brianlearn data list | fetch | check``."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from brianlearn.cli.console import show_error, user_errors
from brianlearn.errors import DataError

if TYPE_CHECKING:
    from brianlearn.data.inspection import Findings

__all__ = ["app"]

app = typer.Typer(help="Data sets: which there are, fetch one, check its files.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="A name from `brianlearn data list`.")]
CHECKSUMS = {
    True: "whole, with the official checksums",
    False: "whole, with other checksums than the official ones",
    None: "whole, by their lengths and contents",
}
JsonList = Annotated[bool, typer.Option("--json", help="The last line of the output is one JSON array of objects.")]
Json = Annotated[bool, typer.Option("--json", help="The last line of the output is one JSON object.")]


@app.command("list")
def list_(as_json: JsonList = False) -> None:
    """List the data sets and where they are on this machine."""
    with user_errors():
        from brianlearn.data.inspection import list_data

        found = list_data()
        if as_json:
            print(json.dumps([dataclasses.asdict(listing) for listing in found]))
            return
        table = Table(box=SIMPLE_HEAD)
        for column in ("name", "what", "samples", "where"):
            table.add_column(column, overflow="fold", no_wrap=column in ("name", "samples"))
        for listing in found:
            where = listing.where or "not on this machine"
            table.add_row(listing.name, listing.summary, f"{listing.train} + {listing.test}", where)
        Console().print(table)


@app.command()
def fetch(name: Name) -> None:
    """Download a data set into the cache, checked by its checksum, unless it is on this machine already."""
    with user_errors():
        from brianlearn.data.registry import entry

        known = entry(name)
        if known.find is None or known.fetch is None:
            print(f"{name} is built in: there is nothing to fetch")
            return
        folder = known.find(None)
        print(f"{name} is already in {folder}" if folder else f"{name} is now in {known.fetch()}")


@app.command()
def check(
    name: Annotated[
        str | None, typer.Argument(help="A name from `brianlearn data list`; without one, all on this machine.")
    ] = None,
    path: Annotated[Path | None, typer.Option(help="Its folder, where it is neither found nor fetched.")] = None,
    as_json: Json = False,
) -> None:
    """Read every file of one data set, or of all on this machine; exit status 1 where one is damaged or missing."""
    with user_errors():
        from brianlearn.data.inspection import check_data, list_data

        if name is None and path is not None:
            raise DataError("--path", "of which data set?", got=path, remedy="give a name as well")
        names = [listing.name for listing in list_data() if listing.where] if name is None else [name]
        found, damaged = [], False
        for each in names:
            try:
                found.append(check_data(each, path))
            except DataError as error:
                if name is not None:
                    raise
                show_error(error)
                damaged = True
                continue
            if not as_json:
                _show(found[-1], title=name is None)
        if as_json:
            print(json.dumps(dataclasses.asdict(found[0]) if name else [dataclasses.asdict(each) for each in found]))
        if damaged:
            raise typer.Exit(1)


def _show(found: Findings, title: bool) -> None:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    if title:
        table.add_row("data set", found.name)
    complete = "complete" if found.complete else "a part of the data set"
    table.add_row("samples", f"{found.train} for training, {found.test} for testing: {complete}")
    table.add_row("shape", " x ".join(map(str, found.shape)))
    table.add_row("classes", f"{found.classes}, with {found.smallest_class} to {found.largest_class} samples each")
    if found.longest is None:
        table.add_row("mean value", f"{found.mean:.4f}")
    else:
        table.add_row("events", f"{found.mean:.0f} in each recording; the longest: {found.longest} ms")
    table.add_row("files", CHECKSUMS[found.official])
    table.add_row("where", found.where)
    Console().print(table)
    if title:
        Console().print()
