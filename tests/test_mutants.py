"""The named faults of tests/mutants.py can be put in: what each replaces is there once, and its tests are there."""

from __future__ import annotations

import ast
from pathlib import Path

import mutants
import pytest

import brianlearn

PACKAGE = Path(brianlearn.__file__).parent


@pytest.mark.parametrize("mutant", mutants.MUTANTS, ids=lambda mutant: mutant.name)
def test_a_fault_can_be_put_in(mutant: mutants.Mutant) -> None:
    assert (PACKAGE / mutant.file).read_text(encoding="utf-8").count(mutant.old) == 1
    assert mutant.new != mutant.old
    for test in mutant.tests:
        file, _, name = test.partition("::")
        tree = ast.parse((mutants.ROOT / file).read_text(encoding="utf-8"))
        functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert not name or name.partition("[")[0] in functions
