"""What rendering must keep to: quick first pictures, several at once, memory that does not grow.

    python -m bench.render_limits AVATAR speech.wav first        # ms from 200 ms of speech to the first fragment
    python -m bench.render_limits AVATAR speech.wav together     # frames a second of three renders at 256 px
    python -m bench.render_limits AVATAR speech.wav memory --minutes 60   # peak memory against that for one minute

`first` is measured in the library (frames of the first 200 ms, encoded) and through the service's StreamingRender,
with the encoder that RENDER_PORTRAIT_ENCODER names, if the avatar has learned with it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import psutil
from visavis.render.v1 import render_pb2

from bench.filming import pool_of, scene_of
from bench.served import Stub, serving
from portrait.arrays import Samples
from portrait.avatar.stored import Avatar
from portrait.avatar.synthesis import Synthesizer
from portrait.compute.device import choose
from portrait.compute.workers import most_workers
from portrait.media.video import SAMPLE_RATE, audio
from services.common import lips
from services.common.audio import to_pcm
from services.render.engines.portrait import Settings
from services.render.film.making import Film
from services.render.video.encoding import SOUND_RATE, Format, LiveMovie, MovieFile

FIRST_S, RUNS, AT_ONCE, SMALL = 0.2, 9, 3, 256


def main() -> None:
    """Measure one of the limits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("speech", type=Path)
    parser.add_argument("what", choices=("first", "together", "memory", "peak"))
    parser.add_argument("--minutes", type=float, default=60.0)
    options = parser.parse_args()
    {"first": first, "together": together, "memory": memory, "peak": peak}[options.what](options)


def first(options: argparse.Namespace) -> None:
    """Print medians of the time to the first fragment."""
    speech = audio(options.speech)[: 2 * SAMPLE_RATE]
    synthesizer = Synthesizer(Avatar.load(options.avatar), encoder=lips.encoder(Settings().encoder))
    own = [_first_here(synthesizer, speech) for _ in range(RUNS)]
    remote = asyncio.run(_first_remote(options.avatar, speech))
    for name, times in (("library", own), ("StreamingRender", remote)):
        milliseconds = [1000 * seconds for seconds in times[1:]]
        print(f"{name:16} median {statistics.median(milliseconds):5.0f} ms, worst {max(milliseconds):5.0f} ms")


def _first_here(synthesizer: Synthesizer, speech: Samples) -> float:
    movie = LiveMovie(Format(synthesizer.size, synthesizer.size, 25.0), {})
    performance, step = synthesizer.stream(), round(FIRST_S * SAMPLE_RATE)
    movie.hear(np.zeros(SOUND_RATE, np.float32))
    try:
        list(performance.push(speech[:step]))
        began = time.perf_counter()
        for at in range(step, len(speech), step):
            for picture in performance.push(speech[at : at + step]):
                if movie.show(picture):
                    return time.perf_counter() - began
    finally:
        performance.close()
        movie.discard()
    raise RuntimeError("no fragment came of two seconds of speech")


async def _first_remote(avatar: Path, speech: Samples) -> list[float]:
    async with serving(avatar) as stub:
        return [await _first_fragment(stub, avatar.name, speech) for _ in range(RUNS)]


async def _first_fragment(stub: Stub, name: str, speech: Samples) -> float:
    """Seconds from having sent the first 200 ms of speech to the first fragment; the rest is sent at once, too."""
    sent: list[float] = []

    async def messages() -> AsyncIterator[render_pb2.StreamingRenderRequest]:
        config = render_pb2.StreamingRenderConfig(avatar=name, sample_rate_hertz=SAMPLE_RATE)
        yield render_pb2.StreamingRenderRequest(config=config)
        await ready.wait()
        step = round(FIRST_S * SAMPLE_RATE)
        for at in range(0, len(speech), step):
            yield render_pb2.StreamingRenderRequest(audio=to_pcm(speech[at : at + step]))
            sent.append(time.perf_counter())

    ready = asyncio.Event()
    took = 0.0
    async for reply in stub.StreamingRender(messages()):
        if reply.WhichOneof("response") == "header":
            ready.set()
        elif not took:
            took = time.perf_counter() - sent[0]
    return took


def together(options: argparse.Namespace) -> None:
    """Print the frames a second of each of several renders at once."""
    speech = audio(options.speech)[: 10 * SAMPLE_RATE]
    synthesizers = [Synthesizer(Avatar.load(options.avatar), size=SMALL) for _ in range(AT_ONCE)]
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2):  # the first time warms up
            rates: list[float] = []
            threads = [
                threading.Thread(target=_film, args=(synthesizer, speech, Path(folder) / f"{index}.mp4", rates))
                for index, synthesizer in enumerate(synthesizers)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    print(f"{AT_ONCE} at once, {SMALL} px: {', '.join(f'{rate:.1f}' for rate in rates)} frames/s each")


def _film(synthesizer: Synthesizer, speech: Samples, target: Path, rates: list[float]) -> None:
    """Speech to a file."""
    began = time.perf_counter()
    movie = MovieFile(target, Format(synthesizer.size, synthesizer.size, 25.0), {})
    performance = synthesizer.stream()
    for at in range(0, len(speech), SAMPLE_RATE):
        heard = speech[at : at + SAMPLE_RATE]
        movie.hear(np.repeat(heard, SOUND_RATE // SAMPLE_RATE))
        for picture in performance.push(heard):
            movie.show(picture)
    for picture in performance.flush():
        movie.show(picture)
    movie.close()
    movie.discard()
    rates.append(movie.frame_count / (time.perf_counter() - began))


def peak(options: argparse.Namespace) -> None:
    """Film for some minutes as a job does; print the peak memory of all processes together in MB."""
    processes, speech = most_workers(choose()), audio(options.speech, rate=SOUND_RATE)
    count, most = round(options.minutes * 60 * SOUND_RATE), 0
    with tempfile.TemporaryDirectory() as folder:
        film = Film(Path(folder) / "long.mp4", scene_of(options.avatar, 0, "", processes), {}, rate=SOUND_RATE,
                    pool=pool_of(processes))  # fmt: skip
        for at in range(0, count, SOUND_RATE):
            film.push(np.take(speech, range(at, min(at + SOUND_RATE, count)), mode="wrap"))
            most = max(most, _held())
        for _ in film.finish():
            most = max(most, _held())
        film.close()
    print(most / 2**20)


def _held() -> int:
    """Bytes that this process and those it started hold; what they share is counted once."""
    me = psutil.Process()
    total = 0
    for each in (me, *me.children(recursive=True)):
        with contextlib.suppress(psutil.Error):  # it has just ended
            total += each.memory_full_info().pss
    return total


def memory(options: argparse.Namespace) -> None:
    """Print peak memory for one minute and for many, each measured in processes of its own."""
    peaks = []
    for minutes in (1.0, options.minutes):
        command = [sys.executable, "-m", "bench.render_limits", str(options.avatar), str(options.speech), "peak"]
        done = subprocess.run([*command, "--minutes", str(minutes)], check=True, capture_output=True, text=True)
        peaks.append(float(done.stdout.split()[-1]))
        print(f"{minutes:5.1f} min: peak {peaks[-1]:.0f} MB", flush=True)
    print(f"growth {100 * (peaks[1] / peaks[0] - 1):.1f} %")


if __name__ == "__main__":
    main()
