"""Sound on its way to the recogniser: bounded, and it survives the call that reads it."""

from __future__ import annotations

import threading
import time
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
        self._pieces: deque[tuple[bytes, float]] = deque()  # and when they came
        self._arrivals: deque[tuple[int, float]] = deque(maxlen=2000)  # of what was taken last: its end, when it came
        self._changed = threading.Condition()
        self._waiting = self._taken = 0
        self._readers = 0
        self._is_closed = False

    @property
    def taken_s(self) -> float:
        """Seconds that have been taken so far, by whichever reader."""
        return self._taken / BYTES_PER_S

    def arrived_at(self, position_s: float) -> float:
        """When the sound at a position, as `taken_s` counts, had come (`time.monotonic`); of long ago, the oldest."""
        with self._changed:
            later = [at for end, at in self._arrivals if end >= position_s * BYTES_PER_S]
        return later[0] if later else time.monotonic()

    def push(self, pcm: bytes) -> None:
        """Add a piece.

        Raises:
            TooFast: more than five seconds would wait.
        """
        with self._changed:
            if self._waiting + len(pcm) > MAX_WAITING_S * BYTES_PER_S:
                raise TooFast
            self._pieces.append((pcm, time.monotonic()))
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
            piece, at = self._pieces.popleft()
            self._waiting -= len(piece)
            self._taken += len(piece)
            self._arrivals.append((self._taken, at))
            return piece

    def close(self) -> None:
        """End every reader."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
