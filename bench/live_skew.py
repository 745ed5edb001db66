"""Whether sound and picture stay together: python -m bench.live_skew AVATAR speech.wav [--minutes 60] [--size 128].

Conversation time is simulated: replies of 3 to 40 s, each with its own clock as in a live talk, are rendered by a real
service as fast as it can, and the pauses between them are only counted; one reply of `--long` minutes comes last. Of
every fragment the time stamps and durations of both tracks are read: where they end must agree, and they must be where
the counted frames and samples say. Of the long reply the sound is decoded and laid over what was sent, at its beginning
and at its end: what lies between is how far the sound itself has moved against the clock.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import random
import sys
from pathlib import Path

import av
import numpy as np

from bench.live_clock import Clocks, clocks
from bench.served import Rendered, Stub, render, serving
from portrait.arrays import Samples
from portrait.media.video import FRAME_RATE, SAMPLE_RATE, audio

REPLIES_S, PAUSES_S = (3.0, 40.0), (0.5, 30.0)
LOOK_S, SEARCH_S = 10.0, 0.25


def main() -> None:
    """Print how far apart they were, over all replies and at the ends of the long one."""
    parser = argparse.ArgumentParser(prog="python -m bench.live_skew", description=__doc__.splitlines()[0])
    parser.add_argument("avatar", type=Path)
    parser.add_argument("speech", type=Path)
    parser.add_argument("--minutes", type=float, default=60.0, help="of simulated conversation")
    parser.add_argument("--long", type=float, default=10.0, help="minutes of the last reply")
    parser.add_argument("--size", type=int, default=128)
    options = parser.parse_args()
    asyncio.run(_converse(options, audio(options.speech)))


async def _converse(options: argparse.Namespace, speech: Samples) -> None:
    chance, now, found = random.Random(0), 0.0, []
    async with serving(options.avatar, live_ahead_seconds=1e6) as stub:
        while now < 60 * (options.minutes - options.long):
            seconds = chance.uniform(*REPLIES_S)
            found.append(_clocks(await _reply(stub, options, speech, seconds, round(now * FRAME_RATE))))
            now += seconds + chance.uniform(*PAUSES_S)
        sent = _said(speech, 60 * options.long)
        long = await render(stub, options.avatar.name, sent, start=round(now * FRAME_RATE), size=options.size)
    found.append(_clocks(long))
    now += 60 * options.long
    apart, drift = (max(getattr(one, name) for one in found) for name in ("apart_ms", "drift_ms"))
    spoken = sum(one.seconds for one in found)
    print(f"{len(found)} replies, {spoken / 60:.1f} min of video in {now / 60:.1f} min of conversation")
    print(f"tracks end at most {apart:.1f} ms apart at any fragment, at the end of replies at most ", end="")
    print(f"{max(abs(one.last_apart_ms) for one in found):.2f} ms; time stamps at most {drift:.3f} ms off the counts")
    begin, end = _moved(long, sent)
    print(f"sound against what was sent, {options.long:g} min: {begin:+.2f} ms at its beginning, {end:+.2f} at its end")
    if max(apart, abs(begin), abs(end)) > 40:
        sys.exit("more than 40 ms")


async def _reply(stub: Stub, options: argparse.Namespace, speech: Samples, seconds: float, start: int) -> Rendered:
    return await render(stub, options.avatar.name, _said(speech, seconds), start=start, size=options.size)


def _said(speech: Samples, seconds: float) -> Samples:
    return np.take(speech, range(round(seconds * SAMPLE_RATE)), mode="wrap")


def _clocks(reply: Rendered) -> Clocks:
    return clocks(reply.init, [fragment.data for fragment in reply.fragments], FRAME_RATE)


def _moved(reply: Rendered, sent: Samples) -> tuple[float, float]:
    """By how many ms the decoded sound comes later than what was sent, in the first and in the last seconds."""
    with av.open(io.BytesIO(reply.data), "r") as container:
        resample = av.AudioResampler("flt", "mono", SAMPLE_RATE)
        shown = [frame for frame in container.decode(audio=0) if frame.time is not None and frame.time >= 0]
        frames = [each for frame in shown for each in resample.resample(frame)]
    heard = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    span, last = round(LOOK_S * SAMPLE_RATE), min(len(heard), len(sent)) - round((LOOK_S + 1) * SAMPLE_RATE)
    first, end = (_delay_ms(heard[at : at + span], sent[at : at + span]) for at in (SAMPLE_RATE, last))
    return first, end


def _delay_ms(heard: Samples, sent: Samples) -> float:
    most = round(SEARCH_S * SAMPLE_RATE)
    spectrum = np.fft.rfft(heard, 2 * len(heard)) * np.conj(np.fft.rfft(sent, 2 * len(sent)))
    alike = np.fft.irfft(spectrum)
    delays = np.concatenate([np.arange(0, most + 1), np.arange(-most, 0)])
    return 1000 * float(delays[np.argmax(alike[delays])]) / SAMPLE_RATE


if __name__ == "__main__":
    main()
