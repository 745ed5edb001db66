"""A small convolutional net from what is heard to mouth shape, and how it learns."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from portrait.arrays import Floats
from portrait.mouth.hearing import COMPACT_SIZE, Speech, frames_in
from portrait.mouth.shape import COMPONENTS

HIDDEN = 64
SEGMENT = 48
BATCH = 10
RATE = 2e-3
OPENING = 3.0
"""Weight of how far the lips are open, which the eye judges first, beside the mean over the twelve components."""
_SKIPPED = 2
"""Pairs of features at a window's beginning that the net's own reach leaves out."""


class _ChannelNorm(nn.Module):
    """Normalises each moment on its own: statistics over time would make a stream differ from the whole."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width, 1)), nn.Parameter(torch.zeros(width, 1))

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(dim=1, keepdim=True)
        spread = (x - mean).square().mean(dim=1, keepdim=True)
        return (x - mean) * torch.rsqrt(spread + 1e-5) * self.weight + self.bias


class MotionNet(nn.Module):
    """Pairs of features (B, 66, 2 N + 32) to coefficients (B, 12, N); no padding inside: a window is all it sees."""

    def __init__(self, size: int = COMPACT_SIZE) -> None:
        super().__init__()
        self.stem = nn.ModuleList([nn.Conv1d(size, HIDDEN, 3), nn.Conv1d(HIDDEN, HIDDEN, 4, stride=2)])
        self.stem_norms = nn.ModuleList(_ChannelNorm(HIDDEN) for _ in self.stem)
        self.layers = nn.ModuleList(nn.Conv1d(HIDDEN, HIDDEN, 3, dilation=d) for d in (1, 2, 4))
        self.norms = nn.ModuleList(_ChannelNorm(HIDDEN) for _ in self.layers)
        self.drop = nn.Dropout(0.25)
        self.out = nn.Conv1d(HIDDEN, COMPONENTS, 1)

    def forward(self, x: Tensor) -> Tensor:
        for conv, norm in zip(self.stem, self.stem_norms, strict=True):
            x = self.drop(F.gelu(norm(conv(x))))
        # What each residual step may see of the past and the future, in frames. More would be waited for when live.
        for conv, norm, (past, future) in zip(self.layers, self.norms, ((1, 1), (2, 2), (7, 1)), strict=True):
            kept = x[..., past : x.shape[-1] - future]
            x = kept + self.drop(F.gelu(norm(conv(x))))
        told: Tensor = self.out(x)
        return told


def pairs(windows: Floats) -> Floats:
    """(B, 66, 2 n + 32) means of 20 ms from compact features (B, 4 n + 69, 66)."""
    count = 2 * frames_in(windows) + 32 + _SKIPPED
    means = (windows[:, 0 : 2 * count : 2] + windows[:, 1 : 2 * count : 2]) / 2
    return np.ascontiguousarray(means[:, _SKIPPED:].transpose(0, 2, 1))


def fit_net(
    net: MotionNet, speeches: list[Speech], coefficients: Floats, usable: NDArray[np.bool_], aperture: Floats,
    rng: np.random.Generator, steps: int,
) -> float:  # fmt: skip
    """Teach coefficients (N, 12) on compact speeches; `aperture` (12,) is how they open the lips. Returns the loss."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    opening = torch.from_numpy(aperture / (np.linalg.norm(aperture) + 1e-9)).float()[None, :, None]
    starts = _starts(usable)
    starts = starts[starts % speeches[0].stride == 0]
    net.train()
    for _ in range(steps):
        heard, wanted, counted = _batch(speeches, coefficients, usable, starts, rng)
        told = net(heard).unflatten(0, (BATCH, -1)).transpose(1, 2).flatten(2)  # windows of a segment on end
        error = (told - wanted) * counted
        gap = (error * opening).sum(dim=1)
        loss = error.square().mean() + 2 * error.diff(dim=2).square().mean() + OPENING * gap.square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    net.eval()
    return float(loss.item())


def _starts(usable: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Where segments begin that are usable for the most part; anywhere, if none is."""
    segment = min(SEGMENT, len(usable))
    share = np.convolve(usable, np.ones(segment) / segment, mode="valid")
    return np.flatnonzero(share > min(0.6, share.max() - 1e-6))


def _batch(
    speeches: list[Speech], coefficients: Floats, usable: NDArray[np.bool_], starts: NDArray[np.intp],
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    segment = min(SEGMENT, len(coefficients))
    chosen = rng.choice(starts, BATCH)
    picks = rng.integers(0, len(speeches), BATCH)
    heard = np.stack([
        _worn(each, rng) for p, s in zip(picks, chosen, strict=True) for each in pairs(speeches[p].windows(s, segment))
    ])  # fmt: skip
    wanted = np.stack([coefficients[s : s + segment].T for s in chosen])
    counted = np.stack([usable[s : s + segment] for s in chosen])[:, None].astype(np.float32)
    return torch.from_numpy(heard), torch.from_numpy(wanted), torch.from_numpy(counted)


def _worn(heard: Floats, rng: np.random.Generator) -> Floats:
    """Augment what is heard (66, T): noise, lost directions, and gaps (SpecAugment, Park et al. 2019)."""
    worn = heard + rng.normal(0, 0.15, heard.shape).astype(np.float32)
    worn[rng.random(len(worn)) < 0.1] = 0
    gap = rng.integers(1, 6)
    at = rng.integers(0, worn.shape[1] - gap)
    worn[:, at : at + gap] = 0
    return worn
