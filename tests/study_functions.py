"""Functions that studies in the tests run: their workers find them here by path."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
from brian2 import Hz, ms

import brianlearn as bl
from brianlearn.study import report


def measure(tau: Any = 5 * ms, gain: float = 1.0, seed: int = 0, mode: str = "plain") -> dict[str, Any]:
    """Numbers that are known, with a unit, a text and an array."""
    noise = np.random.default_rng(seed).normal()
    return {
        "value": gain * float(tau / ms) + 0.1 * noise,
        "rate": gain * 10 * Hz,
        "label": mode,
        "trace": np.arange(3) * gain * Hz,
    }


def fragile(k: int = 0, folder: str = "") -> dict[str, float]:
    """Fails, dies or is slow the first time, by its number."""
    first = Path(folder) / f"tried-{k}"
    before = first.exists()
    first.touch()
    if k == 1:
        raise ValueError("one is never good")
    if k == 2 and not before:
        os.kill(os.getpid(), signal.SIGKILL)
    if k == 3 and not before:
        raise OSError(28, "No space left on device")
    return {"test_accuracy": k / 10}


def slow(k: int = 0, seconds: float = 0.2, folder: str = "") -> dict[str, float]:
    """Leaves a line in a file each time that it runs to its end."""
    time.sleep(seconds)
    if folder:
        with open(Path(folder) / "finished", "a") as file:
            file.write(f"{k}\n")
    return {"test_accuracy": float(np.sin(k))}


def learner(quality: float = 0.5, steps: int = 9) -> dict[str, float]:
    """Becomes better step by step, up to its quality, and says so."""
    value = 0.0
    for step in range(1, steps + 1):
        value = quality * (1 - 0.5**step)
        report(step, value)
    return {"test_accuracy": value}


def quadratic(x: float = 0.0, y: float = 0.0, kind: str = "a", seed: int = 0) -> dict[str, float]:
    """A bowl with its lowest point at (0.3, 2) for kind b."""
    return {"error": (x - 0.3) ** 2 + (np.log10(y) - np.log10(2)) ** 2 + (kind != "b") + 1e-3 * seed}


def experiment(tau_m: Any = 20 * ms, size: int = 8, limit: int = 40) -> bl.Experiment:
    """A small network that learns a few digits on numpy."""
    neuron = bl.CubaLIF(tau_m=tau_m, tau_s=5 * ms, R=4.0)
    spec = bl.NetworkSpec(bl.Input((1, 8, 8)), [bl.Dense(size, neuron)], bl.Readout(10), duration=10 * ms)
    return bl.Experiment(
        spec,
        bl.DALTON(),
        bl.Adam(2e-3),
        "digits",
        epochs=2,
        batch_size=10,
        chunk_size=10,
        limit=limit,
        test_limit=20,
        device="numpy",
    )
