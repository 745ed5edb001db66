"""A recording from anybody becomes a WAV file of ours: `python -m services.common.conversion`, a process of its own.

What a file makes its decoder do cannot be foreseen: a kilobyte can claim an index of gigabytes, and decoders crash. So
that process has little memory, and takes nothing with it but itself.
"""

from __future__ import annotations

import asyncio
import math
import resource
import signal
import sys
import wave
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from services.common.audio import decode_blocks, to_pcm, too_long
from services.common.errors import InvalidInput
from services.common.jobs import child, process

MOST_BYTES = 512 * 2**20  # of memory; an hour of any usual kind takes a seventh of that
PIECE_S = 1.0
FREE_S, LEAST_SPEED = 30.0, 20.0
"""Processor time that a conversion may take: so much, and a share of the longest sound; usual kinds take a tenth."""


@dataclass(frozen=True)
class Sound:
    """What is known of a recording once it has been heard."""

    seconds: float
    peak: float  # 0 to 1, of full scale


class Converter:
    """Converts recordings, `at_once` of them at a time; whoever comes later waits."""

    def __init__(self, at_once: int = 1) -> None:
        self._free = asyncio.Semaphore(at_once)

    async def convert(
        self, recording: Path, wav: Path, rate: int, *, max_seconds: float, field: str = "audio"
    ) -> Sound:
        """Write the sound of any audio or video file as 16-bit mono at `rate` Hz into the file `wav`.

        Raises:
            InvalidInput: it is no media file, empty, truncated beyond use, without sound, or longer than `max_seconds`.
        """
        spec = {
            "recording": str(recording), "wav": str(wav), "rate": rate, "max_seconds": max_seconds, "field": field,
        }  # fmt: skip
        async with self._free:
            return Sound(**await process.call("services.common.conversion", spec, {}, wav.parent))


def read_wav(path: Path) -> Iterator[bytes]:
    """The PCM of what `convert` wrote, a second at a time."""
    with wave.open(str(path)) as file:
        while pcm := file.readframes(round(PIECE_S * file.getframerate())):
            yield pcm


def work(task: child.Task, _report: child.Report) -> dict[str, Any]:
    """Convert; the longest recording is a limit of what is decoded, not of what is kept."""
    rate, longest, field = (task.spec[name] for name in ("rate", "max_seconds", "field"))
    _limit_time(FREE_S + longest / LEAST_SPEED, field)
    count, peak = 0, 0.0
    with wave.open(task.spec["wav"], "wb") as wav:
        wav.setparams((1, 2, rate, 0, "NONE", ""))
        for block in decode_blocks(Path(task.spec["recording"]), rate, field):
            count, peak = count + len(block), max(peak, float(abs(block).max(initial=0)))
            if count > longest * rate:
                raise too_long(longest, field)
            wav.writeframesraw(to_pcm(block))
    return asdict(Sound(count / rate, peak))


def _limit_time(seconds: float, field: str) -> None:
    """End a conversion that has taken so much processor time: what decodes so slowly was made to."""

    def give_up(_signal: int, _frame: object) -> None:
        message = "This file cannot be read as sound: it takes far too long. Save it anew as WAV, MP3 or MP4."
        raise InvalidInput(message, reason="UNREADABLE_MEDIA", field=field)

    signal.signal(signal.SIGXCPU, give_up)
    whole = math.ceil(seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (whole, whole + 10))  # the last is for a decoder that never returns


if __name__ == "__main__":
    sys.exit(child.run("conversion", work, most_bytes=MOST_BYTES))
