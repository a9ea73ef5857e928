"""Options of the discrete engine, and its devices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from brianlearn.errors import DeviceError, RuleError
from brianlearn.learning.engine_settings import Discrete

__all__ = ["arithmetic", "read_options", "resolve_torch_device"]


def read_options(options: Mapping[str, Any], device: torch.device) -> Discrete:
    """What ``engine_options`` hold, checked.

    Raises
    ------
    RuleError
    """
    found: Discrete = Discrete.read(options)
    if found.matmul != "float32" and device.type != "cpu":
        raise RuleError(
            "engine_options",
            "bfloat16 products are an option of the CPU",
            got=f"device={str(device)!r}",
            expected="matmul='float32'",
        )
    return found


@contextmanager
def arithmetic(matmul: str) -> Iterator[None]:
    """Multiply as asked for; torch's own setting comes back afterwards."""
    if matmul == "float32":
        yield
        return
    backends = [torch.backends.mkldnn.matmul, torch.backends.mkldnn.conv]  # type: ignore[attr-defined]
    before = [backend.fp32_precision for backend in backends]
    try:
        for backend in backends:
            backend.fp32_precision = "bf16"
        yield
    finally:
        for backend, precision in zip(backends, before, strict=True):
            backend.fp32_precision = precision


def resolve_torch_device(device: str) -> torch.device:
    """The device that runs for a name that the user gave; ``"auto"`` is a CUDA device where there is one.

    Raises
    ------
    DeviceError
        A device that torch does not know, or that this machine does not have.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
        torch.zeros(1, device=found)
        return found
    except (RuntimeError, AssertionError) as error:  # an installation without CUDA raises AssertionError
        raise DeviceError(
            device,
            "torch cannot use this device",
            got=str(error).splitlines()[0],
            expected="cpu" + (", cuda" if torch.cuda.is_available() else "; this machine has no CUDA device"),
            remedy="use device='auto' or device='cpu'",
        ) from None
