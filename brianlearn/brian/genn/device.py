"""GeNN: one build serves a whole training, on the CPU or an NVIDIA GPU.

Brian2GeNN writes a project in C++, GeNN generates its kernels, and a compiler makes one program of both. The program
reads all that changes from run to run from files (`brianlearn.brian.cpp.program_inputs`) and leaves its results as
files, like a standalone program of Brian2 (`brianlearn.brian.cpp.standalone`); its length is an argument.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from brian2 import SpikeGeneratorGroup, Synapses, prefs, second
from brian2.devices.device import reset_device, set_device

from brianlearn.brian.build.frame import BrianNetwork
from brianlearn.brian.build.pipelined import SLOTS
from brianlearn.brian.build.plan import Plan
from brianlearn.brian.cpp.build_cache import BuildCache, fingerprint
from brianlearn.brian.cpp.program_inputs import FOLDER, read_array, read_list
from brianlearn.brian.genn.compile import compile_genn_project
from brianlearn.brian.genn.network import GennBuilder, SynapseWeights, synapse_weights
from brianlearn.brian.run.feed import output_names
from brianlearn.brian.run.lifeline import add_lifeline, lifeline_environment
from brianlearn.brian.run.preferences import preferences
from brianlearn.brian.run.run_files import check_writes, read_result, run_folder
from brianlearn.errors import DeviceError
from brianlearn.machine.genn_setup import check_genn, genn_folder

__all__ = ["GennDevice", "generate_project", "program_inputs", "synapses_of"]

MANIFEST = "manifest.json"
#: What the CPU backend is compiled with; GeNN itself asks for no optimisation.
OPTIMISE = "-O3 -march=native"
#: Synapses whose share of all pairs is above this are a matrix for GeNN; the others a list.
DENSE_FROM = 0.5
#: Preferences that Brian2GeNN needs; it would set them itself, and leave them so.
_NEEDED = {
    "codegen.generators.cpp.restrict_keyword": "__restrict",
    "codegen.loop_invariant_optimisations": False,
    "core.network.default_schedule": list(SLOTS),
}


class GennDevice:
    """Runs a plan as a program of GeNN.

    Parameters
    ----------
    plan : Plan
        With ``expanded=True``.
    gpu : bool
        Whether GeNN's CUDA backend runs it, else its single-threaded CPU backend.

    Attributes
    ----------
    times : dict
        Empty: this device does not measure objects.

    Raises
    ------
    DeviceError
        If something is missing, or the program cannot be built or fails.
    """

    def __init__(self, plan: Plan, *, gpu: bool) -> None:
        self.plan, self.gpu = plan, gpu
        self.times: dict[str, float] = {}
        self._name = "genn" if gpu else "genn-cpu"
        check_genn(self._name)
        environment = [self._name, str(genn_folder()), _genn_version(), os.environ.get("CUDA_PATH", "") if gpu else ""]
        name = fingerprint(plan, environment)
        self._program = BuildCache().get(name, lambda folder: self._build(folder))
        self._folder = self._program.folder
        self._manifest: dict[str, Any] = self._program.read_json(MANIFEST)
        self._synapses = synapses_of(plan)

    def _build(self, folder: Path) -> None:
        manifest = generate_project(self.plan, folder, gpu=self.gpu)
        add_lifeline(folder)
        check_writes(folder / "objects.cpp")
        compile_genn_project(folder, gpu=self.gpu)
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=1))

    def run(self, values: dict[str, np.ndarray], n_trials: int) -> dict[str, np.ndarray]:
        """Run n_trials trials and one more step; see `brianlearn.brian.run.runtime.RuntimeDevice.run`."""
        spec = self.plan.spec
        arrays = program_inputs(values, self._manifest["inputs"], self._synapses)
        steps = n_trials * spec.n_steps + 1
        size = sum(array.nbytes for array in arrays.values())
        with run_folder(self._name, size) as run:
            (run / FOLDER).mkdir()
            (run / "results").mkdir()
            for key, array in arrays.items():
                array.tofile(run / FOLDER / key)
            # the program looks for its files beside it
            for part in ("static_arrays", "magicnetwork_model_CODE"):
                (run / part).symlink_to(self._folder / part)
            self._execute(run, steps * float(spec.dt))
            return self._collect(run / "results")

    def _execute(self, run: Path, duration: float) -> None:
        command = [str(self._folder / "main"), "test", repr(duration)]
        # the group of its own keeps Ctrl-C away from it: Python decides what to do
        with (
            open(run / "log", "wb") as log,
            subprocess.Popen(
                command, cwd=run, stdout=log, stderr=log, env=lifeline_environment(), start_new_session=True
            ) as process,
        ):
            try:
                process.wait()
            except BaseException:
                process.kill()
                raise
        said = (run / "log").read_text(errors="replace").strip()
        if process.returncode or "everything finished" not in said:
            raise DeviceError(
                self._name,
                "the compiled program failed",
                got=f"exit status {process.returncode}: {said[-2000:]}",
                expected="exit status 0",
                remedy=f"delete the build folder {self._folder} and run again, which compiles it anew",
            )

    def _collect(self, results: Path) -> dict[str, np.ndarray]:
        outputs = {}
        for key, entry in self._manifest["outputs"].items():
            array = read_result(self._name, results / entry["file"], entry["dtype"], 0, None)
            owner = key.partition(".")[0]
            if owner in self._synapses:
                array = self._synapses[owner].collect(array)
            if entry["columns"] and array.size % entry["columns"]:
                raise DeviceError(
                    self._name,
                    f"the result {key!r} was cut short",
                    got=f"{array.size} numbers",
                    expected=f"a multiple of {entry['columns']}",
                )
            outputs[key] = array.reshape(-1, entry["columns"]) if entry["columns"] else array
        return outputs


def program_inputs(
    values: Mapping[str, np.ndarray], entries: Mapping[str, Any], synapses: Mapping[str, SynapseWeights]
) -> dict[str, np.ndarray]:
    """The files of a run: name -> array of the program's type.

    Parameters
    ----------
    values : mapping
        See `brianlearn.brian.run.feed.inputs`.
    entries : mapping
        The inputs of the manifest.
    synapses : mapping
        See `synapses_of`.
    """
    arrays = {}
    for key, value in values.items():
        owner, _, variable = key.partition(".")
        target = key
        if owner in synapses:
            weights = synapses[owner]
            target = f"{weights.name}.{variable}"
            if np.ndim(value):
                value = weights.expand(np.asarray(value))
        entry = entries.get(target)
        if entry is None:
            if owner in synapses:  # a variable for which SGD has no use
                continue
            raise DeviceError("GeNN", f"the program has no input {target!r}", expected=", ".join(entries))
        array = np.ascontiguousarray(value, dtype=entry["dtype"]).ravel()
        if entry["size"] is not None and array.size != entry["size"]:
            raise DeviceError("GeNN", f"input {target!r} has the wrong size", got=array.size, expected=entry["size"])
        arrays[target] = array
    missing = sorted(set(entries) - set(arrays))
    if missing:
        raise DeviceError("GeNN", "the program has inputs without a value", got=", ".join(missing))
    return arrays


def synapses_of(plan: Plan) -> dict[str, SynapseWeights]:
    """Weights group of a plan, as `brianlearn.brian.run.feed` names it -> the synapses that hold its weights."""
    from brianlearn.brian.run.feed import mirrored

    projections = [*plan.spec.projections, *plan.onto_readouts]
    found = {f"w_{p.name}": synapse_weights(p) for p in projections}
    if plan.mirrors:
        back = set(mirrored(plan))
        found |= {f"w_mirror_{p.name}": synapse_weights(p, back=True) for p in projections if p.name in back}
    return found


def generate_project(
    plan: Plan, folder: Path, *, gpu: bool, extra: Callable[[BrianNetwork], Mapping[str, str]] | None = None
) -> dict[str, Any]:
    """Write the C++ project of a plan into an empty folder.

    Parameters
    ----------
    plan : Plan
    folder : pathlib.Path
    gpu : bool
    extra : callable, optional
        Given the network, it returns C++ statements for more places of the program: ``"main"``, where the inputs are
        read, and ``"before_end"``. The statement for ``"main"`` then reads the input's spikes.

    Returns
    -------
    dict
        The manifest: which input and output is which file.
    """
    counts = {weights.name: weights.n_synapses for weights in synapses_of(plan).values()}
    device = _device(counts)
    said = io.StringIO()
    with _restored(), contextlib.redirect_stdout(said):
        set_device(device, build_on_run=False)
        try:
            with preferences(plan.dtype):
                net = GennBuilder(plan).build()
                length = plan.capacity_trials * plan.spec.n_steps + 1
                net.network.run(length * float(plan.spec.dt) * second, namespace={})
                inputs = _inputs(net, counts)
                more = {} if extra is None else dict(extra(net))
                if "main" in more:
                    inputs = {k: v for k, v in inputs.items() if not k.startswith("input.")}
                    inputs[""] = more.pop("main"), {}
                for code, _ in inputs.values():
                    device.insert_code("main", f"\n#ifndef DECLARE_MODEL  // not when GeNN generates\n{code}\n#endif")
                for place, code in more.items():
                    device.insert_code(place, code)
                if not gpu:
                    flags = f'\n#ifdef DECLARE_MODEL\nGENN_PREFERENCES.userCxxFlagsGNU = "{OPTIMISE}";\n#endif\n'
                    device.insert_code("before_start", flags)
                device.run_statement_used = False  # Brian2GeNN expects to build within the run statement
                device.build(directory=str(folder), compile=False, run=False, use_GPU=gpu, with_output=False)
                _mend_model(folder)
                return {"inputs": {k: entry for k, (_, entry) in inputs.items() if k}, "outputs": _outputs(device, net)}
        except NotImplementedError as error:
            raise DeviceError("genn" if gpu else "genn-cpu", "GeNN cannot run this network", got=str(error)) from error
        finally:
            reset_device()


def _mend_model(folder: Path) -> None:
    """Two things that Brian2GeNN writes into GeNN's model.

    It states GeNN's default span of synapses, which a matrix must not; and its ``clip``, which floors use, rounds to
    single precision whatever the network's is.
    """
    source = folder / "magicnetwork_model.cpp"
    lines = source.read_text().splitlines(keepends=True)
    text = "".join(line for line in lines if "setSpanType(" not in line)
    single, double = (f"_clip(const {t} value, const {t} a_min, const {t} a_max)" for t in ("float", "double"))
    source.write_text(text.replace(single, double))


def _device(counts: Mapping[str, int]) -> Any:
    """A device of Brian2GeNN that chooses the kind of each synapse matrix by its density.

    Parameters
    ----------
    counts : mapping
        Name of Synapses -> number of synapses, which Brian2 itself does not know before the program runs.
    """
    from brian2genn.device import GeNNDevice

    class Device(GeNNDevice):
        def process_synapses(self, synapse_groups: list[Synapses], objects: Any) -> None:
            for group in synapse_groups:
                dense = counts[group.name] >= DENSE_FROM * len(group.source) * len(group.target)
                prefs.devices.genn.connectivity = "DENSE" if dense else "SPARSE"
                super().process_synapses([group], objects)

    return Device()


@contextmanager
def _restored() -> Iterator[None]:
    """Brian2's preferences as they were, after they have been those of Brian2GeNN."""
    import brian2genn  # noqa: F401, registers its preferences

    before = {name: prefs[name] for name in (*_NEEDED, "devices.genn.connectivity")}
    try:
        for name, value in _NEEDED.items():
            prefs[name] = value
        yield
    finally:
        for name, value in before.items():
            prefs[name] = value


def _inputs(net: BrianNetwork, counts: Mapping[str, int]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Input -> the statements that read it, and its entry in the manifest."""
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for name, timed in net.timed.items():
        size = int(timed.values.size)
        entry = {"dtype": "float64", "size": size}
        found[name] = read_array(name, f"{name}_values", np.float64, size), entry
    for owner in [*net.groups.values(), *net.synapses.values()]:
        if isinstance(owner, SpikeGeneratorGroup):
            vectors = {part: _pointer(owner.variables[v], vector=True) for part, v in _SPIKES.items()}
            found |= {f"input.{part}": ("", {"dtype": "int32", "size": None}) for part in vectors}
            found["input.timebins"] = read_list("input", vectors, np.int32), {"dtype": "int32", "size": None}
            continue
        for variable_name in _settable(net, owner):
            variable, key = owner.variables[variable_name], f"{owner.name}.{variable_name}"
            size = 1 if variable.scalar else counts.get(owner.name) or len(owner)
            entry = {"dtype": str(np.dtype(variable.dtype)), "size": size}
            found[key] = read_array(key, _pointer(variable), variable.dtype, size), entry
    return found


_SPIKES = {"timebins": "_timebins", "neurons": "neuron_index"}


def _settable(net: BrianNetwork, owner: Any) -> list[str]:
    """Variables of a group that a run brings: weights and rates of synapses, and constants of neurons."""
    if isinstance(owner, Synapses):
        return [name for name in ("weight", "gradient", "eta", "lr") if name in owner.variables]
    step = net.plan.steps.get(owner.name)
    names = [] if step is None else [parameter.name for parameter in step.parameters]
    return names + (["decay"] if "decay" in owner.variables else [])


def _pointer(variable: Any, *, vector: bool = False) -> str:
    from brian2.devices.device import get_device

    name = get_device().get_array_name(variable, access_data=False)
    dynamic = name.startswith("_dynamic_array")
    return name if vector or not dynamic else f"&{name}[0]"


def _outputs(device: Any, net: BrianNetwork) -> dict[str, Any]:
    """Output -> file, type and number of columns."""

    def entry(variable: Any, columns: int = 0) -> dict[str, Any]:
        file = Path(device.get_array_filename(variable)).name
        return {"file": file, "dtype": str(np.dtype(variable.dtype)), "columns": columns}

    outputs, synapses = {}, synapses_of(net.plan)
    groups = {s.name: s for s in net.synapses.values()}
    for key in output_names(net.plan):
        owner, _, variable = key.partition(".")
        outputs[key] = entry(groups[synapses[owner].name].variables[variable])
    for name, monitor in net.monitors.items():
        if name.startswith("rate_"):
            outputs[name] = entry(monitor.variables["rate"])
        elif name.startswith("spikes_"):
            outputs |= {f"{name}.{v}": entry(monitor.variables[v]) for v in ("i", "t")}
        else:
            columns = int(monitor.n_indices)
            outputs |= {f"{name}.{v}": entry(monitor.variables[v], columns) for v in monitor.record_variables}
    return outputs


def _genn_version() -> str:
    folder = genn_folder()
    return "" if folder is None else (folder / "version.txt").read_text().strip()
