"""Sound on its way to the recogniser: bounded, and it survives the call that reads it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

RATE = 16_000
BYTES_PER_S = 2 * RATE
MAX_AHEAD_S = 10.0
"""More sound than time has passed, by so much: it is sent faster than it is spoken."""
MAX_WAITING_S = 30.0
"""Sound that waits to be taken. Of more, the oldest is dropped: whoever said it expects no answer any longer."""


class TooFast(Exception):  # noqa: N818 - it says what is wrong
    """More sound has come than can have been spoken."""


class Microphone:
    """Signed 16-bit mono PCM at 16 kHz between whoever sends it and the call that takes it.

    Sound that a network held back may come all at once; `clock` tells that time has passed meanwhile.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began: float | None = None
        self._pushed = 0
        self._pieces: deque[tuple[bytes, float]] = deque()  # and when they came
        self._arrivals: deque[tuple[int, float]] = deque(maxlen=2000)  # of what was taken last: its end, when it came
        self._changed = threading.Condition()
        self._waiting = self._taken = 0
        self._readers = 0
        self._is_closed = False

    @property
    def taken_s(self) -> float:
        """Seconds that have been taken so far, by whichever reader. What was dropped is not among them."""
        return self._taken / BYTES_PER_S

    def arrived_at(self, position_s: float) -> float:
        """When the sound at a position, as `taken_s` counts, had come (`time.monotonic`); of long ago, the oldest."""
        with self._changed:
            later = [at for end, at in self._arrivals if end >= position_s * BYTES_PER_S]
        return later[0] if later else self._clock()

    def push(self, pcm: bytes) -> None:
        """Add a piece.

        Raises:
            TooFast: more has come than time has passed since the first piece, by over ten seconds.
        """
        with self._changed:
            now = self._clock()
            self._began = now if self._began is None else self._began
            self._pushed += len(pcm)
            if self._pushed / BYTES_PER_S > now - self._began + MAX_AHEAD_S:
                raise TooFast
            self._pieces.append((pcm, now))
            self._waiting += len(pcm)
            while self._waiting > MAX_WAITING_S * BYTES_PER_S:
                self._waiting -= len(self._pieces.popleft()[0])
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
