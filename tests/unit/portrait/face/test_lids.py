"""Lids of a photo: shut, they hide the whole eye, and nothing but the eyes changes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from portrait.face.lids import LOWER, UPPER, shut
from portrait.media.still import read
from portrait.tracking.faces import Tracker


@pytest.fixture(scope="module")
def looked_at(demo_photo: Path) -> tuple[np.ndarray, np.ndarray]:
    """The drawn presenter's photo and its mesh points (478, 2)."""
    picture = read(demo_photo)
    with Tracker() as tracker:
        return picture, tracker.landmarks(picture)[:, :2]


def around_eyes(picture: np.ndarray, points: np.ndarray, reach: float) -> np.ndarray:
    """Where the eyes are, and so much around them in widths of an eye."""
    near = np.zeros(picture.shape[:2], np.uint8)
    for upper, lower in zip(UPPER, LOWER, strict=True):
        eye = points[[*upper, *lower]].astype(np.int32)
        cv2.fillConvexPoly(near, cv2.convexHull(eye), 1)
    width = float(np.linalg.norm(points[33] - points[133]))
    return cv2.dilate(near, np.ones(2 * (2 * round(reach * width) + 1,), np.uint8)) > 0


def white(picture: np.ndarray) -> np.ndarray:
    """Bright without colour, as the white of an eye is and drawn skin never."""
    return (picture.min(axis=2) > 150) & (np.ptp(picture.astype(int), axis=2) < 45)


def test_no_white_shows_in_shut_eyes(looked_at: tuple[np.ndarray, np.ndarray]) -> None:
    picture, points = looked_at
    eyes = around_eyes(picture, points, 0.35)
    whites = [int((white(shut(picture, points, amount)) & eyes).sum()) for amount in (0, 0.45, 1)]
    assert whites[0] > 100, "the eyes of the test's face have no white to hide"
    assert 0 < whites[1] < whites[0]
    assert whites[2] == 0


def test_only_the_eyes_change(looked_at: tuple[np.ndarray, np.ndarray]) -> None:
    picture, points = looked_at
    assert shut(picture, points, 0) is picture
    changed = np.abs(shut(picture, points, 1).astype(int) - picture).max(axis=2)
    assert changed[~around_eyes(picture, points, 1.2)].max() <= 1


def test_a_turned_head_blinks_as_an_upright_one(looked_at: tuple[np.ndarray, np.ndarray]) -> None:
    picture, points = looked_at
    turn = cv2.getRotationMatrix2D((picture.shape[1] / 2, picture.shape[0] / 2), 20, 1)
    turned = cv2.warpAffine(picture, turn, picture.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
    moved = points @ turn[:, :2].T + turn[:, 2]
    eyes = around_eyes(turned, moved, 0.35)
    assert (white(turned) & eyes).sum() > 100
    assert not (white(shut(turned, moved, 1)) & eyes).any()
