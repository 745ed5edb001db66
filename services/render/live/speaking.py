"""From speech to live video: one pass through resampling, engine, overlay and encoder."""

from __future__ import annotations

from collections.abc import Generator, Iterator

from services.common.arrays import Frame, Samples
from services.common.audio import Resampler
from services.render.engine import SAMPLE_RATE, Performance
from services.render.video.encoding import SOUND_RATE, Encoder, Fragment
from services.render.video.overlay import Draw

PIECE_S = 0.2  # speech taken at once: what is computed before a caller that went away is noticed


class Speaking:
    """One utterance being filmed. Memory does not grow with its length.

    Args:
        rate: of the samples pushed, in Hz.
        draw: lays label and subtitles over a frame, given its second.
    """

    def __init__(self, performance: Performance, movie: Encoder, *, rate: int, fps: float, draw: Draw) -> None:
        self._performance, self._movie, self._draw = performance, movie, draw
        self._ears, self._track = Resampler(rate, SAMPLE_RATE), Resampler(rate, SOUND_RATE)
        self._piece, self._fps = round(PIECE_S * rate), fps

    @property
    def frame_count(self) -> int:
        """Frames filmed so far."""
        return self._movie.frame_count

    @property
    def next_frame_index(self) -> int:
        """Frame of the avatar's idle loop that follows the last one."""
        return self._performance.next_frame_index

    def idle_frame(self, index: int) -> int:
        """Frame of the avatar's idle loop most like one of the frames filmed."""
        return self._performance.idle_frame(index)

    def shut(self, start_s: float, end_s: float) -> None:
        """The lips are shut between two seconds of the utterance; told in order, before the speech they lie in."""
        self._performance.shut(start_s, end_s)

    def push(self, samples: Samples) -> Generator[Fragment, None, None]:
        """Take float32 mono speech; yields the fragments that became complete, doing the work between them."""
        for start in range(0, len(samples), self._piece):
            piece = samples[start : start + self._piece]
            self._movie.hear(self._track.push(piece))
            yield from self._film(self._performance.push(self._ears.push(piece)))

    def finish(self) -> Generator[Fragment, None, None]:
        """The speech is over: film the rest and complete the video."""
        self._movie.hear(self._track.flush())
        yield from self._film(self._performance.push(self._ears.flush()))
        yield from self._film(self._performance.flush())
        yield from self._movie.close()

    def close(self) -> None:
        """Give back what the utterance holds; also when it was broken off."""
        self._performance.close()
        self._movie.discard()

    def _film(self, pictures: Iterator[Frame]) -> Generator[Fragment, None, None]:
        for picture in pictures:
            yield from self._movie.show(self._draw(picture, self._movie.frame_count / self._fps))
