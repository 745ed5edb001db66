"""Stage 2 training: contours and a masked face become the finished face."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from portrait.compute.device import Crew, Recorded, bfloat16_is_quick, channels_last
from portrait.compute.workers import NO_WORKERS, Workers
from portrait.face.dataset import FaceData, batches
from portrait.face.network import FaceNet, widths

RATE = 1e-3
CONTOUR_NOISE = 0.07
SKIN_WEIGHT, MOUTH_WEIGHT = 0.55, 3.3
DETAIL_WEIGHT = 1.0
AVERAGING = 0.998
CHECKPOINT_EVERY_S = 20.0


@dataclass(frozen=True)
class Budget:
    """When training ends: at so many batches, or so many seconds, whichever is first.

    On a machine that is busy with other things seconds say little about what was learned: `least` batches are then
    waited for, up to three times as long.
    """

    steps: int
    seconds: float
    least: int = 0
    batch: int = 8

    def spent(self, steps: int, seconds: float) -> float:
        """The part of the budget (0..1) that is spent."""
        time = seconds / self.seconds
        if steps < self.least:
            time = max(min(time, steps / self.least), time / 3)
        return min(1.0, max(steps / self.steps, time))


@dataclass(frozen=True)
class Moment:
    """One report from the training loop."""

    step: int
    fraction: float
    loss: float
    seconds: float


class FaceTrainer:
    """Trains a FaceNet; everything needed to continue lies in one safetensors checkpoint."""

    def __init__(
        self,
        data: FaceData,
        budget: Budget,
        *,
        seed: int,
        device: torch.device,
        key: str,
        width: float = 1.0,
        workers: Workers = NO_WORKERS,
    ) -> None:
        torch.manual_seed(seed)
        self._data, self._budget, self._seed, self._device, self._key = data, budget, seed, device, key
        self._net = channels_last(FaceNet(widths(width)).to(device))
        self._average = copy.deepcopy(self._net).requires_grad_(False)
        # Tensors, since a recorded step reads from them what changes.
        self._rate, self._behind = torch.tensor(RATE, device=device), torch.tensor(1.0, device=device)
        self._optimizer = torch.optim.AdamW(self._net.parameters(), lr=self._rate, weight_decay=1e-3, fused=True,
                                            capturable=device.type == "cuda")  # fmt: skip
        self._learn_batch = Recorded(self._learn_from, device)
        self._workers = workers
        mask = torch.from_numpy(data.canon.mask).to(device).float()[None, None] / 255
        self._mask = mask
        self._step, self._seconds = 0, 0.0
        self._batches = self._prepared()

    @property
    def net(self) -> FaceNet:
        """The moving average of the weights, in eval mode: what is shipped."""
        shipped: FaceNet = self._average.eval()
        return shipped

    @property
    def step(self) -> int:
        """Batches learned so far, over all runs."""
        return self._step

    def run(self, checkpoint: Path, on_step: Callable[[Moment], None]) -> None:
        """Train until the budget is spent, continuing from `checkpoint` when it fits; saves it as it goes."""
        self._resume(checkpoint)
        self._batches = self._prepared()
        crew = Crew()
        try:
            self._train(checkpoint, crew, on_step)
        finally:
            crew.dismiss()
        self.save(checkpoint)

    def _train(self, checkpoint: Path, crew: Crew, on_step: Callable[[Moment], None]) -> None:
        saved = time.monotonic()
        began = saved - self._seconds
        while (spent := self._budget.spent(self._step, self._seconds)) < 1:
            with crew.step():
                loss = self.learn(spent)
            self._step += 1
            now = time.monotonic()
            self._seconds = now - began
            if now - saved > CHECKPOINT_EVERY_S:
                self.save(checkpoint)
                saved = now
            on_step(Moment(self._step, self._budget.spent(self._step, self._seconds), loss, self._seconds))

    def learn(self, fraction: float) -> float:
        """One batch, with the rates of that part of the run; returns the loss."""
        self._set_rates(fraction)
        self._net.train()
        return float(self._learn_batch(*map(torch.from_numpy, next(self._batches))))

    def _prepared(self) -> Iterator[tuple[np.ndarray, ...]]:
        return batches(self._data, self._budget.batch, CONTOUR_NOISE, self._seed, self._step, self._workers)

    def _learn_from(self, ring: Tensor, true: Tensor, contours: Tensor, mouth: Tensor) -> Tensor:
        """One step from a batch as `FaceData.batch` gives it; returns the loss."""
        ring, true, contours, mouth = (each.float() / 255 for each in (ring, true, contours, mouth))
        ring, true = (x.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last) for x in (ring, true))
        with self._autocast():
            made = self._net(mask_out(ring, self._mask), contours)
        made = made.float()
        weight = self._mask * (SKIN_WEIGHT + MOUTH_WEIGHT * mouth[:, None])
        loss = pixel_loss(made, true, weight) + DETAIL_WEIGHT * detail_loss(made, true, weight)
        self._optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self._net.parameters(), 1.0)
        self._optimizer.step()
        self._follow()
        return loss.detach()

    def _autocast(self) -> torch.autocast:
        quick = bfloat16_is_quick(self._device)
        return torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=quick, cache_enabled=False)

    def _set_rates(self, fraction: float) -> None:
        warm = min(1.0, (self._step + 1) / 50)
        rate = RATE * warm * (0.03 + 0.97 * 0.5 * (1 + np.cos(np.pi * fraction)))
        for group in self._optimizer.param_groups:
            group["lr"].fill_(rate)
        self._behind.fill_(1 - min(AVERAGING, (1 + self._step) / (10 + self._step)))

    def _follow(self) -> None:
        """Move the averaged weights along; early on faster, so that they never lag behind a short run."""
        with torch.no_grad():
            pairs = zip(self._average.state_dict().values(), self._net.state_dict().values(), strict=True)
            for mean, now in pairs:
                if mean.dtype.is_floating_point:
                    mean.lerp_(now, self._behind)
                else:
                    mean.copy_(now)

    def save(self, checkpoint: Path) -> None:
        """Write everything needed to continue, atomically."""
        tensors = {f"net.{k}": v for k, v in self._net.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self._average.state_dict().items()}
        tensors |= _flat("optimizer", self._optimizer)
        state = {"step": self._step, "seconds": self._seconds, "key": self._key}
        part = checkpoint.with_suffix(".part")
        save_file({k: v.detach().contiguous().cpu() for k, v in tensors.items()}, part, {"state": json.dumps(state)})
        part.replace(checkpoint)

    def _resume(self, checkpoint: Path) -> None:
        if not checkpoint.exists():
            return
        with safe_open(str(checkpoint), "pt") as file:
            state = json.loads(file.metadata()["state"])
            if state["key"] != self._key:
                return
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118 - not a dict
        self._net.load_state_dict(_under("net", tensors))
        self._average.load_state_dict(_under("average", tensors))
        _restore("optimizer", self._optimizer, tensors)
        self._step, self._seconds = state["step"], state["seconds"]


def mask_out(crops: Tensor, mask: Tensor) -> Tensor:
    """Crops (B, 3, S, S) in [0, 1] with the generated region (mask 1) greyed out."""
    return crops * (1 - mask) + 0.5 * mask


def pixel_loss(made: Tensor, true: Tensor, weight: Tensor) -> Tensor:
    """Mean absolute error under a weight (B, 1, S, S)."""
    return ((made - true).abs() * weight).sum() / (3 * weight.sum() + 1e-6)


def detail_loss(made: Tensor, true: Tensor, weight: Tensor, levels: int = 3) -> Tensor:
    """Weighted absolute error of three Laplacian pyramid levels (Bojanowski et al. 2018, without the coarsest)."""
    difference, total = made - true, made.new_zeros(())
    for _ in range(levels):
        coarse = F.avg_pool2d(difference, 2)
        band = difference - F.interpolate(coarse, scale_factor=2.0, mode="bilinear", align_corners=False)
        total = total + (band.abs() * weight).sum() / (3 * weight.sum() + 1e-6)
        difference, weight = coarse, F.avg_pool2d(weight, 2)
    return total


def _flat(name: str, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    states: dict[int, dict[str, Any]] = optimizer.state_dict()["state"]
    return {f"{name}.{i}.{k}": torch.as_tensor(v) for i, state in states.items() for k, v in state.items()}


def _restore(name: str, optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    states: dict[int, dict[str, Tensor]] = {}
    for path, value in _under(name, tensors).items():
        index, key = path.split(".", 1)
        states.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k[len(prefix) + 1 :]: v for k, v in tensors.items() if k.startswith(f"{prefix}.")}
