"""Sound of every kind of file, good and bad."""

from __future__ import annotations

import io
import struct
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from services.common import audio
from services.common.errors import InvalidInput

RATE = 16_000
TONE = (0.4 * np.sin(2 * np.pi * 220 * np.arange(2 * RATE) / RATE)).astype(np.float32)


def wav(samples: np.ndarray, *, width: int = 2, channels: int = 1, rate: int = RATE) -> bytes:
    target = io.BytesIO()
    data = (samples * 127 + 128).astype(np.uint8) if width == 1 else (samples * 32_767).astype("<i2")
    with wave.open(target, "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", ""))
        file.writeframes(np.repeat(data, channels).tobytes())
    return target.getvalue()


def encoded(path: Path, codec: str, rate: int = 48_000) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        samples = np.interp(np.arange(2 * rate) / rate, np.arange(len(TONE)) / RATE, TONE).astype(np.float32)
        for start in range(0, len(samples), 1024):
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(samples[None, start : start + 1024]), "fltp", "mono"
            )
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def assert_tone(samples: np.ndarray) -> None:
    assert samples.dtype == np.float32
    assert len(samples) == pytest.approx(2 * RATE, abs=0.1 * RATE)
    spectrum = np.abs(np.fft.rfft(samples[RATE // 2 : RATE + RATE // 2]))
    assert np.argmax(spectrum) == pytest.approx(220, abs=2)
    assert np.abs(samples).max() == pytest.approx(0.4, abs=0.05)


@pytest.mark.parametrize("options", [{}, {"width": 1}, {"channels": 2}, {"width": 1, "channels": 2}])
def test_wav_of_every_width(options: dict[str, int]) -> None:
    assert_tone(audio.decode(io.BytesIO(wav(TONE, **options)), RATE))


@pytest.mark.parametrize("rate", [8000, 11_025, 44_100])
def test_other_rates_are_resampled(rate: int) -> None:
    slow = np.sin(2 * np.pi * 220 * np.arange(2 * rate) / rate).astype(np.float32) * 0.4
    assert_tone(audio.decode(io.BytesIO(wav(slow, rate=rate)), RATE))


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp3", "libmp3lame"), ("a.m4a", "aac"), ("a.ogg", "libopus"), ("a.webm", "libopus"), ("a.flac", "flac")],
)
def test_compressed_files(tmp_path: Path, name: str, codec: str) -> None:
    assert_tone(audio.decode(encoded(tmp_path / name, codec), RATE))


def test_blocks_are_the_whole_in_pieces() -> None:
    blocks = list(audio.decode_blocks(io.BytesIO(wav(TONE)), RATE))
    assert len(blocks) > 3
    assert_tone(np.concatenate(blocks))


@pytest.mark.parametrize("data", [b"", b"RIFF", b"no sound at all " * 100, wav(TONE)[:20], bytes(5000)])
def test_what_is_no_sound_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput) as caught:
        audio.decode(io.BytesIO(data), RATE, field="speech")
    assert (caught.value.reason, caught.value.field) == ("UNREADABLE_MEDIA", "speech")


def test_a_truncated_recording_keeps_what_is_there(tmp_path: Path) -> None:
    data = encoded(tmp_path / "a.mp3", "libmp3lame").read_bytes()
    assert len(audio.decode(io.BytesIO(data[: len(data) // 2]), RATE)) == pytest.approx(RATE, abs=0.2 * RATE)


def test_a_picture_without_sound_has_no_audio(tmp_path: Path) -> None:
    path = tmp_path / "silent.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")))
        container.mux(stream.encode(None))
    with pytest.raises(InvalidInput) as caught:
        audio.decode(path, RATE)
    assert caught.value.reason == "NO_AUDIO"


def header(rate: int, channels: int, sizes: int = 120_000) -> bytes:
    """A WAV file of 120 kB that says of itself what it likes."""
    kind = struct.pack("<HHIIHH", 1, channels, rate, 2 * channels * rate % 2**32, 2 * channels % 2**16, 16)
    data = np.random.default_rng(0).integers(-9000, 9000, 60_000).astype("<i2").tobytes()
    return b"RIFF%bWAVEfmt %b%bdata%b%b" % (
        struct.pack("<I", sizes % 2**32), struct.pack("<I", len(kind)), kind, struct.pack("<I", sizes % 2**32), data
    )  # fmt: skip


@pytest.mark.parametrize("rate", [1, 2, 999, 2**31 - 1])
def test_rates_at_which_a_few_bytes_would_be_hours_are_refused(rate: int) -> None:
    with pytest.raises(InvalidInput) as caught:
        audio.decode(io.BytesIO(header(rate, 1)), RATE)
    assert caught.value.reason == "UNREADABLE_MEDIA"


@pytest.mark.parametrize("sizes", [0, 36, 2**31, 2**32 - 1])
def test_the_sound_is_as_long_as_what_is_there(sizes: int) -> None:
    blocks = audio.decode_blocks(io.BytesIO(header(RATE, 1, sizes)), RATE)
    assert sum(len(block) for block in blocks) <= 60_000


@pytest.mark.parametrize("channels", [3, 8, 9, 17, 64])
def test_any_number_of_channels_is_heard(channels: int) -> None:
    heard = audio.decode(io.BytesIO(wav(TONE, channels=channels)), RATE)
    assert_tone(heard)


@pytest.mark.parametrize("channels", [0, 65, 65_535])
def test_impossible_numbers_of_channels_are_refused(channels: int) -> None:
    with pytest.raises(InvalidInput) as caught:
        audio.decode(io.BytesIO(header(RATE, channels)), RATE)
    assert caught.value.reason == "UNREADABLE_MEDIA"


def test_too_long() -> None:
    with pytest.raises(InvalidInput) as caught:
        audio.decode(io.BytesIO(wav(TONE)), RATE, max_seconds=1)
    assert caught.value.reason == "TOO_LONG"


def test_pcm_there_and_back() -> None:
    pcm = np.arange(-32_768, 32_768).astype("<i2").tobytes()
    assert audio.to_pcm(audio.from_pcm(pcm)) == pcm
    assert np.abs(audio.from_pcm(audio.to_pcm(TONE)) - TONE).max() < 1e-4
    assert audio.from_pcm(audio.to_pcm(np.array([2.0, -2.0]))) == pytest.approx([1, -1], abs=1e-4)
    with pytest.raises(InvalidInput):
        audio.from_pcm(b"123")


def sine(rate: int, seconds: float = 1.0) -> np.ndarray:
    return np.sin(2 * np.pi * 300 * np.arange(round(rate * seconds)) / rate).astype(np.float32)


@pytest.mark.parametrize(("source", "target"), [(8000, 48_000), (22_050, 16_000), (44_100, 48_000), (16_000, 16_000)])
@pytest.mark.parametrize("piece", [160, 4096])
def test_pieces_join_without_a_seam_and_nothing_is_delayed(source: int, target: int, piece: int) -> None:
    resampler, samples = audio.Resampler(source, target), sine(source)
    parts = [resampler.push(samples[at : at + piece]) for at in range(0, len(samples), piece)]
    result = np.concatenate([*parts, resampler.flush()])
    assert len(result) == pytest.approx(target, abs=2)
    wanted = sine(target)[: len(result)]
    middle = slice(target // 50, -target // 50)
    assert np.abs(result[: len(wanted)] - wanted)[middle].max() < 0.02


def test_nothing_in_nothing_out() -> None:
    resampler = audio.Resampler(8000, 16_000)
    assert len(resampler.push(np.zeros(0, np.float32))) == len(resampler.flush()) == 0


def test_channels_in_opposite_phase_are_heard() -> None:
    target = io.BytesIO()
    both = np.stack([TONE, -TONE], axis=1)
    with wave.open(target, "wb") as file:
        file.setparams((2, 2, RATE, 0, "NONE", ""))
        file.writeframes((both * 32_767).astype("<i2").tobytes())
    heard = audio.decode(io.BytesIO(target.getvalue()), RATE)
    assert np.abs(heard).max() == pytest.approx(0.4, abs=0.02)
    assert_tone(heard)
