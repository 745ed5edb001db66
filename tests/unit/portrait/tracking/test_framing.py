"""The square holds the face, follows it in takes, and leaves out what shows none, two, or has no sound."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from portrait import RecordingError
from portrait.media.video import SAMPLE_RATE, frames
from portrait.tracking.faces import Face, Tracker
from portrait.tracking.framing import Look, Take, rivals, survey, takes
from portrait.training.preparing import FRAMES, SHAPES, SOUND, TAKES, align, preprocess, track
from portrait.training.split import Split
from portrait.workspace import Workspace

Record = Callable[..., Path]
RATE = 44_100
SIZE = (1280, 720)


def looks(where: Callable[[float], tuple[float, float, float] | None], seconds: float = 12) -> list[Look]:
    """A face (centre and width told by `where`) looked at three times a second."""
    times = np.arange(0, seconds, 1 / 3)
    seen = [(t, where(t)) for t in times]
    return [Look(t, Face(at[0] - at[2] / 2, at[1] - at[2] / 2, at[2], at[2], 0.9)) for t, at in seen if at]


def found(where: Callable[[float], tuple[float, float, float] | None]) -> list[Take]:
    return list(takes(looks(where), SIZE, 0.0, 12.0))


def test_a_small_face_off_centre_has_one_still_square() -> None:
    (take,) = found(lambda t: (200 + 10 * np.sin(t), 500 + 6 * np.cos(2 * t), 100))
    assert (take.start_s, take.end_s, take.side) == (0, 12, pytest.approx(200, abs=4))
    assert take.x <= 140
    assert take.x + take.side >= 260


def test_one_who_moves_about_gets_a_larger_square() -> None:
    (take,) = found(lambda t: (600 + 70 * np.sin(t), 300, 100))
    assert 240 < take.side <= 304
    assert take.x < 480 < 720 < take.x + take.side


def test_one_who_walks_is_followed_in_takes() -> None:
    walk = found(lambda t: (150 + 80 * t, 300, 100))
    assert len(walk) > 2
    for take in walk:
        for second in (take.start_s, take.end_s):
            assert take.x <= 150 + 80 * second - 45
            assert 150 + 80 * second + 45 <= take.x + take.side + 30
    for before, after in pairwise(walk):
        assert 0 <= after.start_s - before.end_s < 0.4


def test_cuts_to_another_shot_begin_another_take() -> None:
    wide, close = found(lambda t: (300, 300, 90) if t < 5 else (800, 350, 260))
    assert close.side > 1.8 * wide.side
    assert 4.6 < wide.end_s < close.start_s < 5.4
    zoomed = found(lambda t: (640, 360, 100) if t < 5 else (640, 360, 170))
    assert len(zoomed) == 2


def test_away_in_the_middle_and_at_the_beginning() -> None:
    first, second = found(lambda t: None if 4 < t < 6 else (640, 300, 150))
    assert first.end_s <= 4
    assert second.start_s >= 6
    (late,) = found(lambda t: None if t < 2.5 else (640, 300, 150))
    assert 2.5 <= late.start_s < 3
    (missed,) = found(lambda t: None if 4 < t < 4.5 else (640, 300, 150))
    assert (missed.start_s, missed.end_s) == (0, 12)


def test_scraps_are_dropped() -> None:
    assert len(found(lambda t: (640, 300, 150) if t < 6 or 8 < t < 8.6 else None)) == 1


def test_passers_by_are_no_rivals() -> None:
    main = Face(0, 0, 100, 100, 0.9)
    assert rivals(main, [Face(300, 0, 30, 30, 0.9), Face(300, 0, 80, 80, 0.5)]) == []
    assert len(rivals(main, [Face(300, 0, 80, 80, 0.9)])) == 1


def test_a_small_face_in_a_wide_picture_is_found(presenter: list[np.ndarray]) -> None:
    """The detector sees 192 pixels of any picture; parts of it are looked at when nothing is found."""
    wide = np.full((720, 1280, 3), 120, np.uint8)
    wide[600:680, 1150:1230] = presenter[0][::3, ::3][:80, :80]
    with Tracker() as tracker:
        (face,) = tracker.faces(wide)
    assert (face.x + face.width / 2, face.y + face.height / 2) == pytest.approx((1190, 644), abs=12)


def scene(presenter: list[np.ndarray], index: int, left: int | None) -> np.ndarray:
    """A wide picture, for two frames of each second brighter, with the presenter somewhere or not at all."""
    wide = np.full((240, 480, 3), 90, np.uint8)
    if left is not None:
        wide[20:220, left : left + 200] = presenter[index][28:228, 28:228]
    return wide + np.uint8(40 if index % 25 < 2 else 0) * (wide < 200)


def beeps(count: int) -> np.ndarray:
    sound = np.zeros(count * RATE // 25, np.float32)
    for second in range(count // 25):
        sound[second * RATE : second * RATE + 1500] = 0.7 * np.sin(0.4 * np.arange(1500))
    return sound


@pytest.fixture
def work(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "work")


def quiet(step: int, steps: int) -> None:
    assert step <= steps


def test_gone_for_two_seconds_and_back_elsewhere(
    record: Record, work: Workspace, presenter: list[np.ndarray], voice: np.ndarray
) -> None:
    """Nothing of the absence is kept, the sound stays with the picture, and nothing is learned across the join."""
    places = [20] * 110 + [None] * 50 + [260] * 140
    path = record([scene(presenter, i, left) for i, left in enumerate(places)], beeps(300)[None])
    facts = preprocess(path, work, 128, 300.0, quiet)
    assert 230 <= facts["frames"] <= 250
    shown = [picture.astype(int) for _, picture in frames(work.path(FRAMES))]
    assert min(picture.std() for picture in shown) > 25  # an empty scene has next to none
    _, start = work.load(TAKES)["starts"]
    levels = np.array([picture[:4].mean() for picture in shown])
    flashed = np.flatnonzero(levels[1:] > levels[:-1] + 20) + 1
    loud = np.flatnonzero(np.abs(np.load(work.path(SOUND))) > 0.2)
    heard = loud[np.diff(loud, prepend=-SAMPLE_RATE) > SAMPLE_RATE // 3] / SAMPLE_RATE
    assert len(flashed) >= 7
    assert all(np.abs(heard - at / 25).min() < 0.01 for at in flashed)
    track(work, facts["frames"], quiet)
    align(work, Split(), quiet)
    shapes = work.load(SHAPES)
    assert start in shapes["segments"][:, 0]
    assert not shapes["training"][start - 1 : start + 1].any()
    assert shapes["training"].mean() > 0.7


def test_sound_that_is_shorter_than_the_picture(
    record: Record, work: Workspace, presenter: list[np.ndarray], voice: np.ndarray
) -> None:
    pictures = [scene(presenter, i, 140) for i in range(250)]
    path = record(pictures, voice[:, RATE : 8 * RATE], heard_s=1.0)
    assert preprocess(path, work, 128, 300.0, quiet)["frames"] == pytest.approx(175, abs=2)


def test_two_people_for_a_moment_are_left_out(record: Record, presenter: list[np.ndarray], voice: np.ndarray) -> None:
    pictures = [scene(presenter, i, 20) for i in range(250)]
    for shown, other in zip(pictures[100:160], presenter, strict=False):
        shown[20:220, 260:460] = other[28:228, 28:228]
    footage = survey(record(pictures, voice[:, : 10 * RATE]), 10.0, quiet)
    first, second = footage.takes
    assert first.end_s <= 4.0
    assert second.start_s >= 6.4
    assert first.x == pytest.approx(second.x, abs=10)


@pytest.mark.parametrize(("kept", "reason"), [(60, "little-face"), (0, "no-face")])
def test_too_little_of_a_face(
    record: Record, work: Workspace, presenter: list[np.ndarray], voice: np.ndarray, kept: int, reason: str
) -> None:
    pictures = [scene(presenter, i, 140 if i < kept else None) for i in range(200)]
    with pytest.raises(RecordingError) as caught:
        preprocess(record(pictures, voice[:, : 8 * RATE]), work, 128, 300.0, quiet)
    assert caught.value.reason == reason
    if kept:
        assert caught.value.values == {"seconds": "2", "min": "5"}


def test_nothing_but_cuts_is_refused(
    record: Record, work: Workspace, presenter: list[np.ndarray], voice: np.ndarray
) -> None:
    shots = [np.roll(shown, 12 * (i // 15 % 2), axis=1) for i, shown in enumerate(presenter[:150])]
    facts = preprocess(record(shots, voice[:, : 6 * RATE]), work, 128, 300.0, quiet)
    track(work, facts["frames"], quiet)
    with pytest.raises(RecordingError) as caught:
        align(work, Split(), quiet)
    assert caught.value.reason == "too-many-cuts"
