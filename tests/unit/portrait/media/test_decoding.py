"""What cameras, phones, editors and browsers write comes out in time, upright, and in its colours."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

from portrait import probe
from portrait.media.video import SAMPLE_RATE, audio, frames, heard

Record = Callable[..., Path]
RATE = 44_100  # what `record` takes
WEBM = {"name": "video.webm", "codec": "libvpx", "audio_codec": "libopus", "rate": 48_000, "options": {"live": "1"}}
COLOURS = [(200, 40, 60), (40, 180, 60), (30, 60, 210), (220, 170, 140)]


def flashes(seconds: float, fps: float) -> list[np.ndarray]:
    """Dark frames, bright for a tenth of each second from the first on."""
    times = np.arange(round(seconds * fps)) / fps
    return [np.full((48, 64, 3), 220 if t >= 1 and (t + 1e-6) % 1 < 0.1 else 30, np.uint8) for t in times]


def clicks(seconds: float, first_s: float = 0.0, rate: int = RATE) -> np.ndarray:
    """A beep of 45 ms at each second; what would be heard before `first_s` is left out."""
    sound = np.zeros(round(seconds * rate), np.float32)
    for second in range(1, int(seconds)):
        sound[second * rate : second * rate + 2000] = 0.8 * np.sin(0.3 * np.arange(2000))
    return sound[None, round(first_s * rate) :]


def distances(path: Path) -> tuple[int, np.ndarray]:
    """How many beeps are heard, and each one's distance to the nearest flash in seconds."""
    levels = np.array([shown.mean() for _, shown in frames(path)])
    flashed = (np.flatnonzero((levels[1:] > 120) & (levels[:-1] <= 120)) + 1) / 25
    loud = np.flatnonzero(np.abs(audio(path)) > 0.2)
    beeps = loud[np.diff(loud, prepend=-SAMPLE_RATE) > SAMPLE_RATE // 2] / SAMPLE_RATE
    return len(beeps), np.array([flashed[np.abs(flashed - beep).argmin()] - beep for beep in beeps])


@pytest.mark.parametrize(
    ("fps", "options"),
    [
        (25, {}),
        (24_000 / 1001, {}),
        (30_000 / 1001, {}),
        (50, {}),
        (60, {}),
        (25, {"start_s": 3.0}),
        (25, {"options": {"movflags": "frag_keyframe+empty_moov"}}),
        (25, {"name": "video.mkv", "audio_codec": "libmp3lame"}),
        (25, {"name": "video.ts"}),
        (25, {"name": "video.avi", "audio_codec": "pcm_s16le"}),
        (
            30,
            {
                "name": "video.webm",
                "codec": "libvpx",
                "audio_codec": "libopus",
                "rate": 48_000,
                "options": {"live": "1"},
            },
        ),
    ],
)
def test_sound_and_picture_stay_together(record: Record, fps: float, options: dict[str, Any]) -> None:
    path = record(flashes(8, fps), clicks(8, rate=options.get("rate", RATE)), fps=fps, **options)
    count, apart = distances(path)
    assert count == 7
    # Nothing in a fragmented MP4 tells that AAC begins with 23 ms of run-in.
    assert np.abs(apart).max() <= (0.025 if "options" in options and "movflags" in options["options"] else 0.01)
    assert sum(1 for _ in frames(path)) == pytest.approx(200, abs=1)
    assert probe(path).duration_s == pytest.approx(8, abs=0.1)


def test_sound_that_begins_late_has_a_gap_or_ends_early(record: Record) -> None:
    late = record(flashes(8, 25), clicks(8, 1.5), heard_s=1.5, name="late.mp4")
    assert distances(late) == (6, pytest.approx(0, abs=0.01))
    assert heard(late) == pytest.approx((1.5, 8), abs=0.05)
    assert np.abs(audio(late)[: int(1.4 * SAMPLE_RATE)]).max() == 0
    for name, codec in (("gap.mp4", "aac"), ("gap.mkv", "pcm_s16le")):
        path = record(flashes(8, 25), clicks(8), gap=(2.2, 4.7), name=name, audio_codec=codec)
        assert distances(path) == (5, pytest.approx(0, abs=0.01))
    short = record(flashes(8, 25), clicks(5), name="short.mp4")
    assert heard(short) == pytest.approx((0, 5), abs=0.05)


def test_a_clock_that_leaps_by_hours_makes_no_hours_of_silence(record: Record) -> None:
    path = record(flashes(4, 25), clicks(4), heard_s=5 * 3600, name="forged.mkv", audio_codec="pcm_s16le")
    assert len(audio(path)) < 10 * SAMPLE_RATE


def test_jitter_neither_repeats_nor_drops_frames(record: Record) -> None:
    jitter = np.random.default_rng(0).uniform(-0.012, 0.012, 50)
    times = [0.0, *(i / 25 + jitter[i] for i in range(1, 50))]
    path = record([np.full((48, 64, 3), 4 * i + 20, np.uint8) for i in range(50)], times=times)
    assert [round((shown.mean() - 20) / 4) for _, shown in frames(path)][:50] == list(range(50))


def test_avi_with_frames_stored_out_of_order(record: Record) -> None:
    ramp = [np.full((48, 64, 3), 4 * i + 20, np.uint8) for i in range(50)]
    path = record(ramp, name="video.avi", coding={"bf": "2", "preset": "medium"})
    assert [round((shown.mean() - 20) / 4) for _, shown in frames(path)] == list(range(50))


def test_a_damaged_middle_costs_only_itself(record: Record) -> None:
    noise = np.random.default_rng(0).integers(0, 60, (48, 64, 3), dtype=np.uint8)
    path = record([noise + np.uint8(i) for i in range(150)], name="video.ts", coding={"g": "10"})
    data = bytearray(path.read_bytes())
    third = len(data) // 3
    data[third : third + 4000] = bytes(4000)
    path.write_bytes(data)
    seen = list(frames(path))
    assert len(seen) == pytest.approx(150, abs=1)
    assert abs(seen[-1][1].mean() - noise.mean() - 149) < 2


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_rotated_by_metadata(record: Record, rotation: int) -> None:
    upright = np.zeros((96, 64, 3), np.uint8)
    upright[:48, :32], upright[:48, 32:], upright[48:, :32], upright[48:, 32:] = COLOURS
    # The matrix turns what is stored against the clock, so it is stored turned with it.
    stored = np.ascontiguousarray(np.rot90(upright, -rotation // 90))
    path = record([stored] * 5, rotation=rotation, coding={"crf": "2"})
    (_, seen), *_ = frames(path)
    assert seen.shape == upright.shape
    for y, x in ((20, 16), (20, 48), (70, 16), (70, 48)):
        assert np.abs(seen[y, x].astype(int) - upright[y, x]).max() <= 6


def test_pixels_that_are_not_square(record: Record) -> None:
    path = record([np.zeros((48, 64, 3), np.uint8)] * 3, sample_aspect_ratio=Fraction(3, 2))
    about = probe(path)
    assert (about.width, about.height) == (96, 48)
    assert next(frames(path))[1].shape == (48, 96, 3)
    assert next(frames(path, scale=0.5))[1].shape == (24, 48, 3)


def test_odd_sizes(record: Record) -> None:
    path = record([np.full((49, 65, 3), 90, np.uint8)] * 3, name="video.mkv", codec="ffv1", pix_fmt="yuv444p")
    assert next(frames(path))[1].shape == (49, 65, 3)


@pytest.mark.parametrize(
    ("size", "pix_fmt", "space", "wide", "named"),
    [
        ((320, 240), "yuv420p", Colorspace.ITU601, False, None),
        ((1280, 720), "yuv420p", Colorspace.ITU709, False, None),  # players take it for BT.709 by its size
        ((320, 240), "yuv420p", Colorspace.ITU709, False, 1),
        ((320, 240), "yuv420p", Colorspace.ITU709, True, 1),
        ((320, 240), "yuv420p10le", Colorspace.ITU709, False, 1),
    ],
)
def test_colours(
    tmp_path: Path, size: tuple[int, int], pix_fmt: str, space: Colorspace, wide: bool, named: int | None
) -> None:
    bars = np.repeat(np.array(COLOURS, np.uint8), size[0] // 4, axis=0)[None].repeat(size[1], axis=0)
    full = ColorRange.JPEG if wide else ColorRange.MPEG
    with av.open(str(tmp_path / "c.mkv"), "w") as container:
        stream = container.add_stream("libx265" if "10" in pix_fmt else "libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        stream.options = {"crf": "4", "preset": "ultrafast", "x265-params": "log-level=0:frame-threads=1"}
        if named is not None:
            context = stream.codec_context
            context.colorspace = context.color_primaries = context.color_trc = named
            context.color_range = full
        for index in range(2):
            frame = av.VideoFrame.from_ndarray(bars, "rgb24")
            frame = frame.reformat(format=pix_fmt, dst_colorspace=space, dst_color_range=full)
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    (_, seen), *_ = frames(tmp_path / "c.mkv")
    at = [int((i + 0.5) * size[0] / 4) for i in range(4)]
    assert np.abs(seen[size[1] // 2, at].astype(int) - COLOURS).max() <= 5


def test_one_silent_channel_and_opposite_channels(record: Record) -> None:
    sound = clicks(4)
    silent = record(flashes(4, 25), np.concatenate([sound, 0 * sound]), name="left.mkv", audio_codec="pcm_s16le")
    opposite = record(flashes(4, 25), np.concatenate([sound, -sound]), name="phase.mkv", audio_codec="pcm_s16le")
    assert np.abs(audio(silent)).max() == pytest.approx(0.4, abs=0.05)
    assert np.abs(audio(opposite)).max() == pytest.approx(0.8, abs=0.08)
