"""What importing the package costs: Brian2, numpy and scipy, and nothing else; and who knows whom."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

#: Each needed for one purpose, and imported where that is served.
LATER = ("torch", "typer", "rich", "sklearn", "matplotlib.pyplot", "pooch", "dask", "xarray", "tonic", "nir")

PROGRAM = """
import importlib, json, sys
import brian2

added = {}
def note(what):
    global before
    added[what] = sorted(set(sys.modules) - before)
    before = set(sys.modules)

before = set(sys.modules)
for name in ("brianlearn", "brianlearn.network", "brianlearn.learning", "brianlearn.data"):
    importlib.import_module(name)
    note(name)
import brianlearn as bl
for name in ("NetworkSpec", "Neuron", "CubaLIF", "Dense", "DALTON", "Adam", "Samples", "load", "Learner"):
    getattr(bl, name)
note("names")
print(json.dumps(added))
"""


@pytest.fixture(scope="module")
def added() -> dict[str, list[str]]:
    """Modules that each import adds to those of Brian2 and of the imports before it, in a fresh interpreter."""
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=100)
    return json.loads(run.stdout.splitlines()[-1])


def test_nothing_is_imported_before_it_is_needed(added):
    new = [name for names in added.values() for name in names]
    assert "brianlearn.training.learner" in new
    assert [name for name in new if name.startswith(LATER)] == []


def test_only_brian2_numpy_and_scipy_are_needed(added):
    new = {name.split(".")[0] for names in added.values() for name in names} - set(sys.stdlib_module_names)
    assert new <= {"brianlearn", "brian2", "numpy", "scipy", "sympy", "mpmath", "cython", "Cython"}


def test_networks_know_no_rules_and_rules_no_engine(added):
    """Who may know whom: network <- learning <- engines <- training; data sets know only where downloads are kept,
    and what a process does that makes them.
    """

    def parts(what):
        return {name.split(".")[1] for name in added[what] if name.startswith("brianlearn.")}

    assert parts("brianlearn.network") <= {
        "network",
        "errors",
        "telling",
        "named_arguments",
        "docstrings",
        "error_hook",
        "citing",
    }
    assert parts("brianlearn.learning") <= {"learning"}
    assert parts("brianlearn.data") <= {"data", "machine", "work"}
