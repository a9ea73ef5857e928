"""NIR files of this package in other simulators: where they take a network, with parameters for them, no spike differs.

They are installed in an environment of their own: `make test-nir`.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2 import prefs, second

import brianlearn as bl

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


def spikingjelly_file(file: Path, neuron: str) -> Any:
    import torch
    from spikingjelly.activation_based import layer
    from spikingjelly.activation_based import neuron as neurons
    from spikingjelly.activation_based.nir_exchange.to_nir import export_to_nir

    make = {
        "IF": lambda: neurons.IFNode(),
        "LIF": lambda: neurons.LIFNode(tau=5.0, decay_input=False, v_reset=0.1),
        "CubaLIF": lambda: neurons.CUBALIFNode(c_decay=0.6, v_decay=0.8),
    }[neuron]
    net = torch.nn.Sequential(layer.Linear(8, 12), make(), layer.Linear(12, 5), make())
    loud(net)
    export_to_nir(net, torch.zeros(1, 8), save_path=str(file), dt=1e-3)
    from spikingjelly.activation_based import functional

    functional.reset_net(net)
    return net


def snntorch_file(file: Path, neuron: str) -> Any:
    import nir
    import snntorch
    import torch
    from snntorch import utils
    from snntorch.export_nir import export_to_nir

    def make(n: int) -> Any:
        options = dict(threshold=torch.ones(n), init_hidden=True, reset_mechanism="zero", reset_delay=False)
        if neuron == "LIF":
            return snntorch.Leaky(beta=0.9 * torch.ones(n), **options)
        return snntorch.Synaptic(alpha=0.5 * torch.ones(n), beta=0.9 * torch.ones(n), **options)

    net = torch.nn.Sequential(torch.nn.Linear(8, 12), make(12), torch.nn.Linear(12, 5), make(5))
    loud(net)
    nir.write(file, export_to_nir(net, torch.zeros(1, 8), ignore_dims=[0]))
    utils.reset(net)
    return net


def loud(net: Any) -> None:
    import torch

    torch.manual_seed(0)
    for module in net:
        if hasattr(module, "weight"):
            with torch.no_grad():
                module.weight.copy_(torch.randn_like(module.weight) + 0.3)


@pytest.mark.parametrize(
    ("write", "neuron", "dt"),
    [
        *((spikingjelly_file, name, 1e-3) for name in ("IF", "LIF", "CubaLIF")),
        *((snntorch_file, name, 1e-4) for name in ("LIF", "CubaLIF")),
    ],
)
def test_files_that_others_write(write: Any, neuron: str, dt: float, tmp_path: Path) -> None:
    import torch

    prefs.codegen.target = "numpy"
    net = write(tmp_path / "a.nir", neuron)
    dense = np.random.default_rng(0).random((60, 8)) < 0.3
    given = torch.from_numpy(dense.astype(np.float32))
    outs = [net(x[None]) for x in given]
    expected = np.array([(y[0] if isinstance(y, tuple) else y).detach().numpy().ravel() for y in outs]) > 0.5
    spec, weights = bl.from_nir(
        tmp_path / "a.nir", dt=dt * second, duration=60 * dt * second, discretisation="euler", at_rest=True
    )
    events = bl.Events(*np.nonzero(dense), np.array([0, int(dense.sum())]), (8,))
    learner = bl.Learner(spec, device="numpy", dtype="float64")
    state = dataclasses.replace(learner.init(), weights=weights)
    found = learner.infer(state, bl.Samples(events), record=["spikes"]).spikes[spec.output].dense()[0]
    assert expected.sum() > 20
    np.testing.assert_array_equal(found, expected)
