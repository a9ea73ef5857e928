"""What looked wrong."""

from __future__ import annotations

from markupsafe import escape

from brianlearn.report.page.blocks import Html, Section
from brianlearn.report.run.view import RunView

__all__ = ["warned"]


def warned(view: RunView) -> Section:
    """The warnings of the run, each once; nothing where there were none."""
    told = [] if view.result is None else list(view.result.warnings)
    told += [text for line in view.metrics for text in line.get("warnings", ())]
    once = dict.fromkeys(told)
    return Section("warnings", "Warnings", tuple(Html(f'<p class="warning">{escape(text)}</p>') for text in once))
