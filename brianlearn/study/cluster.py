"""Trials on a Dask cluster: its workers run them in the study's folder, which they must see too."""

from __future__ import annotations

import contextlib
import queue
import time
from pathlib import Path
from typing import Any

from brianlearn.errors import DeviceError
from brianlearn.study.executor import Executor, Outcome
from brianlearn.study.folder import StudyFolder

__all__ = ["ClusterExecutor"]

#: Seconds to look for the scheduler, at the start and after it was lost.
PATIENCE = 60.0
#: Times that Dask gives a trial to another worker, after the death of the one that ran it.
DEATHS = 1


def _trial(folder: str, index: int) -> dict[str, Any]:
    """What a worker of the cluster runs."""
    from brianlearn.study.trial import run_trial

    return run_trial(folder, index)


class ClusterExecutor(Executor):
    """Gives trials to the workers of a Dask scheduler.

    The folders are the truth: where Dask runs a trial again that had finished, because the worker died that knew of it,
    the trial says at once what it had come to. Where the scheduler itself is lost and comes back, what had not
    finished is given to it again.

    Parameters
    ----------
    folder : pathlib.Path
        Of the study, on a file system that all workers see under the same path.
    scheduler : str
        ``tcp://host:8786``.

    Raises
    ------
    DeviceError
        Without Dask, a scheduler, or workers.
    """

    def __init__(self, folder: Path, scheduler: str) -> None:
        try:
            import distributed
        except ImportError:
            raise DeviceError(
                "study on a cluster",
                "Dask is not installed",
                expected="dask and distributed",
                remedy="install dask[distributed] (the extra `study`), or leave the scheduler out",
            ) from None
        self._distributed, self._folder, self._scheduler = distributed, str(folder.resolve()), scheduler
        self._study = StudyFolder(folder)
        self._running: dict[int, Any] = {}
        self._ended: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        self._client = self._connect()

    def _connect(self) -> Any:
        deadline, error = time.monotonic() + PATIENCE, ""
        while time.monotonic() < deadline:
            try:
                client = self._distributed.Client(self._scheduler, timeout=5, set_as_default=False)
                client.wait_for_workers(1, timeout=max(1.0, deadline - time.monotonic()))
                return client
            except (OSError, TimeoutError, ValueError) as failure:
                error = f"{type(failure).__name__}: {failure}"
                if isinstance(failure, ValueError):
                    break
                time.sleep(0.5)
        raise DeviceError(
            f"scheduler {self._scheduler}",
            "there is no scheduler with workers at this address",
            got=error,
            expected="the address that `dask scheduler` prints, and workers: dask worker ADDRESS --nthreads 1",
        )

    @property
    def address(self) -> str | None:  # type: ignore[override]
        with contextlib.suppress(Exception):
            return str(self._client.dashboard_link)
        return None

    @property
    def capacity(self) -> int:  # type: ignore[override]
        """A trial for each thread, and one more that waits there: a worker need not ask for the next one."""
        try:
            threads = self._client.nthreads()
        except (OSError, TimeoutError, ValueError):  # ValueError: the client was closed
            self._reconnect()
            threads = self._client.nthreads()
        return max(1, sum(threads.values()) + len(threads))

    @property
    def running(self) -> int:
        return len(self._running)

    def submit(self, index: int) -> None:
        try:
            self._submit(index)
        except OSError:
            self._running.setdefault(index, None)
            self._reconnect()

    def _submit(self, index: int) -> None:
        future = self._client.submit(
            _trial,
            self._folder,
            index,
            key=f"trial-{index}-{time.time_ns()}",  # never the remembered result of an earlier call
            pure=False,
            retries=0,
        )
        self._running[index] = future
        future.add_done_callback(lambda done: self._ended.put((index, done)))

    def wait(self, timeout: float) -> list[Outcome]:
        found: list[Outcome] = []
        deadline = time.monotonic() + timeout
        while True:
            try:
                index, future = self._ended.get(timeout=max(0.0, deadline - time.monotonic()) if not found else 0.0)
            except queue.Empty:
                break
            if self._running.get(index) is not future:
                continue  # given to another scheduler since
            outcome = self._outcome(index, future)
            if outcome is None:
                return found  # the scheduler was lost; what ran is given out again
            del self._running[index]
            found.append(outcome)
        if not found and self._client.status not in ("running", "connecting"):
            self._reconnect()
        return found

    def _outcome(self, index: int, future: Any) -> Outcome | None:
        # what it came to is in its folder: the worker that could tell may be gone by now
        trial = self._study.trial(index)
        if trial.state() is not None:
            return Outcome.of({"index": index, **trial.record()})
        if future.status in ("cancelled", "lost"):
            self._reconnect()
            return None
        try:
            if future.status == "finished":
                return Outcome.of({"index": index, **future.result()})
        except OSError:  # so is the connection
            self._reconnect()
            return None
        error = future.exception()
        return Outcome(index, "lost", error=f"a worker of the cluster: {type(error).__name__}: {error}")

    def _reconnect(self) -> None:
        """Look for the scheduler again, and give it what had not ended."""
        waiting = list(self._running)
        with contextlib.suppress(Exception):
            self._client.close(timeout=2)
        while True:
            self._client = self._connect()
            try:
                for index in waiting:
                    self._submit(index)
                return
            except OSError:  # gone again
                continue

    def interrupt(self) -> None:
        """What has not begun is taken back; what runs, ends: a cluster's workers take no Ctrl-C."""
        for index, future in list(self._running.items()):
            if future.status == "pending":
                future.cancel()
                del self._running[index]

    def close(self) -> None:
        for future in self._running.values():
            with contextlib.suppress(Exception):
                future.cancel()
        with contextlib.suppress(Exception):
            self._client.close(timeout=5)
