"""What runs trials: it is told their indices and says how they ended; all else is in the study's folder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

__all__ = ["Executor", "Outcome"]


@dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    Attributes
    ----------
    index : int
    state : str
        ``"done"``, ``"failed"``, ``"stopped"``; ``"lost"``: its worker died or the disk failed; ``"interrupted"``. The
        last two leave nothing behind that would keep ``resume`` from running it.
    metrics : dict
    error : str or None
        In one line.
    seconds : float
    builds : tuple of str
        Programs that were compiled for it.
    """

    index: int
    state: str
    metrics: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    seconds: float = 0.0
    builds: tuple[str, ...] = ()

    @staticmethod
    def of(answer: Mapping[str, Any]) -> Outcome:
        """From what a worker says."""
        return Outcome(
            int(answer["index"]),
            str(answer["state"]),
            dict(answer.get("metrics") or {}),
            answer.get("error"),
            float(answer.get("seconds") or 0.0),
            tuple(answer.get("builds") or ()),
        )


class Executor(ABC):
    """Runs trials somewhere.

    Attributes
    ----------
    capacity : int
        Trials that run at the same time; it may change.
    address : str or None
        Where one can watch it in a browser.
    """

    capacity: int
    address: str | None = None

    @property
    @abstractmethod
    def running(self) -> int:
        """Trials that are given to it and have not ended."""

    @abstractmethod
    def submit(self, index: int) -> None:
        """Run a trial."""

    @abstractmethod
    def wait(self, timeout: float) -> list[Outcome]:
        """Those that have ended, after at most so many seconds.

        Raises
        ------
        DeviceError
            If it cannot go on.
        """

    @abstractmethod
    def interrupt(self) -> None:
        """Let what runs end where it can go on later."""

    @abstractmethod
    def close(self) -> None:
        """End everything."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
