"""How far a pull is: what a meter makes of the bytes that come."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

REPORT_EVERY_S = 0.2
RATE_OVER_S = 10.0


class Stage(StrEnum):
    """What a pull is doing."""

    WAITING = "waiting"  # for another one of the same model
    DOWNLOADING = "downloading"
    CHECKING = "checking"


@dataclass(frozen=True)
class Progress:
    """A snapshot of a pull.

    Attributes:
        source: where it downloads from, in words.
        done_bytes, total_bytes: of what has to come from there.
        bytes_per_s: lately; 0 when nothing is known yet.
    """

    model: str
    stage: Stage = Stage.WAITING
    source: str = ""
    done_bytes: int = 0
    total_bytes: int = 0
    bytes_per_s: float = 0.0

    @property
    def eta_s(self) -> float | None:
        """Seconds that the download is believed to take still; None when unknown."""
        return (self.total_bytes - self.done_bytes) / self.bytes_per_s if self.bytes_per_s > 0 else None


Report = Callable[[Progress], None]


class Meter:
    """Counts one pull's bytes and reports them, at most five times a second."""

    def __init__(self, model: str, report: Report) -> None:
        self._model, self._report = model, report
        self._stage, self._source = Stage.WAITING, ""
        self._done = self._total = 0
        self._seen: deque[tuple[float, int]] = deque()
        self._reported_at = float("-inf")

    def begin(self, source: str, done_bytes: int, total_bytes: int) -> None:
        """A source is tried, from which so much has come already."""
        self._stage, self._source = Stage.DOWNLOADING, source
        self._done, self._total = done_bytes, total_bytes
        self._seen.clear()
        self._tell(at_once=True)

    def add(self, size: int) -> None:
        """So many bytes came; negative where some have to come again."""
        self._done = min(self._total, max(0, self._done + size))
        self._tell()

    async def tick(self) -> None:
        """Report what was not told yet, again and again: the last bytes before a silence, and that the rate falls."""
        while True:
            await asyncio.sleep(REPORT_EVERY_S)
            self._tell()

    def enter(self, stage: Stage) -> None:
        """Something else is being done now."""
        self._stage = stage
        self._tell(at_once=True)

    def _tell(self, at_once: bool = False) -> None:
        now = time.monotonic()
        if not at_once and now - self._reported_at < REPORT_EVERY_S:
            return
        self._reported_at = now
        self._seen.append((now, self._done))
        while now - self._seen[0][0] > RATE_OVER_S:
            self._seen.popleft()
        since, before = self._seen[0]
        rate = max(0.0, (self._done - before) / (now - since)) if now > since else 0.0
        self._report(Progress(self._model, self._stage, self._source, self._done, self._total, rate))
