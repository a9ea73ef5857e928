"""Worker processes on this machine. One that dies takes its trial with it, and nothing else."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from brianlearn.errors import DeviceError
from brianlearn.machine.cores import core_count
from brianlearn.study.executor import Executor, Outcome

__all__ = ["LocalExecutor"]

#: Variables that say how many threads a library uses.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
#: Seconds in which an interrupted worker may end its trial before it is killed.
PATIENCE = 60.0


class _Worker:
    """One process; started again when it has died."""

    def __init__(self, folder: Path, number: int, cores: int, threads: int) -> None:
        self.index: int | None = None
        self._buffer = b""
        environment = os.environ | dict.fromkeys(THREADS, str(threads))
        with open(folder / f"worker-{number}.log", "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "brianlearn.study.worker", str(folder), str(cores)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                start_new_session=True,  # Ctrl-C reaches the study, which decides what to do
            )
        assert self.process.stdout is not None
        os.set_blocking(self.process.stdout.fileno(), False)

    def tell(self, index: int) -> None:
        """Let it run a trial."""
        self.index = index
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has died: its silence says so
            self.process.stdin.write(f"{index}\n".encode())
            self.process.stdin.flush()

    def heard(self) -> tuple[list[dict[str, Any]], bool]:
        """Its answers, and whether it is alive."""
        assert self.process.stdout is not None
        alive = True
        while True:
            try:
                part = os.read(self.process.stdout.fileno(), 1 << 16)
            except BlockingIOError:
                break
            if not part:
                alive = False
                break
            self._buffer += part
        *lines, self._buffer = self._buffer.split(b"\n")
        return [json.loads(line) for line in lines], alive

    def end(self, number: int | None = None) -> None:
        """Send it a signal; without one, let it end by itself when it is idle."""
        if number is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)
        elif self.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()


class LocalExecutor(Executor):
    """Runs trials in processes of this machine.

    Parameters
    ----------
    folder : pathlib.Path
        Of the study.
    workers : int
    """

    def __init__(self, folder: Path, workers: int) -> None:
        self.folder, self.capacity = folder, workers
        cores = max(core_count(), 1)
        self._options = (max(cores, workers) if workers > cores else cores, max(1, cores // workers))
        self._workers: dict[int, _Worker] = {}
        self._selector = selectors.DefaultSelector()
        self._deaths = 0

    @property
    def running(self) -> int:
        return sum(worker.index is not None for worker in self._workers.values())

    def submit(self, index: int) -> None:
        for number in range(1, self.capacity + 1):
            worker = self._workers.get(number)
            if worker is None:
                worker = self._start(number)
            if worker.index is None:
                worker.tell(index)
                return
        raise RuntimeError("no worker is free")

    def _start(self, number: int) -> _Worker:
        worker = _Worker(self.folder, number, *self._options)
        self._workers[number] = worker
        self._selector.register(worker.process.stdout, selectors.EVENT_READ, number)  # type: ignore[arg-type]
        return worker

    def wait(self, timeout: float) -> list[Outcome]:
        found: list[Outcome] = []
        for key, _ in self._selector.select(timeout):
            number = key.data
            worker = self._workers[number]
            answers, alive = worker.heard()
            for answer in answers:
                found.append(Outcome.of(answer))
                worker.index = None
                self._deaths = 0
            if not alive:
                self._selector.unregister(key.fileobj)
                del self._workers[number]
                status = worker.process.wait()
                if worker.index is not None:
                    found.append(Outcome(worker.index, "lost", error=_death(status, self.folder, number)))
                self._deaths += 1
                if self._deaths > 3 * self.capacity + 5:
                    raise DeviceError(
                        "study",
                        "worker processes die again and again",
                        got=_death(status, self.folder, number),
                        expected="processes that run trials",
                        remedy=f"look into {self.folder / f'worker-{number}.log'}",
                    )
        return found

    def interrupt(self) -> None:
        for worker in self._workers.values():
            worker.end(None if worker.index is None else signal.SIGINT)

    def close(self) -> None:
        for worker in self._workers.values():
            worker.end(None if worker.index is None else signal.SIGTERM)
        deadline = time.monotonic() + (PATIENCE if self.running else 10.0)
        for worker in self._workers.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.process.wait(max(0.1, deadline - time.monotonic()))
            worker.process.kill()
            worker.process.wait()
            for pipe in (worker.process.stdin, worker.process.stdout):
                if pipe is not None:
                    with contextlib.suppress(BrokenPipeError):
                        pipe.close()
        self._workers.clear()
        self._selector.close()


def _death(status: int, folder: Path, number: int) -> str:
    """How a worker ended."""
    how = f"exit status {status}"
    if status < 0:
        with contextlib.suppress(ValueError):
            how = signal.Signals(-status).name
    hint = ", e.g. because memory ran out" if status == -9 else ""
    return f"the worker process died ({how}{hint}); its log: {folder.name}/worker-{number}.log"
