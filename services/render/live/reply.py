"""One live reply: speech in, fragments of MP4 out."""

from __future__ import annotations

import uuid
from collections.abc import Generator

from visavis.common.v1 import media_pb2
from visavis.render.v1 import render_pb2

from services.common.arrays import Samples
from services.common.provenance import metadata
from services.common.times import duration
from services.render.engine import Expression, Performer
from services.render.live.closures import ToldClosures
from services.render.live.speaking import Speaking
from services.render.settings import RenderSettings
from services.render.video.encoding import Format, Fragment, LiveMovie, init_segment, media_type
from services.render.video.overlay import drawing


class LiveReply:
    """An avatar speaking to someone who watches. `push` and `finish` block; each step makes at most one fragment."""

    def __init__(
        self, performer: Performer, rate: int, start_frame_index: int, expression: Expression, settings: RenderSettings
    ) -> None:
        width, height, fps = performer.width, performer.height, performer.fps
        video = Format(width, height, fps, settings.live_crf, settings.live_preset, settings.threads)
        origin = metadata(uuid.uuid4().hex)
        init = init_segment(video, origin)
        self.header = render_pb2.StreamingRenderHeader(
            init_segment=init, media_type=media_type(init), width=width, height=height, fps=fps
        )
        text = settings.label_text if settings.visible_label else ""
        self._closures = ToldClosures(rate)
        self.performance = performer.perform(start_frame_index, expression)
        self._speaking = Speaking(
            self.performance,
            LiveMovie(video, origin),
            rate=rate,
            fps=fps,
            draw=drawing([], width, height, label_text=text),
        )

    def shut(self, message: media_pb2.LipClosures) -> None:
        """Take closures that lie in speech to come.

        Raises:
            InvalidInput: they are out of order or too many.
        """
        for start_s, end_s in self._closures.take(message):
            self._speaking.shut(start_s, end_s)

    def push(self, samples: Samples) -> Generator[Fragment, None, None]:
        """Take float32 mono speech; yields the fragments that became complete."""
        self._closures.hear(len(samples))
        return self._speaking.push(samples)

    def finish(self) -> Generator[Fragment, None, None]:
        """The speech is over: yields the remaining fragments."""
        return self._speaking.finish()

    def described(self, fragment: Fragment) -> render_pb2.MediaFragment:
        """A fragment as a message."""
        frames = range(fragment.frame_index, fragment.frame_index + fragment.frame_count)
        return render_pb2.MediaFragment(
            data=fragment.data,
            frame_index=fragment.frame_index,
            frame_count=fragment.frame_count,
            encoding_duration=duration(fragment.encoding_s),
            idle_frame_indices=[self._speaking.idle_frame(frame) for frame in frames],
        )

    @property
    def end(self) -> render_pb2.StreamingRenderEnd:
        """What closes the stream."""
        return render_pb2.StreamingRenderEnd(
            frame_count=self._speaking.frame_count, next_frame_index=self._speaking.next_frame_index
        )

    def close(self) -> None:
        """Give back what the reply holds; also when it was broken off."""
        self._speaking.close()
