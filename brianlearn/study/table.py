"""Results of a study in a few columns, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from brianlearn.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from brianlearn.study.study import Study

__all__ = ["rows"]


def rows(study: Study, metrics: list[str], over: str) -> tuple[list[str], list[list[Any]]]:
    """Mean and spread of metrics at each point of a study.

    Parameters
    ----------
    study : Study
    metrics : list of str
    over : str
        The axis of repetitions; each trial has a row of its own where there is none of this name.

    Returns
    -------
    columns : list of str
        Axes with their units; then, for each metric, its mean, standard deviation and number.
    rows : list of list

    Raises
    ------
    DataError
        An unknown metric, or one that is no number.
    """
    results = study.results()
    numbers = [
        str(n) for n, v in results.items() if v.dtype.kind in "fiu" and set(v.dims) == set(results["state"].dims)
    ]
    for metric in metrics:
        if metric not in numbers:
            raise DataError(
                "results of the study",
                "there is no such number",
                got=repr(metric),
                expected=", ".join(numbers),
                remedy=did_you_mean(metric, numbers),
            )
    repeated = over in results.coords
    if repeated:
        found = study.summary(over)
        parts = [f"{metric}_{part}" for metric in metrics for part in ("mean", "std", "n")]
    else:
        found, parts = results, list(metrics)
    dims = tuple(found[parts[0]].dims)
    axes = [axis for axis in study.axes.values() if axis.name != over or not repeated]
    columns = [f"{axis.name} ({axis.unit})" if axis.unit else axis.name for axis in axes]
    units = {str(n): str(v.attrs["units"]) for n, v in found.items() if "units" in v.attrs}
    columns += [f"{part} ({units[part]})" if part in units else part for part in parts]
    lines = []
    for place in np.ndindex(*(found.sizes[d] for d in dims)):
        at = found[parts].isel(dict(zip(dims, place, strict=True)))
        values = [_plain(at[part].item()) for part in parts]
        if all(isinstance(value, float) and np.isnan(value) for value in values if not isinstance(value, int)):
            continue  # nothing there yet, or never: `where`
        lines.append([*(_plain(at[axis.name].item()) for axis in axes), *values])
    return columns, lines


def _plain(value: Any) -> Any:
    return round(value, 12) if isinstance(value, float) else value
