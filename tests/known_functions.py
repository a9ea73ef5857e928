"""Functions whose sensitivities and values are known, as a script that studies in the tests run."""

from __future__ import annotations

from typing import Any

import numpy as np
from brian2 import ms, volt

PI = np.pi


def trial(
    function: str = "ishigami",
    x1: float = 0.0,
    x2: float = 0.0,
    x3: float = 0.0,
    tau: Any = 10 * ms,
    kind: str = "a",
    seed: int = 0,
) -> dict[str, Any]:
    """The value of a function at a point; the seed adds a little, whose mean over 0 and 1 is 0."""
    noise = 1e-3 * (2 * seed - 1)
    if function == "ishigami":  # Ishigami & Homma 1990, a = 7, b = 0.1
        return {"y": np.sin(x1) + 7 * np.sin(x2) ** 2 + 0.1 * x3**4 * np.sin(x1)}
    if function == "linear":
        return {"y": 3 * x1 - 2 * x2 + 0.5 * x3 + noise}
    if function == "units":
        return {"v": x1 * volt, "t": tau * x1, "y": x1 + noise, "kind": kind, "values": np.array([x1, 2.0]) * volt}
    if function == "odd":
        return {"y": np.inf if x1 > 0.5 else np.nan if x1 < 0.5 else 0.5}
    raise ValueError(function)
