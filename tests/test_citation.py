"""What is cited: real papers, each said once, by the object that comes from it."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2 import ms

import brianlearn as bl
from brianlearn.citing import papers
from brianlearn.citing.references import Citable, references_of_class
from brianlearn.data.registry import entry, known_data
from brianlearn.docstrings import sections
from brianlearn.network.storable import known_classes

ROOT = Path(__file__).parents[1]
PAPERS = {name: paper for name, paper in vars(papers).items() if isinstance(paper, bl.Reference)}
SPEC = bl.NetworkSpec(bl.Input((1, 2, 2)), [bl.Dense(3, bl.CubaLIF())], bl.Readout(2), duration=5 * ms)
MINE = bl.Reference("A. Author", "A rule of mine", "Journal of Rules", 2026)


@dataclass(frozen=True, eq=False)
class Mine(bl.TFR):
    """A rule of one's own."""

    references = (MINE,)


def test_keys_of_papers_are_different() -> None:
    keys = [paper.key for paper in PAPERS.values()]
    assert len(keys) > 50 and len(set(keys)) == len(keys)


@pytest.mark.parametrize("name", PAPERS)
def test_a_paper_is_one_entry_of_bibtex(name: str) -> None:
    """Read by the grammar of BibTeX: balanced braces, one `name = {value}` a line, no character that LaTeX takes."""
    first, *fields, last = PAPERS[name].bibtex().splitlines()
    assert re.fullmatch(r"@(article|inproceedings|book|misc)\{[a-z0-9]+,", first) and last == "}"
    found = dict(re.fullmatch(r"  (\w+) = \{(.*)\},", line).groups() for line in fields)  # type: ignore[union-attr]
    assert {"author", "title", "year"} <= set(found)
    for field, value in found.items():
        assert value.count("{") == value.count("}")
        assert field == "doi" or not re.search(r"(?<!\\)[&%$#_]", value)


def documented() -> dict[str, Any]:
    """What has References in its docstring: classes that files can hold, presets, and functions."""
    ours = {cls.__name__: cls for cls in known_classes().values() if cls.__module__.startswith("brianlearn.")}
    found = {name: getattr(bl, name) for name in bl.__all__} | ours
    docs = {name: vars(each).get("__doc__") if isinstance(each, type) else each.__doc__ for name, each in found.items()}
    return {name: each for name, each in found.items() if callable(each) and "References" in sections(docs[name])}


DOCUMENTED = documented()


@pytest.mark.parametrize("name", DOCUMENTED)
def test_an_object_cites_what_its_docstring_names(name: str) -> None:
    """Families and years of its References are those of its papers, and DOIs are the same."""
    thing = DOCUMENTED[name]
    text = sections(thing.__doc__)["References"]
    own = vars(thing).get("references") if isinstance(thing, type) else getattr(thing, "references", None)
    if name == "SynapticRule":  # examples of rules that it can be
        own = bl.Reward.references
    assert own, name
    for doi in re.findall(r"doi (10\.\S+?)[.,]?(?:\s|$)", text):
        assert doi in {paper.doi for paper in own}
    apart = r"\(printed.*?\)|arXiv:\S+|doi \S+|1907|\d+-\d+"  # numbers that are no years of publication
    for year in re.findall(r"\b((?:18|19|20)\d\d)\b", re.sub(apart, "", text, flags=re.DOTALL)):
        assert int(year) in {paper.year for paper in own}, year
    families = [paper.key.split(str(paper.year))[0] for paper in own]
    plain = re.sub(r"[^a-z]", "", text.lower().replace("ø", "o").replace("é", "e"))
    assert sum(family in plain for family in families) >= 1


@pytest.mark.parametrize("kind", [bl.Loss, bl.Optimiser, bl.Surrogate, bl.Rule])
def test_every_published_object_cites(kind: type) -> None:
    plain = {"SynapticRule"}  # the texts are the user's
    stored = [cls for cls in known_classes().values() if cls.__module__.startswith("brianlearn.")]
    ours = [cls for cls in stored if issubclass(cls, kind)]
    cited = {cls.__name__ for cls in ours if references_of_class(cls)}
    assert cited == {cls.__name__ for cls in ours} - plain - {"CrossEntropy"} and len(cited) >= 5
    assert papers.LABEL_SMOOTHING in bl.CrossEntropy(label_smoothing=0.1).cited()
    assert bl.CrossEntropy().cited() == ()


@pytest.mark.parametrize(
    ("preset", "paper"),
    [
        (bl.LIF, papers.LAPICQUE),
        (bl.CubaLIF, papers.CUBA),
        (bl.DaltonIF, papers.DALTON),
        (bl.AdaptiveLIF, papers.ADAPTIVE_LIF),
        (bl.SequenceLIF, papers.SEQUENCE_STBP),
        (bl.STBPNeuron, papers.STBP),
    ],
)
def test_a_preset_is_known_by_its_equations(preset: Any, paper: bl.Reference) -> None:
    assert preset.references == (paper,)
    assert preset(reset="v -= 1", surrogate=bl.Gaussian()).cited() == (paper,)
    written = preset()
    again = bl.Neuron(written.equations + "\n", written.threshold, "v = 0", written.input, constants=written.constants)
    assert again.cited() == (paper,)


def test_other_neurons_cite_nothing() -> None:
    assert bl.Neuron("dv/dt = -v/(7*ms) : 1", "v > 1", "v = 0", "v", constants=dict(ms=1 * ms)).cited() == ()


def test_a_neuron_of_ones_own() -> None:
    """Its function is called where it is marked, and not when something else is cited."""
    calls = []

    def mine(tau: Any = 9 * ms) -> bl.Neuron:
        calls.append(tau)
        return bl.Neuron("dv/dt = (0.3 - v)/tau : 1", "v > 0.2", "v = 0", "v", constants=dict(tau=tau))

    assert bl.cites(MINE)(mine) is mine and len(calls) == 1
    bl.citation(bl.DALTON(), bl.LIF())
    assert len(calls) == 1
    assert mine(5 * ms).cited() == (MINE,)


def test_a_neuron_of_no_module() -> None:
    """As in a text that is executed: a cell, a page."""
    scope = dict(bl=bl, paper=MINE)
    exec('@bl.cites(paper)\ndef mine():\n    return bl.Neuron("dv/dt = 2*Hz : 1", "v > 7", "v = 0", "v")', scope)
    assert scope["mine"]().cited() == (MINE,)  # type: ignore[operator]


def test_every_data_set_that_was_published_cites() -> None:
    without = [name for name in known_data() if not entry(name).references]
    assert without == ["channel_orders"]
    assert bl.NamedData("shd").cited() == (papers.HEIDELBERG,)


def test_an_experiment_cites_all_that_it_is_made_of() -> None:
    experiment = bl.Experiment(SPEC, Mine(), bl.AdamW(), data="digits", device="numpy")
    cited = bl.citation(experiment).papers
    expected = {
        papers.CUBA: ("CubaLIF",),
        papers.SUPERSPIKE: ("FastSigmoid",),
        papers.DALTON: ("IntegrateAndFireEncoder", "Mine"),
        papers.THREE_FACTORS: ("Mine",),
        papers.ADAM: ("AdamW",),
        papers.ADAMW: ("AdamW",),
        papers.DIGITS: ("digits",),
        papers.SCIKIT_LEARN: ("digits",),
        papers.BRIAN2: ("Brian2",),
        MINE: ("Mine",),
    }
    (package,) = set(cited) - set(expected)
    assert {paper: cited[paper] for paper in expected} == expected
    assert cited[package] == ("brianlearn",) and bl.__version__ in package.text()


def test_a_run_folder_cites_what_was_trained(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    samples = bl.Samples(rng.uniform(0, 1, (4, 1, 2, 2)), rng.integers(0, 2, 4))
    experiment = bl.Experiment(
        SPEC, bl.DALTON(), bl.SGD(0.1), (samples, samples), epochs=1, device="numpy", runs=tmp_path
    )
    result = experiment.run(progress=False)
    assert bl.citation(result).papers == bl.citation(experiment).papers == bl.citation(str(result.run)).papers


def test_engines_cite_their_programs() -> None:
    pytest.importorskip("torch")
    learner = bl.Learner(SPEC, bl.SurrogateBPTT(), engine="discrete")
    cited = bl.citation(learner).papers
    assert cited[papers.PYTORCH] == ("PyTorch",) and cited[papers.SURROGATE_GRADIENTS] == ("SurrogateBPTT",)
    assert bl.Brian(device="genn").cited() == (papers.BRIAN2, papers.BRIAN2GENN, papers.GENN)
    assert bl.Brian(device="numpy").cited() == (papers.BRIAN2,)


@pytest.mark.parametrize("thing", ["mnits", 3, None, object(), bl.load])
def test_what_there_is_nothing_to_cite_for(thing: Any) -> None:
    with pytest.raises(bl.ArgumentError):
        bl.citation(thing)


def test_a_misspelt_data_set() -> None:
    with pytest.raises(bl.ArgumentError, match="did you mean 'mnist'"):
        bl.citation("mnits")


@pytest.mark.parametrize(
    "wrong",
    [
        dict(authors=""),
        dict(title=" "),
        dict(venue=None),
        dict(year="2026"),
        dict(year=26),
        dict(kind="paper"),
        dict(doi="https://doi.org/10.1/x"),
        dict(arxiv="arXiv:1412.6980"),
        dict(pages=12),
    ],
)
def test_a_reference_of_another_form(wrong: dict[str, Any]) -> None:
    right = dict(authors="A. Author", title="Title", venue="Journal", year=2026)
    with pytest.raises(bl.ArgumentError, match=next(iter(wrong))):
        bl.Reference(**{**right, **wrong})


def test_wrong_uses_of_cites() -> None:
    def needs(tau: Any) -> None:
        pass

    def number() -> int:
        return 3

    for use in (lambda: bl.cites("a paper"), *(lambda f=f: bl.cites(MINE)(f) for f in (needs, number, Mine))):
        with pytest.raises(bl.ArgumentError):
            use()

    class Wrong(Citable):
        references = "a paper"  # type: ignore[assignment]

    with pytest.raises(bl.ArgumentError, match="references"):
        bl.citation(Wrong())


def test_the_citation_file_says_what_the_package_says() -> None:
    yaml = pytest.importorskip("yaml")
    said = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {"cff-version", "message", "title", "authors"} <= set(said)  # what version 1.2.0 of the format requires
    assert said["cff-version"] == "1.2.0" and said["type"] == "software"
    assert said["version"] == project["version"] == bl.__version__ and said["license"] == project["license"]
    assert said["keywords"] == project["keywords"]
    package = list(bl.citation("digits").papers)[-1]
    assert said["title"] == package.title and package.authors == f"{{{said['authors'][0]['name']}}}"
    assert said["references"][0]["doi"] == papers.BRIAN2.doi
