"""Options of the discrete engine, and its devices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from brianlearn.errors import DeviceError, RuleError

__all__ = ["DiscreteOptions", "resolve_torch_device"]


@dataclass(frozen=True)
class DiscreteOptions:
    """What ``engine_options`` of a learner or experiment may hold.

    Parameters
    ----------
    micro_batch : int, optional
        Trials that run at once; a larger batch is divided, and the gradients of its parts add up to that of the
        whole. Chosen from the size of the network where it is not given.
    matmul : {"float32", "bfloat16"}
        Precision in which float32 matrix products and convolutions multiply on a CPU; sums are float32.
    """

    micro_batch: int | None = None
    matmul: str = "float32"

    def __post_init__(self) -> None:
        size = self.micro_batch
        if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
            raise RuleError("engine_options", "micro_batch is wrong", got=repr(size), expected="a whole number >= 1")
        if self.matmul not in ("float32", "bfloat16"):
            raise RuleError(
                "engine_options", "matmul is wrong", got=repr(self.matmul), expected="'float32' or 'bfloat16'"
            )

    @staticmethod
    def read(options: Mapping[str, Any], device: torch.device) -> DiscreteOptions:
        """Options from a mapping, checked.

        Raises
        ------
        RuleError
        """
        known = tuple(DiscreteOptions.__dataclass_fields__)
        unknown = [name for name in options if name not in known]
        if unknown:
            raise RuleError(
                "engine_options", "no such option", got=", ".join(map(repr, unknown)), expected=", ".join(known)
            )
        result = DiscreteOptions(**options)
        if result.matmul != "float32" and device.type != "cpu":
            raise RuleError(
                "engine_options",
                "bfloat16 products are an option of the CPU",
                got=f"device={str(device)!r}",
                expected="matmul='float32'",
            )
        return result

    @contextmanager
    def arithmetic(self) -> Iterator[None]:
        """Multiply as asked for; torch's own setting comes back afterwards."""
        if self.matmul == "float32":
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
