"""What studies cost beside the work itself, and beside other ways to do it.

``python benchmarks/studies.py digits``: 60 trials of the digits on cpp_standalone with two workers: total time against
the time that their learning and testing takes alone, divided by the workers; builds; use of the cores; and against
separate processes (a few of them, times 60). ``records``: 10000 recorded trials, to read and to resume. ``fi``: the f-I
curve of an adaptive exponential neuron, 200 currents x 20 seeds, against Brian2's own loop over ``run_args`` with one
program (a part of it, scaled) and against one group of 4000 neurons; their rates must be the same. All of them where
none is named.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from _measure import load
from brian2 import ms, mV, nA, nS, pA, pF
from rich.console import Console
from rich.table import Table

import brianlearn as bl
from brianlearn.study.folder import StudyFolder

SCRIPT = """
from brian2 import ms
import brianlearn as bl


def experiment(tau_m=20 * ms, tau_s=5 * ms):
    neuron = bl.CubaLIF(tau_m=tau_m, tau_s=tau_s, R=4.0)
    layers = [bl.Dense(128, neuron), bl.Dense(64, neuron)]
    spec = bl.NetworkSpec(bl.Input((1, 8, 8)), layers, bl.Readout(10), duration=20 * ms)
    return bl.Experiment(
        spec, bl.DALTON(), bl.Adam(2e-3), "digits", epochs=10, batch_size=20, device="cpp_standalone"
    )


if __name__ == "__main__":
    bl.main(experiment)
"""


def digits(console: Console) -> None:
    """One program, sixty trials."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        script = folder / "script.py"
        script.write_text(SCRIPT)
        os.environ["BRIANLEARN_CACHE"] = str(folder / "cache")
        axes = {"tau_m": [10, 20, 30, 40] * ms, "tau_s": [2, 5, 10] * ms, "seed": range(5)}
        study = bl.Study(script, axes)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.perf_counter()
        found = study.run(workers=2, folder=folder / "study", progress=False)
        total = time.perf_counter() - started
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        processor = sum(getattr(after, n) - getattr(before, n) for n in ("ru_utime", "ru_stime"))
        assert found.done == 60
        opened = StudyFolder.open(found.folder)
        records = [opened.trial(k).record() for k in range(60)]
        build = max(r["metrics"]["build_seconds"] for r in records)
        seconds = sum(r["seconds"] for r in records if not r["builds"])
        alone = []
        for k in range(3):
            started = time.perf_counter()
            command = [sys.executable, str(script), "--seed", str(k), "--runs", str(folder / "alone")]
            subprocess.run(command, check=True, capture_output=True)
            alone.append(time.perf_counter() - started)
        compute = seconds / (60 - sum(bool(r["builds"]) for r in records)) * 60
        table = Table(title=f"60 trials of digits, two workers; {load()}", box=None)
        table.add_column()
        table.add_column(justify="right")
        table.add_row("builds", str(found.builds))
        table.add_row("total", f"{total:.1f} s, of it {build:.1f} s to build")
        table.add_row("trials alone, shared by two", f"{compute / 2:.1f} s")
        table.add_row("total / (build + trials)", f"{total / (build + compute / 2):.2f}")
        table.add_row("processor time of the workers", f"{processor:.1f} s, {processor / total / 2:.0%} of two cores")
        table.add_row("60 separate processes, one after another", f"{60 * float(np.median(alone)):.0f} s")
        console.print(table)


def records(console: Console) -> None:
    """Ten thousand trials that have ended."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        script = folder / "script.py"
        script.write_text("def trial(a=0.0, b=0, seed=0):\n    return {'test_accuracy': a * b + seed}\n")
        study = bl.Study(script, {"a": bl.linear_space(0.0, 1.0, 20), "b": range(50), "seed": range(10)})
        made = study._begin(folder / "study", folder)
        for k, point in enumerate(made.plan()):
            trial = made.trial(k)
            trial.path.mkdir(parents=True)
            value = point["a"] * point["b"] + point["seed"]
            text = f'{{"metrics": {{"test_accuracy": {value}}}, "seconds": 1.0, "builds": [], "units": {{}}}}\n'
            (trial.path / "done.json").write_text(text)
        for k in (17, 4242):
            (made.trial(k).path / "done.json").unlink()
        table = Table(title=f"10000 recorded trials; {load()}", box=None)
        table.add_column()
        table.add_column(justify="right")
        for what in ("status", "results", "missing", "resume"):
            opened = bl.Study.open(folder / "study")
            started = time.perf_counter()
            if what == "missing":
                states = opened._open().states()
                assert sorted(set(range(10000)) - set(states)) == [17, 4242]
            elif what == "resume":
                assert opened.resume(workers=1, progress=False).done == 10000
            elif what == "status":
                assert opened.status().missing == 2
            else:
                assert opened.results().sizes == {"a": 20, "b": 50, "seed": 10}
            table.add_row(what, f"{time.perf_counter() - started:.2f} s")
        console.print(table)


CONSTANTS: dict[str, Any] = dict(
    C=281 * pF, g_L=30 * nS, E_L=-70.6 * mV, V_T=-50.4 * mV, D_T=2 * mV, a=4 * nS, b=80.5 * pA, tau_w=144 * ms
)
EQUATIONS = """dv/dt = (g_L*(E_L - v) + g_L*D_T*exp((v - V_T)/D_T) + I_ext{more} - w)/C : volt
               dw/dt = (a*(v - E_L) - w)/tau_w : amp"""
CURRENTS, SEEDS, SECONDS = 200, 20, 1.0


def _ours(currents: Any) -> tuple[np.ndarray, float]:
    neuron = bl.Neuron(
        EQUATIONS.format(more=" + I") + "\ndI/dt = -I/(5*ms) : amp",
        threshold="v > 20*mV",
        reset="v = E_L; w += b",
        input="I",
        constants=CONSTANTS | {"I_ext": 0 * nA},
        initial=dict(v=-70.6 * mV),
        method="exponential_euler",
        v_scale=10 * mV,
        weight_unit=1 * pA,
    )
    spec = bl.NetworkSpec(bl.Input((1,)), [bl.Dense(1, neuron)], None, duration=SECONDS * 1000 * ms, dt=0.1 * ms)
    f = bl.simulate(spec, device="cpp_standalone", workers=2)
    f(weights={"dense1": [[0.0]]}, I_ext=currents[:1])  # builds
    started = time.perf_counter()
    found = f(weights={"dense1": [[0.0]]}, I_ext=currents, seed=range(SEEDS))
    seconds = time.perf_counter() - started
    return np.asarray(found.rates["dense1"])[:, :, 0, 0], seconds


def _brian(currents: Any, how: str) -> tuple[np.ndarray, float]:
    """Rates and seconds of the users' own ways, in a process of their own; a loop's seconds are for one run."""
    code = f"""
import time, numpy as np, tempfile
from brian2 import *
set_device('cpp_standalone', build_on_run=False)
currents = np.load({str(currents)!r})*amp
C, g_L, E_L, V_T, D_T, a, b, tau_w = 281*pF, 30*nS, -70.6*mV, -50.4*mV, 2*mV, 4*nS, 80.5*pA, 144*ms
defaultclock.dt = 0.1*ms
n = {"len(currents)*" + str(SEEDS) if how == "group" else "1"}
group = NeuronGroup(n, '''{EQUATIONS.format(more="")}
    I_ext : amp (constant)''', threshold='v > 20*mV', reset='v = E_L; w += b', method='exponential_euler')
group.v = E_L
if n > 1:
    group.I_ext = np.repeat(np.asarray(currents), {SEEDS})*amp
spikes = SpikeMonitor(group)
run({SECONDS}*second)
device.build(directory=tempfile.mkdtemp(), run=False)
if n > 1:
    started = time.perf_counter(); device.run(); seconds = time.perf_counter() - started
    rates = np.asarray(spikes.count).reshape(len(currents), {SEEDS})/{SECONDS}
else:
    some = currents[::20]
    started = time.perf_counter()
    counts = []
    for current in some:
        device.run(run_args={{group.I_ext: current}})
        counts.append(int(spikes.count[0]))
    seconds = (time.perf_counter() - started)/len(some)
    rates = np.repeat(np.array(counts)[:, None]/{SECONDS}, {SEEDS}, axis=1)
np.savez({str(currents)!r} + '.npz', rates=rates, seconds=seconds)
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    with np.load(f"{currents}.npz") as found:
        return found["rates"], float(found["seconds"])


def fi(console: Console) -> None:
    """Four thousand runs of one neuron."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "currents.npy"
        values = np.linspace(0.1, 3.0, CURRENTS) * 1e-9
        np.save(path, values)
        ours, seconds = _ours(values * 1e9 * nA)
        group, group_seconds = _brian(path, "group")
        loop, loop_seconds = _brian(path, "loop")
        np.testing.assert_array_equal(ours, group)
        np.testing.assert_array_equal(ours[::20], loop)
        table = Table(title=f"f-I curve, {CURRENTS} currents x {SEEDS} seeds, {SECONDS:g} s each; {load()}", box=None)
        table.add_column()
        table.add_column(justify="right")
        table.add_row("simulate, one program, two at a time", f"{seconds:.1f} s")
        table.add_row("Brian2's run_args in a loop, scaled from 10 runs", f"{loop_seconds * CURRENTS * SEEDS:.0f} s")
        table.add_row("Brian2, one group of 4000 neurons", f"{group_seconds:.1f} s")
        console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = {"digits": digits, "records": records, "fi": fi}
    parser.add_argument("parts", nargs="*", choices=[*parts, []], default=[], help="which parts; all if none is named")
    arguments = parser.parse_args()
    for name, measure in parts.items():
        if not arguments.parts or name in arguments.parts:
            measure(Console(width=100))


if __name__ == "__main__":
    main()
