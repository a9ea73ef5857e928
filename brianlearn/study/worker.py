"""A worker process: runs one trial of a study after another, told by lines on its standard input.

``python -m brianlearn.study.worker FOLDER CORES``: each line is the index of a trial, and each is answered by one line
of JSON. The process ends when its input ends; so it does when whoever started it is gone, whatever it is doing.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from pathlib import Path
from typing import IO, Any

__all__ = ["main"]


def _listen(orders: queue.SimpleQueue[str | None], busy: threading.Event) -> None:
    for line in sys.stdin:
        orders.put(line.strip())
    if busy.is_set():  # whoever started this process is gone: what runs would have nobody to tell
        os.kill(os.getpid(), signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    orders.put(None)


def _answer(folder: Path, index: int) -> dict[str, Any]:
    from brianlearn.errors import BrianLearnError
    from brianlearn.machine.cores import current_cores
    from brianlearn.machine.interrupt import Terminated, stoppable
    from brianlearn.study.trial import run_trial

    try:
        cores = current_cores()
        assert cores is not None
        with cores.one(), stoppable():
            return run_trial(folder, index)
    except (KeyboardInterrupt, Terminated):
        return {"state": "interrupted"}
    except BrianLearnError as error:  # of the study, not of the trial
        return {"state": "lost", "error": str(error)}


def _serve(folder: Path, replies: IO[str]) -> None:
    orders: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    busy = threading.Event()
    threading.Thread(target=_listen, args=(orders, busy), daemon=True).start()
    while (order := orders.get()) is not None:
        busy.set()
        answer = _answer(folder, int(order))
        busy.clear()
        print(json.dumps({"index": int(order), **answer}), file=replies, flush=True)


def main() -> None:
    """Serve until the input ends."""
    folder, n = Path(sys.argv[1]), int(sys.argv[2])
    # whatever trials print goes to the log: the answers have a channel of their own
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    from brianlearn.brian.cpp.building import wait_for_each_other
    from brianlearn.machine.cores import Cores, share_cores

    share_cores(Cores(folder / ".locks", n))
    wait_for_each_other(folder / ".locks")
    _serve(folder, replies)


if __name__ == "__main__":
    main()
