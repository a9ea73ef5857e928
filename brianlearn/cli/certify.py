"""``brianlearn certify RUN``: what can be checked of a run, and what was found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from brianlearn.cli.console import user_errors
from brianlearn.cli.defining import Defining, data_of

__all__ = ["certify"]


def certify(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    samples: Annotated[int, typer.Option(min=1, help="Test samples whose spikes both engines are compared on.")] = 20,
    gradient_samples: Annotated[
        int, typer.Option(min=1, help="Training samples of the batch whose gradient is checked.")
    ] = 4,
    device: Annotated[
        str | None, typer.Option(help="Of Brian2: numpy, cython or cpp_standalone; that of the run, else numpy.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Train and test the whole run again.")] = False,
    script: Defining = None,
    as_json: Annotated[bool, typer.Option("--json", help="The last line of the output is one JSON object.")] = False,
) -> None:
    """Check a run's spikes, gradients, bits, files and versions; exit status 1 where one fails.

    What was found is also written into the run folder: certificate.json.
    """
    with user_errors():
        from brianlearn.training import certify as certified

        console = Console(soft_wrap=True)
        found = certified(
            run,
            data=data_of(script, run),
            samples=samples,
            gradient_samples=gradient_samples,
            device=device,
            full=full,
            told=None if as_json else lambda check: console.print(str(check), markup=False, highlight=False),
        )
        if as_json:
            print(json.dumps(found.to_dict()))
        else:
            about = ", ".join(f"{key} {value}" for key, value in found.subject.items())
            console.print(f"\n{found.summary}\n{'':>16}{about}", markup=False, highlight=False)
        if not found.passed:
            raise typer.Exit(1)
