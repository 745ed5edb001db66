"""Both kinds of heads where the other one would do: a live head makes files, a batch head talks turn by turn.

A live head makes a file by `film.py`. What a batch head has made is a *clip*; it is shown by a performer that takes its
pictures from there as if they were being drawn, on the clock of the speech. So subtitles, label, sound and fragments
come to be as they do for a live head, and whatever the clip lacks of them, its sound for one, is no matter.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
import wave
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from av import VideoFrame
from av.error import FFmpegError

from basics.media import open_media
from services.common.audio import Resampler, from_pcm, to_pcm, too_long
from services.common.disk import require_space
from services.common.engine import Value
from services.common.errors import Internal
from services.common.jobs import process
from services.render.engine import (
    SAMPLE_RATE,
    BatchEngine,
    ClipProgress,
    ClipTask,
    Expression,
    Passage,
    Performance,
    Performer,
)
from services.render.settings import RenderSettings

PIECE_BYTES = 2**14
REPORT_EVERY_S = 0.5
"""Between two reports of a stage; an engine may have one for each picture."""
LEAST_SHARE = 0.9
"""Of a speech that its clip must cover; where the rest is missing, the last picture stays."""


@dataclass
class Stretch:
    """Consecutive frames of a clip."""

    first: int
    count: int

    def __len__(self) -> int:
        return self.count


class ClipPerformer(Performer):
    """Shows clips of an avatar."""

    def __init__(self, avatar: str, width: int, height: int, fps: float, clip: Path | None = None) -> None:
        self.avatar, self._clip = avatar, clip
        self.width, self.height, self.fps = width, height, fps

    def perform(self, start_frame_index: int, expression: Expression) -> ClipPerformance:
        """An utterance, whose clip may be there already or be brought by `show`."""
        return ClipPerformance(self, self._clip)


class ClipPerformance(Performance):
    """One utterance: as many frames as the speech that it hears takes."""

    def __init__(self, head: ClipPerformer, clip: Path | None) -> None:
        self.head = head
        self.closures: list[tuple[float, float]] = []
        self._place: tempfile.TemporaryDirectory[str] | None = None
        self._pictures = _pictures(clip, head) if clip else iter(())
        self._heard = self._passed = self._drawn = 0

    def place(self, work_folder: Path) -> Path:
        """A folder of its own, as long as it lasts."""
        self._place = tempfile.TemporaryDirectory(dir=work_folder, prefix="clip-")
        return Path(self._place.name)

    def show(self, clip: Path) -> None:
        """Take the pictures from this clip, which has been made of what will be heard."""
        self._pictures = _pictures(clip, self.head)

    def close(self) -> None:
        """Forget the clip."""
        if isinstance(self._pictures, Generator):
            self._pictures.close()
        if self._place:
            self._place.cleanup()

    def hear(self, samples: np.ndarray) -> Iterator[Passage]:
        """Pass on the frames that the speech covers."""
        self._heard += len(samples)
        yield from self._pass(int(self._heard * self.head.fps / SAMPLE_RATE))

    def end(self) -> Iterator[Passage]:
        """Pass on the last frame, which the speech covers in part."""
        yield from self._pass(int(np.ceil(self._heard * self.head.fps / SAMPLE_RATE)))

    def _pass(self, until: int) -> Iterator[Passage]:
        if until > self._passed:
            first, self._passed = self._passed, until
            yield Stretch(first, until - first)

    def draw(self, passage: Passage) -> Iterator[np.ndarray]:
        """Take a passage from the clip: they are drawn in order, and may be left out."""
        while self._drawn < passage.first + len(passage):
            picture = next(self._pictures)
            self._drawn += 1
            if self._drawn > passage.first:
                yield picture

    def shut(self, start_s: float, end_s: float) -> None:
        """Keep it for the engine."""
        self.closures.append((start_s, end_s))

    @property
    def next_frame_index(self) -> int:
        """Nothing is known of how a clip ends."""
        return 0


def _pictures(clip: Path, head: ClipPerformer) -> Iterator[np.ndarray]:
    """Frames (H, W, 3) on the head's clock and of its size, the last one for ever."""
    with open_media(clip) as container:
        decoded = container.decode(video=0)
        shown = next(decoded)
        coming: VideoFrame | None = shown
        origin, index = shown.time or 0.0, 0
        while True:
            while coming is not None and (coming.time or 0.0) - origin <= (index + 0.5) / head.fps:
                shown, coming = coming, next(decoded, None)
            yield shown.to_ndarray(width=head.width, height=head.height, format="rgb24")
            index += 1


def open_clip(clip: str, width: int, height: int, fps: float) -> Performer:
    """A performer of one clip, for a process that draws a film."""
    return ClipPerformer("", width, height, fps, Path(clip))


class Speech:
    """What is said, on its way to a batch engine: a WAV file at the rate that engines hear, and the PCM as it came."""

    def __init__(self, folder: Path, rate: int, max_seconds: float) -> None:
        self.wav = folder / "speech.wav"
        self.sample_count = 0
        self._pcm, self._most, self._max_seconds = folder / "speech.pcm", max_seconds * rate, max_seconds
        self._ears = Resampler(rate, SAMPLE_RATE)
        self._files = contextlib.ExitStack()
        self._kept = self._files.enter_context(self._pcm.open("wb"))
        self._heard = self._files.enter_context(wave.open(str(self.wav), "wb"))  # noqa: SIM115 - closed by the stack
        self._heard.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))

    def push(self, pcm: bytes) -> None:
        """Take the next of it.

        Raises:
            InvalidInput: it is no PCM, or too long.
        """
        samples = from_pcm(pcm)
        self.sample_count += len(samples)
        if self.sample_count > self._most:
            raise too_long(self._max_seconds)
        require_space(self._pcm.parent, 2 * len(pcm))
        self._kept.write(pcm)
        self._heard.writeframesraw(to_pcm(self._ears.push(samples)))

    def close(self) -> None:
        """All of it has come, or no more will."""
        with self._files:
            self._heard.writeframesraw(to_pcm(self._ears.flush()))

    def pieces(self) -> Iterator[bytes]:
        """The PCM again, from its beginning."""
        with self._pcm.open("rb") as kept:
            while pcm := kept.read(PIECE_BYTES):
                yield pcm


class Clips:
    """Makes clips for those who talk, so many at the same time; others wait and are told so."""

    def __init__(self, settings: RenderSettings) -> None:
        self._settings, self._free = settings, asyncio.Semaphore(settings.max_clips)

    async def make(
        self, performance: ClipPerformance, speech: Speech, parameters: dict[str, Value]
    ) -> AsyncGenerator[ClipProgress, None]:
        """Have a clip made of a speech, in a process that ends when nobody wants it any more; then it is shown.

        Raises:
            ServiceError: the engine cannot make it.
        """
        if self._free.locked():
            yield ClipProgress("queue", 0.0)
        folder = speech.wav.parent
        spec = {
            "avatar": performance.head.avatar, "speech": str(speech.wav), "out": str(folder / "clip.mp4"),
            "closures": performance.closures, "parameters": parameters,
        }  # fmt: skip
        settings = self._settings.model_dump(mode="json")
        async with self._free:
            yield ClipProgress("load", 0.0)
            work = process.run("services.render.clip", spec, settings, folder / "work", self._settings.device)
            async with contextlib.aclosing(work) as told:
                async for message in told:
                    if "progress" in message:
                        yield ClipProgress(**message["progress"])
        performance.show(folder / "clip.mp4")


def make_clip(engine: BatchEngine, name: str, task: ClipTask, on_progress: Callable[[ClipProgress], None]) -> None:
    """Have a clip made, whole or not at all.

    Raises:
        Internal: the engine says that it has made one, but there is none that covers the speech.
    """
    if task.out.exists():  # by an attempt that was killed afterwards
        return
    task.work_folder.mkdir(parents=True, exist_ok=True)
    part = task.out.with_name(f"part-{task.out.name}")
    part.unlink(missing_ok=True)
    engine.render(replace(task, out=part), _now_and_then(on_progress))
    with wave.open(str(task.speech)) as speech:
        _check(part, speech.getnframes() / speech.getframerate(), name)
    part.replace(task.out)


def _now_and_then(on_progress: Callable[[ClipProgress], None]) -> Callable[[ClipProgress], None]:
    """Passes on the first report of each stage, and no more of it than a person can read."""
    stage, told = "", 0.0

    def tell(progress: ClipProgress) -> None:
        nonlocal stage, told
        now = time.monotonic()
        if progress.stage != stage or now - told >= REPORT_EVERY_S:
            stage, told = progress.stage, now
            on_progress(progress)

    return tell


def _check(clip: Path, speech_s: float, engine: str) -> None:
    try:
        with open_media(clip) as container:
            times = [frame.time or 0.0 for frame in container.decode(video=0)]
    except (FFmpegError, OSError, IndexError):
        times = []
    if len(times) < 2:
        message = f"The engine '{engine}' has made no video. The service's log may say why; try again."
        raise Internal(message, reason="NO_CLIP", values={"engine": engine})
    length_s = (times[-1] - times[0]) * len(times) / (len(times) - 1)
    if length_s < LEAST_SHARE * speech_s:
        values = {"engine": engine, "seconds": f"{length_s:.1f}", "of": f"{speech_s:.1f}"}
        message = f"The engine '{engine}' has made only {values['seconds']} of {values['of']} seconds. Try again."
        raise Internal(message, reason="CLIP_TOO_SHORT", values=values)
