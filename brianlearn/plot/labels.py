"""What runs are called in pictures: their rule, and the settings in which they differ."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from brianlearn.network.unit_names import quantity_text
from brianlearn.training.run_folder import RunFolder
from brianlearn.training.serialise import TYPE, differences, from_dict

__all__ = ["rule_name", "run_labels", "short"]

#: What tells no two runs apart that a reader would.
IGNORED = re.compile(r"^(format|resolved|name|epochs|history|data\.fingerprint)\b")
#: Settings of a label at most.
MOST = 3


def rule_name(config: Mapping[str, Any]) -> str:
    """The rule of a run as people write it, e.g. ``"DALTON"``; of a class of one's own the class's name."""
    rule = config.get("rule") or {}
    name = str(rule.get(TYPE, "")).rpartition(":")[2]
    return name or "no rule"


def short(value: Any) -> str:
    """A stored setting as a short text."""
    if isinstance(value, Mapping):
        if value.get(TYPE) == "Quantity":
            return quantity_text(from_dict(dict(value)))
        return str(value.get(TYPE, "other")).rpartition(":")[2]
    return f"{value:g}" if isinstance(value, float) else str(value)


def run_labels(folders: Sequence[RunFolder]) -> list[str]:
    """One label for each run: its rule, and what differs among the runs; numbers where nothing does.

    Parameters
    ----------
    folders : sequence of RunFolder

    Returns
    -------
    list of str
    """
    configs = [folder.config() for folder in folders]
    names = [rule_name(config) for config in configs]
    places: dict[str, None] = {}
    for config in configs[1:]:
        for where, _, _ in differences(configs[0], config):
            if not IGNORED.match(where) and not where.startswith("rule." + TYPE):
                places.setdefault(where)
    labels = []
    for name, config in zip(names, configs, strict=True):
        told = [(where, _at(config, where)) for where in places]
        parts = [f"{where.rpartition('.')[2]} {short(value)}" for where, value in told if value is not None]
        labels.append(", ".join([name, *parts[:MOST]]))
    if len(set(labels)) < len(labels):
        labels = [f"{label} ({k})" if labels.count(label) > 1 else label for k, label in enumerate(labels, 1)]
    return labels


def _at(config: Any, where: str) -> Any:
    """A setting by its place, e.g. ``spec.layers[0].size``; None where there is none."""
    for part in re.findall(r"[^.\[\]]+", where):
        if isinstance(config, list):
            config = config[int(part)] if part.isdigit() and int(part) < len(config) else None
        else:
            config = config.get(part) if isinstance(config, Mapping) else None
    return config
