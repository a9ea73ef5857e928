"""Whether the files of a run folder agree with one another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from brianlearn.training.certificates.certificate import FAILED, NOT_APPLICABLE, PASSED
from brianlearn.training.run_folder import RunFolder

__all__ = ["folder_check"]

#: What a finished run has.
FILES = ("config.json", "versions.json", "metrics.jsonl", "checkpoint.npz", "weights.npz", "result.json")


def folder_check(folder: RunFolder) -> tuple[str, str, Mapping[str, Any]]:
    """Compare what is stored twice: weights, their norms, scores, epochs.

    Returns
    -------
    verdict, text, numbers
        For a `Check`.
    """
    lacking = [name for name in FILES if not (folder.path / name).is_file()]
    checkpoint, lines = folder.checkpoint(), folder.metrics()
    state, compared, wrong = checkpoint.state, [], []
    done = [line["epoch"] for line in lines if line["epoch"] <= state.epoch]
    if done != list(range(1, state.epoch + 1)):
        wrong.append(f"metrics.jsonl has lines for the epochs {done}, checkpoint.npz has finished {state.epoch}")
    if "weights.npz" not in lacking:
        stored = folder.weights()
        compared.append("weights at the end")
        names = [*state.weights, *(name for name in stored if name not in state.weights)]
        wrong += [
            f"{name} is not the same in weights.npz and checkpoint.npz"
            for name in names
            if name not in stored
            or name not in state.weights
            or stored[name].dtype != state.weights[name].dtype
            or not np.array_equal(stored[name], state.weights[name])
        ]
    wrong += [
        f"{name} holds numbers that are not finite" for name, w in state.weights.items() if not np.isfinite(w).all()
    ]
    last = lines[-1] if lines else {}
    norms = last.get("weight_norms")
    if norms is not None and checkpoint.chunk == 0 and last["epoch"] == state.epoch:
        compared.append("norms of weights")
        for name, norm in norms.items():
            now = float(np.linalg.norm(state.weights[name])) if name in state.weights else None
            if now is None or abs(now - norm) > 1e-6 * max(
                abs(norm), 1e-30
            ):  # sums of another numpy, in single precision
                wrong.append(f"the norm of {name} was {norm} at the end of epoch {state.epoch}, is {now}")
    result = folder.result()
    if result is not None and last:
        compared.append("scores")
        for name, value in result.items():
            if name.startswith(("train_", "validation_")) and name in last and value != last[name]:
                wrong.append(f"{name} is {value} in result.json and {last[name]} in metrics.jsonl")
    numbers = {"compared": compared, "lacking": lacking, "wrong": wrong, "epochs": state.epoch}
    lacks = f"; it lacks {', '.join(lacking)}" if lacking else ""
    if wrong:
        return FAILED, "; ".join(wrong) + lacks, numbers
    if not compared:
        return NOT_APPLICABLE, f"nothing is stored twice yet{lacks}", numbers
    return PASSED, f"{', '.join(compared)} of {state.epoch} epochs{lacks}", numbers
