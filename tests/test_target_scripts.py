"""Scripts of network_specs whose targets are no labels: a few epochs of each, and what they say of themselves."""

from __future__ import annotations

import dataclasses
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

import brianlearn as bl

pytest.importorskip("torch")
SPECS = Path(__file__).parents[1] / "network_specs"


@pytest.mark.slow
def test_traces_are_produced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = runpy.run_path(str(SPECS / "pattern_generation.py"))
    wanted = script["traces"](0)
    assert wanted.shape == (1000, 3) and np.abs(wanted).max() == 1
    # nothing but the frequencies that are said
    powers = np.abs(np.fft.rfft(wanted, axis=0)) ** 2
    assert powers[[1, 2, 3, 5]].sum() == pytest.approx(powers.sum())
    found = script["run"](epochs=4, runs=str(tmp_path))
    assert set(found) == {"bptt", "eprop-symmetric", "eprop-random"} and all(
        0 < value < 0.6 for value in found.values()
    )
    said = re.findall(r"normalised squared error ([\d.]+)", capsys.readouterr().out)
    assert [float(each) for each in said] == [round(value, 4) for value in found.values()]
    assert (tmp_path / "pattern_generation.png").stat().st_size > 10000


def test_the_clock_of_pattern_generation() -> None:
    events = runpy.run_path(str(SPECS / "pattern_generation.py"))["clock"](2)
    dense = events.dense(1000)
    assert np.array_equal(dense[0], dense[1]) and dense[0].sum() == 400
    groups = dense[0].reshape(5, 200, 5, 4).sum(axis=(1, 3))
    assert np.array_equal(groups, 80 * np.eye(5))


def test_stimuli_are_answered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = runpy.run_path(str(SPECS / "spike_sequence.py"))
    train, test = script["Sequences"]().load()
    assert len(train) == 160 and len(test) == 80
    result = script["run"](epochs=6, runs=str(tmp_path))
    before, after = (
        [float(number) for number in re.findall(r"\) ([\d.]+)", line)]
        for line in capsys.readouterr().out.splitlines()
        if line.startswith(("before:", "after:"))
    )
    assert after[0] < 0.9 * before[0] and len(after) == 2
    assert after[0] == pytest.approx(result.test_van_rossum, abs=0.006)
    assert (result.run / "sequences.png").stat().st_size > 10000
    assert bl.evaluate(result.run, progress=False).test_van_rossum == result.test_van_rossum


def test_cues_say_which_side_had_more() -> None:
    script = runpy.run_path(str(SPECS / "evidence_accumulation.py"))
    samples, steps = script["trials"](40, 3), script["STEPS"]
    spikes = samples.inputs.dense(steps).reshape(40, steps, 3, 10)
    left, right, question = spikes.sum(axis=(1, 3)).T
    assert np.array_equal(samples.labels, (right > left).astype(int)) and 0 < samples.labels.mean() < 1
    answer = steps - script["ANSWER"]
    assert question.min() > 20 and not spikes[:, :answer, 2].any() and not spikes[:, 180:, :2].any()
    spec = script["experiment"]().spec
    assert spec.n_steps == steps and spec.burn_in_steps == answer


@pytest.mark.slow
def test_evidence_is_accumulated(tmp_path: Path) -> None:
    script = runpy.run_path(str(SPECS / "evidence_accumulation.py"))
    made = dataclasses.replace(script["experiment"]("eprop"), epochs=5, runs=tmp_path)
    untrained = bl.Learner(made.spec, made.rule, engine="discrete")
    assert untrained.infer(untrained.init(), made.data.load()[1]).accuracy < 0.65
    assert made.run(progress=False).test_accuracy > 0.75
