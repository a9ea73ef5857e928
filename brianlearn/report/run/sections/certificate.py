"""The certificate of trust, where one was made."""

from __future__ import annotations

import shlex

from markupsafe import Markup

from brianlearn.errors import RunFolderError
from brianlearn.report.page.blocks import Code, Note, Section, Table
from brianlearn.report.run.view import RunView
from brianlearn.training.files import read_json

__all__ = ["certificate"]

FILE = "certificate.json"


def certificate(view: RunView) -> Section:
    """What ``brianlearn certify`` found, check by check; how to make one where there is none."""
    section = Section("certificate", "Certificate")
    file = view.folder.path / FILE
    if not file.exists():
        return section.with_blocks(
            Note("No certificate was made yet. It compares both engines spike by spike, and gradients and replay:"),
            Code(f"brianlearn certify {shlex.quote(str(view.folder.path))}"),
        )
    found = read_json(file)
    try:
        rows = [[c["name"], _marked(c["verdict"]), c["question"], c["text"]] for c in found["checks"]]
        verdict = str(found["verdict"])
    except (KeyError, TypeError) as error:
        raise RunFolderError(str(file), "the file is damaged", got=f"{type(error).__name__}: {error}") from error
    return section.with_blocks(
        Table(f"All in all: {verdict}", ["check", "verdict", "question", "what was found"], rows)
    )


def _marked(verdict: str) -> Markup:
    """The verdict in its colour."""
    return Markup('<span class="{}">{}</span>').format(verdict if verdict in ("passed", "failed") else "note", verdict)
