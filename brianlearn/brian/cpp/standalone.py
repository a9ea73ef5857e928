"""Standalone C++: one build serves a whole training.

A build is a folder with a program. What changes from run to run (weights, optimiser state, inputs, labels, learning
rate, time constants) goes in as files and numbers on the program's command line (Brian2's run arguments), and what it
leaves behind is read from its results folder. A manifest beside the program says which name is which file, so that a
later process runs the same program without generating any code.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
from brian2 import Function, NeuronGroup, Synapses, second
from brian2.devices.cpp_standalone.device import CPPStandaloneDevice
from brian2.devices.device import reset_device, set_device

from brianlearn.brian.build.frame import BrianNetwork
from brianlearn.brian.build.objects import build
from brianlearn.brian.build.plan import Plan
from brianlearn.brian.build.spike_input import list_names
from brianlearn.brian.cpp.build_cache import BuildCache, fingerprint
from brianlearn.brian.cpp.compile import compile_project
from brianlearn.brian.run.all_reduce import VARIABLE, add_all_reduce, shared_memory
from brianlearn.brian.run.feed import output_names
from brianlearn.brian.run.lifeline import add_lifeline, lifeline_environment
from brianlearn.brian.run.preferences import preferences
from brianlearn.brian.run.run_files import check_writes, read_result, run_folder
from brianlearn.errors import DeviceError
from brianlearn.machine.scratch import SCRATCH_VARIABLE

__all__ = ["StandaloneDevice", "add_stop"]

MANIFEST = "manifest.json"
#: Brian2 has one active device; threads may run programs at the same time, but not make them.
_BUILDING = threading.Lock()


class StandaloneDevice:
    """Runs a plan as a compiled program.

    Parameters
    ----------
    plan : Plan

    Attributes
    ----------
    times : dict
        Object -> seconds in the last run, where the plan says that they are measured.

    Raises
    ------
    DeviceError
        If the program cannot be built or fails.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._program = BuildCache().get(fingerprint(plan), lambda folder: _compile(plan, folder))
        self._folder = self._program.folder
        self.times: dict[str, float] = {}
        self._manifest: dict[str, Any] = self._program.read_json(MANIFEST)

    def run(self, values: dict[str, np.ndarray], n_trials: int) -> dict[str, np.ndarray]:
        """Run n_trials trials and one more step; see `brianlearn.brian.run.runtime.RuntimeDevice.run`."""
        (outputs,) = self.run_together([values], n_trials=[n_trials])
        return outputs

    def run_together(
        self, values: list[dict[str, np.ndarray]], n_trials: list[int], *, all_reduce: bool = False
    ) -> list[dict[str, np.ndarray]]:
        """Run several processes at the same time.

        Parameters
        ----------
        values : list of dict
            The arrays of each process.
        n_trials : list of int
            Trials of each process.
        all_reduce : bool
            Whether their gradients are summed (see `brianlearn.brian.run.all_reduce`).

        Returns
        -------
        list of dict
        """
        with ExitStack() as stack:
            size = sum(array.nbytes for arrays in values for array in arrays.values())
            folder = stack.enter_context(run_folder("cpp_standalone", size))
            environments = [lifeline_environment() for _ in values]
            if all_reduce:
                n_weights = sum(p.n_weights for p in self.plan.spec.projections)
                ranks = shared_memory(folder, n_weights, len(values))
                environments = [lifeline_environment() | {VARIABLE: rank} for rank in ranks]
            runs = [folder / str(k) for k in range(len(values))]
            processes: list[subprocess.Popen[bytes]] = []
            try:
                for run, arrays, trials, environment in zip(runs, values, n_trials, environments, strict=True):
                    processes.append(self._start(run, arrays, trials, environment))
                self._wait(processes, runs)
                if self.plan.profile:
                    self.times = _times(runs[0] / "results" / "profiling_info.txt")
            finally:
                for process in processes:
                    process.kill()
                    process.wait()
            return [
                {key: self._read(run / "results", key, trials) for key in self._manifest["outputs"]}
                for run, trials in zip(runs, n_trials, strict=True)
            ]

    def _start(
        self, run: Path, values: dict[str, np.ndarray], n_trials: int, environment: dict[str, str]
    ) -> subprocess.Popen[bytes]:
        (run / "results").mkdir(parents=True)
        stop = n_trials * self.plan.spec.n_steps * float(self.plan.spec.dt)
        lists = {key for p in self.plan.spec.graph.inputs for key in list_names(p.name)}
        apart = lists.union(self._manifest["unused"])
        arguments = [self._argument(run, key, value) for key, value in values.items() if key not in apart]
        for key in lists & values.keys():  # which the program looks for itself
            np.asarray(values[key], np.int32).tofile(run / f"{key}.bin")
        arguments.append(f"run_control.stop_time={stop!r}")
        # the program joins file names to the folder's name as they are
        command = [str(self._folder / "main"), "--results_dir", str(run / "results") + os.sep, *arguments]
        with open(run / "log", "wb") as log:
            try:  # the group of its own keeps Ctrl-C away from it: Python decides what to do
                return subprocess.Popen(
                    command, cwd=self._folder, stdout=log, stderr=log, env=environment, start_new_session=True
                )
            except OSError as error:
                raise self._program.cannot_start(error) from error

    def _wait(self, processes: list[subprocess.Popen[bytes]], runs: list[Path]) -> None:
        """Wait for all, or for the first that fails: the others would wait for it for ever."""
        running = dict(zip(processes, runs, strict=True))
        while running:
            # one is waited for without a pause; several are looked at in turn
            first = next(iter(running))
            with suppress(subprocess.TimeoutExpired):
                first.wait(timeout=None if len(running) == 1 else 0.005)
            for process in [p for p in running if p.poll() is not None]:
                said = (running.pop(process) / "log").read_text(errors="replace").strip()
                if process.returncode or "Error" in said or "Cannot set" in said:
                    raise DeviceError(
                        "cpp_standalone",
                        "the compiled program failed",
                        got=f"exit status {process.returncode}: {said[-2000:]}",
                        expected="exit status 0",
                        remedy=f"delete the build folder {self._folder} and run again, which compiles it anew; where "
                        f"the disk is full, free space or set {SCRATCH_VARIABLE} to another folder",
                    )

    def _argument(self, run: Path, key: str, value: np.ndarray) -> str:
        entry = self._manifest["inputs"].get(key)
        if entry is None:
            raise DeviceError("cpp_standalone", f"the program has no input {key!r}", got=self._folder)
        array = np.asarray(value, dtype=entry["dtype"])
        if array.ndim == 0:
            return f"{entry['name']}={float(array)!r}"
        if array.size != entry["size"]:
            raise DeviceError(
                "cpp_standalone", f"input {key!r} has the wrong size", got=array.size, expected=entry["size"]
            )
        path = run / f"{key}.bin"
        array.tofile(path)
        return f"{entry['name']}={path}"

    def _read(self, results: Path, key: str, n_trials: int) -> np.ndarray:
        entry = self._manifest["outputs"][key]
        least = n_trials * (self.plan.spec.n_steps if entry["rows"] == "steps" else 1) if entry["rows"] else 0
        return read_result(
            "cpp_standalone", results / entry["file"], entry["dtype"], entry["columns"], entry["size"], least
        )


def _times(path: Path) -> dict[str, float]:
    """Seconds by object, from the file that a program leaves which measures them."""
    times: dict[str, float] = {}
    for line in path.read_text().splitlines():
        name, seconds = line.split()
        name = re.sub(r"_codeobject(_\d+)?$", "", name)
        times[name] = times.get(name, 0.0) + float(seconds)
    return times


def add_stop(net: BrianNetwork) -> None:
    """Let a run end after fewer trials than the program was built for.

    Brian2 fixes the length of a run when it writes the program. A function with a C++ implementation sets the flag that
    Brian2's own loop looks at after every step.
    """
    stop = Function(None, arg_units=[1], return_unit=1, arg_types=["float"], return_type="float", stateless=False)
    code = """
    inline double stop_run(double condition) {
        if (condition > 0) Network::_globally_stopped = true;
        return condition;
    }
    """
    stop.implementations.add_implementation("cpp", code, name="stop_run")
    group = NeuronGroup(
        1,
        "stop_time : second (shared, constant)\nstopped : 1",
        name="run_control",
        clock=net.clock,
        namespace={"stop_run": stop},
        dtype={"stop_time": np.float64},
    )
    group.run_regularly(
        "stopped = stop_run(1.0*int(timestep(t, dt) >= timestep(stop_time, dt)))",
        clock=net.clock,
        when="end",
        order=10,
        name="run_control_stop",
    )
    net.groups["run_control"] = group
    net.network.add(group)


def _compile(plan: Plan, folder: Path) -> None:
    """Generate and compile the program of a plan into an empty folder."""
    with _BUILDING:
        _generate(plan, folder)


def _generate(plan: Plan, folder: Path) -> None:
    device = CPPStandaloneDevice()
    set_device(device, build_on_run=False)
    try:
        with preferences(plan.dtype):
            net = build(plan, standalone=True)
            add_stop(net)
            if plan.workers > 1 and plan.learned:
                add_all_reduce(net)
            length = plan.capacity_trials * plan.spec.n_steps + 1
            net.network.run(length * float(plan.spec.dt) * second, namespace={}, profile=plan.profile)
            device.build(directory=str(folder), compile=False, run=False, with_output=False)
            add_lifeline(folder)
            check_writes(folder / "objects.cpp")
            compile_project(folder)
            manifest = _manifest(device, net)
            # a program has the arrays over time alone that a statement reads
            text = (folder / "objects.cpp").read_text()
            manifest["unused"] = [name for name in net.timed if f'"{name}.values"' not in text]
    finally:
        reset_device()
    for path in folder.rglob("*.o"):
        path.unlink()
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1))


def _manifest(device: CPPStandaloneDevice, net: BrianNetwork) -> dict[str, Any]:
    """Which name is which argument and which file."""
    inputs: dict[str, Any] = {}
    for name, timed in net.timed.items():
        inputs[name] = {"name": f"{name}.values", "dtype": "float64", "size": int(timed.values.size)}
    owners: list[NeuronGroup | Synapses] = [*net.groups.values(), *net.weights.values(), *net.synapses.values()]
    for owner in owners:
        for name, variable in owner.variables.items():
            mine = getattr(variable, "array", False) and variable.owner.name == owner.name and variable.name == name
            if mine and not variable.read_only:
                full = f"{owner.name}.{name}"
                size = 1 if variable.scalar else int(variable.size)
                inputs[full] = {"name": full, "dtype": str(np.dtype(variable.dtype)), "size": size}
    outputs: dict[str, Any] = {}
    groups = {owner.name: owner for owner in owners}
    for name in output_names(net.plan):
        group, variable_name = name.split(".")
        variable = groups[group].variables[variable_name]
        outputs[name] = _output(device, variable, size=int(variable.size))
    for name, monitor in net.monitors.items():
        if name.startswith("rate_"):
            outputs[name] = _output(device, monitor.variables["rate"], rows="steps")
        elif name.startswith("spikes_"):
            for v, rows in (("i", ""), ("n", "steps")):
                file = f"{name}.{v}"
                outputs[file] = {"file": file, "dtype": "int32", "columns": 0, "size": None, "rows": rows}
        else:
            columns, rows = int(monitor.n_indices), "trials" if monitor.clock is net.trial_clock else "steps"
            for v in monitor.record_variables:
                outputs[f"{name}.{v}"] = _output(device, monitor.variables[v], columns=columns, rows=rows)
    return {"inputs": inputs, "outputs": outputs}


def _output(
    device: CPPStandaloneDevice, variable: Any, *, columns: int = 0, size: int | None = None, rows: str = ""
) -> dict[str, Any]:
    """File and type of a result, and its length: ``size`` numbers, or at least one row for each step or trial."""
    file, dtype = device.get_array_filename(variable), str(np.dtype(variable.dtype))
    return {"file": file, "dtype": dtype, "columns": columns, "size": size, "rows": rows}
