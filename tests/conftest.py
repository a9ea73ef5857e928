"""Fixtures and options that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from brian2 import ms
from hypothesis import settings

from brianlearn.network import Conv, CubaLIF, Dense, Input, NetworkSpec, Readout

os.environ["BRIANLEARN_PICTURES"] = "0"  # a second for each of hundreds of runs; tests of pictures want theirs

#: Seconds for a test that compiles C++ or trains; pyproject.toml has the limit of the others.
SLOW_TIMEOUT = 900


# time limits are pytest's: on a busy machine an example may take any time
settings.register_profile("brianlearn", deadline=None)
settings.load_profile("brianlearn")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        slow = item.get_closest_marker("slow") or item.get_closest_marker("cpp_standalone")
        if slow and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(SLOW_TIMEOUT))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240501)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real data sets; tests that need it are skipped without."""
    folder = os.environ.get("BRIANLEARN_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("BRIANLEARN_DATA names no folder of data sets")
    return Path(folder)


@pytest.fixture(scope="session")
def dense_spec() -> NetworkSpec:
    """Two dense layers of CUBA LIF neurons on 12 inputs, 4 classes, 15 steps."""
    lif = CubaLIF(tau_m=20 * ms, tau_s=5 * ms)
    return NetworkSpec(Input((12,)), [Dense(8, lif), Dense(6, lif)], Readout(4), duration=15 * ms)


@pytest.fixture(scope="session")
def conv_spec() -> NetworkSpec:
    """Convolution with padding, strided and pooled, then dense, on 2 x 9 x 8 inputs."""
    lif = CubaLIF(tau_m=20 * ms, tau_s=5 * ms)
    layers = [Conv(3, 3, lif, padding=1, pool=2), Conv(4, 2, lif, stride=2), Dense(6, lif)]
    return NetworkSpec(Input((2, 9, 8)), layers, Readout(4), duration=15 * ms)
