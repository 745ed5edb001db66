"""A talking-head video made from nothing: `python -m demo.clip OUT.mp4`.

The presenter speaks our own text in an espeak-ng voice. Variants with no face, two faces, no voice or no audio track
are the bad input that upload checks must refuse. The same arguments give the same pictures.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from numpy.typing import NDArray

    from demo.speech import Speech

AUDIO_RATE = 48_000


def _speech(seconds: float, silent: bool) -> Speech:
    import numpy as np

    from demo.script import SENTENCES
    from demo.speech import Speech, recite

    if silent:
        return Speech(np.zeros(round(seconds * 22_050), np.float32), 22_050, ())
    return recite(itertools.cycle(SENTENCES), seconds)


def frames(
    speech: Speech, *, size: tuple[int, int] = (512, 512), fps: float = 25, faces: int = 1, seed: int = 0
) -> Iterator[NDArray[np.uint8]]:
    """The clip's pictures, RGB (height, width, 3), one by one."""
    from demo.motion import perform
    from demo.scene import Scene

    count = round(speech.seconds * fps)
    scene = Scene(size, faces)
    courses = [perform(speech, count, fps, seed + 17 * i) for i in range(faces)]
    for index in range(count):
        yield scene.draw([course[index] for course in courses])


def _write_audio(container: OutputContainer, stream: AudioStream, speech: Speech) -> None:
    import av
    import numpy as np
    from scipy.signal import resample_poly

    ratio = Fraction(AUDIO_RATE, speech.rate)
    samples = resample_poly(speech.samples, ratio.numerator, ratio.denominator).astype(np.float32)
    for start in range(0, len(samples), 1024):
        block = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None, start : start + 1024]), "fltp", "mono")
        block.sample_rate, block.pts, block.time_base = AUDIO_RATE, start, Fraction(1, AUDIO_RATE)
        container.mux(stream.encode(block))
    container.mux(stream.encode())


def make(
    out: Path,
    *,
    seconds: float,
    size: int | tuple[int, int] = 512,
    fps: float = 25,
    faces: int = 1,
    silent: bool = False,
    audio: bool = True,
    seed: int = 0,
) -> None:
    """Write a clip of H.264 and AAC to `out`: `faces` 0–2 presenters, `size` (width, height) even.

    `silent` keeps the audio track but says nothing; `audio=False` leaves the track out (the lips still move).
    """
    import av

    width, height = (size, size) if isinstance(size, int) else size
    speech = _speech(seconds, silent)
    with av.open(str(out), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        rate = Fraction(fps).limit_denominator(1001)
        video = container.add_stream("libx264", rate, options={"crf": "17", "preset": "fast", "tune": "animation"})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        video.codec_context.thread_count = 1  # x264 writes other bytes with every number of threads
        sound = container.add_stream("aac", AUDIO_RATE, layout="mono", bit_rate=128_000) if audio else None
        for picture in frames(speech, size=(width, height), fps=fps, faces=faces, seed=seed):
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(video.encode())
        if sound is not None:
            _write_audio(container, sound, speech)


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return int(width), int(height or width)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m demo.clip", description="Make a video of the drawn presenter talking."
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--size", type=_size, default=(512, 512), metavar="WxH")
    parser.add_argument("--fps", type=float, default=25)
    parser.add_argument("--faces", type=int, choices=(0, 1, 2), default=1)
    parser.add_argument("--silent", action="store_true", help="an audio track without a voice")
    parser.add_argument("--no-audio", dest="audio", action="store_false", help="no audio track at all")
    parser.add_argument("--seed", type=int, default=0)
    make(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
