"""A live head for tests: 30 frames a second, each telling its number by its grey; its idle loop has 60 of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from services.common.engine import Capability, EngineInfo
from services.render.engine import SAMPLE_RATE, Expression, LiveEngine, Passage, Performance, Performer

FPS, LOOP, SIZE = 30, 60, 96


@dataclass
class Stretch:
    """Consecutive frames."""

    first: int
    count: int

    def __len__(self) -> int:
        return self.count


def picture(index: int) -> np.ndarray:
    return np.full((SIZE, SIZE, 3), 40 + 3 * (index % LOOP), np.uint8)


class Engine(LiveEngine):
    """Draws at once, and cannot be told how lively to be."""

    def load(self) -> None:
        """Nothing to load."""

    def info(self) -> EngineInfo:
        return EngineInfo("brisk", "1", capabilities=frozenset({Capability.STREAMING, Capability.IDLE}))

    def open(self, folder: Path, *, size: int, device: str) -> Performer:
        return Brisk()


class Brisk(Performer):
    width = height = SIZE
    fps = float(FPS)

    def perform(self, start_frame_index: int, expression: Expression) -> Performance:
        assert expression == Expression()
        return Utterance(start_frame_index)

    def idle(self) -> Iterator[np.ndarray]:
        return map(picture, range(LOOP))


class Utterance(Performance):
    def __init__(self, start: int) -> None:
        self._start, self._heard, self._passed = start, 0, 0

    def hear(self, samples: np.ndarray) -> Iterator[Passage]:
        self._heard += len(samples)
        yield from self._pass(self._heard * FPS // SAMPLE_RATE)

    def end(self) -> Iterator[Passage]:
        yield from self._pass(-(-self._heard * FPS // SAMPLE_RATE))

    def _pass(self, until: int) -> Iterator[Passage]:
        if until > self._passed:
            yield Stretch(self._passed, until - self._passed)
            self._passed = until

    def draw(self, passage: Passage) -> Iterator[np.ndarray]:
        return map(picture, range(self._start + passage.first, self._start + passage.first + len(passage)))

    @property
    def next_frame_index(self) -> int:
        return (self._start + self._passed) % LOOP

    def idle_frame(self, index: int) -> int:
        return (self._start + index) % LOOP
