"""Where the time went."""

from __future__ import annotations

import shlex

from brianlearn.report.page.blocks import Block, Facts, Note, Section, Table
from brianlearn.report.run.view import RunView

__all__ = ["time_spent"]

#: Objects that are listed.
ROWS = 15


def time_spent(view: RunView) -> Section:
    """Seconds of the run by phase; object by object where a profile was asked for."""
    section = Section("time", "Time")
    if not view.metrics:
        return section
    seconds = sum(line["seconds"] for line in view.metrics)
    samples = sum(line["samples"] for line in view.metrics)
    resolved = view.config.get("resolved", {})
    facts = [("engine, device", f"{resolved.get('engine')}, {resolved.get('device')}, {view.config['dtype']}")]
    if view.result is not None:
        facts.append(("to make ready", f"{view.result.build_seconds:.1f} s"))
    facts.append(("to learn", f"{seconds:.1f} s for {samples:,} samples, {samples / seconds:.0f} per second"))
    blocks: list[Block] = [Facts("time of the run", facts)]
    if view.profile is not None:
        parts, caption = view.profile
        rows = [[p.name, p.layer, f"{p.milliseconds:.4f}", f"{p.share:.1%}"] for p in parts[:ROWS]]
        rest = parts[ROWS:]
        if rest:
            time, share = sum(p.milliseconds for p in rest), sum(p.share for p in rest)
            rows.append([f"{len(rest)} others", "", f"{time:.4f}", f"{share:.1%}"])
        blocks.append(Table(caption, ["object", "layer", "ms per sample", "share"], rows, (2, 3)))
    else:
        command = f"brianlearn report {shlex.quote(str(view.folder.path))} --profile 100"
        blocks.append(Note(f"Object by object, measured anew on this machine: {command}"))
    return section.with_blocks(*blocks)
