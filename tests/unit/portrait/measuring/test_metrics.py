"""Metrics have known answers."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from portrait.measuring import metrics
from portrait.tracking.faces import INNER_LIP, OUTER_LIP


def _noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (64, 80, 3), dtype=np.uint8)


def _mesh(frames: int, gap: np.ndarray | float = 4.0) -> np.ndarray:
    """Mesh points (T, 478, 3): eyes 100 px apart, a ring of lips whose inner gap is `gap` px."""
    points = np.zeros((frames, 478, 3), np.float32)
    for eye, x in (((33, 133), 50.0), ((362, 263), 150.0)):
        points[:, list(eye), 0], points[:, list(eye), 1] = x, 60.0
    angles = np.linspace(0, 2 * np.pi, len(OUTER_LIP), endpoint=False)
    for ring, radius in ((OUTER_LIP, 30.0), (INNER_LIP, 15.0)):
        points[:, list(ring), 0] = 100 + radius * np.cos(angles)
        points[:, list(ring), 1] = 140 + radius * np.sin(angles)
    points[:, [13, 82, 312], 0], points[:, [13, 82, 312], 1] = (100, 90, 110), 140.0
    points[:, [14, 87, 317], 0] = (100, 90, 110)
    points[:, [14, 87, 317], 1] = 140 + np.broadcast_to(np.reshape(gap, (-1, 1)), (frames, 3))
    return points


def test_psnr_of_a_known_error() -> None:
    black = np.zeros((8, 8, 3), np.uint8)
    assert metrics.psnr(metrics.squared_error(black, black + 10)) == pytest.approx(28.131, abs=1e-3)
    assert metrics.psnr(metrics.squared_error(black, black)) == 100


def test_ssim_agrees_with_scikit_image() -> None:
    true = np.repeat(np.repeat(_noise(0)[::4, ::4], 4, axis=0), 4, axis=1)
    made = np.clip(true.astype(int) + _noise(1) // 8 - 16, 0, 255).astype(np.uint8)
    grey = [metrics.cv2.cvtColor(p, metrics.cv2.COLOR_RGB2GRAY) for p in (true, made)]
    _, expected = structural_similarity(
        *grey, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, full=True
    )
    assert metrics.ssim_map(true, made)[8:-8, 8:-8] == pytest.approx(expected[8:-8, 8:-8], abs=2e-3)
    assert metrics.ssim_map(true, true).min() == pytest.approx(1, abs=1e-4)


def test_sharpness_falls_with_blur() -> None:
    true, points = _noise(2), _mesh(1)[0]
    points = points * 0.4
    tally = metrics.Tally()
    tally.add(true, metrics.cv2.GaussianBlur(true, (0, 0), 2), points)
    blurred = tally.result()["sharpness"]
    same = metrics.Tally()
    same.add(true, true, points)
    assert blurred < 0.2
    assert same.result() == pytest.approx(
        {"psnr": 100, "psnr_face": 100, "psnr_mouth": 100, "ssim": 1, "ssim_face": 1, "ssim_mouth": 1, "sharpness": 1},
        abs=1e-3,
    )


def test_landmark_distance_of_shifted_lips() -> None:
    true, made = _mesh(5), _mesh(5)
    made[:, list(metrics.LIPS), :2] += (3, 4)
    pixels, relative, centred = metrics.landmark_distance(true, made)
    assert (pixels, relative, centred) == pytest.approx((5.0, 0.05, 0.0), abs=1e-5)


def test_aperture_counts_in_eye_distances() -> None:
    assert metrics.aperture(_mesh(3, np.array([0.0, 5.0, 10.0]))) == pytest.approx([0, 0.05, 0.1], abs=1e-6)


def test_lips_that_move_half_as_much() -> None:
    phase = np.sin(np.arange(100) / 3)
    result = metrics.compare_lips(_mesh(100, 10 + 8 * phase), _mesh(100, 10 + 4 * phase))
    assert result["aperture_correlation"] == pytest.approx(1, abs=1e-4)
    assert result["aperture_std_ratio"] == pytest.approx(0.5, abs=1e-3)
    assert result["jitter"] == pytest.approx(0.5, abs=1e-3)


def test_a_mouth_that_never_moves_correlates_with_nothing() -> None:
    result = metrics.compare_lips(_mesh(50, 10 + np.sin(np.arange(50))), _mesh(50, 2.0))
    assert result["aperture_correlation"] == 0
    assert result["aperture_std_ratio"] == pytest.approx(0, abs=1e-6)


def test_boxes_stay_inside_the_picture() -> None:
    rows, columns = metrics.box_around(np.array([[-5.0, 10.0], [30.0, 70.0]]), 4, (64, 32))
    assert (rows.start, rows.stop, columns.start, columns.stop) == (6, 64, 0, 32)


def test_the_lag_is_how_much_later_the_made_lips_move() -> None:
    opening = np.random.default_rng(3).normal(size=100).cumsum()
    for late in (-3, 0, 2):
        lags, scores = metrics.lag_curve(opening, np.roll(opening, late))
        assert lags[scores.argmax()] == 40 * late
        assert scores.max() > 0.95
    assert lags.tolist() == list(range(-240, 241, 40))
    assert metrics.lag_curve(opening[:3], opening[:3])[0].tolist() == [0]


def test_skin_that_changes_by_chance_flickers_and_lips_do_not_count() -> None:
    points = _mesh(20)
    points[:, [10, 152], :2] = (100, 20), (100, 200)  # forehead and chin: a face with skin around the lips
    points[:, [234, 454], :2] = (30, 120), (170, 120)
    rng = np.random.default_rng(4)
    calm = [rng.integers(100, 104, (220, 200, 3), dtype=np.uint8) for _ in range(20)]
    restless = [np.clip(p + rng.normal(0, 8, p.shape), 0, 255).astype(np.uint8) for p in calm]
    talking = [p.copy() for p in calm]
    for index, picture in enumerate(talking):
        picture[120:160, 80:120] = 250 * (index % 2)
    noisy, spoken = metrics.Flicker(points), metrics.Flicker(points)
    for true, bad, good in zip(calm, restless, talking, strict=True):
        noisy.add(true, bad)
        spoken.add(true, good)
    assert noisy.ratio > 2
    assert spoken.ratio == pytest.approx(1)
