"""Realtime factor of rendering, by step: python -m bench.render avatars/<name> speech.wav [--size 512] [--runs 3]."""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from portrait import SAMPLE_RATE, Avatar, Movie, Synthesizer
from portrait.video import SAMPLES_PER_FRAME, Samples, audio


def main() -> None:
    """Render the speech several times to H.264 and AAC; print medians per frame."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("speech", type=Path)
    parser.add_argument("--size", type=int, default=None)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    speech = audio(options.speech)[: round(options.seconds * SAMPLE_RATE)]
    synthesizer = Synthesizer(Avatar.load(options.avatar), size=options.size)
    list(synthesizer.idle(16))
    with tempfile.TemporaryDirectory() as scratch:
        target = options.out or Path(scratch) / "speech.mp4"
        runs = [render(synthesizer, speech, target) for _ in range(options.runs)]
    frames = -(-len(speech) // SAMPLES_PER_FRAME)
    for step in runs[0]:
        milliseconds = statistics.median(run[step] for run in runs) * 1000 / frames
        sys.stdout.write(f"{step:<12}{milliseconds:8.2f} ms/frame\n")
    total = statistics.median(run["total"] for run in runs)
    sys.stdout.write(f"realtime factor {total / (len(speech) / SAMPLE_RATE):.3f} at {synthesizer.size} px\n")


def render(synthesizer: Synthesizer, speech: Samples, target: Path) -> dict[str, float]:
    """Seconds by step for one rendering of a speech to a file."""
    seconds = synthesizer.renderer.seconds
    seconds.clear()
    began, encoding = time.perf_counter(), 0.0
    performance = synthesizer.stream()
    with Movie(target, size=(synthesizer.size, synthesizer.size), sound=True) as movie:
        for first in range(0, len(speech) + 1, SAMPLE_RATE):
            piece = speech[first : first + SAMPLE_RATE]
            for frame in performance.push(piece):
                before = time.perf_counter()
                movie.push(frame)
                encoding += time.perf_counter() - before
            if len(piece):
                movie.hear(piece)
        for frame in performance.flush():
            movie.push(frame)
    return {**seconds, "encode": encoding, "total": time.perf_counter() - began}


if __name__ == "__main__":
    main()
