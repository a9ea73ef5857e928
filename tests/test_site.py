"""The documentation as pages: every page has its place, and every link leads somewhere."""

from __future__ import annotations

import importlib
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


def test_the_gallery_shows_what_is_there() -> None:
    """The page is the one that tools/gallery.py writes, and what it names exists."""
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        from gallery import ENTRIES, page
    finally:
        sys.path.pop(0)
    assert (DOCS / "gallery.md").read_text(encoding="utf-8") == page()
    pictures = {path.stem for path in (DOCS / "gallery").glob("*.png")}
    assert {entry.name for entry in ENTRIES} == pictures and len(ENTRIES) == len(pictures) >= 15
    assert all(path.stat().st_size < 60_000 for path in (DOCS / "gallery").glob("*.png"))
    for entry in ENTRIES:
        assert (DOCS / entry.page).is_file(), entry.page
        found = [ROOT / entry.source, DOCS / entry.source, DOCS / f"{entry.source}.py"]
        assert any(path.is_file() for path in found), entry.source


def test_the_reference_lists_everything_once() -> None:
    """Where docs/api.md lists names by topic, each public name of the module stands under one of them."""
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    listed: dict[str, list[str]] = {}
    for module, block in re.findall(r"^::: (\S+)\n((?:    .*\n)*)", text, re.MULTILINE):
        listed.setdefault(module, []).extend(re.findall(r"^        - (\w+)$", block, re.MULTILINE))
    for module, names in listed.items():
        if names:
            missing = sorted({*importlib.import_module(module).__all__} - {*names})
            assert missing == [], f"a new name of {module} belongs under its topic in docs/api.md"
            assert sorted(names) == sorted(importlib.import_module(module).__all__), module
    assert sum(map(len, listed.values())) > 100


def test_what_the_page_on_fidelity_names_is_there() -> None:
    text = (DOCS / "fidelity.md").read_text(encoding="utf-8")
    files = set(re.findall(r"`(?:tests/)?(\w+\.py)`", text))
    assert len(files) > 20
    assert [file for file in files if not (ROOT / "tests" / file).is_file()] == []


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
    assert len(list((tmp_path / "site" / "tutorials").glob("*.ipynb"))) == 10  # to download
    first = (tmp_path / "site" / "tutorials" / "01_first_network" / "index.html").read_text(encoding="utf-8")
    assert len(re.findall(r'<img [^>]*src="\.\./01_first_network_files/', first)) >= 5
