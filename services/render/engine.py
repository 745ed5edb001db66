"""The contract of a rendering engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from services.common.engine import BaseEngine

SAMPLE_RATE = 16_000  # Hz, of all speech that engines hear


MOUTH_AMPLITUDES, HEAD_MOTIONS = (0.5, 1.5), (0.0, 1.0)


@dataclass(frozen=True)
class Expression:
    """How lively an avatar is; 1 is as recorded."""

    mouth_amplitude: float = 1.0
    head_motion: float = 1.0


class Passage(Protocol):
    """Consecutive frames that have been heard and not drawn yet. Can be pickled: another process may draw them."""

    first: int  # which frame of the utterance its first one is

    def __len__(self) -> int: ...


class Performance(ABC):
    """One utterance of one avatar. Its methods block; iterating them does the work, picture by picture.

    A video file is heard by one performance and drawn by several that began alike, each in a process of its own.
    """

    @abstractmethod
    def hear(self, samples: np.ndarray) -> Iterator[Passage]:
        """Take the next float32 mono speech at 16 kHz; yield the frames that became certain."""

    @abstractmethod
    def end(self) -> Iterator[Passage]:
        """The speech is over: yield the remaining frames, so that they cover all of it."""

    @abstractmethod
    def draw(self, passage: Passage) -> Iterator[np.ndarray]:
        """The RGB uint8 frames (H, W, 3) of a passage that was heard here, or by a performance that began alike."""

    def push(self, samples: np.ndarray) -> Iterator[np.ndarray]:
        """Hear and draw at once, as live speech is."""
        for passage in self.hear(samples):
            yield from self.draw(passage)

    def flush(self) -> Iterator[np.ndarray]:
        """The same for the end of the speech."""
        for passage in self.end():
            yield from self.draw(passage)

    def shut(self, start_s: float, end_s: float) -> None:  # noqa: B027 - optional: an engine may have no use for it
        """The lips are shut between two seconds of the utterance; told in order, before the speech they lie in."""

    @property
    @abstractmethod
    def next_frame_index(self) -> int:
        """Frame of the avatar's idle loop that follows the frames made; asked for after `flush`."""

    def idle_frame(self, index: int) -> int:
        """Frame of the idle loop most like a frame that was made: where to go on if it is broken off there."""
        return 0

    def close(self) -> None:  # noqa: B027 - optional
        """Give back what the utterance holds. Always called at the end."""


class Performer(ABC):
    """A loaded avatar, shared by many performances at once; what it holds goes with the last reference to it."""

    width: int  # of its frames, in pixels
    height: int
    fps: float

    @abstractmethod
    def perform(self, start_frame_index: int, expression: Expression) -> Performance:
        """Begin an utterance on a frame of the avatar's idle loop.

        `expression` is within MOUTH_AMPLITUDES and HEAD_MOTIONS; an engine that has no such knob says so in its
        capabilities by the lack of "expression", and is then given the neutral one.
        """

    def idle(self) -> Iterator[np.ndarray]:
        """The pictures of the idle loop, once; none from an engine whose training leaves a file of it instead."""
        return iter(())


class RenderEngine(BaseEngine):
    """Shows avatars speaking; one instance serves many callers at once. `load` prepares what all avatars share."""

    @abstractmethod
    def open(self, folder: Path, *, size: int, device: str) -> Performer:
        """Load the avatar kept in `folder`.

        Args:
            size: width and height of its frames; 0 for the avatar's own.
            device: "cpu", "cuda:0"; empty for the engine's choice.

        Raises:
            Unavailable: the folder's files are damaged or of a version the engine does not know.
        """
