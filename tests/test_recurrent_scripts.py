"""Spoken words before a simulated cochlea, and the scripts of recurrent networks: what they are, what they learn."""

from __future__ import annotations

import dataclasses
import runpy
from pathlib import Path
from typing import Any

import event_files as files
import numpy as np
import pytest
from brian2 import ms
from scipy.stats import f_oneway

import brianlearn as bl
from brianlearn.data.spoken_words import FORMANTS, WORDS, Cochlea, place
from brianlearn.errors import DataError
from brianlearn.scripts.options import choices

SPECS = Path(__file__).parents[1] / "network_specs"


def script(name: str) -> dict[str, Any]:
    return runpy.run_path(str(SPECS / f"{name}.py"), run_name="test")


# spoken words ---------------------------------------------------------------------------------------------------------


def test_words_differ_in_when_their_vowels_come_alone() -> None:
    data = bl.load("spoken_words", dt=10 * ms)
    assert data.shape == (1, 1, 700) and (len(data.train), len(data.test), len(data.classes)) == (1600, 400, 20)
    assert len(set(data.train.ids) | set(data.test.ids)) == 2000 and data.classes[0] == "i-a-u-er"
    for samples, each in ((data.train, 80), (data.test, 20)):
        assert (np.bincount(samples.labels) == each).all()
    spikes = data.train.inputs.dense(100)
    assert data.train.inputs.durations.max() < 100 and 900 < spikes.sum() / 1600 < 1100
    bands = spikes.reshape(1600, 100, 14, 50).sum(axis=3)
    by_class = [data.train.labels == k for k in range(20)]
    # how much a band of channels fires in all is the same in all classes; how much in the first 200 ms is not
    in_all = [f_oneway(*(bands[rows].sum(axis=1)[:, band] for rows in by_class)).pvalue for band in range(14)]
    at_first = [f_oneway(*(bands[rows, :20].sum(axis=1)[:, band] for rows in by_class)).pvalue for band in range(14)]
    assert min(in_all) > 1e-3 and min(at_first) < 1e-30


def test_words_are_the_same_again_and_at_another_step() -> None:
    word, speaker = np.arange(40) % 20, np.arange(40) // 2
    heard, again, fine = (Cochlea().hear(word, speaker, dt) for dt in (1e-3, 1e-3, 0.5e-3))
    assert heard.digest() == again.digest() != Cochlea(seed=1).hear(word, speaker, 1e-3).digest()
    assert np.array_equal(heard.offsets, fine.offsets)
    for start, end in zip(heard.offsets, heard.offsets[1:], strict=False):
        halved = np.sort(fine.step[start:end] // 2 * 700 + fine.neuron[start:end])
        assert np.array_equal(heard.step[start:end] * 700 + heard.neuron[start:end], halved)


def test_vowels_excite_the_places_of_their_formants() -> None:
    # Greenwood 1990, f = 165.4 (10^(2.1 x) - 0.88) Hz: 19.8 Hz at the apex, 20.7 kHz at the base
    np.testing.assert_allclose(place(np.array([165.4 * 0.12, 165.4 * (10**2.1 - 0.88)])), [0, 699], atol=1e-9)
    word = np.arange(20)
    cochlea = Cochlea(glide=0.0, spontaneous=0.0, rate=3000.0)
    spikes = cochlea.hear(word, word, 1e-3).dense(1000)
    for k in range(20):
        first = np.flatnonzero(spikes[k, :120].sum(axis=0))  # of the first vowel, which begins in the first 60 ms
        expected = place(np.array(FORMANTS[WORDS[k][0]]))
        # four standard deviations of the filter, and 15 % of vocal tracts and of each word
        near = np.abs(first[:, None] - expected) < 4 * cochlea.width + 0.15 / np.log(10) / 2.1 * 699
        assert near.any(axis=1).mean() > 0.995 and near.any(axis=0).all()
    gliding = Cochlea(spontaneous=0.0, rate=3000.0).hear(word, word, 1e-3)
    assert gliding.digest() != cochlea.hear(word, word, 1e-3).digest()


@pytest.mark.parametrize(
    "wrong", [dict(vowel=0), dict(rate=-1), dict(width=0), dict(closure=-1), dict(spontaneous=-0.1)]
)
def test_a_cochlea_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=f"{next(iter(wrong))} is out of range"):
        Cochlea(**wrong)


def test_words_have_no_files_and_no_pixels() -> None:
    for option, said in ((dict(path="x"), "takes no path"), (dict(size=(2, 2)), "without pixels")):
        with pytest.raises(DataError, match=said):
            bl.DataSource("spoken_words", **option)


# scripts --------------------------------------------------------------------------------------------------------------


def test_methods_are_choices_of_the_command_line() -> None:
    """A method that a script does not know is refused with those that it knows, and never another one instead."""
    found = {}
    for path in SPECS.glob("*.py"):
        experiment = runpy.run_path(str(path), run_name="test").get("experiment")
        if callable(experiment) and "method" in experiment.__annotations__:
            found[path.stem] = choices(experiment).get("method")
    assert len(found) >= 4 and all(found.values()), found
    for name, methods in found.items():
        rules = {type(script(name)["experiment"](method=method).rule).__name__ for method in methods}
        assert {"SurrogateBPTT", "EProp"} <= rules


def test_the_network_of_shd_hears_what_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIANLEARN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BRIANLEARN_DATA", str(tmp_path))
    experiment = script("shd_recurrent")["experiment"]
    assert experiment().data == "spoken_words" and experiment(words="shd").data == "shd"
    for part in ("train", "test"):
        files.spiking_digits(tmp_path / "SHD" / f"shd_{part}.h5", 3)
    assert experiment().data == "shd" and experiment(words="spoken_words").data == "spoken_words"
    for made in (experiment(), experiment(words="spoken_words")):
        data = bl.load(made.data, dt=made.spec.dt)
        assert data.shape == made.spec.populations[0].shape and len(data.classes) == made.spec.classes
        assert [p.n for p in made.spec.populations] == [700, 256, 20] and made.spec.n_steps == 100


@pytest.mark.parametrize("name", ["shd_recurrent", "recurrent_events"])
@pytest.mark.parametrize("method", ["bptt", "eprop"])
def test_networks_with_and_without_cycles_train(name: str, method: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    options = dict(words="spoken_words", neurons=12) if name == "shd_recurrent" else {}
    for recurrent in (False, True):
        made = script(name)["experiment"](method=method, recurrent=recurrent, **options)
        assert len([p for p in made.spec.graph.projections if p.source == p.target]) == recurrent
    made = dataclasses.replace(made, epochs=1, limit=40, test_limit=20, batch_size=20, runs=tmp_path)
    first = bl.Learner(made.spec, made.rule, engine="discrete").init().weights
    result = made.run(progress=False)
    for p in made.spec.graph.projections:
        changes = method == "bptt" or not p.name.startswith("out")  # e-prop leaves the readout as it was drawn
        assert np.array_equal(first[p.name], result.weights[p.name]) == (not changes), p.name


def test_cues_of_the_balanced_network() -> None:
    names = script("balanced_ei")
    samples, cue = names["trials"](30, 4)
    dt, steps, patterns = names["DT"], names["STEPS"], names["PATTERNS"]
    spikes = samples.inputs.dense(steps).reshape(30, steps, 4, names["GROUP"]).sum(axis=3)
    assert (
        np.array_equal(spikes.sum(axis=1).argmax(axis=1), cue)
        and (np.count_nonzero(spikes.sum(axis=1), axis=1) == 1).all()
    )
    start, end = names["BEFORE"] // dt, (names["BEFORE"] + names["CUE"]) // dt
    assert not spikes[:, :start].any() and not spikes[:, end:].any()
    # 20 neurons at 100 Hz
    assert spikes.sum() / 30 == pytest.approx(20 * 0.1 * names["CUE"], rel=0.1)
    assert np.array_equal(samples.targets, patterns[cue]) and np.linalg.matrix_rank(patterns) == 3
    held = np.repeat(samples.targets[:, None], steps, axis=1)
    held[:, :-50] = -9  # the last 100 ms count
    assert names["kept"](0.2 * held, cue) == 1 and names["kept"](np.roll(held, 1, axis=0), cue) < 0.6
    spec = names["experiment"]().spec
    assert spec.n_steps == steps and spec.burn_in_steps == end


@pytest.mark.parametrize("method", ["bptt", "eprop"])
def test_the_balanced_network_keeps_the_law_of_dale(method: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    made = script("balanced_ei")["experiment"](method=method, excitatory=40)
    assert [p.n for p in made.spec.populations] == [80, 100, 40, 10, 3]
    made = dataclasses.replace(
        made, epochs=1, limit=8, test_limit=4, batch_size=4, optimiser=bl.Adam(0.05), runs=tmp_path
    )
    first = bl.Learner(made.spec, made.rule, engine="discrete").init().weights
    result = made.run(progress=False)
    for p in made.spec.graph.projections:
        weights, sign = result.weights[p.name], {"excitatory": 1, "inhibitory": -1}.get(str(p.sign))
        pairs = made.spec.graph.by_name[p.source].n * made.spec.graph.by_name[p.target].n
        if sign is not None:
            assert (sign * weights >= 0).all() and 0 < len(weights) < 0.2 * pairs, p.name
        moves = p.learned and (p.name != "out" or method == "bptt")
        assert np.array_equal(first[p.name], weights) == (not moves), p.name
    assert len(made.spec.graph.projections) == 8
    assert len(script("balanced_ei")["experiment"](recurrent=False).spec.graph.projections) == 7


@pytest.mark.slow
def test_words_need_memory(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    found = {}
    for recurrent in (True, False):
        made = script("shd_recurrent")["experiment"](recurrent=recurrent, words="spoken_words")
        optimiser = dataclasses.replace(made.optimiser, schedule=bl.Cosine(8))
        made = dataclasses.replace(made, epochs=8, optimiser=optimiser, runs=tmp_path)
        found[recurrent] = made.run(progress=False).test_accuracy
    assert found[True] > 0.6 and found[False] < 0.2
