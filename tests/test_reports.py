"""Pages and pictures of runs: what they show, that they need nothing else, and that a browser is content with them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from brian2 import ms, mV
from typer.testing import CliRunner

import brianlearn as bl
from brianlearn.cli.app import app
from brianlearn.report.run.kinds import KINDS
from brianlearn.report.run.page import write_run_report
from brianlearn.report.run.picture import FILE
from brianlearn.report.run.sections.energy import significant
from brianlearn.report.run.sections.equations import typeset
from brianlearn.report.run.view import RunView

NEURON = bl.Neuron(
    "dv/dt = (60*mV*I - v)/tau_m : volt\ndI/dt = -I/tau_s : 1",
    threshold="v > 20*mV",
    reset="v = 0*mV",
    input="I",
    constants=dict(tau_m=20 * ms, tau_s=5 * ms),
    v_scale=20 * mV,
)


class Page(HTMLParser):
    """A page: its text, tags, identifiers, references, pictures, and what a keyboard reaches."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.words, self.ids, self.links, self.pictures, self.tags = [], [], [], [], []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.text = re.sub(r"\s+", " ", " ".join(self.words))

    def handle_data(self, data):
        if self.lasttag not in ("style", "script"):
            self.words.append(data)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append(tag)
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.links += [v for n, v in attrs.items() if n in ("src", "href", "xlink:href")]
        if tag == "svg":
            self.pictures.append(attrs["aria-label"])


def samples(rng, n, kind):
    inputs = rng.random((n, 1, 4, 4))
    if kind == "values":
        return bl.Samples(inputs, rng.random((n, 20, 3)))
    if kind == "trains":
        return bl.Samples(inputs, rng.random((n, 20, 3)) < 0.1)
    return bl.Samples(inputs, np.arange(n) % 3)


def experiment(kind, runs, **changes):
    rng = np.random.default_rng(3)
    data = samples(rng, 12, kind), samples(rng, 9, kind)
    image = bl.Input((1, 4, 4), bl.DirectCurrent() if kind == "labels" else bl.IntegrateAndFireEncoder())
    layers = [bl.Conv(3, 3, NEURON), bl.Dense(8, NEURON)]
    readout = bl.Readout(3)
    rule = bl.DALTON()
    if kind == "values":
        rule = bl.SurrogateBPTT(loss=bl.MSE())
    if kind == "trains":
        layers, readout, rule = [bl.Dense(8, NEURON), bl.Dense(3, NEURON)], None, bl.STBP(loss=bl.VanRossum())
    spec = bl.NetworkSpec(image, layers, readout, duration=20 * ms)
    device = {"device": "numpy"} if kind == "labels" else {}
    options = dict(data=data, epochs=2, batch_size=4, runs=runs, name="small", **device) | changes
    return bl.Experiment(spec, rule, bl.Adam(1e-2), **options)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    made = experiment("labels", tmp_path_factory.mktemp("labels"))
    return made, made.run(progress=False).run


@pytest.fixture(scope="module")
def written(labelled):
    made, run = labelled
    return write_run_report(run, data=made.data)


def test_a_run_has_a_picture(tmp_path, monkeypatch):
    monkeypatch.setenv("BRIANLEARN_PICTURES", "1")
    made = experiment("labels", tmp_path)
    run = made.run(progress=False).run
    assert (run / FILE).read_bytes().startswith(b"\x89PNG")
    for variable, changes in (("1", {"picture": False}), ("0", {})):
        monkeypatch.setenv("BRIANLEARN_PICTURES", variable)
        other = experiment("labels", tmp_path, epochs=1).run(progress=False, **changes).run
        assert not (other / FILE).exists()


def test_a_picture_that_cannot_be_written_harms_no_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("BRIANLEARN_PICTURES", "1")

    def full(*arguments):
        raise bl.RunFolderError("overview.png", "the file cannot be written", got="no space left")

    monkeypatch.setattr("brianlearn.report.run.picture.save_figure", full)
    result = experiment("labels", tmp_path).run()
    assert result.test_accuracy is not None
    assert "the picture of the run could not be drawn" in capsys.readouterr().err


def test_the_page_of_a_run_with_labels(labelled, written):
    made, run = labelled
    page = Page(written)
    assert all(link.startswith(("#", "data:")) for link in page.links)  # nothing is fetched
    assert len(page.ids) == len(set(page.ids))
    named = set(page.ids)
    assert {link[1:] for link in page.links if link.startswith("#")} <= named
    assert all(len(words) > 10 for words in page.pictures) and len(page.pictures) > 12
    sections = ["learning", "results", "network", "equations", "rates", "samples", "weights", "energy", "time", "again"]
    assert [name for name in page.ids if name in sections] == sections
    result = json.loads((run / "result.json").read_text())
    assert f"{result['test_accuracy']:.1%} test accuracy" in page.text
    assert "tau_m 20 ms" in page.text and "Inputs that carry a current fire no spikes." in page.text
    # of those that were run: the confusion matrix says the same as the run
    assert f"Confusion matrix of 9 test samples, {result['test_accuracy']:.1%} right." in page.text
    assert page.text.count("third factor") >= 2
    # energy: the totals of the page are those of the ledger
    view = RunView.open(run, data=made.data)
    ledger = bl.energy_ledger(view.spec, view.tested)
    assert f"all {significant(ledger.picojoules / 1000)}" in page.text
    assert len(page.source) < 3_000_000


@pytest.mark.parametrize(
    ("x", "text"),
    [(247812.3, "247,800"), (24.7812, "24.78"), (0.00012345, "0.0001234"), (0, "0.000"), (9999.7, "10,000")],
)
def test_numbers_are_short(x, text):
    assert significant(x) == text


def test_equations_are_typeset():
    lines = list(typeset(NEURON))
    assert len(lines) == 4
    assert "<msub><mi>&#964;</mi><mi>m</mi></msub>" in lines[0] and "<mfrac>" in lines[0]
    assert lines[2].count("<mi>v</mi>") == 2 and "&#8592;" in lines[2]
    assert "&#968;" in lines[3] and "(20 mV)" in lines[3]
    strange = bl.Neuron(
        "dv/dt = (int(v > 0.5) - v)/(10*ms) : 1 (unless refractory)",
        threshold="v > 1",
        reset="v -= 1",
        input="v",
        refractory=2 * ms,
    )
    assert all("<mrow>" in line for line in typeset(strange))


@pytest.mark.parametrize(("kind", "said"), [("values", "the readout over the trial"), ("trains", "spikes asked for")])
def test_the_page_of_other_targets(tmp_path, kind, said):
    pytest.importorskip("torch")
    made = experiment(kind, tmp_path, epochs=1)
    page = Page(write_run_report(made.run(progress=False).run, data=made.data, profile=4))
    assert said in page.text
    assert "Operations of the discrete engine while it learns from 4 samples" in page.text and "aten::" in page.text
    assert "Confusion" not in page.text


def test_a_run_whose_samples_have_no_name_is_reported_without_them(labelled):
    _, run = labelled
    page = Page(write_run_report(run))
    assert "the run was trained with samples that have no name" in page.text
    assert "learning" in page.ids and "energy" not in page.ids


def test_a_run_that_is_cut_off_or_warned_of_is_reported(tmp_path, labelled):
    made, run = labelled
    folder = tmp_path / "cut"
    shutil.copytree(run, folder)
    (folder / "result.json").unlink()
    (folder / "metrics.jsonl").write_text("")
    page = Page(write_run_report(folder, data=made.data))
    assert "0 of 2 epochs, not finished" in page.text and "No epoch has ended yet." in page.text
    line = json.loads((run / "metrics.jsonl").read_text().splitlines()[0])
    line["warnings"] = ["<b>layer</b> is silent"]
    (folder / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    page = Page(write_run_report(folder, data=made.data))
    assert "<b>layer</b> is silent" in page.text and "b" not in page.tags


def test_a_certificate_is_part_of_the_page(tmp_path, labelled):
    made, run = labelled
    folder = tmp_path / "certified"
    shutil.copytree(run, folder)
    assert "No certificate was made yet" in Page(write_run_report(folder, data=made.data)).text
    bl.certify(folder, data=made.data, samples=2)
    stored = json.loads((folder / "certificate.json").read_text())
    text = Page(write_run_report(folder, data=made.data)).text
    assert all(check["name"] in text for check in stored["checks"])
    (folder / "certificate.json").write_text('{"checks": [{}]}')
    with pytest.raises(bl.RunFolderError, match="damaged"):
        write_run_report(folder, data=made.data)


def test_objects_are_measured_where_it_is_asked_for(labelled):
    made, run = labelled
    page = Page(write_run_report(run, data=made.data, profile=4))
    assert "Objects of Brian2 on numpy while it learns from 4 samples" in page.text


SCRIPT = """
from test_reports import experiment as made
def experiment():
    return made("labels", "{runs}")
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "small.py"
    path.write_text(SCRIPT.format(runs=tmp_path))
    return path


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("eligibility", "targets")])
def test_every_picture_from_the_command_line(labelled, script, tmp_path, kind):
    _, run = labelled
    out = tmp_path / "picture.svg"
    arguments = ["plot", str(run), kind, "--out", str(out), "--script", str(script)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "<svg" in out.read_text()


def test_what_the_command_line_refuses(labelled, script, tmp_path):
    _, run = labelled
    out = str(tmp_path / "picture.pdf")
    for arguments, said in [
        (["plot", str(run), "rastr", "--out", out], "did you mean 'raster'"),
        (["plot", str(run), "raster", "--out", out], "no name"),
        (["plot", str(run), "raster", "--out", out, "--sample", "99", "--script", str(script)], "0 to 8"),
        (["plot", str(run), "eligibility", "--out", out, "--script", str(script)], "no eligibility traces"),
        (["plot", str(run), "targets", "--out", out, "--script", str(script)], "no values"),
        (["plot", str(run), "kernels", "--out", out, "--layer", "dens"], "no such weights"),
        (["plot", str(run), "rates", "--out", str(tmp_path / "x.doc")], "no such kind of picture"),
        (["plot", str(tmp_path), "rates", "--out", out], "not a run folder"),
        (["report", str(tmp_path / "nowhere")], "no such run folder"),
        (["report", str(run), "--energy", str(tmp_path / "none.toml")], "cannot be read"),
    ]:
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 1 and said in re.sub(r"\s+", " ", done.output + done.stderr), (arguments, done.output)


# in a browser ---------------------------------------------------------------------------------------------------------

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def browse(page: Path, tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip("there is no Chromium here")
    command = [browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=2000", *options, page.as_uri()]
    environment = {**os.environ, "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, env=environment)


#: Changes a cost as a user would, and looks at what the page's own script makes of it; looks for what sticks out.
PROBE = """
<script>
window.addEventListener("load", function () {
  var found = {wide: document.documentElement.scrollWidth <= window.innerWidth, errors: window.failed || 0};
  var input = document.querySelector(".costs input[name=byte]");
  if (input) {
    input.value = 0; input.dispatchEvent(new Event("input"));
    var rows = document.getElementById("ledger").tBodies[0].rows;
    found.rows = Array.prototype.map.call(rows, function (r) { return r.cells[r.cells.length - 1].textContent; });
  }
  found.unreachable = Array.prototype.filter.call(document.querySelectorAll(".wide, pre"), function (e) {
    return e.tabIndex < 0; }).length;
  found.unnamed = Array.prototype.filter.call(document.querySelectorAll("svg"), function (e) {
    return !e.getAttribute("aria-label"); }).length;
  found.math = document.querySelectorAll("math").length;
  found.shown = document.querySelectorAll("math")[0].getBoundingClientRect().height;
  var p = document.createElement("p"); p.id = "probe"; p.textContent = JSON.stringify(found);
  document.body.appendChild(p);
});
window.addEventListener("error", function () { window.failed = (window.failed || 0) + 1; });
</script>
"""


@pytest.mark.parametrize("width", [1200, 390])
def test_a_browser_shows_the_page(labelled, written, tmp_path, width):
    made, run = labelled
    probed = tmp_path / "page.html"
    probed.write_text(written.read_text().replace("</head>", PROBE + "</head>"))
    done = browse(probed, tmp_path, "--dump-dom", f"--window-size={width},900")
    assert "CONSOLE" not in done.stderr, [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    found = json.loads(re.search(r'<p id="probe">(.*?)</p>', done.stdout)[1])
    assert found["errors"] == 0 and found["wide"] and not found["unreachable"] and not found["unnamed"]
    assert found["math"] == 4 and found["shown"] > 15
    view = RunView.open(run, data=made.data)
    ledger = bl.energy_ledger(view.spec, view.tested, table=bl.EnergyTable(byte=0.0))
    expected = [entry.picojoules for entry in ledger.entries] + [ledger.picojoules, ledger.dense.picojoules]
    np.testing.assert_allclose([1000 * float(text.replace(",", "")) for text in found["rows"]], expected, rtol=1e-3)


@pytest.mark.parametrize("dark", [False, True])
def test_light_and_dark(written, tmp_path, dark):
    from matplotlib.image import imread

    picture = tmp_path / "page.png"
    options = ["--force-dark-mode", "--blink-settings=preferredColorScheme=0"] if dark else []
    browse(written, tmp_path, f"--screenshot={picture}", "--window-size=800,1200", "--hide-scrollbars", *options)
    shown = imread(picture)[..., :3]
    ground = np.median(shown, axis=(0, 1)).mean()
    assert ground < 0.2 if dark else ground > 0.9
    assert (np.abs(shown.mean(axis=-1) - ground) > 0.5).mean() > 0.01  # ink that can be read on it


def test_a_browser_shows_the_page_of_a_study(tmp_path):
    pytest.importorskip("xarray")
    script = tmp_path / "trials.py"
    script.write_text(
        "from brian2 import ms\ndef trial(tau=5*ms, width=1, seed=0):\n"
        "    return {'accuracy': 1 / (1 + float(tau/ms)) / width + 0.01*seed}\n"
    )
    study = bl.Study(script, {"tau": [1, 2, 5] * ms, "width": [1, 2], "seed": range(2)}, metric="accuracy")
    study.run(1, folder=tmp_path / "study")
    page = study.report()
    read = Page(page)
    assert all(link.startswith(("#", "data:")) for link in read.links) and len(read.ids) == len(set(read.ids))
    assert read.pictures and all(read.pictures)
    done = browse(page, tmp_path, "--dump-dom")
    assert "CONSOLE" not in done.stderr
    assert "The worst trials" in done.stdout and len(page.read_bytes()) < 3_000_000


def test_a_current_is_no_spike_train(labelled):
    neo = pytest.importorskip("neo")
    made, run = labelled
    view = RunView.open(run, data=made.data)
    learner, state, test = view.ready
    activity = learner.infer(state, test[:1], record="spikes")
    assert activity.currents == ("input",) and "input" in activity.spikes
    block = bl.to_neo(activity)
    assert isinstance(block, neo.Block)
    assert {train.annotations["layer"] for train in block.segments[0].spiketrains} == {"conv1", "dense1"}


def test_a_picture_of_many_layers_keeps_its_size():
    from brianlearn.report.page.blocks import Picture, Section
    from brianlearn.report.page.render import render
    from brianlearn.report.page.svg import figure_for_page

    pictures = [Picture.of(figure_for_page(width, 1), "<wide> & more") for width in (6, 20)]
    page = render("t", "s", [], [Section("a", "A", tuple(pictures))], "f")
    assert page.count('class="scroll" tabindex="0"') == 1 and page.count('aria-label="&lt;wide&gt; &amp; more"') == 3


def test_weights_that_are_no_numbers_any_more_are_reported(labelled, tmp_path):
    made, run = labelled
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    weights = dict(np.load(run / "weights.npz"))
    weights["dense1"] = np.full_like(weights["dense1"], np.nan)
    weights["conv1"] = np.full_like(weights["conv1"], np.nan)
    np.savez(folder / "weights.npz", **weights)
    page = Page(write_run_report(folder, data=made.data))
    assert "The network was not run for this report." in page.text and "conv1: weights are not finite." in page.text


def test_a_damaged_folder_is_refused_by_name(labelled, tmp_path):
    _, run = labelled
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    config = json.loads((run / "config.json").read_text())
    for damaged in ({**config, "data": 3}, {k: v for k, v in config.items() if k not in ("rule", "seed")}):
        (folder / "config.json").write_text(json.dumps(damaged))
        with pytest.raises(bl.RunFolderError, match="damaged"):
            write_run_report(folder)


def test_the_page_is_opened(labelled, monkeypatch):
    _, run = labelled
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or len(opened) == 1)
    for code in (0, 1):
        done = CliRunner().invoke(app, ["report", str(run), "--open"])
        assert done.exit_code == code
    assert opened[0].startswith("file://") and opened[0].endswith("report.html")
    assert "no browser could be started" in done.stderr + done.output
