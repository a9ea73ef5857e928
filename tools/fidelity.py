#!/usr/bin/env python3
"""How far apart are what is compared? Runs test files, and prints the largest difference that they have seen.

``python tools/fidelity.py tests/test_equality.py tests/test_recurrent.py``: a row for each file, for docs/fidelity.md.
Tests say "within 1e-10"; this says how far within. Counted are comparisons of arrays by numpy.testing and
numpy.array_equal, with tolerances of at most 1e-6; arrays of bool are spikes.
"""

from __future__ import annotations

import argparse
import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

#: Comparisons with a larger tolerance are of what is drawn or fitted, and say nothing of rounding.
TIGHT = 1e-6


@dataclass
class Seen:
    """What the tests of a file have compared.

    Attributes
    ----------
    numbers : int
        Values compared.
    largest : float
        Their largest absolute difference; of comparisons with a relative tolerance alone the relative one.
    spikes : int
        Spikes in arrays of bool that were compared.
    differ : int
        Places in which such arrays differ that should be equal.
    """

    numbers: int = 0
    largest: float = 0.0
    spikes: int = 0
    differ: int = 0

    def arrays(self, a: Any, b: Any, relative: bool = False) -> None:
        """Count one comparison."""
        a, b = np.asarray(a), np.asarray(b)
        if a.shape != b.shape and a.size != 1 and b.size != 1:
            return
        if a.dtype == bool and b.dtype == bool:
            self.spikes += int(a.sum())
            self.differ += int((a != b).sum())
        elif a.dtype.kind in "fiu" and b.dtype.kind in "fiu" and "f" in (a.dtype.kind, b.dtype.kind) and a.size:
            with np.errstate(all="ignore"):
                apart = np.abs(a.astype(float) - b) / (np.abs(b) if relative else 1.0)
            finite = apart[np.isfinite(apart)]
            self.numbers += a.size
            self.largest = max(self.largest, float(finite.max(initial=0.0)))


@contextlib.contextmanager
def watched(seen: Seen) -> Iterator[None]:
    """Count what is compared inside.

    Parameters
    ----------
    seen : Seen
    """
    close, equal, same = np.testing.assert_allclose, np.testing.assert_array_equal, np.array_equal

    def assert_allclose(actual: Any, desired: Any, rtol: float = 1e-7, atol: float = 0, **options: Any) -> None:
        close(actual, desired, rtol=rtol, atol=atol, **options)
        if np.max(rtol) <= TIGHT and np.max(atol) <= TIGHT:
            seen.arrays(actual, desired, relative=np.max(atol) == 0)

    def assert_array_equal(actual: Any, desired: Any, *arguments: Any, **options: Any) -> None:
        equal(actual, desired, *arguments, **options)
        seen.arrays(actual, desired)

    def array_equal(a: Any, b: Any, *arguments: Any, **options: Any) -> bool:
        equal = bool(same(a, b, *arguments, **options))
        if equal:  # that something differs is what some tests want
            seen.arrays(a, b)
        return equal

    replaced = dict(assert_allclose=assert_allclose, assert_array_equal=assert_array_equal)
    try:
        for name, function in replaced.items():
            setattr(np.testing, name, function)
        np.array_equal = array_equal  # type: ignore[assignment]
        yield
    finally:
        np.testing.assert_allclose, np.testing.assert_array_equal, np.array_equal = close, equal, same


def main() -> None:
    """Run the files that are named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", help="test files")
    parser.add_argument("-m", default="not slow", help="as of pytest: which tests")
    parser.add_argument("-k", default="", help="as of pytest: which tests")
    options = parser.parse_args()
    print("| tests | passed | numbers compared | largest difference | spikes compared | places that differ |")
    print("|---|---|---|---|---|---|")
    for file in options.files:
        seen, passed = Seen(), Passed()
        arguments = ["-q", "-p", "no:cacheprovider", "-m", options.m, "-k", options.k, file]
        with watched(seen), contextlib.redirect_stdout(io.StringIO()):
            status = pytest.main(arguments, plugins=[passed])
        row = (Path(file).name, passed.n, seen.numbers, f"{seen.largest:.0e}", seen.spikes, seen.differ)
        print("|", " | ".join(map(str, row)), "|" + ("" if status == 0 else f" exit status {int(status)}"), flush=True)


class Passed:
    """Counts tests that passed."""

    n = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count one.

        Parameters
        ----------
        report : pytest.TestReport
        """
        self.n += report.when == "call" and report.passed


if __name__ == "__main__":
    main()
