"""Results of a study as a labelled table, and its files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from brianlearn.errors import DataError, DeviceError
from brianlearn.study.axes import Axis
from brianlearn.study.folder import StudyFolder
from brianlearn.study.samplers import REPEATED
from brianlearn.study.values import to_number
from brianlearn.training.files import write_file

if TYPE_CHECKING:
    import xarray

__all__ = ["dataset", "summary", "to_arrays", "write"]

#: Coverage of the confidence interval of a summary.
CONFIDENCE = 0.95


def _xarray() -> Any:
    try:
        import xarray
    except ImportError:
        raise DeviceError(
            "results of a study",
            "xarray is not installed",
            expected="xarray",
            remedy="install xarray (the extra `study`)",
        ) from None
    return xarray


def dataset(folder: StudyFolder, axes: Sequence[Axis], *, grid: bool) -> xarray.Dataset:
    """All results of a study.

    Parameters
    ----------
    folder : StudyFolder
    axes : sequence of Axis
    grid : bool
        Whether the axes are the dimensions of the table; else there is one dimension ``trial``, along which they vary.

    Returns
    -------
    xarray.Dataset
        One variable per metric, curve (with a dimension ``epoch``) and array, with the unit in ``attrs["units"]``; the
        axes as coordinates, numbers in the unit of ``attrs["units"]``; and ``state``, ``error``, ``trial_seconds`` and
        ``trial_index``. What is missing is NaN, or empty.

    Raises
    ------
    RunFolderError
        If a trial's files are damaged.
    DeviceError
        Without xarray.
    """
    xr = _xarray()
    plan, records = folder.plan(), folder.records()
    index_of = [{_key(value): k for k, value in enumerate(axis.values)} for axis in axes]
    dims: tuple[str, ...] = ("trial",)
    shape: tuple[int, ...] = (len(plan),)
    places: list[tuple[int, ...]] = [(k,) for k in range(len(plan))]
    if grid:
        dims, shape = tuple(axis.name for axis in axes), tuple(len(axis.values) for axis in axes)
        places = [tuple(ix[_key(p[a.name])] for a, ix in zip(axes, index_of, strict=True)) for p in plan]
        coords = {axis.name: (axis.name, _coordinate(axis, axis.values), _units(axis)) for axis in axes}
    else:
        coords = {axis.name: ("trial", _coordinate(axis, [p[axis.name] for p in plan]), _units(axis)) for axis in axes}
        coords["trial"] = ("trial", np.arange(len(plan)), {})
    variables: dict[str, Any] = {}
    state, error = np.full(shape, "missing", "<U8"), np.full(shape, "", object)
    seconds, number = np.full(shape, np.nan), np.full(shape, -1)
    for k, place in enumerate(places):
        number[place] = k
    for index, record in records.items():
        place = places[index]
        state[place], error[place] = record["state"], record.get("error") or ""
        seconds[place] = record.get("seconds", np.nan)
    for kind in ("metrics", "curves"):
        for name in dict.fromkeys(name for record in records.values() for name in record[kind]):
            values = {places[i]: r[kind][name] for i, r in records.items() if name in r[kind]}
            units = next((r["units"][name] for r in records.values() if name in r["units"]), "")
            made = _metric(values, shape) if kind == "metrics" else _stack(values, shape)
            extra = ("epoch",) if kind == "curves" else ()
            label = f"{name}_by_epoch" if kind == "curves" else name
            variables[label] = (dims + extra, made, {"units": units} if units else {})
    for name, (arrays, units) in _arrays(folder, records, places).items():
        made = _stack(arrays, shape)
        more = tuple(f"{name}_{k}" for k in range(made.ndim - len(shape)))
        variables[name] = (dims + more, made, {"units": units} if units else {})
    variables |= {
        "state": (dims, state),
        "error": (dims, error.astype(str)),
        "trial_seconds": (dims, seconds, {"units": "s"}),
        "trial_index": (dims, number),
    }
    taken = sorted(set(variables) & set(coords))
    if taken:
        raise DataError(
            str(folder.path),
            "a result has the name of an axis",
            got=", ".join(taken),
            expected="names of their own for what the function returns",
        )
    attributes = {"study": folder.path.name, "trials": len(plan), "finished": len(records)}
    return xr.Dataset(variables, coords, attributes)


def _key(value: Any) -> Any:
    return (type(value).__name__, to_number(value))


def _coordinate(axis: Axis, values: Sequence[Any]) -> np.ndarray:
    if axis.numeric:
        numbers = np.asarray([to_number(value, axis.unit) for value in values])
        # 5*ms in ms is 5, not 5.000000000000001
        return np.array([float(f"{x:.14g}") for x in numbers]) if numbers.dtype.kind == "f" else numbers
    return np.asarray([str(value) for value in values])


def _units(axis: Axis) -> dict[str, str]:
    return {"units": axis.unit} if axis.unit else {}


def _is_number(value: Any) -> bool:
    """Whether a stored metric is a number, a finite one or not: JSON has only the former."""
    return isinstance(value, int | float) or value in ("nan", "inf", "-inf")


def _metric(values: dict[tuple[int, ...], Any], shape: tuple[int, ...]) -> np.ndarray:
    numbers = all(v is None or _is_number(v) for v in values.values())
    made = np.full(shape, np.nan) if numbers else np.full(shape, "", object)
    for place, value in values.items():
        made[place] = (np.nan if value is None else float(value)) if numbers else str(value)
    return made if numbers else made.astype(str)


def _stack(values: dict[tuple[int, ...], Any], shape: tuple[int, ...]) -> np.ndarray:
    """Arrays of one number of axes side by side; shorter ones end in NaN."""
    arrays = {place: np.asarray(value) for place, value in values.items()}
    axes = {array.ndim for array in arrays.values()}
    if len(axes) > 1:
        raise DataError("results of a study", "an array has different numbers of axes", got=sorted(axes))
    size = tuple(np.max([array.shape for array in arrays.values()], axis=0))
    kind = np.result_type(*{array.dtype for array in arrays.values()}, np.float64)
    made = np.full(shape + size, np.nan, kind)
    for place, array in arrays.items():
        index: tuple[Any, ...] = (*place, *map(slice, array.shape))
        made[index] = array
    return made


def _arrays(
    folder: StudyFolder, records: dict[int, dict[str, Any]], places: list[tuple[int, ...]]
) -> dict[str, tuple[dict[tuple[int, ...], np.ndarray], str]]:
    found: dict[str, tuple[dict[tuple[int, ...], np.ndarray], str]] = {}
    for index, record in records.items():
        for name in record.get("arrays") or ():
            units = str(record["units"].get(name, ""))
            found.setdefault(name, ({}, units))[0][places[index]] = folder.trial(index).arrays()[name]
    return found


def summary(results: xarray.Dataset, over: str = REPEATED) -> xarray.Dataset:
    """Mean, spread and confidence over repetitions.

    Parameters
    ----------
    results : xarray.Dataset
        From `dataset`.
    over : str, optional
        The axis of repetitions. Where it is no dimension (points that were drawn), trials that differ in it alone are
        taken together.

    Returns
    -------
    xarray.Dataset
        For each numeric metric: ``<metric>_mean``; ``_std``, the sample standard deviation; ``_low`` and ``_high``, the
        95 % confidence interval of the mean by Student's t; ``_n``, how many there were. Trials that
        were stopped early do not count.

    Raises
    ------
    DataError
        If there is no such axis.
    """
    from scipy.stats import t

    xr = _xarray()
    if over not in results.coords:
        raise DataError(
            "summary", "there is no such axis", got=repr(over), expected=", ".join(map(str, results.coords))
        )
    numeric = results[[n for n, v in results.items() if v.dtype.kind in "fiu" and n != "trial_index"]]
    numeric = numeric.where(results["state"] == "done")  # others say what they had come to by then
    if over in results.dims:
        groups, dim = numeric, over
    else:
        groups, dim = _grouped(results, numeric, over), "repetition"
    made: dict[str, Any] = {}
    for name, values in groups.items():
        n = values.notnull().sum(dim)
        mean, std = values.mean(dim), values.std(dim, ddof=1)
        half = t.ppf((1 + CONFIDENCE) / 2, np.maximum(n - 1, 1)) * std / np.sqrt(np.maximum(n, 1))
        parts = {"mean": mean, "std": std, "low": mean - half, "high": mean + half, "n": n}
        for part, array in parts.items():
            made[f"{name}_{part}"] = array.assign_attrs({} if part == "n" else values.attrs)
    return xr.Dataset(made, attrs={**results.attrs, "over": over, "confidence": CONFIDENCE})


def _grouped(results: xarray.Dataset, numeric: xarray.Dataset, over: str) -> xarray.Dataset:
    """Trials along ``point`` and ``repetition`` instead of ``trial``."""
    xr = _xarray()
    names = [str(n) for n, c in results.coords.items() if n not in (over, "trial") and c.dims == ("trial",)]
    keys = list(zip(*(results[n].values.tolist() for n in names), strict=True))
    order: dict[Any, list[int]] = {}
    for k, key in enumerate(keys):
        order.setdefault(key, []).append(k)
    most = max(map(len, order.values()))
    take = np.array([[*ks, *[-1] * (most - len(ks))] for ks in order.values()])
    index = xr.DataArray(np.maximum(take, 0), dims=("point", "repetition"))
    found = numeric.isel(trial=index).where(xr.DataArray(take >= 0, dims=("point", "repetition")))
    firsts = [ks[0] for ks in order.values()]
    kept = {n: ("point", results[n].values[firsts], results[n].attrs) for n in names}
    return found.drop_vars([*names, over, "trial"], errors="ignore").assign_coords(kept)


def to_arrays(folder: StudyFolder, axes: Sequence[Axis], metrics: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Parameters and measurements of finished trials as plain arrays.

    Raises
    ------
    DataError
        An unknown metric, or one that is no number.
    """
    used = [axis for axis in axes if axis.numeric and axis.name != REPEATED]
    theta, x = [], []
    for index, state in folder.states().items():
        if state != "done":
            continue
        trial = folder.trial(index)
        found = trial.record()["metrics"]
        unknown = [name for name in metrics if not _is_number(found.get(name))]
        if unknown:
            raise DataError(
                "to_sbi",
                "there is no such number in the results",
                got=", ".join(unknown),
                expected=", ".join(sorted(n for n, v in found.items() if _is_number(v))),
            )
        theta.append([float(to_number(trial.parameters[axis.name], axis.unit)) for axis in used])
        x.append([float(found[name]) for name in metrics])
    return np.array(theta).reshape(-1, len(used)), np.array(x).reshape(-1, len(metrics))


def write(results: xarray.Dataset, path: Path) -> Path:
    """Write results to a file; its ending says how.

    Parameters
    ----------
    results : xarray.Dataset
    path : pathlib.Path
        ``.csv`` and ``.parquet``: one row per trial, a column per axis and number, units in the names
        (``tau_m (ms)``); ``.nc``: everything, as netCDF (h5netcdf).

    Returns
    -------
    pathlib.Path

    Raises
    ------
    DataError
        Another ending.
    DeviceError
        If h5netcdf or pyarrow is missing.
    RunFolderError
        If the file cannot be written.
    """
    kinds = {".csv": _csv, ".nc": _netcdf, ".parquet": _parquet}
    if path.suffix not in kinds:
        raise DataError(str(path), "no such kind of table", got=repr(path.suffix), expected=", ".join(kinds))
    content = kinds[path.suffix](results)
    write_file(path, lambda file: file.write(content))
    return path


def _table(results: xarray.Dataset) -> Any:
    """One row per trial."""
    dims = tuple(results["state"].dims)
    flat = results[[name for name, v in results.items() if set(v.dims) == set(dims)]].drop_vars(
        "trial", errors="ignore"
    )
    frame = flat.to_dataframe().reset_index()
    frame = frame[frame["trial_index"] >= 0].sort_values("trial_index")
    names = {n: f"{n} ({results[n].attrs['units']})" for n in results.variables if "units" in results[n].attrs}
    first = ["trial_index", *(n for n in results.coords if n in frame.columns)]
    rest = [n for n in frame.columns if n not in first and n != "trial"]
    return frame[[*first, *rest]].rename(columns=names).reset_index(drop=True)


def _csv(results: xarray.Dataset) -> bytes:
    return str(_table(results).to_csv(index=False)).encode()


def _parquet(results: xarray.Dataset) -> bytes:
    try:
        return bytes(_table(results).to_parquet(None, index=False))
    except ImportError as error:
        raise DeviceError("parquet", "pyarrow is not installed", expected="pyarrow", remedy=str(error)) from None


def _netcdf(results: xarray.Dataset) -> bytes:
    import io

    try:
        import h5netcdf  # noqa: F401
    except ImportError:
        raise DeviceError(
            "netCDF", "h5netcdf is not installed", expected="h5netcdf", remedy="install h5netcdf, or write .csv"
        ) from None
    file = io.BytesIO()
    results.to_netcdf(file, engine="h5netcdf")
    return file.getvalue()
