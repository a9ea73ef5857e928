"""Compiled programs, kept by what they depend on."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import brian2
import numpy as np
from brian2 import prefs

from brianlearn.brian.compiler import compiler_version
from brianlearn.brian.plan import Plan
from brianlearn.brian.statements import deliver_expression
from brianlearn.cache import cache_folder
from brianlearn.errors import DeviceError

__all__ = ["BuildCache", "fingerprint"]

#: Programs beyond this number are deleted, the least recently used first.
KEEP = 40


def fingerprint(plan: Plan, environment: Sequence[str] = ()) -> str:
    """A name for the program of a plan: equal plans up to what a run can replace have the same.

    Weights, data, learning rate, and the values of constants are replaced at run time and do not count.

    Parameters
    ----------
    plan : Plan
    environment : sequence of str, optional
        What a device depends on beside Brian2, this package and the compiler.
    """
    spec, rule = plan.spec, plan.rule
    layers = []
    for p, step in zip(spec.projections, plan.steps.values(), strict=True):
        neuron = p.layer.neuron  # type: ignore[union-attr]
        layers.append(
            [
                p.name,
                p.in_shape,
                p.out_shape,
                [getattr(p.layer, name, None) for name in ("kernel", "stride", "padding", "pool")],
                [neuron.equations, neuron.threshold, neuron.reset, neuron.method_used, str(neuron.refractory)],
                deliver_expression(p),
                [step.update, step.refractory, step.floor, step.psi, step.reset_trial],
                [parameter.declaration for parameter in step.parameters],
            ]
        )
    learning: list[object] | None = None
    if rule is not None:
        optimiser = {
            k: v for k, v in vars(plan.optimiser).items() if k not in ("learning_rate", "halve_every", "decay")
        }
        learning = [
            rule.name,
            rule.feedback,
            rule.update,
            rule.eligibility,
            rule.logits(spec),
            [(name, plan.drawn_in_steps(name) > 1) for name in sorted(plan.dropped)],
        ]
        learning += [
            [name, r.states, r.input, r.membrane, list(r.coefficients), r.gain] for name, r in plan.traces.items()
        ]
        learning += [type(plan.optimiser).__name__, optimiser, plan.batch_trials, plan.workers > 1]
        # under pipelined timing the network counts the steps of the burn-in itself
        learning += [rule.burn_in_steps(spec) if plan.pipelined else None]
    readout = None if spec.readout is None else [spec.readout.classes, spec.readout.tau is None]
    network = [repr(spec.input), layers, readout, float(spec.dt), spec.n_steps, spec.timing]
    network.append(spec.burn_in_steps if plan.pipelined else bool(spec.burn_in_steps))
    content = [
        network,
        learning,
        plan.capacity,
        plan.dtype,
        plan.record,
        plan.profile,
        plan.implementation,
        plan.expanded,
        [*_environment(), *environment],
    ]
    return hashlib.sha256(json.dumps(content, default=str).encode()).hexdigest()[:24]


def _environment() -> list[str]:
    import brianlearn.brian
    import brianlearn.spec

    sources = hashlib.sha256()
    for package in (brianlearn.brian, brianlearn.spec):
        for path in sorted(Path(inspect.getfile(package)).parent.glob("*.py")):
            sources.update(path.read_bytes())
    flags = [
        str(prefs[f"codegen.cpp.{name}"])
        for name in ("extra_compile_args", "extra_compile_args_gcc", "extra_link_args")
    ]
    return [brian2.__version__, np.__version__, compiler_version(), *flags, _processor(), sources.hexdigest()]


def _processor() -> str:
    """What -march=native depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine() + platform.processor()
    return "".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))


class BuildCache:
    """Folders of compiled programs.

    Parameters
    ----------
    root : pathlib.Path, optional
        The cache folder's ``builds`` where it is not given.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or cache_folder("builds")

    def get(self, name: str, make: Callable[[Path], None]) -> Path:
        """The folder of a program, made if it is missing.

        Parameters
        ----------
        name : str
            From `fingerprint`.
        make : callable
            Fills an empty folder. The folder gets its name when that has succeeded, so that an interrupted build
            leaves nothing behind that looks complete.

        Raises
        ------
        DeviceError
            If the cache cannot be written.
        """
        folder = self.root / name
        if folder.exists():
            os.utime(folder)
            return folder
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            partial = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=self.root))
        except OSError as error:
            raise DeviceError(
                str(self.root),
                "the folder for compiled programs cannot be written",
                got=str(error),
                expected="a folder with write permission",
                remedy="set BRIANLEARN_CACHE to a folder of yours",
            ) from None
        try:
            make(partial)
            try:
                partial.rename(folder)
            except OSError:
                if not folder.exists():  # else another process was faster, with the same program
                    raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        self._prune()
        return folder

    def _prune(self) -> None:
        folders = sorted(self.root.glob("[0-9a-f]*"), key=lambda f: f.stat().st_mtime, reverse=True)
        for folder in folders[KEEP:]:
            shutil.rmtree(folder, ignore_errors=True)
