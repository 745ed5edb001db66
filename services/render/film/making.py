"""A video file: heard in one go, drawn and encoded in pieces by as many processes as there are, and joined again.

How many draw changes no picture: pieces are as long for one process as for many. Pieces stay beside the
video until whoever asked for it takes them away; a film that is made again in the same place takes those that it finds.
"""

from __future__ import annotations

import functools
import math
import os
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from services.common.arrays import Samples
from services.common.audio import Resampler
from services.render.engine import SAMPLE_RATE, Expression, InProcess, Passage, Performer, Pool
from services.render.video.encoding import SOUND_RATE, Format, MovieFile, Splice
from services.render.video.overlay import drawing
from services.render.video.webvtt import Cue

PIECE_S = 4.0
"""Speech in a piece. Each begins with a keyframe, so shorter ones make larger files."""
WORTH_S = 10.0
"""Speech for which it is worth to start another process."""
AHEAD = 2
"""Pieces for each process that are under way or done and not yet joined: bounds the memory."""


def worth(processes: int, duration_s: float) -> int:
    """How many of the processes are worth starting for so much speech."""
    return max(1, min(processes, math.ceil(duration_s / WORTH_S)))


@dataclass(frozen=True)
class Scene:
    """All that a process must know to draw pieces of a video. Can be pickled, and compared."""

    open: Callable[..., Performer]
    """An importable function that loads the avatar, and what it is called with."""
    arguments: tuple[Hashable, ...]
    expression: Expression = Expression()
    crf: int = 14
    preset: str = "veryfast"
    threads: int = 2
    """Threads that encode a piece."""
    cues: tuple[Cue, ...] = ()
    """Subtitles to burn in."""
    label_text: str = ""
    font_file: str = ""


class Film:
    """One video being made, in a folder of its own. Memory does not grow with its length."""

    def __init__(
        self, path: Path, scene: Scene, metadata: dict[str, str], *, rate: int, pool: Callable[..., Pool] = InProcess
    ) -> None:
        """`rate` is that of the samples pushed, in Hz; `pool` opens the processes that draw, told what each does first.

        Pieces that lie beside `path` must be of the same scene and the same speech.
        """
        self._path, self._scene = path, scene
        self._workers = pool(functools.partial(_stage, scene))
        try:
            self._stage = _stage(scene)
        except BaseException:
            self._workers.close()
            raise
        self._performance = self._stage.performance
        self._ears, self._track = Resampler(rate, SAMPLE_RATE), Resampler(rate, SOUND_RATE)
        self._length, self._speech = round(PIECE_S * rate), np.zeros(0, np.float32)
        self._splice = Splice(path, metadata)
        self._pieces: deque[tuple[Path, Samples, Future[bool]]] = deque()
        self._shot = 0
        self.drawn_count = 0
        """Frames in the file so far that were not found, but drawn."""

    @property
    def fps(self) -> float:
        """Frames a second."""
        return self._stage.performer.fps

    @property
    def frame_count(self) -> int:
        """Frames in the file so far."""
        return self._splice.frame_count

    def shut(self, start_s: float, end_s: float) -> None:
        """The lips are shut between two seconds of the utterance; told in order, before the speech they lie in."""
        self._performance.shut(start_s, end_s)

    def push(self, samples: Samples) -> None:
        """Take float32 mono speech."""
        self._speech = np.concatenate([self._speech, samples])
        while len(self._speech) >= self._length:
            piece, self._speech = np.split(self._speech, [self._length])
            self._shoot([*self._performance.hear(self._ears.push(piece))], self._track.push(piece))

    def finish(self) -> Iterator[int]:
        """The speech is over: complete the video; yields how many frames are in the file after every piece."""
        heard = np.concatenate([self._ears.push(self._speech), self._ears.flush()])
        passages = [*self._performance.hear(heard), *self._performance.end()]
        self._shoot(passages, np.concatenate([self._track.push(self._speech), self._track.flush()]))
        while self._pieces:
            self._join()
            yield self.frame_count
        self._splice.close()

    def close(self) -> None:
        """Give back what it holds; also when it was broken off."""
        self._workers.close()
        self._performance.close()
        _stage.cache_clear()
        self._splice.discard()

    def _shoot(self, passages: list[Passage], sound: Samples) -> None:
        piece = self._path.with_name(f"{self._path.stem}-{self._shot}.mp4")
        self._shot += 1
        self._pieces.append((piece, sound, self._workers.submit(_shoot, self._scene, passages, piece)))
        while self._pieces and (self._pieces[0][2].done() or len(self._pieces) >= AHEAD * self._workers.count):
            self._join()

    def _join(self) -> None:
        piece, sound, shot = self._pieces.popleft()
        was_drawn, before = shot.result(), self.frame_count
        self._splice.append(piece, sound)
        self.drawn_count += was_drawn * (self.frame_count - before)


class _Stage:
    """A scene made ready in one process."""

    def __init__(self, scene: Scene) -> None:
        self.performer = scene.open(*scene.arguments)
        self.performance = self.performer.perform(0, scene.expression)
        width, height, self._fps = self.performer.width, self.performer.height, self.performer.fps
        self._format = Format(width, height, self._fps, scene.crf, scene.preset, scene.threads)
        self._draw = drawing([*scene.cues], width, height, label_text=scene.label_text, font_file=scene.font_file)

    def shoot(self, passages: list[Passage], path: Path) -> None:
        """Draw and encode a piece. Whoever finds it finds it whole, even if the power fails."""
        part = path.with_name(f"{path.name}.{os.getpid()}.part")  # of this process: the one before may not be dead yet
        movie = MovieFile(part, self._format, {}, has_sound=False)
        try:
            for passage in passages:
                for index, picture in enumerate(self.performance.draw(passage), passage.first):
                    movie.show(self._draw(picture, index / self._fps))
            movie.close()
        finally:
            movie.discard()
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(path)


@functools.lru_cache(maxsize=1)
def _stage(scene: Scene) -> _Stage:
    return _Stage(scene)


def _shoot(scene: Scene, passages: list[Passage], path: Path) -> bool:
    """Have a piece; tells whether it had to be drawn."""
    if path.exists():
        return False
    _stage(scene).shoot(passages, path)
    return True
