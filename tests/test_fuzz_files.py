"""Damaged files of every format are read as data or refused by name; never anything else, and never with much memory.

BRIANLEARN_FUZZ is how many more mutants of each format are tried, e.g. BRIANLEARN_FUZZ=4000 pytest -s on this file.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import fuzzing
import pytest
from hypothesis import HealthCheck, given, settings

from brianlearn.errors import BrianLearnError

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0 if "BRIANLEARN_FUZZ" in os.environ else 900)]

#: Of each format; hypothesis searches 150 of them.
MANY = int(os.environ.get("BRIANLEARN_FUZZ", "0"))
EXAMPLES = 150
#: Bytes more than before that reading a file of some kB may take.
MEMORY = 2**28
NAMES = [
    "idx", "idx.gz", "cifar10 binary", "cifar10 pickle 0", "cifar10 pickle 2", "cifar10 pickle 5", "npy", "n-mnist",
    "aedat2", "aedat31", "aedat4", "aedat4, LZ4", "aedat4, Zstandard", "labels", "stored events", "config.json",
    "versions.json", "metrics.jsonl", "result.json", "weights.npz", "weights.npz, deflated", "checkpoint.npz",
]  # fmt: skip
SETTINGS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=not MANY,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz")
    shutil.move(fuzzing.train(folder / "runs"), folder / "run")
    return folder


@pytest.fixture(scope="module")
def formats(folder: Path) -> dict[str, fuzzing.Format]:
    return fuzzing.formats(folder)


@pytest.fixture(scope="module")
def counts() -> Iterator[dict[str, Counter[str]]]:
    found: dict[str, Counter[str]] = {}
    yield found
    total = Counter[str]()
    for name, counter in found.items():
        total += counter
        print(f"\n{name}: {dict(counter)}", end="")
    print(f"\nall: {dict(total)}")


def peak() -> int:
    """Bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def attempt(form: fuzzing.Format, path: Path, content: bytes, counter: Counter[str]) -> None:
    path.write_bytes(content)
    before = peak()
    try:
        form.read(path)
    except BrianLearnError as error:
        assert str(error).encode(), "it can be printed"
        assert str(path.parent) in str(error) or path.name == "config.json", f"it names the file: {error}"
        counter["refused"] += 1
    else:
        counter["read"] += 1
    assert peak() - before < MEMORY, f"{len(content)} bytes took {(peak() - before) >> 20} MiB"


def prepared(name: str, formats: dict[str, fuzzing.Format], folder: Path) -> tuple[fuzzing.Format, Path]:
    """The format, and where to put its mutants: in a copy of the run folder where it is of one."""
    if name not in formats:
        pytest.skip("lz4 and zstandard are not installed")
    form = formats[name]
    place = folder / f"of {name}"
    if form.name == "file" or form.name.startswith("data_batch"):
        place.mkdir(exist_ok=True)
    else:
        shutil.copytree(folder / "run", place, dirs_exist_ok=True)
    form.read(write(place / form.name, form.content))
    return form, place / form.name


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


#: What is changed, and how: bytes of every format, and values of what is JSON.
WAYS = [(name, "bytes") for name in NAMES] + [(f"{name}.json", "values") for name in ("config", "result", "versions")]
DRAWN = {"bytes": fuzzing.Damage.several, "values": fuzzing.OtherValue.several}
SEARCHED = {"bytes": fuzzing.damages(), "values": fuzzing.other_values()}


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_mutants(name, way, formats, folder, counts) -> None:
    """Searched by hypothesis, which shows the simplest one that fails."""
    form, path = prepared(name, formats, folder)
    counter = counts.setdefault(f"{name}, {way}", Counter())

    @SETTINGS
    @given(SEARCHED[way])
    def run(mutations: list[fuzzing.Mutation]) -> None:
        attempt(form, path, mutant(form.content, mutations), counter)

    run()


@pytest.mark.skipif(not MANY, reason="BRIANLEARN_FUZZ is not set")
@pytest.mark.parametrize(("name", "way"), WAYS)
def test_many_mutants(name, way, formats, folder, counts) -> None:
    form, path = prepared(name, formats, folder)
    counter = counts.setdefault(f"{name}, {way}", Counter())
    for seed in range(MANY):
        mutations = DRAWN[way](random.Random(f"{name} {seed}"))
        try:
            attempt(form, path, mutant(form.content, mutations), counter)
        except Exception as error:
            raise AssertionError(f"mutant {seed} of {name}: {mutations}") from error


def mutant(content: bytes, mutations: Sequence[fuzzing.Mutation]) -> bytes:
    for mutate in mutations:
        content = mutate(content)
    return content
