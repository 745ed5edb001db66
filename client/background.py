"""Work that goes on after a call has returned to its caller, e.g. bringing speech to a job."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from client import request_id

_threads: set[threading.Thread] = set()
_lock = threading.Lock()


def start(work: Callable[..., None], *arguments: Any) -> None:
    """Do `work` in a thread that does not keep the process alive."""

    def run() -> None:
        try:
            work(*arguments)
        finally:
            with _lock:
                _threads.discard(threading.current_thread())

    thread = threading.Thread(target=request_id.kept(run), daemon=True)
    with _lock:
        _threads.add(thread)
    thread.start()


def finish() -> None:
    """Wait for everything that has been started; for a process that is about to end."""
    with _lock:
        waiting = list(_threads)
    for thread in waiting:
        thread.join()
