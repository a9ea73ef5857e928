"""The documentation as pages: every page has its place, and every link leads somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def pages() -> set[str]:
    notebooks = {path.relative_to(DOCS).with_suffix(".md").as_posix() for path in DOCS.rglob("*.ipynb")}
    return notebooks | {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}


def test_every_page_has_its_place() -> None:
    listed = re.findall(
        r"^\s+- (?:[\w ]+: )?(\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert sorted(listed) == sorted(pages())


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    """mkdocs --strict: links and anchors that lead nowhere, pages without a place, docstrings that cannot be read."""
    for package in ("mkdocs", "material", "mkdocstrings", "nbconvert", "torch"):
        pytest.importorskip(package)
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    for page in pages() - {"index.md"}:
        folder = tmp_path / "site" / page.removesuffix(".md").removesuffix("index")
        text = (folder / "index.html").read_text(encoding="utf-8")
        assert "<h1" in text
        assert re.search(r'<(script|link)\b[^>]*(src|href)="(https?:)?//', text) is None  # nothing from elsewhere
    first = (tmp_path / "site" / "tutorials" / "01_first_network" / "index.html").read_text(encoding="utf-8")
    assert len(re.findall(r'<img [^>]*src="\.\./01_first_network_files/', first)) >= 5
