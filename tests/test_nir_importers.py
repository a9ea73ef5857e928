"""NIR files of this package in other simulators: where they take a network, with parameters for them, no spike differs.

They are installed in an environment of their own: `make test-nir`.
"""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path
from typing import Any

import pytest
from brian2 import prefs

for _package in ("nir", "nirtorch", "snntorch", "norse", "spikingjelly"):
    pytest.importorskip(_package)

_FILE = Path(__file__).parents[1] / "benchmarks" / "nir_importers.py"
_SPEC = importlib.util.spec_from_file_location("nir_importers", _FILE)
assert _SPEC is not None and _SPEC.loader is not None
table: Any = importlib.util.module_from_spec(_SPEC)
__import__("sys").modules["nir_importers"] = table
_SPEC.loader.exec_module(table)

TAKEN = {
    "snntorch": ("LIF", "CubaLIF", "convolution", "convolution, average pool"),
    "norse": ("IF", "LIF", "CubaLIF", "convolution", "recurrent", "recurrent CubaLIF"),
    "spikingjelly": (
        *("IF", "LIF", "CubaLIF", "convolution", "convolution, average pool"),
        *("recurrent", "recurrent CubaLIF"),
    ),
}
KNOWN = {
    ("snntorch", "LIF, reset to -0.3"): "reset to 0",
    ("norse", "LIF, reset to -0.3"): "reset to 0",
    ("norse", "LIF, reset subtracts"): "does not subtract",
    ("snntorch", "recurrent"): "recurrent weights",
}


@pytest.mark.parametrize(("package", "network"), [(p, n) for p, names in TAKEN.items() for n in names])
def test_no_spike_differs(package: str, network: str) -> None:
    prefs.codegen.target = "numpy"
    logging.disable(logging.WARNING)
    importer = next(each for each in table.IMPORTERS if each.package == package)
    found = table.row(importer, network, table.NETWORKS[network])
    assert found.spikes > 20 and found.euler == "0", found


@pytest.mark.parametrize(("package", "network"), KNOWN)
def test_why_spikes_differ(package: str, network: str) -> None:
    prefs.codegen.target = "numpy"
    logging.disable(logging.WARNING)
    importer = next(each for each in table.IMPORTERS if each.package == package)
    found = table.row(importer, network, table.NETWORKS[network])
    assert int(found.euler) > 0 and KNOWN[package, network] in found.cause, found
