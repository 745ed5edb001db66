"""Similarities, crops, shapes and cuts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from portrait.media.video import frames
from portrait.mouth.shape import COMPONENTS, Shape, fit_shape, inner_gap, mouths_of, pose_base
from portrait.tracking.faces import EYES, INNER_LIP, JAW, OUTER_LIP, STABLE, Tracker, fill, interocular
from portrait.tracking.geometry import Canon, cut_out, make_canon, move, paste, similarities
from portrait.tracking.segments import cuts, glimpse, runs


def _people(frames: int, seed: int = 0) -> np.ndarray:
    """A head (T, 478, 3) that sways while its mouth opens and shuts."""
    rng = np.random.default_rng(seed)
    points = np.repeat(rng.uniform(100, 200, (1, 478, 3)).astype(np.float32), frames, axis=0)
    for eye, x in zip(EYES, (110.0, 190.0), strict=True):
        points[:, list(eye), :2] = [[x - 10, 120], [x + 10, 120]]
    points[:, [168, 6, 197, 195], :2] = [[150, 120], [150, 130], [150, 140], [150, 150]]
    angle = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    opening = 6 + 5 * np.sin(np.arange(frames) / 3)
    for ring, width, extra in ((OUTER_LIP, 30, 6), (INNER_LIP, 22, 0)):
        points[:, list(ring), 0] = 150 + width * np.cos(angle)
        points[:, list(ring), 1] = 190 - np.sin(angle) * -(opening[:, None] + extra)
    points[:, list(JAW), 0] = 150 + 60 * np.cos(np.linspace(np.pi, 0, len(JAW)))
    points[:, list(JAW), 1] = 180 + 60 * np.sin(np.linspace(np.pi, 0, len(JAW))) + opening[:, None] / 2
    sway = 5 * np.sin(np.arange(frames) / 20)
    points[..., 0] += sway[:, None]
    return points.astype(np.float32)


def test_similarity_undoes_a_similarity() -> None:
    rng = np.random.default_rng(0)
    template = rng.normal(size=(8, 2)).astype(np.float32)
    turn = 1.7 * np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
    moved = (template @ turn.T + [3, -2])[None].astype(np.float32)
    assert move(moved, similarities(moved, template))[0] == pytest.approx(template, abs=1e-5)


def test_canon_holds_the_mouth_and_stands_still() -> None:
    points = _people(120)
    canon, matrices = make_canon(points, [(0, 120)])
    assert canon.side % 16 == 0
    assert canon.iod == pytest.approx(float(np.median(interocular(points))), rel=1e-3)
    mouths = mouths_of(points, matrices, canon) * canon.iod
    assert mouths.min() > 0 and mouths.max() < canon.side
    inside = canon.mask[mouths[..., 1].round().astype(int), mouths[..., 0].round().astype(int)] > 0
    assert inside[:, :40].all()
    assert np.ptp(mouths[:, :40, 0], axis=0).max() < 1.0  # the sway is gone


def test_paste_of_the_own_crop_changes_nothing(canon: Canon) -> None:
    rng = np.random.default_rng(1)
    picture = np.kron(rng.integers(0, 255, (12, 12, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    matrix = np.array([[1, 0, -20], [0, 1, -40]], np.float32)
    crop = cut_out(picture, matrix, canon.side)
    assert np.abs(paste(picture, crop, canon.feather, matrix).astype(int) - picture).max() <= 1
    far = matrix - [[0, 0, 500], [0, 0, 0]]
    assert np.array_equal(paste(picture, crop, canon.feather, far.astype(np.float32)), picture)


def test_shape_round_trip_and_opening() -> None:
    points = _people(200)
    canon, matrices = make_canon(points, [(0, 200)])
    mouths, base = (
        mouths_of(points, matrices, canon),
        pose_base(points, matrices, canon, [(0, 200)], np.arange(200) < 150),
    )
    shape = fit_shape(mouths[:150], base[:150])
    coefficients = shape.project(mouths, base)
    assert shape.expand(coefficients, base) == pytest.approx(mouths, abs=0.01)
    opened = inner_gap(mouths - base)
    assert np.corrcoef(coefficients @ shape.aperture, opened)[0, 1] > 0.999
    assert np.polyfit(coefficients @ shape.aperture, opened, 1)[0] == pytest.approx(1, abs=0.02)


def test_only_open_lips_are_drawn_farther_open(shape: Shape) -> None:
    rest = np.full(COMPONENTS, 0.2, np.float32)
    said = np.stack([rest + 2 * shape.aperture, rest, rest - 2 * shape.aperture])
    gaps = (shape.overdrawn(said, rest, 1.25) - rest) @ shape.aperture
    assert gaps == pytest.approx((said - rest) @ shape.aperture * [1.25, 1, 1], rel=1e-4, abs=1e-6)


def test_shape_components_are_orthonormal() -> None:
    rng = np.random.default_rng(3)
    shape: Shape = fit_shape(rng.normal(size=(300, 57, 2)).astype(np.float32), np.zeros((300, 57, 2), np.float32))
    assert shape.components @ shape.components.T == pytest.approx(np.eye(12), abs=1e-4)


def test_cuts_are_found_and_motion_is_not() -> None:
    points = _people(100)
    points[40:, :, 0] += 25
    grey = np.full((100, 32, 32), 90, np.uint8)
    grey[40:] = 97
    grey[70:] = 140
    found = np.ones(100, bool)
    assert cuts(points, found, grey) == [(0, 40), (40, 70), (70, 100)]
    nod = np.array([1, 2, 3, 2, 1])
    points[85:90, :, 0] += 8 * nod[:, None]
    grey[85:90] += 5 * nod.astype(np.uint8)[:, None, None]
    assert cuts(points, found, grey) == [(0, 40), (40, 70), (70, 100)]
    found[20:22] = False  # missed for a moment
    found[10:17] = False  # away
    assert cuts(points, found, grey)[:3] == [(0, 10), (10, 17), (17, 40)]
    assert cuts(points, found, grey, np.array([90]))[-2:] == [(70, 90), (90, 100)]


def test_a_cut_where_the_head_hardly_moves() -> None:
    points = _people(100)
    points[40:] += 2.5
    grey = np.full((100, 32, 32), 90, np.uint8)
    grey[::2, :8] += 1  # noise of coding
    grey[40:, 16:] += 3
    assert cuts(points, np.ones(100, bool), grey) == [(0, 40), (40, 100)]


def test_hidden_cuts_of_real_recordings(shared_data: Path) -> None:
    """Speech by a news anchor, put together from five pieces; sentences joined every three seconds."""
    assert _cuts_seen(shared_data / "videos" / "dfrf_cnn2_en_71s.mp4", 10.0) == [176]
    assert set(_cuts_seen(shared_data / "videos" / "grid_s1_concat_375s.mp4", 15.2)) >= {75, 150, 225, 375}


def _cuts_seen(path: Path, seconds: float) -> list[int]:
    pictures = [shown for _, shown in frames(path, end_s=seconds)]
    with Tracker() as tracker:
        track = tracker.track(pictures)
    glimpses = np.stack([glimpse(shown) for shown in pictures])
    return [start for start, _ in cuts(track.points, track.found, glimpses)][1:]


def test_runs_of_true_values() -> None:
    assert runs(np.array([1, 1, 0, 1, 0, 0, 1], bool)) == [(0, 2), (3, 4), (6, 7)]
    assert runs(np.zeros(3, bool)) == []


def test_missing_frames_are_interpolated() -> None:
    points = [np.full((478, 3), v, np.float32) if v is not None else None for v in (None, 2.0, None, None, 8.0, None)]
    track = fill(points)
    assert track.points[:, 0, 0] == pytest.approx([2, 2, 4, 6, 8, 8])
    assert track.found.tolist() == [False, True, False, False, True, False]
    assert STABLE[0] == 33
