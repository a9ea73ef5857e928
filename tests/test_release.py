"""What belongs to a release: versions that agree, a changelog, issue forms, a map of the house; and the check of it."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from test_rooms import COMMON, MAY_KNOW

import brianlearn as bl

ROOT = Path(__file__).parents[1]
#: What GitHub's issue forms may hold: type -> attributes that must be there.
FIELDS = {
    "markdown": {"value"},
    "textarea": {"label"},
    "input": {"label"},
    "dropdown": {"label", "options"},
    "checkboxes": {"label", "options"},
}


@pytest.fixture
def checks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("release_check", ROOT / "tools" / "release_check.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_versions_agree_and_where_they_do_not_it_is_said(
    checks: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert checks.versions_agree() == bl.__version__
    for name in ("pyproject.toml", "CITATION.cff", "CHANGELOG.md", "brianlearn/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    project = (tmp_path / "pyproject.toml").read_text(encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(project.replace(f'version = "{bl.__version__}"', 'version = "7.8.9"'))
    monkeypatch.setattr(checks, "ROOT", tmp_path)
    with pytest.raises(checks.Failed) as caught:
        checks.versions_agree()
    text = str(caught.value)
    assert f"brianlearn.__version__ says {bl.__version__}" in text and "CHANGELOG.md says None" in text
    assert f"CITATION.cff says {bl.__version__}" in text and not checks.check("versions", checks.versions_agree)


def test_a_wheel_that_lacks_a_file_is_found(checks: Any, tmp_path: Path) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    (tmp_path / "dist").mkdir()
    names = [*checks.tracked("brianlearn"), *(f"brianlearn/{name}" for name in checks.tracked("network_specs"))]
    with zipfile.ZipFile(tmp_path / "dist" / "x.whl", "w") as archive:
        for name in names:
            if name != "brianlearn/py.typed":
                archive.writestr(name, "")
    (tmp_path / "dist" / "x.tar.gz").write_bytes(b"")
    with pytest.raises(checks.Failed, match=r"the wheel lacks brianlearn/py\.typed"):
        checks.complete(tmp_path)


def test_what_fails_in_a_command_is_shown(checks: Any, capsys: pytest.CaptureFixture[str]) -> None:
    code = "import sys; print('so far'); sys.exit('this is why')"
    assert not checks.check("a command", lambda: checks.run(sys.executable, "-c", code))
    told = capsys.readouterr().out
    assert told.startswith(" FAILED  a command:") and "so far" in told and "this is why" in told


def test_the_pythons_of_the_check_are_those_of_the_classifiers(checks: Any) -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert re.findall(r"Python :: (3\.\d+)\"", text) == list(checks.PYTHONS)


def test_the_environment_of_tests_has_what_the_check_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {"build", "twine"} <= set(project["optional-dependencies"]["test"])
    fixed = re.findall(r"^([\w-]+)==", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert {"build", "twine", "tensorboard", "nbclient", "ipykernel"} <= set(fixed)


def test_the_changelog_is_kept() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    dates = [re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)", heading) for heading in headings[1:]]
    assert all(dates) and bl.__version__ in [found[1] for found in dates if found]
    kinds = set(re.findall(r"^### (.*)$", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    # names that it promises are there
    named = set(re.findall(r"`bl\.(\w+)", text)) | set(re.findall(r"`(\w+)`", text)) & set(bl.__all__)
    lacking = {name for name in named if name not in bl.__all__ and name not in dir(bl)}
    assert not lacking


@pytest.mark.parametrize(
    "form", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")), ids=lambda path: path.stem
)
def test_issue_forms_are_what_github_reads(form: Path) -> None:
    yaml = pytest.importorskip("yaml")
    found = yaml.safe_load(form.read_text(encoding="utf-8"))
    if form.stem == "config":
        assert found == {"blank_issues_enabled": True}
        return
    assert {"name", "description", "body"} <= found.keys() <= {"name", "description", "body", "labels", "title"}
    ids = []
    for field in found["body"]:
        assert field.keys() <= {"type", "id", "attributes", "validations"}
        assert FIELDS[field["type"]] <= field["attributes"].keys()
        ids.append(field["id"])
        assert set(field.get("validations", {"required": True})) == {"required"}
    assert len(set(ids)) == len(ids)


def test_the_map_of_the_house_shows_all_rooms() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.split("| room |")[1].split("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines()[2:]]
    assert {name for row in rows for name in re.findall(r"`(\w+)/`", row)} == set(MAY_KNOW)
    assert "errors" in COMMON and len(re.findall(r"^\d\. \*\*", text, re.MULTILINE)) == 5
    for name in re.findall(r"\bmake ([a-z-]+)", text + (ROOT / "RELEASING.md").read_text(encoding="utf-8")):
        assert re.search(rf"^{name}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE), name


def test_files_that_pages_name_are_there() -> None:
    for page in ("CONTRIBUTING.md", "RELEASING.md", "CHANGELOG.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        for name in re.findall(r"\b((?:docs|tests|tools|brianlearn)/[\w/]+\.(?:md|py))\b", text):
            assert (ROOT / name).is_file(), f"{page}: {name}"


@pytest.mark.slow
def test_help_of_make_names_the_check() -> None:
    told = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "make release-check" in told
