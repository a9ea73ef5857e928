"""What the documentation says runs: the Python in docs/ and the examples in docstrings."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import brianlearn

DOCS = Path(__file__).parent.parent / "docs"
OWN = ("own_loss.md", "own_optimiser.md", "own_encoder.md", "own_initial_weights.md", "own_augmentation.md")
PAGES = (
    *OWN,
    "warnings.md",
    "neurons.md",
    "networks.md",
    "rules.md",
    "own_rule.md",
    "synaptic_rules.md",
    "data.md",
    "own_data.md",
    "stbp.md",
    "verify.md",
)
#: Without torch, brianlearn.discrete cannot be imported, and so not looked into; its own test is skipped.
MODULES = sorted(m.name for m in pkgutil.walk_packages(brianlearn.__path__, "brianlearn.", onerror=lambda name: None))


@pytest.mark.parametrize("page", PAGES)
def test_python_of_a_page(page):
    if page in (*OWN[:3], "networks.md", "rules.md", "own_rule.md", "stbp.md", "verify.md"):
        pytest.importorskip("torch")
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    scope: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, f"docs/{page}", "exec"), scope)


@pytest.mark.parametrize("module", [m for m in MODULES if not m.endswith("__main__")])
def test_examples_of_docstrings(module):
    if module.startswith(("brianlearn.discrete", "brianlearn.training.verify")):
        pytest.importorskip("torch")
    assert doctest.testmod(importlib.import_module(module)).failed == 0


def test_nobody_is_told_to_install_this_package_from_an_index() -> None:
    """It is on none: remedies and pages name the packages that are missing."""
    root = Path(__file__).parents[1]
    files = [
        root / "README.md",
        *root.glob("docs/*.md"),
        *root.glob("brianlearn/**/*.py"),
        *root.glob("brianlearn/**/*.md"),
    ]
    told = re.compile(r"pip install[^\n`]*brianlearn\b(?!\.)")
    assert len(files) > 100
    assert [str(file.relative_to(root)) for file in files if told.search(file.read_text(encoding="utf-8"))] == []
