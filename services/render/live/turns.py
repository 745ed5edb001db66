"""Who computes next: the reply whose viewer runs out of pictures first."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import math
import time
from collections.abc import AsyncIterator, Callable


class Turns:
    """Lets so many compute at once; of those that wait, the one that is due first goes first."""

    def __init__(self, at_once: int) -> None:
        self._at_once = self._free = at_once
        self._waiting: list[tuple[float, int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    @contextlib.asynccontextmanager
    async def turn(self, due_s: float) -> AsyncIterator[None]:
        """Wait for a turn and hold it; `due_s` is compared with others only."""
        async with self._hold(1, due_s):
            yield

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Wait until nobody computes, and let nobody do so meanwhile: for short work that nobody is in a hurry for."""
        async with self._hold(self._at_once, math.inf):
            yield

    @contextlib.asynccontextmanager
    async def _hold(self, count: int, due_s: float) -> AsyncIterator[None]:
        await self._take(count, due_s)
        try:
            yield
        finally:
            self._give(count)

    async def _take(self, count: int, due_s: float) -> None:
        if count <= self._free:
            self._free -= count
            return
        called = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (due_s, next(self._order), count, called))
        try:
            await called
        except asyncio.CancelledError:
            if called.done() and not called.cancelled():
                self._give(count)  # it was called and gave up in the same moment
            raise

    def _give(self, count: int) -> None:
        self._free += count
        while self._waiting:
            _, _, wanted, called = self._waiting[0]
            if not called.done():
                if wanted > self._free:
                    return
                self._free -= wanted
                called.set_result(None)
            heapq.heappop(self._waiting)


class Playback:
    """Where whoever watches a stream stands, if they began with the first picture and wait only when they must."""

    def __init__(self, fps: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._fps, self._clock = fps, clock
        self._began_s, self._sent_s = clock(), 0.0

    def sent(self, frame_count: int) -> None:
        """Pictures are on their way to them."""
        now = self._clock()
        if not self._sent_s or now > self.due_s:
            self._began_s = now - self._sent_s  # they begin, or had to wait
        self._sent_s += frame_count / self._fps

    @property
    def due_s(self) -> float:
        """When, on its clock, everything that was sent has been played."""
        return self._began_s + self._sent_s

    async def wait(self, ahead_s: float) -> None:
        """Until no more than `ahead_s` of what was sent is left to be played."""
        await asyncio.sleep(max(0.0, self.due_s - ahead_s - self._clock()))
