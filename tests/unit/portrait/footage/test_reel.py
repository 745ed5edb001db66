"""What is decoded ahead is what is shown, whatever was expected."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from portrait.footage.reel import Reel
from portrait.footage.walk import Mix
from portrait.media.video import Movie


@pytest.fixture(scope="module")
def movie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reel") / "m.mp4"
    with Movie(path, size=(64, 48), crf=5, seekable=True) as file:
        for index in range(80):
            file.push(np.full((48, 64, 3), 3 * index, np.uint8))
    return path


def _mix(*rows: tuple[tuple[int, float], tuple[int, float]]) -> Mix:
    frames = np.array([[frame for frame, _ in row] for row in rows], np.int32)
    return Mix(frames, np.array([[weight for _, weight in row] for row in rows], np.float32))


def _levels(reel: Reel, mix: Mix) -> list[int]:
    return [round(float(picture.mean()) / 3) for picture in reel.show(mix)]


def test_frames_come_mixed_and_in_order(movie: Path) -> None:
    reel = Reel(movie)
    expected = _mix(((60, 1), (0, 0)), ((61, 1), (0, 0)))
    reel.expect(expected)
    mix = _mix(((10, 1), (79, 0)), ((11, 0.75), (51, 0.25)), ((12, 0.5), (52, 0.5)), ((53, 1), (0, 0)))
    assert _levels(reel, mix) == [10, 21, 32, 53]
    assert _levels(reel, expected) == [60, 61]
    reel.close()


def test_a_frame_that_is_not_there_is_an_error(movie: Path) -> None:
    reel = Reel(movie)
    with pytest.raises(IndexError, match="no frame 80"):
        reel.show(_mix(((80, 1), (0, 0))))
    assert _levels(reel, _mix(((7, 1), (0, 0)))) == [7]
    reel.close()


def test_closing_ends_the_thread(movie: Path) -> None:
    before = threading.active_count()
    reel = Reel(movie)
    reel.expect(_mix(*(((index, 1), (0, 0)) for index in range(80))))
    reel.close()
    assert threading.active_count() == before
