"""The Python of the pages on studies runs, with fewer trials; and no page has Python that nothing runs."""

from __future__ import annotations

import importlib.util
import re
import shutil
from pathlib import Path

import pytest
from brian2 import ms
from test_docs import PAGES

import brianlearn as bl

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
#: Pages that other tests than tests/test_docs.py run.
ELSEWHERE = {"discrete.md": "test_discrete_inference.py", "studies.md": __file__, "study_kinds.md": __file__}


def blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


def test_every_page_with_python_is_run() -> None:
    with_python = {
        path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md") if "```python" in path.read_text("utf-8")
    }
    assert with_python == {*PAGES, *ELSEWHERE}
    for page, test in ELSEWHERE.items():
        assert f'"{page}"' in (ROOT / "tests" / Path(test).name).read_text(encoding="utf-8")


def fewer(block: str, shorter: dict[str, str]) -> str:
    for long, short in shorter.items():
        block = block.replace(long, short)
    return block


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for package in ("torch", "xarray"):
        pytest.importorskip(package)
    shutil.copytree(ROOT / "network_specs", tmp_path / "network_specs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_the_page_on_studies(scripts: Path) -> None:
    shorter = {
        '{"epochs": 5}': '{"epochs": 1, "limit": 40, "test_limit": 20, "engine": "discrete"}',
        "range(5)": "range(2)",
        "bl.simulate(spec)": 'bl.simulate(spec, device="numpy")',
    }
    scope: dict[str, object] = {}
    for block in blocks("studies.md"):
        exec(compile(fewer(block, shorter), "docs/studies.md", "exec"), scope)
    study = scope["study"]
    assert isinstance(study, bl.Study) and study.status().done == 12 and (scripts / "heat.png").is_file()


@pytest.mark.slow
def test_the_page_on_kinds_of_studies(scripts: Path) -> None:
    layers = [bl.Dense(12, bl.DaltonIF(tau_s=2 * ms), weights=bl.Normal(3.0))]
    spec = bl.NetworkSpec(bl.Input((1, 8, 8)), layers, bl.Readout(10), duration=10 * ms)
    experiment = bl.Experiment(
        spec, bl.DALTON(), bl.Adam(0.01), "digits", epochs=1, limit=40, test_limit=20, batch_size=10, engine="discrete"
    )
    run = experiment.run(progress=False).run
    shorter = {
        '"runs/<run>"': repr(str(run)),
        "[0, 0.1, 0.2, 0.4], threshold_noise=[0, 0.1, 0.2], seeds=range(5)": "[0, 0.1], seeds=[0]",
        "sel(threshold_noise=0)": "size",
        "gains=[0.5, 1, 2], thresholds=[1, 1.5], epochs=5": "gains=[1, 2], epochs=1, limit=20, seeds=[0]",
    }
    scope: dict[str, object] = {}
    for block in blocks("study_kinds.md"):
        if "from sbi" in block and importlib.util.find_spec("sbi") is None:
            continue
        exec(compile(fewer(block, shorter), "docs/study_kinds.md", "exec"), scope)
        if "rate_accuracy" in block:
            study = scope["study"]
            assert isinstance(study, bl.Study) and study.status().done == 2
