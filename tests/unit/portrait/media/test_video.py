"""Reading and writing recordings."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from portrait import RecordingError, probe
from portrait.media.video import FrameReader, Movie, audio, frames


def _grey(value: int, size: tuple[int, int] = (64, 48)) -> np.ndarray:
    return np.full((size[1], size[0], 3), value, np.uint8)


def _write(path: Path, times: list[float], size: tuple[int, int] = (64, 48), rotation: int = 0) -> None:
    """A movie whose frame k is grey 10 k, shown at given seconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.time_base = Fraction(1, 1000)
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.options = {"crf": "5", "bf": "0"}
        if rotation:
            stream.set_display_rotation(rotation)
        for index, seconds in enumerate(times):
            frame = av.VideoFrame.from_ndarray(_grey(10 * index, size), format="rgb24")
            frame.pts, frame.time_base = round(seconds * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _levels(path: Path, **options: float) -> list[int]:
    return [round(float(picture.mean()) / 10) for _, picture in frames(path, **options)]


def test_variable_rate_comes_out_regular(tmp_path: Path) -> None:
    _write(tmp_path / "vfr.mp4", [0.0, 0.04, 0.2, 0.24, 0.28])
    assert _levels(tmp_path / "vfr.mp4", fps=25) == [0, 1, 1, 1, 1, 2, 3, 4]


def test_sixty_frames_a_second_become_twenty_five(tmp_path: Path) -> None:
    _write(tmp_path / "fast.mp4", [i / 60 for i in range(24)])
    levels = _levels(tmp_path / "fast.mp4", fps=25)
    assert len(levels) == 10
    assert levels == [round(i / 25 * 60) for i in range(10)]  # the nearest: no lag of half a frame


def test_a_part_on_a_slow_clock(tmp_path: Path) -> None:
    _write(tmp_path / "v.mp4", [i / 25 for i in range(20)])
    assert [t for t, _ in frames(tmp_path / "v.mp4", fps=5, start_s=0.2, end_s=0.6)] == [0.2, 0.4]
    assert _levels(tmp_path / "v.mp4", fps=5, start_s=0.2, end_s=0.6) == [5, 10]


def test_frames_stand_upright(tmp_path: Path, shared_data: Path) -> None:
    about = probe(shared_data / "videos" / "latentsync_demo2_man_20s.mp4")
    assert (about.width, about.height, about.codec, about.has_audio) == (1080, 1920, "hevc", True)


def test_movie_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "m.mp4"
    tone = (0.4 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)).astype(np.float32)
    with Movie(path, size=(64, 48), sound=True) as movie:
        for index in range(25):
            movie.push(_grey(8 * index))
        movie.hear(tone)
        assert not path.exists()
    about = probe(path)
    assert (about.fps, about.width, about.height, about.has_audio) == (25, 64, 48, True)
    assert [round(float(p.mean()) / 8) for _, p in frames(path)] == list(range(25))
    heard = audio(path)
    assert abs(len(heard) - 16000) <= 1100
    assert np.corrcoef(heard[2000:14000], tone[2000:14000])[0, 1] > 0.99


def test_colours_are_kept_and_named_for_players(tmp_path: Path) -> None:
    path = tmp_path / "m.mp4"
    red = np.zeros((48, 64, 3), np.uint8)
    red[:] = (200, 40, 60)
    with Movie(path, size=(64, 48), crf=5) as movie:
        for _ in range(3):
            movie.push(red)
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.colorspace == 1  # BT.709, what players assume too
    (_, seen), *_ = frames(path)
    assert np.abs(seen[24, 32].astype(int) - (200, 40, 60)).max() <= 4


def test_an_abandoned_movie_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyError), Movie(tmp_path / "m.mp4", size=(64, 48)) as movie:
        movie.push(_grey(0))
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_random_access_in_both_directions(tmp_path: Path) -> None:
    path = tmp_path / "m.mp4"
    with Movie(path, size=(64, 48), crf=5, seekable=True) as movie:
        for index in range(80):
            movie.push(_grey(3 * index))
    reader = FrameReader(path)
    wanted = [0, 79, 78, 24, 25, 26, 25, 24, 50, 49, 10]
    assert [round(float(reader[i].mean()) / 3) for i in wanted] == wanted
    reader.close()


@pytest.mark.parametrize("content", [b"", b"not a video at all", b"\x00\x00\x00\x18ftypmp42" + bytes(100)])
def test_what_is_no_video_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.mp4").write_bytes(content)
    with pytest.raises(RecordingError) as caught:
        probe(tmp_path / "x.mp4")
    assert caught.value.reason == "not-media"


def test_silent_and_blind_files(tmp_path: Path) -> None:
    _write(tmp_path / "silent.mp4", [0.0, 0.04])
    with pytest.raises(RecordingError) as caught:
        audio(tmp_path / "silent.mp4")
    assert caught.value.reason == "no-audio"


def test_a_truncated_tail_keeps_what_is_readable(tmp_path: Path) -> None:
    path = tmp_path / "m.mkv"
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(50):
            noise = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, format="rgb24")))
        container.mux(stream.encode(None))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert 5 < sum(1 for _ in frames(path)) < 50
