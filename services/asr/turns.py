"""Two threads work for many callers, the most urgent first; one of them is kept for those who wait."""

from __future__ import annotations

import heapq
import itertools
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


class Turns:
    """Work that takes turns: one thread does any, the other only what is `FINAL`. Ends with `close`, or with the
    process."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Urgency, int, Future[Any], Callable[[], Any]]] = []
        self._count = itertools.count()  # equally urgent work is done in the order in which it came
        self._changed, self._is_closed = threading.Condition(), False
        self._threads = [
            threading.Thread(target=self._run, args=(least,), daemon=True) for least in (Urgency.FINAL, Urgency.BATCH)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, urgency: Urgency, work: Callable[[], T]) -> Future[T]:
        """Have work done; cancelling the future takes it back if it has not begun."""
        future: Future[T] = Future()
        with self._changed:
            heapq.heappush(self._waiting, (urgency, next(self._count), future, work))
            self._changed.notify_all()
        return future

    def somebody_waits(self) -> bool:
        """Whether somebody has stopped speaking whose turn has not come."""
        with self._changed:
            return any(urgency is Urgency.FINAL and not future.cancelled() for urgency, _, future, _ in self._waiting)

    def close(self) -> None:
        """End the threads after the work that waits."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self, least: Urgency) -> None:
        while taken := self._taken(least):
            future, work = taken
            if future.set_running_or_notify_cancel():
                _do(future, work)

    def _taken(self, least: Urgency) -> tuple[Future[Any], Callable[[], Any]] | None:
        """The next work that is urgent enough; None when there will be none."""
        with self._changed:
            while not self._waiting or self._waiting[0][0] > least:
                if self._is_closed:
                    return None
                self._changed.wait()
            _, _, future, work = heapq.heappop(self._waiting)
            return future, work


def _do(future: Future[T], work: Callable[[], T]) -> None:
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 - whoever asked for it gets it
        future.set_exception(error)
    else:
        future.set_result(result)
