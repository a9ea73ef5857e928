"""Threads that sleep while they wait for work."""

from __future__ import annotations

import os
import sys

__all__ = ["wait_passively"]


def wait_passively() -> bool:
    """Let OpenMP's threads sleep between torch's operations; whether that was still to be decided.

    They would spin for some milliseconds after every operation, on the cores that the kernels' own threads need: on two
    cores a training step takes a quarter less time. OpenMP reads the setting (``OMP_WAIT_POLICY``) when torch is
    loaded, so that nothing changes where torch was imported before, or where the user has set it.
    """
    if "torch" in sys.modules or "OMP_WAIT_POLICY" in os.environ or "GOMP_SPINCOUNT" in os.environ:
        return False
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    return True
