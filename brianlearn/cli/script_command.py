"""Commands that take a network script: ``--help`` after its name shows the script's own options as well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer
from rich.box import ROUNDED
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from typer.core import TyperCommand

from brianlearn.cli.console import user_errors
from brianlearn.scripts.loading import find_script, load_script
from brianlearn.scripts.options import option_rows

__all__ = ["ScriptCommand"]

_ARGUMENTS = "brianlearn.arguments"


class ScriptCommand(TyperCommand):
    """A command whose first argument is a network script, or (`brianlearn.main`) that runs inside of one."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta[_ARGUMENTS] = list(args)
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        super().format_help(ctx, formatter)
        with user_errors():
            script, experiment = self._script(ctx)
            if script is not None:
                _show(script, option_rows(experiment, script) if callable(experiment) else [])

    def _script(self, ctx: Any) -> tuple[str | None, Any]:
        """Name and ``experiment`` of the script that is given; (None, None) where none is."""
        if ctx.obj is not None:
            return str(ctx.info_name), ctx.obj
        given, _, _ = self.make_parser(ctx).parse_args(args=list(ctx.meta.get(_ARGUMENTS, [])))
        value = next((given[p.name] for p in self.params if p.param_type_name == "argument" and p.name in given), None)
        if not isinstance(value, str) or value.startswith("-") or (Path(value) / "config.json").is_file():
            return None, None
        found = find_script(Path(value))
        return found.name, load_script(found)


def _show(script: str, rows: list[tuple[str, str, str]]) -> None:
    if not rows:
        typer.echo(f" {script} has no options of its own.\n")
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold cyan", no_wrap=True)
    table.add_column(style="yellow", overflow="fold")
    table.add_column(style="dim")
    for option, kind, default in rows:
        table.add_row(option, kind, f"[default: {default}]".replace("[", "\\["))
    Console().print(Panel(table, title=f"Options of {script}", title_align="left", border_style="dim", box=ROUNDED))
