"""One thread works for many callers, the most urgent first."""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from enum import IntEnum
from typing import Any, TypeVar

T = TypeVar("T")


class Urgency(IntEnum):
    """Who comes first."""

    FINAL = 0  # somebody has stopped speaking and waits
    PARTIAL = 1  # somebody speaks
    BATCH = 2  # a recording
    END = 3


class Turns:
    """Work that takes turns. Ends with `close`, or with the process."""

    def __init__(self) -> None:
        self._waiting: queue.PriorityQueue[tuple[Urgency, int, Future[Any], Callable[[], Any]]] = queue.PriorityQueue()
        self._count = itertools.count()  # equally urgent work is done in the order in which it came
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def submit(self, urgency: Urgency, work: Callable[[], T]) -> Future[T]:
        """Have work done; cancelling the future takes it back if it has not begun."""
        future: Future[T] = Future()
        self._waiting.put((urgency, next(self._count), future, work))
        return future

    def close(self) -> None:
        """End the thread after the work that waits."""
        self.submit(Urgency.END, lambda: None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            urgency, _, future, work = self._waiting.get()
            if urgency is Urgency.END:
                return
            if future.set_running_or_notify_cancel():
                _do(future, work)


def _do(future: Future[T], work: Callable[[], T]) -> None:
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 - whoever asked for it gets it
        future.set_exception(error)
    else:
        future.set_result(result)
