"""Recordings are converted in a process that nothing can be done to."""

from __future__ import annotations

import asyncio
import struct
import subprocess
import sys
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from services.common.conversion import Converter, Sound, read_wav
from services.common.errors import InvalidInput

RATE = 16_000


def recording(path: Path, seconds: float = 2.6) -> Path:
    """A tone in an M4A file."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=44_100, layout="stereo")
        for index in range(round(seconds * 44_100 / 1024)):
            tone = 0.5 * np.sin(2 * np.pi * 220 * (np.arange(1024) + 1024 * index) / 44_100)
            frame = av.AudioFrame.from_ndarray(np.stack([tone, tone]).astype(np.float32), "fltp", "stereo")
            frame.sample_rate, frame.pts, frame.time_base = 44_100, 1024 * index, Fraction(1, 44_100)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def convert(path: Path, *, max_seconds: float = 60, field: str = "speech") -> Sound:
    converting = Converter().convert(path, path.with_name("out.wav"), RATE, max_seconds=max_seconds, field=field)
    return asyncio.run(converting)


def test_sound_becomes_a_wav_file(tmp_path: Path) -> None:
    sound = convert(recording(tmp_path / "a.m4a"))
    assert sound.seconds == pytest.approx(2.6, abs=0.05)
    assert sound.peak == pytest.approx(0.5, abs=0.05)
    with wave.open(str(tmp_path / "out.wav")) as file:
        assert file.getparams()[:4] == (1, 2, RATE, round(sound.seconds * RATE))
    assert [len(second) for second in read_wav(tmp_path / "out.wav")][:2] == [2 * RATE, 2 * RATE]


def test_what_is_too_long_is_not_decoded_to_its_end(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        convert(recording(tmp_path / "a.m4a", 90), max_seconds=30)
    assert (caught.value.reason, caught.value.field, caught.value.values) == (
        "TOO_LONG",
        "speech",
        {"max_minutes": "0.5"},
    )
    assert (tmp_path / "out.wav").stat().st_size < 32 * 2 * RATE


SLOW = """
import sys
from services.common import conversion
from services.common.errors import InvalidInput
from services.common.jobs.child import Task

conversion.decode_blocks = lambda *_: iter(lambda: [0] * 0, None)  # busy for ever, and brings nothing
conversion.FREE_S, conversion.LEAST_SPEED = 1.0, 1000.0
spec = {"recording": "", "wav": sys.argv[1], "rate": 16_000, "max_seconds": 20.0, "field": "speech"}
conversion.abs = lambda _: type("Silence", (), {"max": lambda self, initial: 0.0})()
conversion.to_pcm = bytes
try:
    conversion.work(Task("", spec, "", None, {}), print)
except InvalidInput as error:
    print(error.reason, error.field)
"""


def test_a_file_that_decodes_too_slowly_is_given_up(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SLOW, str(tmp_path / "out.wav")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert ended.stdout.split() == ["UNREADABLE_MEDIA", "speech"]


def test_a_kilobyte_that_claims_an_index_of_gigabytes_is_refused(tmp_path: Path) -> None:
    path = recording(tmp_path / "a.m4a")
    data, many = bytearray(path.read_bytes()), 100_000_000
    sizes, chunks, times = (data.index(name) for name in (b"stsz", b"stsc", b"stts"))
    data[sizes + 8 : sizes + 16] = struct.pack(">II", 1, many)  # every sample has a byte
    data[chunks + 16 : chunks + 20] = struct.pack(">I", many)  # and lies in the first chunk
    data[times + 12 : times + 16] = struct.pack(">I", many)
    path.write_bytes(data)
    with pytest.raises(InvalidInput) as caught:
        convert(path)
    assert (caught.value.reason, caught.value.field) == ("UNREADABLE_MEDIA", "speech")
