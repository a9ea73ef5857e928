"""How to run it again, with what it was run, and what to cite."""

from __future__ import annotations

import shlex

from brianlearn.report.page.blocks import Block, Code, Facts, Note, Section
from brianlearn.report.run.view import RunView

__all__ = ["again"]


def again(view: RunView) -> Section:
    """Commands, files and versions."""
    folder = view.folder.path
    data = view.config["data"].get("name") or "samples without a name"
    versions = [(name, version) for name, version in view.folder.versions().items() if version]
    files = sorted(path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    run = shlex.quote(str(folder))
    lines = [
        f"brianlearn evaluate {run}    # test it",
        f"brianlearn verify {run}      # both engines, spike by spike",
        f"brianlearn certify {run}     # and gradients, and replay",
        f"brianlearn plot {run} raster --out raster.pdf",
    ]
    blocks: list[Block] = [Code("\n".join(lines))]
    facts = [("data", data), ("seed", str(view.config["seed"])), ("batch size", str(view.config["batch_size"]))]
    facts += [("epochs", f"{len(view.metrics)} of {view.config['epochs']}"), ("folder", folder.name)]
    blocks.append(Facts("run", facts))
    blocks += [Note(text) for text in dict.fromkeys(view.notes)]
    blocks.append(Facts("versions", versions))
    blocks.append(Note(f"Files beside this page: {', '.join(files)}."))
    return Section("again", "Again").with_blocks(*blocks)
