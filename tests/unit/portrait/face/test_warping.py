"""Bending: points go where they are sent, the rest stays, and what is above a slit never shows below it."""

from __future__ import annotations

import numpy as np
import pytest

from portrait.face.slit import Slit, below, between
from portrait.face.warping import Field, Pull, bend, warped
from portrait.tracking.geometry import Canon

SIDE, STEP = 96, 4
HERE = np.array([[1, 0, 0], [0, 1, 0]], np.float32)


def slit(upper: float, lower: float) -> Slit:
    x = np.linspace(30, 66, 7)
    arch = np.sin(np.linspace(0, np.pi, 7))
    return Slit(np.stack([x, 48 - upper * arch], 1), np.stack([x, 48 + lower * arch], 1))


def inside(one: Slit) -> np.ndarray:
    return between(*one.heights(SIDE), np.arange(SIDE, dtype=np.float32)[:, None])


def ring() -> np.ndarray:
    along = np.linspace(0, SIDE, 8)
    return np.concatenate([np.stack([along, 0 * along + edge], 1) for edge in (0, SIDE)]
                          + [np.stack([0 * along + edge, along], 1)[1:-1] for edge in (0, SIDE)])  # fmt: skip


def field(points: np.ndarray) -> Field:
    return Field(points, ring(), SIDE, STEP)


def blob(x: float, y: float) -> np.ndarray:
    rows, columns = np.mgrid[:SIDE, :SIDE]
    light = 255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 18)
    return np.repeat(light[..., None], 3, axis=2).astype(np.uint8)


def middle(picture: np.ndarray) -> tuple[float, float]:
    light = picture[..., 0].astype(float)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return float((light * columns).sum() / light.sum()), float((light * rows).sum() / light.sum())


def test_a_point_takes_its_surroundings_along() -> None:
    points = np.array([[48.0, 60.0], [30.0, 48.0], [66.0, 48.0]])
    moves = np.array([[0.0, 7.0], [0.0, 0.0], [0.0, 0.0]], np.float32)
    inverse = field(points).inverse(moves)
    bent = bend(blob(48, 60), HERE, (inverse, inverse), STEP, below(slit(0, 0), SIDE))
    assert middle(bent) == pytest.approx((48, 67), abs=1.0)


def test_nothing_moves_at_the_edge_nor_without_a_cause() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3)).astype(np.uint8)
    points = np.array([[48.0, 60.0]])
    for moves, rows in (([[0.0, 6.0]], slice(0, 1)), ([[0.0, 0.0]], slice(None))):
        inverse = field(points).inverse(np.array(moves, np.float32))
        bent = bend(picture, HERE, (inverse, inverse), STEP, below(slit(0, 0), SIDE))
        assert np.abs(bent[rows].astype(int) - picture[rows]).max() <= 6  # of noise


def test_sides_of_a_slit_move_on_their_own() -> None:
    closed, parted = slit(0, 0), slit(6, 10)
    picture = np.zeros((SIDE, SIDE, 3), np.uint8)
    picture[:48], picture[48:] = (200, 0, 0), (0, 0, 200)
    above = field(closed.upper).inverse((parted.upper - closed.upper).astype(np.float32))
    beneath = field(closed.lower).inverse((parted.lower - closed.lower).astype(np.float32))
    bent = bend(picture, HERE, (above, beneath), STEP, below(parted, SIDE))
    shown = inside(parted)
    assert shown[48, 48] == 1 and shown[36, 48] == 0 and shown[60, 48] == 0
    assert bent[40, 48].tolist() == pytest.approx([200, 0, 0], abs=6)  # just over the upper edge
    assert bent[60, 48].tolist() == pytest.approx([0, 0, 200], abs=6)


def test_edges_that_meet_show_nothing_between() -> None:
    assert inside(slit(0, 0)).max() == 0
    assert inside(slit(-3, -3)).max() == 0  # passed through each other


def test_the_fields_hold_in_a_turned_and_smaller_frame() -> None:
    turn = np.array([[0, 1, 0], [-1, 0, SIDE - 1]], np.float32)  # a frame whose x runs up the crop
    points = np.array([[48.0, 60.0]])
    inverse = field(points).inverse(np.array([[0.0, 7.0]], np.float32))
    bent = bend(blob(SIDE - 1 - 60, 48), turn, (inverse, inverse), STEP, below(slit(0, 0), SIDE))
    assert middle(bent) == pytest.approx((SIDE - 1 - 67, 48), abs=1.0)


def test_a_pull_moves_its_points(canon: Canon) -> None:
    points = np.array([[0.7, 1.0], [1.3, 1.0]], np.float32)
    picture = np.zeros((48, 48, 3), np.uint8)
    picture[22:27, 15:20] = 255  # around the first point
    offsets = np.array([[2, 0], [0, 0]], np.float32) / 24  # it comes from two pixels to the right
    columns = warped(picture, Pull(points, canon, 0.2).field(offsets))[24, :, 0].astype(float)
    assert (columns * np.arange(48)).sum() / columns.sum() == pytest.approx(17 - 2, abs=0.7)
