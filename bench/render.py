"""Milliseconds a frame of rendering to a file, by step: python -m bench.render avatars/<name> speech.wav [--size 512].

Steps overlap: footage is decoded, and the video encoded, in threads of their own. `processor` is the time of all
threads together; on a machine that is busy with other things it says more than the wall clock.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from portrait import SAMPLE_RATE, Avatar, Synthesizer
from portrait.arrays import Samples
from portrait.media.video import SAMPLES_PER_FRAME, audio
from services.render.video.encoding import SOUND_RATE, Format, MovieFile


def main() -> None:
    """Render the speech several times to H.264 and AAC; print medians per frame."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("speech", type=Path)
    parser.add_argument("--size", type=int, default=None)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--preset", default="veryfast")
    parser.add_argument("--encoder", type=Path, help="a Whisper model's folder: hear by its encoder, too")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    speech = audio(options.speech)[: round(options.seconds * SAMPLE_RATE)]
    synthesizer = Synthesizer(Avatar.load(options.avatar), size=options.size, encoder=options.encoder)
    list(synthesizer.idle(16))
    with tempfile.TemporaryDirectory() as scratch:
        target = options.out or Path(scratch) / "speech.mp4"
        runs = [render(synthesizer, speech, target, options.preset) for _ in range(options.runs)]
    frames = -(-len(speech) // SAMPLES_PER_FRAME)
    for step in runs[0]:
        milliseconds = statistics.median(run[step] for run in runs) * 1000 / frames
        print(f"{step:<12}{milliseconds:8.2f} ms/frame")
    total = statistics.median(run["total"] for run in runs)
    print(f"realtime factor {total / (len(speech) / SAMPLE_RATE):.3f} at {synthesizer.size} px")


def render(synthesizer: Synthesizer, speech: Samples, target: Path, preset: str) -> dict[str, float]:
    """Seconds by step for one rendering of a speech to a file."""
    seconds = synthesizer.renderer.seconds
    seconds.clear()
    began, worked = time.perf_counter(), time.process_time()
    movie = MovieFile(target, Format(synthesizer.size, synthesizer.size, 25.0, preset=preset), {})
    performance, waited = synthesizer.stream(), 0.0
    for first in range(0, len(speech), SAMPLE_RATE):
        piece = speech[first : first + SAMPLE_RATE]
        movie.hear(np.repeat(piece, SOUND_RATE // SAMPLE_RATE))
        for frame in performance.push(piece):
            before = time.perf_counter()
            movie.show(frame)
            waited += time.perf_counter() - before
    for frame in performance.flush():
        movie.show(frame)
    movie.close()
    movie.discard()
    took = {"encode": waited, "processor": time.process_time() - worked, "total": time.perf_counter() - began}
    return {**seconds, **took}


if __name__ == "__main__":
    main()
