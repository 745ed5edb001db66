"""A connection to somebody else's server that can be hung up from another thread.

A thread that waits for an answer cannot be cancelled, but what it waits for can end.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any


class Line:
    """The connection of one request, or of several that follow each other."""

    def __init__(self) -> None:
        self._hung_up = threading.Event()
        self._socket: Any = None  # of the connection that stands, if one does
        self.is_late = False
        """Whether `at_most` has ended the connection."""

    @property
    def hung_up(self) -> bool:
        """Whether nobody listens any more."""
        return self._hung_up.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait before another request; whether it was hung up meanwhile."""
        return self._hung_up.wait(seconds)

    def watch(self, request: Any) -> None:
        """Learn of a request's connection as soon as it stands: an event hook for `httpx`, and for `httpx2`."""
        request.extensions["trace"] = self._trace

    @contextmanager
    def at_most(self, seconds: float) -> Generator[None, None, None]:
        """End the connection after so long, though a piece of the answer trickles in every now and then."""
        timer = threading.Timer(seconds, self._end_late)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def stands(self, connection: socket.socket) -> None:
        """Learn of a connection."""
        self._socket = connection
        if self.hung_up or self.is_late:
            self._shut_down()

    def hang_up(self) -> None:
        """End whatever the connection's thread waits for."""
        self._hung_up.set()
        self._shut_down()

    def _end_late(self) -> None:
        self.is_late = True
        self._shut_down()

    def _shut_down(self) -> None:
        """Closing a socket would not wake who waits for it; shutting it down does."""
        if connection := self._socket:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _trace(self, event: str, info: dict[str, Any]) -> None:
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self.stands(info["return_value"].get_extra_info("socket"))
