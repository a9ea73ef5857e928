"""Certificates: what was checked of a run, each check with its verdict, a text and numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from brianlearn.errors import RunFolderError
from brianlearn.training.files import read_json, write_json

__all__ = ["Certificate", "Check"]

#: Version of the layout of certificate.json.
FORMAT = 1
FILE = "certificate.json"
PASSED, FAILED, NOT_APPLICABLE = "passed", "failed", "not applicable"
VERDICTS = (PASSED, FAILED, NOT_APPLICABLE)
#: How people see them.
MARKS = {PASSED: "passed", FAILED: "FAILED", NOT_APPLICABLE: "not applicable"}


@dataclass(frozen=True)
class Check:
    """One check of a certificate.

    Attributes
    ----------
    name : str
        E.g. ``"spikes"``, ``"gradient"``.
    question : str
        What was asked, for people.
    verdict : {"passed", "failed", "not applicable"}
    text : str
        What was found, or why it could not be asked.
    numbers : dict
        What was measured, as what JSON can hold.
    """

    name: str
    question: str
    verdict: str
    text: str
    numbers: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """For people."""
        return f"{MARKS[self.verdict]:>14}  {self.name}: {self.question}\n{'':>16}{self.text}"

    def to_dict(self) -> dict[str, Any]:
        """As what JSON can hold.

        Returns
        -------
        dict
        """
        return {
            "name": self.name,
            "question": self.question,
            "verdict": self.verdict,
            "text": self.text,
            "numbers": _as_json(self.numbers),
        }


def _as_json(value: Any) -> Any:
    """A value as JSON holds it: numbers that are not finite as text."""
    if isinstance(value, Mapping):
        return {str(key): _as_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(each) for each in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


@dataclass(frozen=True)
class Certificate:
    """What was checked of a run (`certify`).

    Attributes
    ----------
    run : pathlib.Path
        The run folder, which holds it as ``certificate.json``.
    subject : dict
        What was certified: ``rule``, ``engine``, ``device``, ``dtype``, ``network`` and ``weights``, as text.
    checks : tuple of Check
    made : str
        When, in UTC, ISO 8601.
    seconds : float
        How long it took.
    digest : str
        Of the weights that were certified (`Trained.digest`): whether a folder still holds them.
    """

    run: Path
    subject: Mapping[str, str]
    checks: tuple[Check, ...]
    made: str
    seconds: float
    digest: str

    @property
    def verdict(self) -> str:
        """``"failed"`` where a check failed; ``"passed"`` where at least one passed; else ``"not applicable"``."""
        found = {check.verdict for check in self.checks}
        return next((each for each in (FAILED, PASSED) if each in found), NOT_APPLICABLE)

    @property
    def passed(self) -> bool:
        """Whether no check failed, and at least one passed."""
        return self.verdict == PASSED

    def __getitem__(self, name: str) -> Check:
        """A check by its name.

        Raises
        ------
        KeyError
        """
        return {check.name: check for check in self.checks}[name]

    def to_dict(self) -> dict[str, Any]:
        """As what JSON can hold.

        Returns
        -------
        dict
        """
        return {
            "format": FORMAT,
            "verdict": self.verdict,
            "subject": dict(self.subject),
            "checks": [check.to_dict() for check in self.checks],
            "made": self.made,
            "seconds": self.seconds,
            "digest": self.digest,
        }

    def write(self) -> Path:
        """Write it into its run folder, in one step.

        Returns
        -------
        pathlib.Path

        Raises
        ------
        RunFolderError
        """
        file = self.run / FILE
        write_json(file, self.to_dict())
        return file

    @staticmethod
    def read(run: Path) -> Certificate | None:
        """The certificate of a run folder; None where there is none.

        Parameters
        ----------
        run : pathlib.Path

        Returns
        -------
        Certificate or None

        Raises
        ------
        RunFolderError
            A damaged one.
        """
        file = Path(run) / FILE
        if not file.exists():
            return None
        found = read_json(file)
        try:
            if found["format"] != FORMAT:
                raise ValueError(f"format {found['format']} instead of {FORMAT}")
            checks = tuple(Check(**check) for check in found["checks"])
            if wrong := [check.verdict for check in checks if check.verdict not in VERDICTS]:
                raise ValueError(f"verdict {wrong[0]!r}")
            made, seconds, digest = found["made"], float(found["seconds"]), str(found["digest"])
            return Certificate(Path(run), found["subject"], checks, made, seconds, digest)
        except (KeyError, TypeError, ValueError) as error:
            raise RunFolderError(
                str(file),
                "the certificate is damaged",
                got=f"{type(error).__name__}: {error}",
                expected="a certificate as `brianlearn certify` writes it",
                remedy="certify the run again, or delete the file",
            ) from error

    def __str__(self) -> str:
        """For people."""
        about = ", ".join(f"{key} {value}" for key, value in self.subject.items())
        checks = "\n".join(map(str, self.checks))
        return f"certificate of {self.run}\n  {about}\n\n{checks}\n\n{self.summary}"

    @property
    def summary(self) -> str:
        """The verdict in one line."""
        count = {each: sum(check.verdict == each for check in self.checks) for each in VERDICTS}
        parts = ", ".join(f"{n} {each}" for each, n in count.items() if n)
        return f"{MARKS[self.verdict]:>14}  {parts}, in {self.seconds:.1f} s"
