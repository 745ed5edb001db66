"""Speed of the image network by itself, on made-up pictures, processor beside GPU: `python -m bench.face_network`.

Prints batches of training per second (batch 8) and frames drawn per second (batches of 16), for each
device there is, and their ratio. Needs no recording, so it runs on any machine that has torch.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
import torch

from portrait.compute.device import bfloat16_is_quick, channels_last
from portrait.face.dataset import FaceData
from portrait.face.network import FaceNet
from portrait.tracking.geometry import Canon
from portrait.training.imaging import Budget, FaceTrainer

SIDE, FRAMES, POINTS = 160, 64, 57
ROUNDS, STEPS, BATCH = 5, 12, 16


def made_up_data() -> FaceData:
    """Noise in the shape of a person's crops and mouths."""
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 255, (FRAMES, SIDE, SIDE, 3), np.uint8)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[SIDE // 2 :, SIDE // 4 : -SIDE // 4] = 255
    canon = Canon(np.zeros((8, 2), np.float32), SIDE / 2, SIDE, mask)
    mouths = (0.8 + 0.4 * rng.random((FRAMES, POINTS, 2))).astype(np.float32)
    spread = np.zeros((1, POINTS, 2), np.float32)
    return FaceData(canon, crops, mouths, spread, np.arange(FRAMES))


def wait_for(device: torch.device) -> None:
    """Let the device finish what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def training_rate(device: torch.device) -> float:
    """Batches of training per second; median of several rounds after a warm-up."""
    trainer = FaceTrainer(made_up_data(), Budget(10**9, 10**9), seed=0, device=device, key="bench")
    rates = []
    for _ in range(ROUNDS + 1):
        began = time.perf_counter()
        for _ in range(STEPS):
            trainer.learn(0.9)
        wait_for(device)
        rates.append(STEPS / (time.perf_counter() - began))
    return statistics.median(rates[1:])


@torch.inference_mode()
def drawing_rate(device: torch.device) -> float:
    """Frames per second of the network alone, in the precision that synthesis uses there."""
    kind = torch.bfloat16 if bfloat16_is_quick(device) else torch.float32
    net = channels_last(FaceNet().eval().to(device, kind))
    masked = torch.rand(BATCH, 3, SIDE, SIDE, device=device, dtype=kind).to(memory_format=torch.channels_last)
    contours = torch.rand(BATCH, 3, SIDE // 2, SIDE // 2, device=device, dtype=kind)
    rates = []
    for _ in range(ROUNDS + 1):
        began = time.perf_counter()
        for _ in range(STEPS):
            net(masked, contours)
        wait_for(device)
        rates.append(STEPS * BATCH / (time.perf_counter() - began))
    return statistics.median(rates[1:])


def main() -> None:
    """Measure every device."""
    names = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    baseline: tuple[float, float] | None = None
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, crop {SIDE} px")
    for name in names:
        device = torch.device(name)
        rates = training_rate(device), drawing_rate(device)
        baseline = baseline or rates
        what = torch.cuda.get_device_name(device) if device.type == "cuda" else "processor"
        print(f"{name} ({what}): {rates[0]:.1f} batches/s ({rates[0] / baseline[0]:.1f} x), "
              f"{rates[1]:.0f} frames/s ({rates[1] / baseline[1]:.1f} x)")  # fmt: skip


if __name__ == "__main__":
    main()
