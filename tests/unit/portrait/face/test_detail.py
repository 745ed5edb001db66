"""Real detail goes where the drawn mouth is, and nothing else of the drawn picture changes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from portrait.arrays import Floats
from portrait.face.detail import Detail, Gallery, choose_gallery
from portrait.measuring.metrics import detail
from portrait.tracking.geometry import LIP_COUNT, MOUTH_POINTS, Canon


def mouth(opening: float, drop: float = 0.0) -> Floats:
    """(57, 2) two ellipses and a chin, in inter-ocular distances of the 48 pixel crop."""
    angle = np.linspace(0, 2 * np.pi, LIP_COUNT // 2, endpoint=False)
    lips = [
        np.stack([1 + 0.35 * w * np.cos(angle), 1.05 + h * np.sin(angle)], -1) for w, h in ((1, 0.2), (0.8, opening))
    ]
    jaw = np.linspace(0.2, np.pi - 0.2, len(MOUTH_POINTS) - LIP_COUNT)
    chin = np.stack([1 + 0.6 * np.cos(jaw), 1.2 + 0.5 * np.sin(jaw)], -1)
    return (np.concatenate([*lips, chin]) + [0, drop]).astype(np.float32)


def grain(seed: int, side: int = 48) -> np.ndarray:
    """A crop with fine texture on soft shading."""
    noise = np.random.default_rng(seed).normal(0, 30, (side, side, 3))
    shading = 100 + 40 * np.sin(np.arange(side) / 15)[:, None, None]
    return (shading + noise - cv2.GaussianBlur(noise, (0, 0), 1.0)).clip(0, 255).astype(np.uint8)


def restorer(canon: Canon, crop: np.ndarray, shape: Floats) -> Detail:
    return Detail(Gallery(crop[None], shape[None]), canon)


def test_detail_comes_back_and_colour_stays(canon: Canon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portrait.face.detail.FINE", 0.05)
    real, inside = grain(1), canon.feather > 0.95
    drawn = cv2.GaussianBlur(real, (0, 0), 1.0) // 2  # soft, and half as bright
    restored = restorer(canon, real, mouth(0.1)).restore(drawn, mouth(0.1))
    sharp = [detail(np.where(inside[..., None], picture, np.uint8(0))) for picture in (drawn, restored, real)]
    assert sharp[0] < 0.2 * sharp[2] < 0.9 * sharp[1]
    assert restored[inside].mean() == pytest.approx(drawn[inside].mean(), abs=1.0)


def test_outside_the_generated_region_nothing_changes(canon: Canon) -> None:
    drawn = grain(2)
    restored = restorer(canon, grain(1), mouth(0.1)).restore(drawn, mouth(0.1))
    assert np.array_equal(restored[canon.mask == 0], drawn[canon.mask == 0])


def test_detail_moves_with_the_mouth(canon: Canon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portrait.face.detail.FINE", 0.08)
    real = np.full((48, 48, 3), 100, np.uint8)
    real[24:27, 20:28] = 200  # a tooth, so to say
    restored = restorer(canon, real, mouth(0.1)).restore(np.full_like(real, 100), mouth(0.1, drop=3 / 24))
    rows = restored[:, 24, 0].astype(int).argmax()
    assert rows in (27, 28, 29)


def test_the_nearest_mouth_is_taken(canon: Canon) -> None:
    shapes = np.stack([mouth(0.02), mouth(0.1), mouth(0.18)])
    restore = Detail(Gallery(np.stack([grain(i) for i in range(3)]), shapes), canon)
    assert [restore.nearest(mouth(opening)) for opening in (0.0, 0.09, 0.3)] == [0, 1, 2]


def test_a_gallery_holds_sharp_and_different_mouths(canon: Canon) -> None:
    openings = np.repeat([0.02, 0.1, 0.18], 10)
    shapes = np.stack([mouth(opening) for opening in openings])
    crops = np.stack([cv2.GaussianBlur(grain(i), (0, 0), 2.0) for i in range(30)])
    for sharp in (4, 15, 27, 29):
        crops[sharp] = grain(sharp)
    usable = np.arange(29)  # the last may not be used
    gallery = choose_gallery(crops, shapes, usable, canon, count=3)
    assert sorted(crops[i].tobytes() for i in (4, 15, 27)) == sorted(crop.tobytes() for crop in gallery.crops)


def test_few_frames_make_a_small_gallery(canon: Canon) -> None:
    crops, shapes = np.stack([grain(i) for i in range(5)]), np.stack([mouth(0.1)] * 5)
    assert 1 <= len(choose_gallery(crops, shapes, np.arange(5), canon).crops) <= 5


@pytest.mark.parametrize("count", [1, 16, 20])
def test_a_sheet_holds_the_gallery(count: int) -> None:
    gallery = Gallery(np.stack([grain(i, 16) for i in range(count)]), np.stack([mouth(0.1)] * count))
    again = Gallery.of_sheet(gallery.sheet(), gallery.mouths)
    assert np.array_equal(again.crops, gallery.crops)
