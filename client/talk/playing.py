"""Where a reply stands for whoever plays it while it comes."""

from __future__ import annotations

import time
from collections.abc import Callable


class Playing:
    """A reply played by the clock: it begins with its first picture, and never runs past what has come."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._came_s = self._played_s = 0.0
        self._since: float | None = None  # it has been going on; nothing while it is paused

    def came(self, seconds: float) -> None:
        """So much of it is there."""
        self._advance()
        self._came_s = seconds

    def play(self) -> None:
        """Begin, or go on after a pause."""
        self._since = self._clock() if self._since is None else self._since

    def pause(self) -> None:
        """Stand still."""
        self._advance()
        self._since = None

    @property
    def seconds(self) -> float:
        """How much of it has been played."""
        self._advance()
        return self._played_s

    def _advance(self) -> None:
        if self._since is not None:
            now = self._clock()
            self._played_s, self._since = min(self._played_s + now - self._since, self._came_s), now
