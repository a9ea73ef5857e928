"""Named faults that were once let through, or nearly, and the tests that must find each: ``make mutants``.

``python tests/mutants.py`` puts each fault into a copy of the package and runs the tests that are named beside it,
which must fail; first they must pass without any fault. Arguments are parts of names: only these faults are tried.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: What tests need beside the package.
COPIED = ("brianlearn", "tests", "network_specs", "docs", "pyproject.toml", "README.md")


@dataclass(frozen=True)
class Mutant:
    """A fault.

    Attributes
    ----------
    name : str
        What is wrong.
    file : str
        Of the package.
    old, new : str
        What is there once, and what stands in its place.
    tests : tuple of str
        Each of them must find it.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


MUTANTS = [
    Mutant(
        "validation is scored on the training samples",
        "training/loop.py",
        "score(learner, state, splits.validation, display",
        "score(learner, state, splits.train, display",
        ("tests/test_scores.py",),
    ),
    Mutant(
        "the loss of a score is a sum over samples",
        "training/loop.py",
        "None if activity.loss is None else loss / n",
        "None if activity.loss is None else loss",
        ("tests/test_scores.py",),
    ),
    Mutant(
        "recordings of CIFAR10-DVS are not sorted",
        "data/cifar10_dvs.py",
        "events = READERS[file.suffix](file).sorted()",
        "events = READERS[file.suffix](file)",
        ("tests/test_event_formats.py::test_cifar10_dvs_out_of_order",),
    ),
    Mutant(
        "all layers share one dropout mask",
        "learning/dropout.py",
        "np.uint64(zlib.crc32(name.encode()))",
        'np.uint64(zlib.crc32(b"layer"))',
        ("tests/test_dropout.py::test_every_layer_has_masks_of_its_own",),
    ),
    Mutant(
        "update='step' in discrete time forgets the leak of the readout",
        "discrete/run/online.py",
        "beta=self.decays[name] if first else 1.0",
        "beta=0.0 if first else 1.0",
        (
            "tests/test_learning_equality.py::test_learning_equals_reference[step-leaky-readout]",
            "tests/test_pipelined.py::test_mechanisms_in_discrete_time_equal_reference[step-leaky-readout]",
        ),
    ),
    Mutant(
        "update='step' in discrete time learns from the network's burn-in on, not the rule's",
        "discrete/run/online.py",
        ("            if t >= self.burn_in:\n                apply(self._gradients(errors))"),
        ("            if t >= measured:\n                apply(self._gradients(errors))"),
        ("tests/test_learning_equality.py::test_learning_equals_reference[step-burn-in-of-the-rule]",),
    ),
    Mutant(
        "update='step' in discrete time measures from the rule's burn-in on, not the network's",
        "discrete/run/online.py",
        ("            y = self.leaks[spec.output]\n            if t >= measured:"),
        ("            y = self.leaks[spec.output]\n            if t >= self.burn_in:"),
        ("tests/test_learning_equality.py::test_learning_equals_reference[step-burn-in-of-the-rule]",),
    ),
    Mutant(
        "the same, pipelined: errors from the network's burn-in on",
        "discrete/run/online.py",
        "y = self._read(learning=t >= self.burn_in)",
        "y = self._read(learning=t >= measured)",
        ("tests/test_pipelined.py::test_mechanisms_in_discrete_time_equal_reference[step-burn-in-of-the-rule]",),
    ),
    Mutant(
        "traces of coupled neurons updated one after the other, Brian2",
        "brian/build/traces.py",
        "lines.append(f\"{self.name(state)}_next = {' + '.join(terms)}\")",
        "lines.append(f\"{self.name(state)} = {' + '.join(terms)}\\n{self.name(state)}_next = {self.name(state)}\")",
        ("tests/test_equality.py::test_learning_equals_reference[trace-coupled]",),
    ),
    Mutant(
        "traces of coupled neurons updated one after the other, discrete time",
        "discrete/step/program.py",
        'terms.append(f"P_{state}_{source}*" + ("after_delivery" if source == response.input else f"trace_{source}"))',
        'terms.append(f"P_{state}_{source}*" + ("after_delivery" if source == response.input else '
        '("next_" if response.states.index(source) < response.states.index(state) else "trace_") + source))',
        ("tests/test_learning_equality.py::test_learning_equals_reference[trace-coupled]",),
    ),
    Mutant(
        "polarity of AEDAT 2.0 is exchanged",
        "data/events/formats.py",
        "height - 1 - row, 1 - off)",
        "height - 1 - row, off)",
        ("tests/test_event_formats.py::test_addresses_of_a_dvs128",),
    ),
    Mutant(
        "columns of AEDAT 2.0 are mirrored",
        "data/events/formats.py",
        "width - 1 - column, height",
        "column, height",
        ("tests/test_event_formats.py::test_one_scene_in_all_formats",),
    ),
    Mutant(
        "the clock of AEDAT 2.0 does not go on beyond 32 bits",
        "data/events/formats.py",
        "np.diff(clock.astype(np.uint32)).view(np.int32)",
        "np.diff(clock)",
        ("tests/test_event_formats.py::test_clock_of_32_bits_goes_on",),
    ),
    Mutant(
        "special events of AEDAT 2.0 are events of pixels",
        "data/events/formats.py",
        "SPECIAL_BITS, FOREIGN_BITS = 0x8000_8000, 0x7FFF_0000",
        "SPECIAL_BITS, FOREIGN_BITS = 0x8000_0000, 0x7FFF_0000",
        ("tests/test_event_formats.py::test_special_events_of_aedat2",),
    ),
    Mutant(
        "CIFAR10-DVS that was binned with other columns is taken from the cache",
        "data/cifar10_dvs.py",
        'CACHED = "cifar10_dvs-2"',
        'CACHED = "cifar10_dvs"',
        ("tests/test_event_formats.py::test_cifar10_dvs[aedat]",),
    ),
    Mutant(
        "falling offsets of unsigned type pass",
        "network/samples/events.py",
        "np.any(offsets[1:] < offsets[:-1])",
        "np.any(np.diff(self.offsets.view(np.uint64)) < 0)",
        ("tests/test_arrays.py::test_events_of_every_integer_type",),
    ),
    Mutant(
        "integers of events stay narrow",
        "network/samples/arrays.py",
        "return array.astype(np.int64, copy=False)",
        "return array",
        ("tests/test_arrays.py::test_events_of_every_integer_type",),
    ),
    Mutant(
        "inputs keep negative strides",
        "network/samples/arrays.py",
        "return array.copy() if any(stride < 0 for stride in array.strides) else array",
        "return array",
        ("tests/test_arrays.py::test_inputs[mirrored]",),
    ),
    Mutant(
        "archives may unpack to any size",
        "data/unpacking.py",
        "if self._left < 0:",
        "if self._left < -(2**40):",
        ("tests/test_damaged_files.py::test_archives_of_arrays",),
    ),
    Mutant(
        "arrays may be shorter than their file",
        "data/arrays.py",
        "if start + size != len(content):",
        "if start + size > len(content):",
        ("tests/test_damaged_files.py::test_headers_of_arrays",),
    ),
    Mutant(
        "weights whose norm overflows are finite",
        "training/learner.py",
        "arrays = [*map(_norm, state.weights.values()),",
        "arrays = [*state.weights.values(),",
        ("tests/test_learner.py::test_absurd_learning_rates_are_named[brian-SGD-1e+30]",),
    ),
    Mutant(
        "pickles may ask for more than they hold",
        "data/pickles.py",
        "if operation.name in PLACES and not",
        "if False and not",
        ("tests/test_damaged_files.py::test_pickles_that_want_more_than_they_hold",),
    ),
    Mutant(
        "the derivative of a spike is too large by a thousandth (certificate)",
        "discrete/step/adjoint.py",
        'out.add(spike.distance, expression(f"{GRAD}{SPIKE}*{PSI}"))',
        'out.add(spike.distance, expression(f"1.001*{GRAD}{SPIKE}*{PSI}"))',
        ("tests/test_certify.py::test_sound_runs_pass[BPTT]",),
    ),
    Mutant(
        "a reset passes no gradient where it is to (certificate)",
        "discrete/step/adjoint.py",
        "        if reset_kept:\n            out.add(SPIKE,",
        "        if False:\n            out.add(SPIKE,",
        ("tests/test_certify.py::test_differences_of_smooth_spikes_are_the_gradient[kept]",),
    ),
    Mutant(
        "a three-factor gradient forgets the size of a batch (certificate)",
        "discrete/run/three_factor.py",
        "scale = float(Fraction(rule.scale(spec)[run.p.name]) / samples)",
        "scale = float(Fraction(rule.scale(spec)[run.p.name]))",
        ("tests/test_certify.py::test_sound_runs_pass[TFR with traces]",),
    ),
    Mutant(
        "a certificate passes where one check fails",
        "training/certificates/certificate.py",
        "for each in (FAILED, PASSED) if each in found",
        "for each in (PASSED, FAILED) if each in found",
        ("tests/test_certify.py::test_the_command_line",),
    ),
    Mutant(
        "a replay compares the first epoch with itself",
        "training/certificates/certifying.py",
        "for then, now in zip(lines, again, strict=False)",
        "for then, now in zip(lines, lines, strict=False)",
        ("tests/test_certify.py::test_changed_files_are_found",),
    ),
    Mutant(
        "TensorBoard counts chunks in the place of samples",
        "training/tensorboard.py",
        'self._scalars({f"chunk/{name}": value for name, value in found.items()}, state.samples_seen)',
        'self._scalars({f"chunk/{name}": value for name, value in found.items()}, state.steps)',
        ("tests/test_callbacks.py::test_tensorboard_shows_what_metrics_say",),
    ),
]


def copied(folder: Path) -> Path:
    """The project in ``folder``, as far as tests need it."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    return folder


def passes(folder: Path, tests: Iterable[str]) -> bool:
    """Whether tests pass on the package in ``folder``; tests that do not run count for nothing."""
    # a cache of its own: a fault must not be taken for what is compiled already
    environment = os.environ | {"PYTHONPATH": str(folder), "BRIANLEARN_CACHE": str(folder / "cache")}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--no-header", *tests]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(f"pytest {' '.join(tests)} did not run:\n{done.stdout[-3000:]}{done.stderr[-2000:]}")
    return done.returncode == 0


def main() -> int:
    """Try the faults; how many were not found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="parts of the names of faults")
    parser.add_argument("--list", action="store_true", help="print the faults only")
    options = parser.parse_args()
    wanted = [m for m in MUTANTS if not options.names or any(part in m.name for part in options.names)]
    if options.list:
        for mutant in wanted:
            print(f"{mutant.name}: {mutant.file}; {', '.join(mutant.tests)}")
        return 0
    with tempfile.TemporaryDirectory(prefix="brianlearn-mutants-") as name:
        folder = copied(Path(name))
        tests = list(dict.fromkeys(test for mutant in wanted for test in mutant.tests))
        if not passes(folder, tests):
            print(f"without a fault these must pass: {' '.join(tests)}")
            return 1
        survivors = 0
        for mutant in wanted:
            path = folder / "brianlearn" / mutant.file
            text = path.read_text(encoding="utf-8")
            if text.count(mutant.old) != 1:
                print(f"NOT TRIED  {mutant.name}: {mutant.file} has its text {text.count(mutant.old)} times")
                survivors += 1
                continue
            path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
            missed = [test for test in mutant.tests if passes(folder, [test])]
            path.write_text(text, encoding="utf-8")
            survivors += bool(missed)
            print(
                f"NOT FOUND  {mutant.name}: {', '.join(missed)}" if missed else f"found      {mutant.name}", flush=True
            )
    print(f"{len(wanted) - survivors} of {len(wanted)} found")
    return survivors


if __name__ == "__main__":
    raise SystemExit(main())
