"""What joins two threads of a reply."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator
from typing import Any

QUEUE_LENGTH = 32  # enough to overlap, little enough that a slow reader slows the writer


class Cancelled(Exception):  # noqa: N818 - a signal, not an error
    """The reply was cancelled while a thread waited on a queue."""


class Channel:
    """A bounded queue between two threads that gives up when the reply is cancelled."""

    _END = object()

    def __init__(self, cancelled: threading.Event, length: int = QUEUE_LENGTH) -> None:
        self._items: queue.Queue[Any] = queue.Queue(length)
        self._cancelled = cancelled

    def put(self, item: Any, given_up: threading.Event | None = None) -> None:
        """Wait for room; `given_up` says besides that this item is no longer wanted."""
        while not (self._cancelled.is_set() or (given_up and given_up.is_set())):
            with contextlib.suppress(queue.Full):
                return self._items.put(item, timeout=0.1)
        raise Cancelled

    def end(self) -> None:
        self.put(self._END)

    def __iter__(self) -> Iterator[Any]:
        while not self._cancelled.is_set():
            try:
                item = self._items.get(timeout=0.1)
            except queue.Empty:
                continue
            if item is self._END:
                return
            yield item
