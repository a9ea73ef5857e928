"""How much each parameter matters: variance-based (Sobol) and elementary-effects (Morris) indices, by SALib."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from brianlearn.errors import DataError, DeviceError, SpecError
from brianlearn.study.axes import Axis
from brianlearn.study.samplers import REPEATED, Point, point_at

if TYPE_CHECKING:
    import xarray

    from brianlearn.study.study import Study

__all__ = ["sensitivity", "sensitivity_points"]

METHODS = ("sobol", "morris")


def _salib() -> Any:
    try:
        import SALib.analyze.morris
        import SALib.analyze.sobol
        import SALib.sample.morris
        import SALib.sample.sobol
    except ImportError:
        raise DeviceError(
            "sensitivity", "SALib is not installed", expected="SALib", remedy="install SALib (the extra `study`)"
        ) from None
    return SALib


def _problem(axes: list[Axis]) -> dict[str, Any]:
    return {"num_vars": len(axes), "names": [axis.name for axis in axes], "bounds": [[0.0, 1.0]] * len(axes)}


def _shares(axes: list[Axis], method: str, n: int, seed: int) -> np.ndarray:
    salib = _salib()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about numbers that are no power of two
        if method == "sobol":
            return np.asarray(salib.sample.sobol.sample(_problem(axes), n, calc_second_order=False, seed=seed))
        return np.asarray(salib.sample.morris.sample(_problem(axes), n, seed=seed))


def sensitivity_points(axes: list[Axis], method: str, n: int, seed: int = 0) -> list[Point]:
    """The points that an analysis of sensitivity needs.

    Parameters
    ----------
    axes : list of Axis
        The axis ``seed`` is left out: it is a repetition.
    method : {"sobol", "morris"}
        Saltelli's sample of ``n (k + 2)`` points for k axes, or ``n`` trajectories of ``k + 1`` points.
    n : int
    seed : int

    Returns
    -------
    list of dict

    Raises
    ------
    SpecError
    """
    axes = [axis for axis in axes if axis.name != REPEATED]
    if method not in METHODS:
        raise SpecError("sensitivity", "unknown method", got=repr(method), expected=" or ".join(map(repr, METHODS)))
    if len(axes) < 2:
        raise SpecError("sensitivity", "there are too few axes", got=len(axes), expected="at least two beside the seed")
    if any(axis.span is None for axis in axes):
        raise SpecError(
            "sensitivity",
            "an axis is a list of values",
            got=", ".join(axis.name for axis in axes if axis.span is None),
            expected="intervals: linear_space(low, high) or log_space(low, high)",
        )
    return [point_at(axes, row) for row in _shares(axes, method, n, seed)]


def sensitivity(study: Study, metric: str, method: str, seed: int = 0) -> xarray.Dataset:
    """Indices of a study whose sampler was ``"saltelli"`` or ``"morris"``.

    Parameters
    ----------
    study : Study
        All of its trials are done.
    metric : str
        Its mean over seeds is what is explained.
    method : {"sobol", "morris"}
    seed : int
        Of the bootstrap behind the confidence intervals.

    Returns
    -------
    xarray.Dataset
        Along ``axis``. Sobol: first-order ``S1`` and total ``ST`` with their 95 % confidence ``S1_conf``, ``ST_conf``
        (Saltelli et al. 2010). Morris: ``mu``, ``mu_star``, ``sigma`` and ``mu_star_conf`` (Morris 1991, Campolongo et
        al. 2007); elementary effects are per whole length of an axis.

    Raises
    ------
    DataError
        Trials that are missing, or a study of another sampler.
    DeviceError
        Without SALib.
    """
    import xarray as xr

    wanted = {"sobol": "saltelli", "morris": "morris"}.get(method)
    if wanted is None:
        raise SpecError("sensitivity", "unknown method", got=repr(method), expected=" or ".join(map(repr, METHODS)))
    if study.sampler != wanted:
        raise DataError(
            "sensitivity",
            "the study's points do not fit the method",
            got=f"sampler={study.sampler!r}, method={method!r}",
            expected=f"Study(..., sampler={wanted!r}, budget=N)",
        )
    assert study.budget is not None
    axes = [axis for axis in study.axes.values() if axis.name != REPEATED]
    shares = _shares(axes, method, study.budget, study.seed)
    values = _values(study, metric, len(shares))
    salib, problem = _salib(), _problem(axes)
    if method == "sobol":
        found = salib.analyze.sobol.analyze(problem, values, calc_second_order=False, seed=seed)
        names = ("S1", "S1_conf", "ST", "ST_conf")
    else:
        found = salib.analyze.morris.analyze(problem, shares, values, seed=seed)
        names = ("mu", "mu_star", "sigma", "mu_star_conf")
    variables = {name: ("axis", np.asarray(found[name], float)) for name in names}
    return xr.Dataset(variables, {"axis": [axis.name for axis in axes]}, {"metric": metric, "method": method})


def _values(study: Study, metric: str, n: int) -> np.ndarray:
    """The metric of each point, mean over seeds."""
    results = study.results()
    if metric not in results or results[metric].dtype.kind not in "fiu":
        raise DataError("sensitivity", "there is no such number in the results", got=repr(metric), expected="a metric")
    values = results[metric].values.astype(float)
    if values.size % n or not np.isfinite(values).all():
        raise DataError(
            "sensitivity",
            "some trials have no result",
            got=f"{int(np.isfinite(values).sum())} of {values.size}",
            expected="all of them",
            remedy="brianlearn study resume FOLDER",
        )
    return values.reshape(n, -1).mean(axis=1)
