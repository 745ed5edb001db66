"""A video is the same by however many processes it was drawn, and however often it was broken off."""

from __future__ import annotations

import errno
import io
import shutil
import time
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest

from services.common.errors import NotFound
from services.render.avatars.cast import open_avatar
from services.render.engines.portrait import Engine, Settings
from services.render.film.making import PIECE_S, WORTH_S, Film, Scene
from services.render.settings import RenderSettings
from services.render.video.encoding import SOUND_RATE, MovieFile
from services.render.video.webvtt import Cue

SECONDS = 1.2 * WORTH_S
ENGINE = Engine(Settings())


@pytest.fixture
def scene(tmp_path: Path, tiny_avatar: Path) -> Scene:
    """An avatar in storage. With another preset x264 looks ahead, and reads memory there that nobody wrote: of the
    same pictures it makes other bytes in some three of a hundred films, which decode to pictures as good.
    """
    shutil.copytree(tiny_avatar, tmp_path / "storage" / "avatars" / "Ada")
    settings = RenderSettings(
        storage_url=(tmp_path / "storage").as_uri(), work_folder=tmp_path / "work", threads=1
    ).model_dump_json()
    cues = (Cue(4.1, 6.0, "Hello"),)
    return Scene(open_avatar, (settings, "Ada", 96, "cpu"), preset="ultrafast", cues=cues, label_text="AI")


def _speech(seconds: float) -> np.ndarray:
    at = np.arange(round(seconds * SOUND_RATE)) / SOUND_RATE
    return (0.3 * (1 + np.sin(19 * at)) * np.sign(np.sin(880 * at))).astype(np.float32)


def _filmed(scene: Scene, path: Path, processes: int, *, found: int = 0) -> bytes:
    path.parent.mkdir(exist_ok=True)
    film = Film(path, scene, {}, rate=SOUND_RATE, pool=partial(ENGINE.pool, processes))
    try:
        film.shut(1.0, 1.08)
        for block in np.array_split(_speech(SECONDS), 50):
            film.push(block)
        told = list(film.finish())
    finally:
        film.close()
    assert told == sorted(told)
    assert film.frame_count == SECONDS * film.fps
    assert film.frame_count - film.drawn_count == found
    return path.read_bytes()


def test_as_many_processes_as_there_are_make_the_same_video(scene: Scene, tmp_path: Path) -> None:
    alone = _filmed(scene, tmp_path / "alone" / "movie.mp4", 1)
    assert _filmed(scene, tmp_path / "together" / "movie.mp4", 2) == alone
    with av.open(io.BytesIO(alone)) as container:
        shown = [(frame.time, frame.to_ndarray(format="rgb24").astype(int)) for frame in container.decode(video=0)]
    assert [at for at, _ in shown] == pytest.approx([index / 25 for index in range(round(25 * SECONDS))], abs=1e-4)
    changes = np.array([np.abs(b - a)[:60].mean() for (_, a), (_, b) in zip(shown, shown[1:], strict=False)])
    joins = [round(25 * PIECE_S * piece) - 1 for piece in range(1, round(SECONDS / PIECE_S))]
    assert max(changes[at - 10 : at + 10].max() for at in joins) < 3 * np.quantile(changes, 0.95)
    subtitles = np.array([np.abs(b - a)[70:].mean() for (_, a), (_, b) in zip(shown, shown[1:], strict=False)])
    assert sorted(1 + np.argsort(subtitles)[-2:]) == [103, 150]


@pytest.mark.parametrize("processes", [1, 2])
def test_what_was_broken_off_goes_on_with_its_whole_pieces_to_the_same_video(
    scene: Scene, tmp_path: Path, processes: int
) -> None:
    in_one_go = _filmed(scene, tmp_path / "whole" / "movie.mp4", 1)
    path = tmp_path / "broken" / "movie.mp4"
    path.parent.mkdir()
    film = Film(path, scene, {}, rate=SOUND_RATE, pool=partial(ENGINE.pool, processes))
    film.shut(1.0, 1.08)
    film.push(_speech(SECONDS)[: round(1.5 * PIECE_S * SOUND_RATE)])
    deadline = time.monotonic() + 120
    while not (path.parent / "movie-0.mp4").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    film.close()
    (first,) = path.parent.glob("movie-?.mp4")
    drawn_at = first.stat().st_mtime_ns
    (path.parent / "movie-1.mp4.123.part").write_bytes(first.read_bytes()[:5000])  # by a process that was killed
    with av.open(str(first)) as container:
        found = container.streams.video[0].frames
    continued = _filmed(scene, path, processes, found=found)
    pieces = [one.name for one in sorted(path.parent.glob("movie-?.mp4"))]
    whole = tmp_path / "whole"
    assert [name for name in pieces if (path.parent / name).read_bytes() != (whole / name).read_bytes()] == []
    assert continued == in_one_go
    assert first.stat().st_mtime_ns == drawn_at


def test_a_piece_that_cannot_be_completed_is_none(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(MovieFile, "close", full)
    film = Film(tmp_path / "movie.mp4", scene, {}, rate=SOUND_RATE)
    with pytest.raises(OSError, match="No space"):
        film.push(_speech(PIECE_S))
    film.close()
    assert not list(tmp_path.glob("movie-?.mp4"))


def test_an_avatar_that_is_not_there_is_told(scene: Scene, tmp_path: Path) -> None:
    settings, _, size, device = scene.arguments
    with pytest.raises(NotFound):
        Film(tmp_path / "m.mp4", Scene(open_avatar, (settings, "Nobody", size, device)), {}, rate=SOUND_RATE,
             pool=partial(ENGINE.pool, 2))  # fmt: skip
