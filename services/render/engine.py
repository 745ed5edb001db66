"""The contracts of a rendering engine: live heads draw while they hear, batch heads make a clip of a whole speech.

`heads.py` lets each be used where the other one would be: a live head makes files, a batch head talks turn by turn.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from services.common.arrays import Frame, Samples
from services.common.engine import BaseEngine, Value

SAMPLE_RATE = 16_000  # Hz, of all speech that engines hear


MOUTH_AMPLITUDES, HEAD_MOTIONS = (0.5, 1.5), (0.0, 1.0)


@dataclass(frozen=True)
class Expression:
    """How lively an avatar is; 1 is as recorded."""

    mouth_amplitude: float = 1.0
    head_motion: float = 1.0


class Passage(Protocol):
    """Consecutive frames that have been heard and not drawn yet. Can be pickled: another process may draw them."""

    @property
    def first(self) -> int:
        """Which frame of the utterance its first one is."""

    def __len__(self) -> int: ...


class Performance(ABC):
    """One utterance of one avatar. Its methods block; iterating them does the work, picture by picture.

    A video file is heard by one performance and drawn by several that began alike, each in a process of its own.
    """

    @abstractmethod
    def hear(self, samples: Samples) -> Iterator[Passage]:
        """Take the next float32 mono speech at 16 kHz; yield the frames that became certain."""

    @abstractmethod
    def end(self) -> Iterator[Passage]:
        """The speech is over: yield the remaining frames, so that they cover all of it."""

    @abstractmethod
    def draw(self, passage: Passage) -> Iterator[Frame]:
        """The RGB uint8 frames (H, W, 3) of a passage that was heard here, or by a performance that began alike."""

    def push(self, samples: Samples) -> Iterator[Frame]:
        """Hear and draw at once, as live speech is."""
        for passage in self.hear(samples):
            yield from self.draw(passage)

    def flush(self) -> Iterator[Frame]:
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

    def warm(self) -> None:  # noqa: B027 - optional
        """Load what only hearing needs, before a live utterance begins: processes that only draw do without."""

    def idle(self) -> Iterator[Frame]:
        """The pictures of the idle loop, once; none from an engine whose training leaves a file of it instead."""
        return iter(())


class Pool(Protocol):
    """Processes that work at the same time, and end with the one that opened them, however that ends."""

    count: int

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Have something done: an importable function of arguments that can be pickled."""

    def close(self) -> None:
        """End the processes, whatever they do."""


class InProcess:
    """The pool of an engine that has none: whoever asks does the work."""

    count = 1

    def __init__(self, begin: Callable[[], object] = int) -> None:
        """It has begun already."""

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Do it at once."""
        done: Future[Any] = Future()
        try:
            done.set_result(work(*arguments))
        except Exception as error:  # noqa: BLE001 - raised again by whoever asks for the result
            done.set_exception(error)
        return done

    def close(self) -> None:
        """Nothing is held."""


class RenderEngine(BaseEngine):
    """Shows avatars speaking: a `LiveEngine` or a `BatchEngine`. `load` prepares what all avatars share."""


class LiveEngine(RenderEngine):
    """Draws while it hears; one instance serves many callers at once. Says "streaming"."""

    @abstractmethod
    def open(self, folder: Path, *, size: int, device: str) -> Performer:
        """Load the avatar kept in `folder`.

        Args:
            size: width and height of its frames; 0 for the avatar's own.
            device: "cpu", "cuda:0"; empty for the engine's choice.

        Raises:
            Unavailable: the folder's files are damaged or of a version the engine does not know.
        """

    def most_processes(self, device: str) -> int:
        """How many processes could draw one video at the same time on a device; asked before the engine is loaded."""
        return 1

    def pool(self, count: int, begin: Callable[[], object]) -> Pool:
        """So many processes, each of which does `begin` first; asked for more than one only where there can be more."""
        return InProcess(begin)


@dataclass(frozen=True)
class ClipTask:
    """What to make a clip of, and where to leave it."""

    avatar_folder: Path
    speech: Path  # WAV: 16-bit mono at SAMPLE_RATE
    out: Path  # does not exist yet; any container and codec that FFmpeg reads; its sound is not used
    work_folder: Path  # kept when the process of a job is killed: go on from what is there
    parameters: dict[str, Value] = field(default_factory=dict)
    device: str = ""  # "cpu", "cuda:0"; empty for the engine's choice
    closures: tuple[tuple[float, float], ...] = ()  # seconds between which the lips are known to be shut


@dataclass(frozen=True)
class ClipProgress:
    """How far a clip is; `progress` is the share of the whole, 0 to 1."""

    stage: str  # as the engine names it
    progress: float
    eta_s: float | None = None


class BatchEngine(RenderEngine):
    """Makes a clip of a whole speech. Cannot be live, so it does not say "streaming"."""

    @abstractmethod
    def render(self, task: ClipTask, on_progress: Callable[[ClipProgress], None]) -> None:
        """Make the clip, in a process of its own, with the avatar's own size and frames a second.

        `on_progress` may be called as often as for every picture: not more of it is passed on than a person can read.

        Ending that process cancels it: SystemExit is raised then, so give back in `finally` what outlives a process.

        Raises:
            ServiceError: it cannot, in plain words. That a clip is missing, empty or too short is found without it.
        """
