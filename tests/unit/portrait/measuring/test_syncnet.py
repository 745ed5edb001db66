"""SyncNet's layout, sound and verdict, with weights of our own making; only the published ones count as LSE."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from portrait.measuring import syncnet


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights drawn by chance, saved as the authors save theirs: a plain state dictionary."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("syncnet") / "syncnet_v2.model"
    torch.save(syncnet.SyncNet().state_dict(), path)
    return path


def test_the_layout_is_the_published_one(checkpoint: Path) -> None:
    weights = torch.load(checkpoint, weights_only=True)
    shapes = {name: tuple(value.shape) for name, value in weights.items() if value.ndim > 1}
    assert shapes["netcnnaud.0.weight"] == (64, 1, 3, 3)
    assert shapes["netcnnaud.18.weight"] == (512, 256, 5, 4)
    assert shapes["netcnnlip.0.weight"] == (96, 3, 5, 7, 7)
    assert shapes["netcnnlip.18.weight"] == (512, 256, 1, 6, 6)
    assert shapes["netfcaud.0.weight"] == shapes["netfclip.0.weight"] == (512, 512)
    assert shapes["netfclip.3.weight"] == (1024, 512)


def test_self_made_weights_give_a_verdict_but_are_not_the_published_ones(checkpoint: Path) -> None:
    rng = np.random.default_rng(0)
    faces = rng.integers(0, 256, (12, 224, 224, 3), dtype=np.uint8)
    found = syncnet.judge(syncnet.load(checkpoint), faces, rng.normal(0, 0.1, 12 * 640).astype(np.float32))
    assert found.distance > 0
    assert found.confidence >= 0
    assert -syncnet.REACH <= found.offset_frames <= syncnet.REACH
    assert not syncnet.is_published(checkpoint)
    assert not syncnet.is_published(checkpoint.with_name("absent"))
    with pytest.raises(ValueError, match="half a second"):
        syncnet.judge(syncnet.load(checkpoint), faces[:8], np.zeros(8 * 640, np.float32))


class _Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_a_checkpoint_is_read_and_never_executed(tmp_path: Path) -> None:
    (tmp_path / "trap.model").write_bytes(pickle.dumps(_Trap(tmp_path / "sprung"), protocol=2))
    torch.save({"netcnnaud.0.weight": torch.zeros(1)}, tmp_path / "other.model")
    for name in ("trap.model", "other.model"):
        with pytest.raises(ValueError, match="SyncNet's weights"):
            syncnet.load(tmp_path / name)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("late", [-4, 0, 3])
def test_the_offset_is_where_the_streams_agree(late: int) -> None:
    seen = torch.randn(60, 32, generator=torch.Generator().manual_seed(1))
    found = syncnet._agree(seen, seen.roll(-late, 0))
    assert found.offset_frames == late
    assert found.confidence > 5


def test_cepstra_of_a_tone_and_of_silence() -> None:
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000).astype(np.float32)
    cepstra = syncnet.mfcc(tone)
    assert cepstra.shape == (99, 13)
    assert np.abs(cepstra[10:-10] - cepstra[50]).max() < 0.1
    # Energy of the pre-emphasised tone: Parseval over 400 samples in a transform of 512.
    gain = abs(1 - 0.97 * np.exp(-2j * np.pi * 1000 / 16_000)) * 0.5 * 32768
    expected = np.log(gain**2 / 2 * 400 * 512 / 2 / 512)
    assert cepstra[50, 0] == pytest.approx(expected, abs=0.02)
    assert np.isfinite(syncnet.mfcc(np.zeros(3200, np.float32))).all()
    peaks = syncnet._mel_filters().max(axis=1)
    assert peaks == pytest.approx(1.0)


def test_crops_hold_the_face_and_grey_beyond_the_picture() -> None:
    points = np.zeros((20, 478, 3), np.float32)
    points[:, :, 0] = np.linspace(0, 60, 478)
    points[:, :, 1] = np.linspace(40, 100, 478)
    picture = np.zeros((128, 128, 3), np.uint8)
    picture[40:100, :60] = 255
    crops = list(syncnet.face_crops([picture] * 20, points))
    assert len(crops) == 20
    # The box starts at the face's top and is 84 px wide, 42 to each side of the face's middle: 12 px lie outside.
    assert crops[0].shape == (224, 224, 3)
    assert crops[0][5:150, 40:180].min() > 250
    assert crops[0][:, :28].tolist() == np.full((224, 28, 3), syncnet.PAD_GREY).tolist()
    assert crops[0][180, 100].tolist() == [0, 0, 0]
