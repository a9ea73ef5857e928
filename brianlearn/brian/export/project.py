"""A network with its weights as a folder of C++ that builds and runs without Python.

The program reads input spikes from a text file and writes the spikes of every layer, and the mean readouts, to text
files. It is the project that Brian2, or Brian2GeNN, generates for the network, with statements of our own that read and
write the files.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from brian2 import SpikeMonitor, second
from brian2.devices.cpp_standalone.device import CPPStandaloneDevice
from brian2.devices.device import get_device, reset_device, set_device

from brianlearn.brian.build.frame import BrianNetwork, place
from brianlearn.brian.build.network import Builder
from brianlearn.brian.build.pipelined import PipelinedBuilder
from brianlearn.brian.build.plan import Plan
from brianlearn.brian.cpp.program_inputs import FOLDER, read_array
from brianlearn.brian.cpp.standalone import add_stop
from brianlearn.brian.export.folder import check_new, write_folder
from brianlearn.brian.genn.refusals import refuse_genn
from brianlearn.brian.run.feed import constants, noise_inputs, weights
from brianlearn.brian.run.preferences import preferences
from brianlearn.errors import RuleError
from brianlearn.learning.optimisers import SGD
from brianlearn.learning.recording import everything
from brianlearn.learning.rules.paths import OF_RULES
from brianlearn.learning.state import LearnerState
from brianlearn.learning.weights import check_weights
from brianlearn.machine.devices import resolve_device
from brianlearn.machine.genn_setup import check_genn
from brianlearn.network.encoders import Spikes
from brianlearn.network.layers import Input
from brianlearn.network.population import Population
from brianlearn.network.spec import NetworkSpec

__all__ = ["TARGETS", "export_project"]

TARGETS = ("cpp", "genn")
#: Most trials of one run of an exported program; the arrays that it holds for them are small.
CAPACITY = 10_000


def export_project(
    spec: NetworkSpec,
    weights_: Mapping[str, np.ndarray],
    folder: str | os.PathLike[str],
    *,
    to: str,
    dtype: str = "float32",
) -> Path:
    """Write a network and its weights as a C++ project.

    Parameters
    ----------
    spec : NetworkSpec
        Its encoder is left out: the program reads spikes.
    weights_ : mapping
        Layer name -> array.
    folder : path-like
        Must not exist. It appears when it is complete.
    to : {"cpp", "genn"}
        Brian2's standalone C++, or a project for GeNN's CPU backend (pipelined timing).
    dtype : {"float32", "float64"}

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    RuleError, SpecError, DeviceError
        What cannot be exported, and what is missing to write the project, by name.
    BrianLearnError
        If the folder exists already, or cannot be written.
    """
    if to not in TARGETS:
        raise RuleError("export", "unknown target", got=repr(to), expected=" or ".join(map(repr, TARGETS)))
    if spec.input.encoder.carries_values:
        raise RuleError(
            "export",
            "the program reads spikes, and a direct current is none",
            got="DirectCurrent",
            expected="an encoder that makes spikes",
        )
    spec.check_chain("export")
    spec = dataclasses.replace(spec, input=Input(spec.input.shape, Spikes())).with_learned_constants(weights_)
    if to == "genn":
        refuse_genn("genn-cpu", spec, None, None)
        check_genn("genn-cpu", generate=True)
    else:
        resolve_device("cpp_standalone")
    target = check_new(folder)
    own = {name: np.asarray(w) for name, w in weights_.items() if not name.startswith(OF_RULES) and "." not in name}
    state = LearnerState(check_weights(spec, None, own))
    plan = Plan(spec, None, SGD(1.0), 1, CAPACITY, dtype, record=everything("spikes", spec), expanded=to == "genn")
    values = constants(plan, state.weights) | weights(plan, state)

    def write(partial: Path) -> None:
        (_write_genn if to == "genn" else _write_cpp)(plan, values, partial)
        _write_texts(spec, partial, to)

    return write_folder(target, write)


def _write_arrays(folder: Path, arrays: Mapping[str, np.ndarray]) -> None:
    (folder / FOLDER).mkdir()
    (folder / "results").mkdir(exist_ok=True)
    for name, array in arrays.items():
        array.tofile(folder / FOLDER / name)


# Brian2 ---------------------------------------------------------------------------------------------------------------


class _Listed:
    """Input from a list of spikes, recorded by Brian2's own monitors."""

    def _encoder(self: Any, p: Population) -> None:
        group = self._generator(p)
        place(group, "thresholds" if self.plan.pipelined else f"{p.name}_threshold")
        self.net.groups[p.name] = group

    def build(self: Any) -> BrianNetwork:
        self.net.writes_files = False
        return super().build()  # type: ignore[misc]


class _SameStep(_Listed, Builder):
    """Same-step timing."""


class _Pipelined(_Listed, PipelinedBuilder):
    """Pipelined timing."""


def _write_cpp(plan: Plan, values: dict[str, np.ndarray], folder: Path) -> None:
    device = CPPStandaloneDevice()
    set_device(device, build_on_run=False)
    try:
        with preferences(plan.dtype):
            net = (_Pipelined if plan.pipelined else _SameStep)(plan, True).build()
            add_stop(net)
            length = plan.capacity_trials * plan.spec.n_steps + 1
            net.network.run(length * float(plan.spec.dt) * second, namespace={})
            groups = {g.name: g for g in (*net.groups.values(), *net.weights.values())}
            arrays, reading = {}, []
            for key, value in values.items():
                owner, _, name = key.partition(".")
                variable = groups[owner].variables[name]
                arrays[key] = np.ascontiguousarray(value, dtype=variable.dtype).ravel()
                pointer = device.get_array_name(variable, access_data=False)
                reading.append(read_array(key, pointer, variable.dtype, arrays[key].size))
            stop = groups["run_control"].variables["stop_time"]
            end = f"{device.get_array_name(stop, access_data=False)}[0]"
            steps = plan.spec.n_steps * float(plan.spec.dt)
            if "measured" in net.timed:
                arrays["measured"], code = _measured(plan)
                reading.append(code)
            trials = np.arange(plan.capacity_trials)
            for key, array in noise_inputs(plan, LearnerState({}).sample_keys(trials, learning=False), trials).items():
                arrays[key] = array
                reading.append(read_array(key, f"{key}_values", np.float64, array.size))
            reading.append(_read_spikes(net, f"{end} = trials*{steps!r};"))
            # after all that Brian2 sets, and before the loop
            at = next(k for k, (name, _) in enumerate(device.main_queue) if name == "run_network")
            device.main_queue.insert(at, ("insert_code", "\n".join(reading)))
            device.insert_code("before_end", _write_results(net, f"brian::{end}"))
            device.build(directory=str(folder), compile=False, run=False, with_output=False)
    finally:
        reset_device()
    _write_arrays(folder, arrays)
    makefile = folder / "makefile"
    text = re.sub(r'-(?:I|L|Wl,-rpath,)"/[^"]*"', "", makefile.read_text())  # folders of this machine's Python
    makefile.write_text(text.replace("-Wl,--enable-new-dtags", ""))


def _measured(plan: Plan) -> tuple[np.ndarray, str]:
    """Which steps count for the readout: those after the burn-in."""
    trial = np.r_[np.zeros(plan.spec.burn_in_steps), np.ones(plan.spec.n_steps - plan.spec.burn_in_steps)]
    array = np.r_[np.tile(trial, plan.capacity_trials), 0.0]
    return array, read_array("measured", "measured_values", np.float64, array.size)


# GeNN -----------------------------------------------------------------------------------------------------------------


def _write_genn(plan: Plan, values: dict[str, np.ndarray], folder: Path) -> None:
    from brianlearn.brian.genn.device import generate_project, program_inputs, synapses_of

    dt = float(plan.spec.dt)

    def extra(net: BrianNetwork) -> dict[str, str]:
        length = f"totalTime = (trials*{plan.spec.n_steps} + 1)*{dt!r};"
        return {"main": _read_spikes(net, length), "before_end": _write_results(net, f"(totalTime - {dt!r})")}

    manifest = generate_project(plan, folder, gpu=False, extra=extra)
    labels = {"label": np.zeros(plan.capacity_trials + 1)} if plan.readouts else {}
    _write_arrays(folder, program_inputs(values | labels, manifest["inputs"], synapses_of(plan)))


# statements of both ---------------------------------------------------------------------------------------------------

_READ = Template("""{
    const char* path = std::getenv("BRIANLEARN_SPIKES");
    FILE* file = path == nullptr ? nullptr : std::fopen(path, "r");
    if (file == nullptr) {
        std::fprintf(stderr, "Error: BRIANLEARN_SPIKES names no file that can be read\\n");
        std::exit(1);
    }
    std::vector<std::pair<int32_t, int32_t> > spikes;
    long trial, step, neuron, trials = 0, line = 0;
    int found;
    while ((found = std::fscanf(file, "%ld %ld %ld", &trial, &step, &neuron)) == 3) {
        line++;
        if (trial < 0 || trial >= $capacity || step < 0 || step >= $steps || neuron < 0 || neuron >= $inputs) {
            std::fprintf(stderr, "Error: spike %ld is out of range: %ld %ld %ld (trial below $capacity, step below "
                         "$steps, neuron below $inputs)\\n", line, trial, step, neuron);
            std::exit(1);
        }
        spikes.push_back(std::make_pair((int32_t) (trial*$steps + step), (int32_t) neuron));
        trials = std::max(trials, trial + 1);
    }
    if (found != EOF) {
        std::fprintf(stderr, "Error: line %ld of the spikes is not 'trial step neuron'\\n", line + 1);
        std::exit(1);
    }
    std::fclose(file);
    const char* wanted = std::getenv("BRIANLEARN_TRIALS");
    if (wanted != nullptr) trials = std::max(trials, std::min(std::atol(wanted), (long) $capacity));
    std::sort(spikes.begin(), spikes.end());
    spikes.erase(std::unique(spikes.begin(), spikes.end()), spikes.end());
    $bins.resize(spikes.size());
    $neurons.resize(spikes.size());
    for (size_t k = 0; k < spikes.size(); k++) {
        $bins[k] = spikes[k].first;
        $neurons[k] = spikes[k].second;
    }
    $length
}""")

_WRITE = Template("""{
    using namespace brian;
    const char* folder = std::getenv("BRIANLEARN_OUTPUT");
    const std::string output = std::string(folder == nullptr ? "." : folder) + "/";
    const long steps = (long) std::floor($end/$dt + 0.5), trials = steps/$steps;
    $spikes$logits
}""")

_WRITE_SPIKES = Template("""
    {
        FILE* file = std::fopen((output + "spikes_$layer.txt").c_str(), "w");
        if (file == nullptr) { std::fprintf(stderr, "Error: cannot write %s\\n", output.c_str()); std::exit(1); }
        for (size_t k = 0; k < $index.size(); k++) {
            const long at = (long) std::floor($time[k]/$dt + 0.5);
            if (at < steps) std::fprintf(file, "%ld %ld %d\\n", at/$steps, at%$steps, (int) $index[k]);
        }
        std::fclose(file);
    }""")

_WRITE_LOGITS = Template("""
    {
        FILE* file = std::fopen((output + "logits.txt").c_str(), "w");
        if (file == nullptr) { std::fprintf(stderr, "Error: cannot write %s\\n", output.c_str()); std::exit(1); }
        for (long trial = 0; trial < trials; trial++) {
            std::fprintf(file, "%ld", trial);
            for (size_t c = 0; c < $classes; c++)  // Brian2 2.11 has an operator for each kind of index
                std::fprintf(file, " %.17g", $sums((size_t) trial + 1, c)/$measured);
            std::fprintf(file, "\\n");
        }
        std::fclose(file);
    }""")


def _name(variable: Any) -> str:
    return str(get_device().get_array_name(variable, access_data=False))


def _read_spikes(net: BrianNetwork, length: str) -> str:
    """Statements that read the input's spikes; ``length`` is one that sets the program's length from ``trials``."""
    group = net.groups["input"]
    return _READ.substitute(
        capacity=net.plan.capacity_trials,
        steps=net.plan.spec.n_steps,
        inputs=int(np.prod(net.plan.spec.input.shape)),
        bins=_name(group.variables["_timebins"]),
        neurons=_name(group.variables["neuron_index"]),
        length=length,
    )


def _write_results(net: BrianNetwork, end: str) -> str:
    """Statements that write spikes and mean readouts; ``end`` is the time at which the last trial ended."""
    spec = net.plan.spec
    common = dict(dt=repr(float(spec.dt)), steps=spec.n_steps)
    spikes = []
    for name, monitor in net.monitors.items():
        if isinstance(monitor, SpikeMonitor):
            index, time = _name(monitor.variables["i"]), _name(monitor.variables["t"])
            spikes.append(_WRITE_SPIKES.substitute(common, layer=name.removeprefix("spikes_"), index=index, time=time))
    logits = ""
    if "trials" in net.monitors:
        sums = _name(net.monitors["trials"].variables["y_sum"])
        measured = spec.n_steps - spec.burn_in_steps
        logits = _WRITE_LOGITS.substitute(classes=spec.classes, sums=sums, measured=float(measured))
    return _WRITE.substitute(common, end=end, spikes="".join(spikes), logits=logits)


def _write_texts(spec: NetworkSpec, folder: Path, to: str) -> None:
    """README and run script."""
    names = dict(
        describe=spec.describe(),
        steps=spec.n_steps,
        inputs=int(np.prod(spec.input.shape)),
        shape=" x ".join(map(str, spec.input.shape)),
        capacity=CAPACITY,
        burn_in=spec.burn_in_steps,
    )
    texts = files("brianlearn.brian.export") / "texts"
    for source, name in ((f"README_{to}.md", "README.md"), (f"run_{to}.sh", "run.sh")):
        (folder / name).write_text(Template((texts / source).read_text()).safe_substitute(names))
    (folder / "run.sh").chmod(0o755)
