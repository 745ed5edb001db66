"""A video is the same by however many processes it was drawn, and nothing is left of one that was broken off."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import av
import numpy as np
import pytest

from services.common.errors import NotFound
from services.render.cast import open_avatar
from services.render.encoding import SOUND_RATE
from services.render.film import PIECE_S, WORTH_S, Film, Scene
from services.render.settings import RenderSettings
from services.render.webvtt import Cue

SECONDS = 1.2 * WORTH_S


@pytest.fixture
def scene(tmp_path: Path, tiny_avatar: Path) -> Scene:
    """An avatar in storage."""
    shutil.copytree(tiny_avatar, tmp_path / "storage" / "avatars" / "Ada")
    settings = RenderSettings(
        storage_url=(tmp_path / "storage").as_uri(), work_folder=tmp_path / "work", threads=1
    ).model_dump_json()
    return Scene(open_avatar, (settings, "Ada", 96, "cpu"), cues=(Cue(4.1, 6.0, "Hello"),), label_text="AI")


def _speech(seconds: float) -> np.ndarray:
    time = np.arange(round(seconds * SOUND_RATE)) / SOUND_RATE
    return (0.3 * (1 + np.sin(19 * time)) * np.sign(np.sin(880 * time))).astype(np.float32)


def _filmed(scene: Scene, path: Path, processes: int) -> bytes:
    film = Film(path, scene, {}, rate=SOUND_RATE, duration_s=SECONDS, processes=processes)
    try:
        film.shut(1.0, 1.08)
        for block in np.array_split(_speech(SECONDS), 50):
            film.push(block)
        told = list(film.finish())
    finally:
        film.close()
    assert told == sorted(told)
    assert film.frame_count == SECONDS * film.fps
    assert list(path.parent.glob("*.mp4")) == [path]
    return path.read_bytes()


def test_as_many_processes_as_there_are_make_the_same_video(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    path = tmp_path / "films" / "movie.mp4"
    alone = _filmed(scene, path, 1)
    assert _filmed(scene, path, 2) == alone
    with av.open(io.BytesIO(alone)) as container:
        shown = [(frame.time, frame.to_ndarray(format="rgb24").astype(int)) for frame in container.decode(video=0)]
    assert [time for time, _ in shown] == pytest.approx([index / 25 for index in range(round(25 * SECONDS))], abs=1e-4)
    changes = np.array([np.abs(b - a)[:60].mean() for (_, a), (_, b) in zip(shown, shown[1:], strict=False)])
    joins = [round(25 * PIECE_S * piece) - 1 for piece in range(1, round(SECONDS / PIECE_S))]
    assert max(changes[at - 10 : at + 10].max() for at in joins) < 3 * np.quantile(changes, 0.95)
    subtitles = np.array([np.abs(b - a)[70:].mean() for (_, a), (_, b) in zip(shown, shown[1:], strict=False)])
    assert sorted(1 + np.argsort(subtitles)[-2:]) == [103, 150]


def test_nothing_is_left_of_what_was_broken_off(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    film = Film(tmp_path / "films" / "movie.mp4", scene, {}, rate=SOUND_RATE, duration_s=SECONDS, processes=2)
    film.push(_speech(2 * PIECE_S))
    film.close()
    assert {path.name for path in (tmp_path / "films").iterdir()} <= {"movie.mp4"}


def test_an_avatar_that_is_not_there_is_told(scene: Scene, tmp_path: Path) -> None:
    settings, _, size, device = scene.arguments
    with pytest.raises(NotFound):
        Film(tmp_path / "m.mp4", Scene(open_avatar, (settings, "Nobody", size, device)), {}, rate=SOUND_RATE,
             duration_s=SECONDS, processes=2)  # fmt: skip
