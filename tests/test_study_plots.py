"""Pictures of a study and its report: what they show, and what they refuse."""

from __future__ import annotations

import csv
import io
import itertools
import re
import shlex
from html.parser import HTMLParser

import numpy as np
import pytest
from brian2 import ms
from matplotlib.collections import LineCollection, QuadMesh
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from scipy.stats import t

from brianlearn.errors import DataError, RunFolderError
from brianlearn.report import (
    plot_heat_map,
    plot_learning,
    plot_lines,
    plot_parallel,
    plot_pareto,
    plot_search,
    write_report,
)
from brianlearn.report.study.command import repeat_command
from brianlearn.report.study.trials import pareto_front
from brianlearn.study import Study, SuccessiveHalving, linear_space, log_space
from brianlearn.study.axes import parse_axis
from brianlearn.study.trial import run_trial

pytest.importorskip("xarray")

SCRIPT = """
from brian2 import Hz, ms
import numpy as np

def trial(tau_m, tau_s=1*ms, rule="dalton", seed=0, threshold=1.0):
    if rule == "broken":
        raise ValueError(f"cannot <b>learn</b> & forget with seed {seed}")
    rng = np.random.default_rng([seed, round(tau_m/ms), round(tau_s/ms), len(rule)])
    return {"accuracy": rng.random(), "rate": tau_m/ms*rng.random()*Hz, "word": rule}
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "trials.py"
    path.write_text(SCRIPT)
    return path


def begin(study, folder):
    """A study that has begun, none of its trials run."""
    study._folder.append(study._begin(folder, folder.parent))
    return study


def run(study, folder, n=None):
    """Run the first n trials of a study here, without worker processes."""
    begin(study, folder)
    for index in range(len(study._folder[0].plan()))[:n]:
        run_trial(folder, index)
    return study


def write(study, folder, record):
    """Write what trials left, without running them; ``record`` gives it for a point, None if it is missing."""
    begin(study, folder)
    for index, point in enumerate(study._folder[0].plan()):
        found = record(index, **{name.replace(".", "_"): value for name, value in point.items()})
        if found is None:
            continue
        trial = study._folder[0].trial(index)
        trial.begin()
        state = found.pop("state", "done")
        trial.finish(state, {"seconds": 1.0, "builds": ["one"], **found})
    return study


def measured(**metrics):
    return {"metrics": metrics, "units": {n: "Hz" for n in metrics if "rate" in n}}


def grid_study(script, tmp_path, **settings):
    axes = {"tau_m": [5, 10, 20] * ms, "tau_s": log_space(1 * ms, 100 * ms, 3), "seed": range(4)}
    return Study(script, axes, metric="accuracy", **settings)


def value_of(tau_m, tau_s, seed):
    return float(np.random.default_rng([round(tau_m / ms), round(tau_s / ms), seed]).random())


@pytest.fixture
def grid(script, tmp_path):
    def record(index, **point):
        return measured(accuracy=value_of(**point), rate=100 * value_of(**point))

    return write(grid_study(script, tmp_path), tmp_path / "study", record)


def values_of(tau_m, tau_s):
    return np.array([value_of(tau_m, tau_s, seed) for seed in range(4)])


def cell_texts(ax):
    return {tuple(map(round, text.get_position())): text.get_text() for text in ax.texts}


# heat map ---------------------------------------------------------------------------------------------------------


def test_heat_map_shows_means_and_spread(grid):
    figure = plot_heat_map(grid, "accuracy", "tau_m", "tau_s")
    ax = figure.axes[0]
    mesh = next(c for c in ax.collections if isinstance(c, QuadMesh))
    values = np.array([[values_of(m * ms, s * ms) for m in (5, 10, 20)] for s in (1, 10, 100)])
    np.testing.assert_allclose(mesh.get_array(), values.mean(axis=2))
    texts = cell_texts(ax)
    for (row, column), _ in np.ndenumerate(values[:, :, 0]):
        mean, std = values[row, column].mean(), values[row, column].std(ddof=1)
        assert texts[column, row] == f"{100 * mean:.1f}%\n±{100 * std:.1f}"
    assert ax.get_xlabel() == "tau_m (ms)"
    assert ax.get_ylabel() == "tau_s (ms)"
    assert [label.get_text() for label in ax.get_xticklabels()] == ["5", "10", "20"]
    assert figure.axes[1].get_ylabel() == "accuracy"


def test_study_results_and_summary_give_the_same_heat_map(grid):
    pictures = [plot_heat_map(s, "rate", "tau_m", "tau_s") for s in (grid, grid.results(), grid.summary())]
    arrays = [next(c for c in f.axes[0].collections if isinstance(c, QuadMesh)).get_array() for f in pictures]
    np.testing.assert_allclose(arrays[1], arrays[0])
    np.testing.assert_allclose(arrays[2], arrays[0])
    texts = [cell_texts(f.axes[0]) for f in pictures]
    assert texts[0] == texts[1] == texts[2]
    assert len(texts[0]) == 9
    assert [f.axes[1].get_ylabel() for f in pictures] == ["rate (Hz)"] * 3


def test_cells_without_a_value_are_hatched_and_not_coloured(script, tmp_path):
    def record(index, tau_m, tau_s, seed):
        if tau_m < 7 * ms and tau_s < 2 * ms:
            return {"state": "failed", "error": "ValueError: no"}
        if tau_m < 7 * ms and tau_s < 20 * ms:
            return {"state": "stopped", "metrics": {"accuracy": 0.1}}
        if tau_m < 7 * ms:
            return None
        if tau_m < 15 * ms and tau_s < 2 * ms and seed == 0:
            return {"state": "failed", "error": "ValueError: no"}
        return measured(accuracy=value_of(tau_m, tau_s, seed))

    study = write(grid_study(script, tmp_path, where="tau_s < 50*ms or tau_m < 15*ms"), tmp_path / "study", record)
    figure = plot_heat_map(study, "accuracy", "tau_m", "tau_s")
    ax = figure.axes[0]
    whole = {patch.get_xy(): patch.get_hatch() for patch in ax.patches if hasattr(patch, "get_width")}
    assert whole == {(-0.5, -0.5): "xxxx", (-0.5, 0.5): "....", (-0.5, 1.5): "////"}
    corners = [patch for patch in ax.patches if not hasattr(patch, "get_width")]
    assert len(corners) == 1 and corners[0].get_hatch()
    assert corners[0].get_xy()[:, 0].min() >= 0.5 and corners[0].get_xy()[:, 1].max() <= 0.5
    assert all(patch.get_facecolor() == to_rgba("white") for patch in ax.patches)
    mesh = next(c for c in ax.collections if isinstance(c, QuadMesh))
    mask = np.ma.getmaskarray(mesh.get_array())
    np.testing.assert_array_equal(mask, [[True, False, False], [True, False, False], [True, False, True]])
    mean = np.mean([value_of(10 * ms, 1 * ms, seed) for seed in (1, 2, 3)])
    assert cell_texts(ax)[1, 0].startswith(f"{100 * mean:.1f}%")
    said = [text.get_text() for text in figure.legends[0].get_texts()]
    assert said == ["failed", "stopped early", "not run yet", "corner: some trials without a value"]


def test_other_axes_give_panels_or_are_selected(script, tmp_path):
    axes = {"rule": ["dalton", "tfr"], "tau_m": [5, 10] * ms, "tau_s": [1, 2] * ms, "seed": range(2)}
    study = run(Study(script, axes, metric="accuracy"), tmp_path / "study")
    results = study.results()
    figure = plot_heat_map(results, "accuracy", "tau_m", "tau_s")
    meshes = [c for ax in figure.axes for c in ax.collections if isinstance(c, QuadMesh)][:2]
    assert [ax.get_title() for ax in figure.axes[:2]] == ["rule = dalton", "rule = tfr"]
    for mesh, rule in zip(meshes, ("dalton", "tfr"), strict=True):
        expected = results["accuracy"].sel(rule=rule).mean("seed").transpose("tau_s", "tau_m")
        np.testing.assert_allclose(mesh.get_array(), expected)
    assert meshes[0].norm.vmin == meshes[1].norm.vmin and meshes[0].norm.vmax == meshes[1].norm.vmax
    for chosen in ({"rule": "tfr"}, {"rule": "tfr", "seed": 1}):
        one = plot_heat_map(
            results, "accuracy", "tau_m", "tau_s", select=chosen, over=None if "seed" in chosen else "seed"
        )
        expected = results["accuracy"].sel(chosen)
        expected = expected if "seed" in chosen else expected.mean("seed")
        np.testing.assert_allclose(one.axes[0].collections[0].get_array(), expected.transpose("tau_s", "tau_m"))
    here = Figure().subplots(1, 2)
    assert plot_heat_map(results, "accuracy", "tau_m", "tau_s", axes=here) is here[0].figure
    assert [len(ax.texts) for ax in here] == [4, 4]
    by_unit = plot_heat_map(results, "accuracy", "rule", "tau_s", select={"tau_m": 10 * ms})
    by_number = plot_heat_map(results, "accuracy", "rule", "tau_s", select={"tau_m": 10})
    arrays = [f.axes[0].collections[0].get_array() for f in (by_unit, by_number)]
    np.testing.assert_array_equal(arrays[0], arrays[1])


@pytest.mark.parametrize(("size", "lines"), [((6.4, 4.2), 2), ((3.6, 0.62), 1), ((1.2, 0.8), 0)])
def test_text_of_cells_fits(grid, size, lines):
    """No text is larger than its cell: smaller ones show the mean alone, or nothing."""
    ax = Figure(figsize=size).subplots()
    plot_heat_map(grid, "accuracy", "tau_m", "tau_s", axes=ax)
    assert len(ax.texts) == (9 if lines else 0)
    (left, low), (right, high) = ax.transData.transform([(0, 0), (1, 1)])
    for text in ax.texts:
        assert text.get_text().count("\n") == lines - 1
        box = text.get_window_extent()
        assert box.width < right - left and box.height < high - low


# lines ------------------------------------------------------------------------------------------------------------


def test_lines_are_means_with_student_bands_and_dots(grid):
    figure = plot_lines(grid, "accuracy", "tau_s", "tau_m")
    ax = figure.axes[0]
    assert ax.get_xscale() == "log"
    assert ax.get_xlabel() == "tau_s (ms)"
    lines = [line for line in ax.lines if len(line.get_xdata()) == 3]
    assert len(lines) == 3
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["5", "10", "20"]
    assert figure.legends[0].get_title().get_text() == "tau_m (ms)"
    bands = [c for c in ax.collections if type(c).__name__ in ("FillBetweenPolyCollection", "PolyCollection")]
    dots = [c for c in ax.collections if type(c).__name__ == "PathCollection"]
    for line, band, dot, m in zip(lines, bands, dots, (5, 10, 20), strict=True):
        values = np.array([values_of(m * ms, s * ms) for s in (1, 10, 100)])
        np.testing.assert_allclose(line.get_xdata(), [1, 10, 100])
        np.testing.assert_allclose(line.get_ydata(), values.mean(axis=1))
        half = t.ppf(0.975, 3) * values.std(axis=1, ddof=1) / 2
        corners = band.get_paths()[0].vertices
        for s, mean, h in zip((1, 10, 100), values.mean(axis=1), half, strict=True):
            here = corners[np.isclose(corners[:, 0], s), 1]
            np.testing.assert_allclose([here.min(), here.max()], np.clip([mean - h, mean + h], 0, 1))
        np.testing.assert_allclose(np.sort(dot.get_offsets()[:, 1]), np.sort(values.ravel()))


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([5, 10, 20] * ms, "linear"),
        ([1, 3, 9, 27] * ms, "log"),
        (log_space(1 * ms, 5 * ms, 3), "log"),
        (linear_space(1 * ms, 20 * ms, 5), "linear"),
        ([0, 10, 100] * ms, "linear"),
        (np.arange(1, 20) * ms, "linear"),
    ],
)
def test_scale_of_an_axis(script, tmp_path, values, scale):
    study = run(Study(script, {"tau_m": values}, metric="accuracy"), tmp_path / "study")
    assert plot_lines(study, "accuracy", "tau_m").axes[0].get_xscale() == scale


def test_texts_are_evenly_spaced_and_failures_are_marked(script, tmp_path):
    axes = {"rule": ["dalton", "broken", "tfr"], "tau_m": [5] * ms, "seed": range(3)}
    study = run(Study(script, axes, metric="accuracy"), tmp_path / "study")
    ax = plot_lines(study, "accuracy", "rule").axes[0]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["dalton", "broken", "tfr"]
    assert list(ax.get_xticks()) == [0, 1, 2]
    means = study.results()["accuracy"].mean("seed").values[:, 0]
    points = ax.lines[0]
    np.testing.assert_allclose(points.get_xdata(), [0, 2])
    np.testing.assert_allclose(points.get_ydata(), means[[0, 2]])
    assert points.get_linestyle() == "None"
    crosses = [c for c in ax.collections if c.get_transform() != ax.transData and len(c.get_offsets()) == 1]
    assert any(np.allclose(c.get_offsets()[0, 0], 1) for c in crosses)


def test_drawn_axes_go_through_means_of_neighbours(script, tmp_path):
    axes = {"tau_m": linear_space(5 * ms, 50 * ms), "tau_s": linear_space(1 * ms, 9 * ms)}
    study = run(Study(script, axes, sampler="random", budget=40, metric="accuracy"), tmp_path / "study")
    ax = plot_lines(study, "accuracy", "tau_m").axes[0]
    results = study.results()
    order = np.argsort(results["tau_m"].values)
    x, y = results["tau_m"].values[order].reshape(8, 5), results["accuracy"].values[order].reshape(8, 5)
    np.testing.assert_allclose(ax.lines[0].get_xdata(), x.mean(axis=1))
    np.testing.assert_allclose(ax.lines[0].get_ydata(), y.mean(axis=1))


# curves -----------------------------------------------------------------------------------------------------------


def test_learning_shows_means_by_epoch(script, tmp_path):
    rng = np.random.default_rng(0)
    made = {}

    def record(index, rule, seed):
        curve = rng.random(5).tolist()
        stopped = rule == "tfr" and seed == 2
        made[rule, seed] = curve[:2] if stopped else curve
        state = "stopped" if stopped else "done"
        return {
            "state": state,
            "metrics": {"train_accuracy": curve[-1]},
            "curves": {"train_accuracy": made[rule, seed]},
        }

    axes = {"rule": ["dalton", "tfr"], "seed": range(3)}
    study = write(Study(script, axes, fixed={"tau_m": 1 * ms}, metric="train_accuracy"), tmp_path / "study", record)
    for name in ("train_accuracy_by_epoch", "train_accuracy"):
        ax = plot_learning(study, name, "rule").axes[0]
        solid = [line for line in ax.lines if line.get_linestyle() == "-"]
        dashed = [line for line in ax.lines if line.get_linestyle() == "--"]
        np.testing.assert_allclose(solid[0].get_xdata(), [1, 2, 3, 4, 5])
        np.testing.assert_allclose(solid[0].get_ydata(), np.mean([made["dalton", s] for s in range(3)], axis=0))
        np.testing.assert_allclose(solid[1].get_ydata(), np.mean([made["tfr", s] for s in range(2)], axis=0))
        assert len(dashed) == 1
        np.testing.assert_allclose(dashed[0].get_ydata()[:2], made["tfr", 2])
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "train accuracy")


# trials side by side ----------------------------------------------------------------------------------------------


def test_parallel_coordinates_draw_the_best_last_and_failures_grey(script, tmp_path):
    axes = {"rule": ["dalton", "tfr", "broken"], "tau_m": [1, 10, 100] * ms, "tau_s": linear_space(1 * ms, 3 * ms, 2)}
    study = run(Study(script, axes, metric="rate", direction="minimize"), tmp_path / "study")
    rates = study.results()["rate"].values.ravel()
    known = np.sort(rates[np.isfinite(rates)])
    for direction, best in ((None, known[0]), ("maximize", known[-1])):
        ax = plot_parallel(study, "rate", direction=direction).axes[0]
        lost, drawn = (c for c in ax.collections if isinstance(c, LineCollection))
        assert len(lost.get_segments()) == 6 and len(drawn.get_segments()) == 12
        assert all(len(segment) == 3 for segment in lost.get_segments())
        ends = np.array([segment[-1] for segment in drawn.get_segments()])
        np.testing.assert_allclose(ends[:, 0], 3)
        shares = (known - known[0]) / (known[-1] - known[0])
        np.testing.assert_allclose(np.sort(ends[:, 1]), shares)
        assert np.isclose(ends[-1, 1], (best - known[0]) / (known[-1] - known[0]))
        brightness = np.array(drawn.get_colors())[:, :3].sum(axis=1)
        assert np.isclose(brightness[-1], brightness.min())
    at_ten = [s[1, 1] for s in drawn.get_segments()]  # logarithmic: 10 is in the middle between 1 and 100
    assert sum(abs(height - 0.5) < 0.03 for height in at_ten) == 4
    titles = [text.get_text() for text in ax.texts]
    assert {"rule", "tau_m (ms)", "tau_s (ms)", "rate (Hz)", "broken"} <= set(titles)


def test_pareto_front_is_what_brute_force_finds():
    rng = np.random.default_rng(1)
    for n, low, high in ((1, 0, 9), (40, 0, 9), (300, 0, 99), (30, 0, 3)):
        points = rng.integers(low, high, (n, 2)).astype(float)  # with ties and twins
        beaten = [any(np.all(q >= p) and np.any(q > p) for q in points) for p in points]
        np.testing.assert_array_equal(pareto_front(points), np.flatnonzero(~np.array(beaten)))


@pytest.mark.parametrize("directions", list(itertools.product(("minimize", "maximize"), repeat=2)))
def test_pareto_picture(grid, directions):
    figure = plot_pareto(grid, "rate", "accuracy", directions)
    ax = figure.axes[0]
    means = np.array([values_of(m * ms, s * ms).mean() for m in (5, 10, 20) for s in (1, 10, 100)])
    all_points = ax.collections[0].get_offsets()
    np.testing.assert_allclose(np.sort(all_points[:, 0]), np.sort(100 * means))
    # the metrics rise together: only where directions differ is there a trade-off
    front = {("minimize", "minimize"): 1, ("maximize", "maximize"): 1}.get(directions, 9)
    assert len(ax.collections[1].get_offsets()) == front
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(labels) == len(ax.texts) <= 9
    if front == 1:
        best = np.argmax(means) if directions[0] == "maximize" else np.argmin(means)
        m, s = [(m, s) for m in (5, 10, 20) for s in (1, 10, 100)][best]
        said = figure.legends[0].get_title().get_text() + labels[0]
        assert f"tau_m={m} ms" in said and f"tau_s={s} ms" in said


def test_search_shows_the_best_so_far(script, tmp_path):
    values = [0.3, 0.2, None, 0.6, 0.5, 0.9]

    def record(index, tau_m, seed):
        value = values[index // 2]
        if value is None:
            return {"state": "failed", "error": "ValueError: no"}
        return measured(accuracy=value + (0.05 if seed else -0.05))

    axes = {"tau_m": linear_space(5 * ms, 50 * ms), "seed": range(2)}
    study = write(Study(script, axes, sampler="random", budget=6, metric="accuracy"), tmp_path / "study", record)
    ax = plot_search(study).axes[0]
    steps = ax.lines[0]
    np.testing.assert_allclose(steps.get_xdata(), [1, 2, 3, 4, 5, 6])
    np.testing.assert_allclose(steps.get_ydata(), [0.3, 0.3, 0.3, 0.6, 0.6, 0.9])
    assert list(ax.lines[1].get_xdata()) == [6]
    np.testing.assert_allclose(ax.collections[1].get_offsets()[:, 0], [3])
    least = plot_search(study, direction="minimize").axes[0].lines[0]
    np.testing.assert_allclose(least.get_ydata(), [0.3, 0.2, 0.2, 0.2, 0.2, 0.2])
    with pytest.raises(DataError, match="no order"):
        plot_search(study.summary(), "accuracy")


# what they refuse -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (lambda s: plot_heat_map(s, "acuracy", "tau_m", "tau_s"), "no such metric.*did you mean 'accuracy'"),
        (lambda s: plot_heat_map(s, "accuracy", "taum", "tau_s"), "no such axis.*did you mean 'tau_m'"),
        (lambda s: plot_heat_map(s, "accuracy", "tau_m", "tau_m"), "an axis is used twice"),
        (lambda s: plot_heat_map(s, "accuracy", "tau_m", "tau_s", over="sed"), "no such axis.*did you mean 'seed'"),
        (lambda s: plot_heat_map(s, "accuracy", "tau_m", "seed", over=None, select={"tau_s": 3}), "no such value"),
        (lambda s: plot_heat_map(s, "accuracy", "tau_m", "tau_s", select={"rule": 1}), "no such axis"),
        (lambda s: plot_lines(s, "accuracy", "tau_m", "tau_x"), "no such axis"),
        (lambda s: plot_lines(s, "accuracy", "tau_m", axes=Figure().subplots()), "number of axes is wrong"),
        (lambda s: plot_learning(s), "no such curve"),
        (lambda s: plot_parallel(s, "accuracy", direction="up"), "unknown direction"),
        (lambda s: plot_parallel(s, "state"), "no such metric"),
        (lambda s: plot_pareto(s, "rate", "accuracy", "minimize"), "directions are wrong"),
        (lambda s: plot_pareto(s, "rat", "accuracy"), "no such metric.*did you mean 'rate'"),
        (lambda s: plot_search(s.results()), "there is no metric"),
        (lambda s: plot_lines([1, 2], "accuracy", "tau_m"), "this is no study"),
    ],
)
def test_what_pictures_refuse(grid, draw, said):
    with pytest.raises(DataError, match=f"(?s){said}"):
        draw(grid)


def test_a_text_is_no_metric_and_drawn_axes_have_no_cells(script, tmp_path):
    axes = {"tau_m": linear_space(5 * ms, 50 * ms), "tau_s": [1, 2] * ms}
    study = run(Study(script, axes, sampler="random", budget=20, metric="accuracy"), tmp_path / "study")
    with pytest.raises(DataError, match="is no number"):
        plot_lines(study, "word", "tau_m")
    with pytest.raises(DataError, match="lie on no grid"):
        plot_heat_map(study, "accuracy", "tau_m", "tau_s")


def test_pictures_are_saved(grid, tmp_path):
    plot_lines(grid, "accuracy", "tau_s", "tau_m", path=tmp_path / "lines.svg")
    assert "<svg" in (tmp_path / "lines.svg").read_text()


# the report -------------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """Text, pictures and tags of a page."""

    def __init__(self, path):
        super().__init__()
        self.words, self.pictures, self.tags, self.links = [], [], set(), []
        self.feed(path.read_text(encoding="utf-8"))
        self.text = re.sub(r"\s+", " ", " ".join(self.words))

    def handle_data(self, data):
        if self.lasttag != "style":
            self.words.append(data)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        for name, value in attrs:
            if name in ("src", "href") and not value.startswith(("#", "data:")):
                self.links.append(value)
        if tag == "svg":
            self.pictures.append(dict(attrs)["aria-label"])


def test_report_of_a_grid(script, tmp_path):
    axes = {"rule": ["dalton", "broken"], "tau_m": [5, 10, 20] * ms, "tau_s": [1, 2] * ms, "seed": range(2)}
    study = run(Study(script, axes, metric="accuracy"), tmp_path / "study", 20)
    path = study.report()
    assert path == tmp_path / "study" / "report" / "report.html"
    page = Page(path)
    assert not page.links and "script" not in page.tags and "b" not in page.tags
    names = {file.name for file in path.parent.iterdir()}
    assert {"heat_map.png", "lines.png", "parallel.png", "results.csv", "report.html"} <= names
    files = [
        (path.parent / name).read_bytes() for name in re.findall(r"(\w+\.png)", page.text.partition("Files beside")[2])
    ]
    assert all(file.startswith(b"\x89PNG") for file in files)
    assert len(files) == len(page.pictures) and all(page.pictures)
    assert "12 of 24 trials done, 8 failed, 4 missing" in page.text
    # errors that differ in their numbers are of one kind; what they say is text, whatever is in it
    assert re.search(r"8 ValueError: cannot <b>learn</b> & forget with seed 0 trials/00012-rule=broken", page.text)
    assert f"brianlearn study resume {tmp_path / 'study'}" in page.text
    results = study.results()
    means = results["accuracy"].mean("seed")
    best = means.where(means == means.max(), drop=True)
    mean, std = best.item(), float(results["accuracy"].std("seed", ddof=1).where(means == means.max()).max())
    row = f"1 dalton {best['tau_m'].item():g} {best['tau_s'].item():g} 2 {100 * mean:.1f}% ± {100 * std:.1f}"
    assert row in page.text
    table = list(csv.DictReader(io.StringIO((path.parent / "results.csv").read_text())))
    assert len(table) == 24
    assert Study.open(tmp_path / "study").report() == path  # again, over what is there


@pytest.mark.parametrize(("n", "said"), [(0, "0 of 6 trials done, 6 missing"), (6, "0 of 6 trials done, 6 failed")])
def test_report_without_any_number(script, tmp_path, n, said):
    study = run(Study(script, {"rule": ["broken"], "tau_m": [5, 10] * ms, "seed": range(3)}), tmp_path / "study", n)
    page = Page(write_report(study))
    assert said in page.text
    assert "there is nothing to draw" in page.text
    assert not page.pictures


def test_report_of_drawn_points_and_of_a_metric_that_is_not_there(script, tmp_path):
    axes = {"tau_m": log_space(5 * ms, 500 * ms), "rule": ["dalton", "tfr"], "seed": range(2)}
    study = run(Study(script, axes, sampler="sobol", budget=16), tmp_path / "study")
    path = study.report()
    page = Page(path)
    assert "No finished trial has the metric 'test_accuracy'; pictures and tables show 'accuracy'." in page.text
    assert {"margins.png", "parallel.png"} <= {file.name for file in path.parent.iterdir()}
    script.write_text(SCRIPT + "\n# changed\n")
    assert "is not what it was when the study began" in Page(study.report()).text


@pytest.mark.parametrize(
    "axes",
    [
        {"rule": ["dalton", "tfr"]},
        {"tau_m": [5] * ms},
        {"seed": range(3)},
        {"tau_m": [5, 10] * ms, "threshold": [1.0, 2.0], "rule": ["dalton", "tfr"], "tau_s": np.arange(1, 9) * ms},
    ],
)
def test_report_of_any_shape(script, tmp_path, axes):
    fixed = {} if "tau_m" in axes else {"tau_m": 5 * ms}
    page = Page(run(Study(script, axes, metric="accuracy", fixed=fixed), tmp_path / "study").report())
    assert bool(page.pictures) == (list(axes) != ["tau_m"])
    assert "Best points" in page.text


def test_report_shows_curves_and_the_trade_off(script, tmp_path):
    rng = np.random.default_rng(0)

    def record(index, **point):
        curve = rng.random(3).tolist()
        # that of the input differs by rounding alone
        rates = {"firing_rate_input": 500 + 1e-12 * rng.random(), "firing_rate_dense1": 100 * rng.random()}
        return {"metrics": {"test_accuracy": curve[-1], **rates}, "units": dict.fromkeys(rates, "Hz"),
                "curves": {"train_accuracy": curve}}  # fmt: skip

    axes = {"rule": ["dalton", "tfr"], "tau_m": [5, 10] * ms, "seed": range(2)}
    path = write(Study(script, axes), tmp_path / "study", record).report()
    names = {file.name for file in path.parent.iterdir()}
    assert {"pareto.png", "learning_train_accuracy.png", "best_and_worst.png"} <= names
    study = Study.open(tmp_path / "study")
    accuracy = study.results()["test_accuracy"].values.ravel()
    numbers = study.results()["trial_index"].values.ravel()
    for words, row in (("The best trials", accuracy.argmax()), ("The worst trials", accuracy.argmin())):
        assert re.search(
            rf"{words} trial .*? {numbers[row]} \w+ [\d.]+ \d+ {100 * accuracy[row]:.1f}%", Page(path).text
        )
    assert "Firing rate dense1 against test accuracy" in Page(path).text


def test_no_report_before_the_study_has_begun(script):
    with pytest.raises(RunFolderError, match="no folder yet"):
        Study(script, {"tau_m": [5] * ms}).report()


# the command ------------------------------------------------------------------------------------------------------


def test_command_says_the_same_axes(script):
    axes = {
        "tau_m": [5, 7.5, 20] * ms,
        "tau_s": log_space(1 * ms, 20 * ms, 5),
        "threshold": linear_space(0.5, 1.5, 3),
        "rule": ["dalton", "tfr"],
        "seed": range(2, 6),
    }
    study = Study(script, axes, sampler="sobol", budget=8, seed=3, where="tau_s < tau_m", direction="minimize")
    said = repeat_command(study)
    words = shlex.split(said.replace("\\\n", " "))
    assert words[:3] == ["brianlearn", "study", str(script)]
    again = [parse_axis(words[k + 1]) for k, word in enumerate(words) if word == "--axis"]
    assert [axis.name for axis in again] == list(axes)
    for axis, name in zip(again, axes, strict=True):
        assert len(axis.values) == len(study.axes[name].values)
        for one, other in zip(axis.values, study.axes[name].values, strict=True):
            assert one == other or np.isclose(float(one), float(other), rtol=1e-12)
        assert (axis.span is None) == (study.axes[name].span is None)
    rest = words[words.index("--axis") :]
    assert rest[10:] == ["--sampler", "sobol", "--budget", "8", "--where", "tau_s < tau_m", "--seed", "3", "--minimize"]


@pytest.mark.parametrize(
    "settings",
    [
        {"axes": {"tau_m": [5, 10] * ms, "rule": ["a,b", "c"]}},
        {"axes": {"tau_m": [5, 10] * ms, "rule": ["1"]}, "fixed": {"tau_s": 2 * ms}},
        {"axes": {"tau_m": log_space(5 * ms, 10 * ms)}, "stop": SuccessiveHalving(minimum=3), "keep": "all"},
    ],
)
def test_what_no_command_can_say_is_python(script, settings):
    study = Study(script, **settings)
    said = repeat_command(study)
    assert said.endswith("study.run()")
    names: dict[str, object] = {}
    exec(said.removesuffix("study.run()"), names)
    again = names["study"]
    assert isinstance(again, Study)
    for name in ("sampler", "budget", "where", "metric", "keep", "seed", "stop", "fixed", "direction"):
        assert getattr(again, name) == getattr(study, name)
    for name, axis in study.axes.items():
        assert again.axes[name].values == axis.values


def test_panels_share_a_scale_that_holds_all_of_them(script, tmp_path):
    def record(index, tau_m, rule):
        return measured(test_accuracy=0.1 * (1 + index))

    axes = {"rule": ["a", "b", "c"], "tau_m": [5, 10, 20] * ms}
    study = write(Study(script, axes), tmp_path / "study", record)
    for ax in plot_lines(study, "test_accuracy", "tau_m").axes:
        low, high = ax.get_ylim()
        assert low < 0.1 and high > 0.9
