"""Sound on its way to the recogniser: bounded, and it survives the call that reads it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator

RATE = 16_000
BYTES_PER_S = 2 * RATE
MAX_WAITING_S = 5.0
"""More sound than this means that it is sent faster than it is spoken, or that nobody can recognise it any more."""


class TooFast(Exception):  # noqa: N818 - it says what is wrong
    """Too much sound waits to be recognised."""


class Microphone:
    """Signed 16-bit mono PCM at 16 kHz between whoever sends it and the call that takes it."""

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._waiting = self._taken = 0
        self._readers = 0
        self._is_closed = False

    @property
    def taken_s(self) -> float:
        """Seconds that have been taken so far, by whichever reader."""
        return self._taken / BYTES_PER_S

    def push(self, pcm: bytes) -> None:
        """Add a piece.

        Raises:
            TooFast: more than five seconds would wait.
        """
        with self._changed:
            if self._waiting + len(pcm) > MAX_WAITING_S * BYTES_PER_S:
                raise TooFast
            self._pieces.append(pcm)
            self._waiting += len(pcm)
            self._changed.notify_all()

    def read(self) -> Iterator[bytes]:
        """Pieces as they come, until it is closed or somebody else reads: sound goes to one call at a time."""
        with self._changed:
            self._readers += 1
            me = self._readers
            self._changed.notify_all()
        while (piece := self._take(me)) is not None:
            yield piece

    def _take(self, reader: int) -> bytes | None:
        with self._changed:
            self._changed.wait_for(lambda: self._pieces or self._is_closed or self._readers != reader)
            if self._is_closed or self._readers != reader:
                return None
            piece = self._pieces.popleft()
            self._waiting -= len(piece)
            self._taken += len(piece)
            return piece

    def close(self) -> None:
        """End every reader."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
