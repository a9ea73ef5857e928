"""Indices of sensitivity against published values, arrays for sbi, and units of results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2 import ms

import brianlearn as bl
from brianlearn.errors import DataError, SpecError
from brianlearn.study.axes import Axis

pytest.importorskip("SALib")
pytest.importorskip("xarray")
pytestmark = pytest.mark.timeout(600)

SCRIPT = Path(__file__).parent / "known_functions.py"
CUBE = {name: bl.linear_space(-np.pi, np.pi) for name in ("x1", "x2", "x3")}


def _run(folder: Path, axes: dict[str, Any], **options: Any) -> bl.Study:
    study = bl.Study(SCRIPT, axes, metric="y", **options)
    assert study.run(workers=1, folder=folder, progress=False).missing == 0
    return study


@pytest.mark.slow
def test_sobol_indices_of_the_ishigami_function(tmp_path: Path) -> None:
    """S1 = 0.314, 0.442, 0 and ST = 0.558, 0.442, 0.244 with a = 7, b = 0.1 (Ishigami & Homma 1990, ISUMA, 398)."""
    study = _run(tmp_path / "s", CUBE, sampler="saltelli", budget=256)
    found = study.sensitivity()
    assert list(found["axis"].values) == ["x1", "x2", "x3"]
    assert np.all(found["S1_conf"] < 0.25) and np.all(found["ST_conf"] < 0.25)
    assert np.all(np.abs(found["S1"] - [0.314, 0.442, 0.0]) < np.maximum(found["S1_conf"], 0.02))
    assert np.all(np.abs(found["ST"] - [0.558, 0.442, 0.244]) < np.maximum(found["ST_conf"], 0.02))
    assert len(study.results()["trial"]) == 256 * 5
    with pytest.raises(DataError, match=r"do not fit the method(.|\n)*sampler='morris'"):
        study.sensitivity(method="morris")
    with pytest.raises(DataError, match="no such number"):
        study.sensitivity("z")


def test_morris_on_a_linear_function(tmp_path: Path) -> None:
    """Elementary effects are the coefficients times the lengths of the axes, without any spread; seeds are averaged."""
    axes = {
        "x1": bl.linear_space(0.0, 2.0),
        "x2": bl.linear_space(-1.0, 4.0),
        "x3": bl.linear_space(1.0, 2.0),
        "seed": [0, 1],
    }
    study = _run(tmp_path / "s", axes, sampler="morris", budget=6, fixed={"function": "linear"})
    assert len(study.points()) == 6 * (3 + 1) * 2
    found = study.sensitivity(method="morris")
    np.testing.assert_allclose(found["mu"], [6.0, -10.0, 0.5], rtol=1e-9)
    np.testing.assert_allclose(found["mu_star"], [6.0, 10.0, 0.5], rtol=1e-9)
    np.testing.assert_allclose(found["sigma"], 0.0, atol=1e-9)
    again = bl.Study.open(study.folder).sensitivity(method="morris")
    np.testing.assert_array_equal(again["mu"], found["mu"])


def test_axes_that_no_analysis_can_use(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="a list of values"):
        bl.Study(SCRIPT, CUBE | {"x1": [1.0, 2.0]}, sampler="saltelli", budget=4).points()
    with pytest.raises(SpecError, match="too few axes"):
        bl.Study(SCRIPT, {"x1": CUBE["x1"], "seed": [0]}, sampler="morris", budget=4).points()
    with pytest.raises(SpecError, match="needs all of its points"):
        bl.Study(SCRIPT, CUBE, sampler="saltelli", budget=4, where="x1 < x2").points()


def test_arrays_for_sbi(tmp_path: Path) -> None:
    axes = {"x1": bl.linear_space(0.5, 2.0), "tau": bl.log_space(1 * ms, 20 * ms), "kind": ["a", "b"], "seed": [0, 1]}
    study = _run(tmp_path / "s", axes, sampler="latin-hypercube", budget=5, fixed={"function": "units"})
    theta, x = study.to_sbi(["y", "t"])
    assert theta.shape == (10, 2) and x.shape == (10, 2) and theta.dtype == x.dtype == np.float64
    np.testing.assert_allclose(theta[:, 0], [p["x1"] for p in study.points()])
    np.testing.assert_allclose(theta[:, 1], [float(p["tau"] / ms) for p in study.points()])  # in the axis' unit
    np.testing.assert_allclose(x[:, 0], theta[:, 0] + 1e-3 * np.tile([-1, 1], 5))
    np.testing.assert_allclose(x[:, 1], theta[:, 0] * theta[:, 1] * 1e-3)  # in seconds
    np.testing.assert_array_equal(theta[::2], theta[1::2])  # repetitions of a point
    for metrics, said in ((["z"], "no such number"), (["kind"], "no such number")):
        with pytest.raises(DataError, match=said):
            study.to_sbi(metrics)


def test_arrays_for_sbi_keep_what_is_no_finite_number(tmp_path: Path) -> None:
    """sbi leaves out such simulations itself; one of them must not cost the others."""
    study = _run(tmp_path / "s", {"x1": [0.2, 0.5, 0.9]}, fixed={"function": "odd"})
    np.testing.assert_array_equal(study.to_sbi(["y"])[1], [[np.nan], [0.5], [np.inf]])
    np.testing.assert_array_equal(study.results()["y"], [np.nan, 0.5, np.inf])


def test_a_result_has_one_unit_in_all_trials(tmp_path: Path) -> None:
    """Brian2 shows 0.9 V as 900 mV; side by side, and for a search, only one unit will do."""
    study = _run(
        tmp_path / "s", {"x1": [1e-6, 0.9, 1.0, 1200.0, 0.0]}, fixed={"function": "units"}, direction="minimize"
    )
    results = study.results()
    np.testing.assert_allclose(results["v"], [1e-6, 0.9, 1.0, 1200.0, 0.0])
    np.testing.assert_allclose(results["values"][:, 0], [1e-6, 0.9, 1.0, 1200.0, 0.0])
    np.testing.assert_allclose(results["t"], np.array([1e-6, 0.9, 1.0, 1200.0, 0.0]) * 0.01)
    assert (results["v"].attrs["units"], results["t"].attrs["units"]) == ("V", "s")


UNITS = ["volt", "second", "amp", "siemens", "farad", "metre", "mvolt", "msecond", "mhertz", "kelvin", "Mohm", "mM"]


@pytest.mark.parametrize("unit", [*UNITS, "nS/cm**2", "mV*ms**0.5", "mV/ms"])
def test_values_in_any_unit_can_be_shown_and_read(unit: str, tmp_path: Path) -> None:
    from brianlearn.network.quantities import parse_quantity, parse_unit
    from brianlearn.study.values import file_text, si_unit, text, to_number

    values = [0.3 * parse_unit(unit), 1 * parse_unit(unit), 2500 * parse_unit(unit)]
    axis = Axis.make("x", values)
    for value in values:
        assert float(parse_quantity(text(value))) == pytest.approx(float(value), rel=1e-9)
        assert parse_quantity(text(value)).dim is value.dim
        assert to_number(value, axis.unit) * float(parse_unit(axis.unit)) == pytest.approx(float(value))
        assert to_number(value, si_unit(value)) == pytest.approx(float(value) / float(parse_unit(si_unit(value))))
        assert si_unit(value) == si_unit(values[0]) and "/" not in file_text(value)


def test_a_worker_reads_the_plan_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each trial takes as long as the plan is: trials of 10000 half a second each."""
    from brianlearn.study import folder as folders
    from brianlearn.study.trial import run_trial

    study = _run(tmp_path / "s", {"x1": bl.linear_space(0.0, 1.0, 50)}, fixed={"function": "units"})
    read: list[int] = []
    monkeypatch.setattr(folders, "from_dict", lambda data, where: read.append(1) or data)
    for index in range(10):
        assert run_trial(study.folder, index)["state"] == "done"
    assert len(read) <= 50
