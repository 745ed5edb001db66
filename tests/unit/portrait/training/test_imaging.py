"""The image network learns, and a killed training goes on from its checkpoint as if nothing had happened."""

from __future__ import annotations

import dataclasses
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from portrait.compute.workers import Workers
from portrait.face.dataset import FaceData, batches, contours
from portrait.tracking.geometry import MOUTH_POINTS, Canon
from portrait.training.imaging import Budget, FaceTrainer, Moment, detail_loss, pixel_loss


class Killed(Exception):
    """Stands for the end of the process."""


@pytest.fixture(scope="module")
def data(canon: Canon) -> FaceData:
    rng = np.random.default_rng(0)
    angle = np.linspace(0, 2 * np.pi, len(MOUTH_POINTS))
    ring = np.stack([1 + 0.4 * np.cos(angle), 1 + 0.2 * np.sin(angle)], axis=-1)
    mouths = (ring[None] + rng.normal(scale=0.05, size=(12, 1, 2))).astype(np.float32)
    crops = np.full((12, canon.side, canon.side, 3), 90, np.uint8)
    for crop, mouth in zip(crops, mouths, strict=True):
        crop[..., 0] = np.kron(contours(mouth, canon)[0], np.ones((2, 2), np.uint8))
    spread = np.zeros((1, len(MOUTH_POINTS), 2), np.float32)
    return FaceData(canon, crops, mouths, spread, np.arange(12))


def _trainer(data: FaceData, steps: int, key: str = "k") -> FaceTrainer:
    return FaceTrainer(data, Budget(steps, 600.0, batch=2), seed=1, device=torch.device("cpu"), key=key)


def test_batches_prepared_ahead_are_those_of_their_steps(data: FaceData, tmp_path: Path) -> None:
    np.save(tmp_path / "crops.npy", data.crops)
    mapped = dataclasses.replace(data, crops=np.load(tmp_path / "crops.npy", mmap_mode="r"))
    with Workers(2) as workers:
        prepared = list(islice(batches(mapped, 2, 0.1, 7, 5, workers), 12))
    for step, batch in enumerate(prepared, 5):
        expected = data.batch(2, np.random.default_rng([7, step]), 0.1)
        assert all((a == b).all() for a, b in zip(batch, expected, strict=True))


def test_the_loss_falls(data: FaceData, tmp_path: Path) -> None:
    losses: list[float] = []
    _trainer(data, 25).run(tmp_path / "c.safetensors", lambda m: losses.append(m.loss))
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:3])


def test_a_killed_training_continues(data: FaceData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portrait.training.imaging.CHECKPOINT_EVERY_S", 0.0)
    whole = _trainer(data, 8)
    whole.run(tmp_path / "whole.safetensors", lambda m: None)
    seen: list[int] = []

    def watch(moment: Moment) -> None:
        seen.append(moment.step)
        if moment.step == 5 and seen == [1, 2, 3, 4, 5]:
            raise Killed

    checkpoint = tmp_path / "killed.safetensors"
    with pytest.raises(Killed):
        _trainer(data, 8).run(checkpoint, watch)
    again = _trainer(data, 8)
    again.run(checkpoint, watch)
    assert seen == [1, 2, 3, 4, 5, 6, 7, 8]
    for (name, a), (_, b) in zip(whole.net.state_dict().items(), again.net.state_dict().items(), strict=True):
        assert torch.allclose(a.float(), b.float(), atol=1e-2), name  # threads may add in another order


def test_a_checkpoint_of_other_data_is_ignored(data: FaceData, tmp_path: Path) -> None:
    _trainer(data, 2, "one").run(tmp_path / "c.safetensors", lambda m: None)
    steps: list[int] = []
    _trainer(data, 2, "two").run(tmp_path / "c.safetensors", lambda m: steps.append(m.step))
    assert steps == [1, 2]


def test_the_budget_ends_by_the_clock(data: FaceData, tmp_path: Path) -> None:
    trainer = FaceTrainer(data, Budget(10**6, 0.5, batch=2), seed=1, device=torch.device("cpu"), key="k")
    trainer.run(tmp_path / "c.safetensors", lambda m: None)
    assert 0 < trainer.step < 10**6


def test_losses_of_known_differences() -> None:
    flat, weight = torch.zeros(1, 3, 16, 16), torch.ones(1, 1, 16, 16)
    assert pixel_loss(flat + 0.25, flat, weight) == pytest.approx(0.25, abs=1e-5)
    assert detail_loss(flat + 0.25, flat, weight) == pytest.approx(0, abs=1e-6)  # no detail differs
    checks = (torch.arange(16)[:, None] + torch.arange(16)) % 2 * 1.0
    assert detail_loss(flat + checks, flat, weight) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("steps", "seconds", "spent"),
    [
        (0, 0, 0),
        (50, 10, 0.5),
        (10, 50, 0.25),
        (30, 100, 0.75),
        (40, 100, 1),
        (10, 240, 0.8),
        (10, 300, 1),
        (100, 1, 1),
    ],
)
def test_a_busy_machine_gets_more_time(steps: int, seconds: float, spent: float) -> None:
    assert Budget(100, 100.0, least=40).spent(steps, seconds) == pytest.approx(spent)
