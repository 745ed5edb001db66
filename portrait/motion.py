"""Stage 1: what is heard becomes mouth shape. An ensemble of small convolutional nets and one kernel regression."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from portrait.audio import BILABIALS, FEATURE_SIZE, MEL, POSTERIOR
from portrait.device import one_thread
from portrait.geometry import Floats
from portrait.shape import COMPONENTS

PAST, FUTURE = 50, 23
"""Features (100 Hz) that a frame sees before its own four, and from the first of its own on."""
HIDDEN = 96
NETS = 3
STEPS = 300
SEGMENT = 48
BATCH = 10
RATE = 2e-3
KERNEL_WINDOW = range(-4, 5)
KERNEL_AXES = 32
KERNEL_FRAMES = 3000
KERNEL_RIDGE = 0.3
GAIN = 1.35
"""Least squares under-opens the mouth; this restores most of the spread at no cost in landmark distance."""

State = dict[str, NDArray[np.float32]]


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
    """Features (B, 248, 4 N + 69) to shape coefficients (B, 12, N); no padding inside, so a window is all it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.ModuleList([
            nn.Conv1d(FEATURE_SIZE, HIDDEN, 5),
            nn.Conv1d(HIDDEN, HIDDEN, 5, stride=2),
            nn.Conv1d(HIDDEN, HIDDEN, 5, stride=2),
        ])  # fmt: skip
        self.stem_norms = nn.ModuleList(_ChannelNorm(HIDDEN) for _ in self.stem)
        self.layers = nn.ModuleList(nn.Conv1d(HIDDEN, HIDDEN, 3, dilation=d) for d in (1, 2, 4))
        self.norms = nn.ModuleList(_ChannelNorm(HIDDEN) for _ in self.layers)
        self.drop = nn.Dropout(0.25)
        self.out = nn.Conv1d(HIDDEN, COMPONENTS, 1)

    def forward(self, x: Tensor) -> Tensor:
        for conv, norm in zip(self.stem, self.stem_norms, strict=True):
            x = self.drop(F.gelu(norm(conv(x))))
        # What each residual step may see of the future: 1, 2 and 0 frames. More would be waited for when live.
        for conv, norm, (past, future) in zip(self.layers, self.norms, ((1, 1), (2, 2), (8, 0)), strict=True):
            kept = x[..., past : x.shape[-1] - future]
            x = kept + self.drop(F.gelu(norm(conv(x))))
        return self.out(x)


@dataclass(frozen=True)
class Speech:
    """Features of one rendering of the training audio (T, 248), aligned with the picture by shifting."""

    features: Floats
    shift: int

    def window(self, start: int, count: int) -> Floats:
        """(4 count + 69, 248) features that frames start … start + count - 1 see; the ends are repeated."""
        return window(self.features, start, count, self.shift)


def window(features: Floats, start: int, count: int, shift: int = 0) -> Floats:
    """The features that `count` frames from `start` on see, repeated at the ends."""
    first = 4 * start - PAST + shift
    return features[np.clip(np.arange(first, first + 4 * count + PAST + FUTURE - 4), 0, len(features) - 1)]


class Motion:
    """The trained ensemble: features to coefficients, with gain and lip closure; has no state between calls."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._centre, self._scale = state["centre"], state["scale"]
        self._nets = [_net(state, index) for index in range(int(state["nets"][0]))]

    @property
    def state(self) -> State:
        """Everything learned, as arrays for a safetensors file."""
        return self._state

    def coefficients(self, windowed: Floats) -> Floats:
        """Coefficients (N, 12) from `window(…)` features (4 N + 69, 248)."""
        count = (len(windowed) - PAST - FUTURE + 4) // 4
        scaled = np.clip((windowed - self._centre) / self._scale, -5, 5).astype(np.float32)
        with torch.inference_mode(), one_thread():
            heard = torch.from_numpy(scaled.T[None].copy())
            voices = [net(heard)[0].T.numpy() for net in self._nets]
        voices.append(self._kernel(scaled, count))
        mean = np.mean(voices, axis=0) * self._state["gain"]
        return self._close(mean, windowed, count).astype(np.float32)

    def _kernel(self, scaled: Floats, count: int) -> Floats:
        rows = _kernel_rows(scaled, count) @ self._state["kernel_axes"]
        return _kernel(rows, self._state["kernel_rows"], self._state["kernel_width"][0]) @ self._state["kernel_weights"]

    def _close(self, coefficients: Floats, windowed: Floats, count: int) -> Floats:
        """Shut the lips where a bilabial is heard: the ear forgives much, an open m not."""
        heard = windowed[:, POSTERIOR][:, sorted(BILABIALS)].sum(axis=1)
        peak = heard[PAST : PAST + 4 * count].reshape(count, 4).max(axis=1)
        will = np.clip((peak - 0.4) / 0.4, 0, 1)
        opening = self._state["aperture"]
        excess = np.maximum(coefficients @ opening - self._state["closed"][0], 0) * will
        return coefficients - excess[:, None] * opening / (opening @ opening + 1e-9)


def _net(state: State, index: int) -> MotionNet:
    net = MotionNet()
    prefix = f"net{index}."
    weights = {k[len(prefix) :]: torch.from_numpy(v) for k, v in state.items() if k.startswith(prefix)}
    net.load_state_dict(weights)
    return net.eval()


def _kernel_rows(scaled: Floats, count: int) -> Floats:
    """(N, 9 x 248): half-frame means around each frame's middle."""
    pairs = np.stack([scaled[i : len(scaled) - 1 + i] for i in range(2)]).mean(axis=0)
    middle = PAST + 1 + 4 * np.arange(count)
    return np.concatenate([pairs[middle + 2 * step] for step in KERNEL_WINDOW], axis=1)


def _kernel(a: Floats, b: Floats, width: float) -> Floats:
    square = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None] - 2 * a @ b.T
    return np.exp(-np.maximum(square, 0) / (2 * width))


def train_motion(
    speeches: list[Speech],
    coefficients: Floats,
    usable: NDArray[np.bool_],
    aperture: Floats,
    *,
    seed: int,
    steps: int = STEPS,
    nets: int = NETS,
    on_step: Callable[[int, int, float], None] = lambda step, steps, loss: None,
) -> Motion:
    """Fit the ensemble on coefficients (N, 12) of the training frames; the first speech is the clean one.

    `usable` (N,) leaves out frames without a face; `aperture` (12,) is how coefficients open the lips.
    """
    clean = speeches[0]
    centre = clean.features[: 4 * len(coefficients)].mean(axis=0)
    scale = clean.features[: 4 * len(coefficients)].std(axis=0) + 0.05
    state: State = {
        "centre": centre, "scale": scale, "aperture": aperture.astype(np.float32),
        "nets": np.array([nets], np.float32), "gain": np.array([GAIN], np.float32),
        "closed": np.quantile(coefficients[usable] @ aperture, [0.05]).astype(np.float32),
    }  # fmt: skip
    state |= _fit_kernel(clean, coefficients, usable, state)
    scaled = [Speech(np.clip((s.features - centre) / scale, -5, 5), s.shift) for s in speeches]
    for index in range(nets):
        torch.manual_seed(seed + index)
        net, rng = MotionNet(), np.random.default_rng(seed + index)
        offset = index * steps
        with one_thread():
            _fit_net(net, scaled, coefficients, usable, aperture, rng, steps,
                     lambda step, loss, offset=offset: on_step(offset + step, steps * nets, loss))  # fmt: skip
        state |= {f"net{index}.{k}": v.numpy() for k, v in net.state_dict().items()}
    return Motion(state)


def _fit_kernel(speech: Speech, coefficients: Floats, usable: NDArray[np.bool_], state: State) -> State:
    """Kernel ridge regression with a Gaussian kernel as wide as the median distance."""
    windowed = (speech.window(0, len(coefficients)) - state["centre"]) / state["scale"]
    rows = _kernel_rows(np.clip(windowed, -5, 5), len(coefficients))
    kept = np.flatnonzero(usable)
    kept = kept[:: max(1, -(-len(kept) // KERNEL_FRAMES))]
    rows, target = rows[kept], coefficients[kept]
    _, axes = np.linalg.eigh(rows.T @ rows / len(rows))
    axes = axes[:, -KERNEL_AXES * len(KERNEL_WINDOW) // 2 :].astype(np.float32)
    rows = (rows @ axes).astype(np.float32)
    sample = rows[:: max(1, len(rows) // 300)]
    width = float(np.median(((sample[:, None] - sample[None]) ** 2).sum(axis=2)))
    gram = _kernel(rows, rows, width) + KERNEL_RIDGE * np.eye(len(rows), dtype=np.float32)
    weights = np.linalg.solve(gram, target).astype(np.float32)
    return {"kernel_axes": axes, "kernel_rows": rows, "kernel_weights": weights,
            "kernel_width": np.array([width], np.float32)}  # fmt: skip


def _fit_net(
    net: MotionNet, speeches: list[Speech], coefficients: Floats, usable: NDArray[np.bool_], aperture: Floats,
    rng: np.random.Generator, steps: int, on_step: Callable[[int, float], None],
) -> None:  # fmt: skip
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    opening = torch.from_numpy(aperture / (np.linalg.norm(aperture) + 1e-9)).float()
    segment = min(SEGMENT, len(coefficients))
    net.train()
    for step in range(steps):
        heard, wanted, weight = _batch(speeches, coefficients, usable, segment, rng)
        error = (net(heard) - wanted) * weight
        gap = (error * opening[None, :, None]).sum(dim=1)
        loss = error.square().mean() + 2 * error.diff(dim=2).square().mean() + 0.3 * gap.square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        on_step(step + 1, loss.item())
    net.eval()


def _batch(
    speeches: list[Speech], coefficients: Floats, usable: NDArray[np.bool_], segment: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    starts = rng.integers(0, len(coefficients) - segment + 1, BATCH)
    picks = rng.integers(0, len(speeches), BATCH)
    heard = np.stack([_worn(speeches[p].window(s, segment), rng) for p, s in zip(picks, starts, strict=True)])
    wanted = np.stack([coefficients[s : s + segment].T for s in starts])
    weight = np.stack([usable[s : s + segment] for s in starts])[:, None].astype(np.float32)
    return torch.from_numpy(heard.transpose(0, 2, 1).copy()), torch.from_numpy(wanted), torch.from_numpy(weight)


def _worn(heard: Floats, rng: np.random.Generator) -> Floats:
    """Augment scaled features: level, noise, and SpecAugment's bands and gaps (Park et al. 2019)."""
    worn = heard + rng.normal(0, 0.15, heard.shape).astype(np.float32)
    worn[:, MEL] += rng.normal(0, 0.2)
    band = rng.integers(4, 16)
    low = rng.integers(0, MEL.stop - band)
    worn[:, low : low + band] = 0
    gap = rng.integers(2, 10)
    at = rng.integers(0, len(worn) - gap)
    worn[at : at + gap] = 0
    return worn
