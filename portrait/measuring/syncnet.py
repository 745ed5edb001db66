"""LSE-C and LSE-D: how well SyncNet thinks that lips and speech agree, when its published weights are at hand.

Architecture and procedure: Chung and Zisserman 2016, "Out of time", as evaluated by Prajwal et al. 2020 (LSE). The face
box comes from our mesh instead of S3FD, all else is the published procedure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError

import cv2
import numpy as np
import torch
from scipy.fft import dct
from scipy.signal import medfilt
from torch import Tensor, nn

from portrait.arrays import Doubles, Floats, Frame, Samples
from portrait.media.video import SAMPLE_RATE
from portrait.workspace import digest

CHECKSUM = "961e8696f888fce4f3f3a6c3d5b3267cf5b343100b238e79b2659bff2c605442"
"""SHA-256 of syncnet_v2.model as the authors publish it; another file's numbers are not comparable with any paper's."""
SIDE, WINDOW, REACH = 224, 5, 15
"""Pixels of the crop; frames that the network sees at once; offsets tried, in frames."""
COEFFICIENTS, PER_FRAME = 13, 4
BATCH = 20
CROP_SCALE, PAD_GREY = 0.4, 110
_FFT, _FRAME, _HOP, _FILTERS, _LIFTER = 512, 400, 160, 26, 22


@dataclass(frozen=True)
class LipSync:
    """Confidence (LSE-C, higher is better), distance (LSE-D, lower is better), and the offset that fits best."""

    confidence: float
    distance: float
    offset_frames: int


class SyncNet(nn.Module):
    """Both streams; parameter names are those of the published checkpoint."""

    def __init__(self) -> None:
        super().__init__()
        self.netcnnaud = nn.Sequential(
            *_flat(1, 64, 3, 1), nn.MaxPool2d(1, 1),
            *_flat(64, 192, 3, 1), nn.MaxPool2d(3, (1, 2)),
            *_flat(192, 384, 3, 1), *_flat(384, 256, 3, 1), *_flat(256, 256, 3, 1), nn.MaxPool2d(3, 2),
            *_flat(256, 512, (5, 4), 0),
        )  # fmt: skip
        self.netcnnlip = nn.Sequential(
            *_deep(3, 96, (WINDOW, 7, 7), 2, 0), nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_deep(96, 256, (1, 5, 5), 2, 1), nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
            *_deep(256, 256, (1, 3, 3), 1, 1), *_deep(256, 256, (1, 3, 3), 1, 1), *_deep(256, 256, (1, 3, 3), 1, 1),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_deep(256, 512, (1, 6, 6), 1, 0),
        )  # fmt: skip
        self.netfcaud, self.netfclip = _head(), _head()

    def hear(self, mfcc: Tensor) -> Tensor:
        """(B, 1, 13, 20) cepstra to (B, 1024)."""
        heard: Tensor = self.netfcaud(self.netcnnaud(mfcc).flatten(1))
        return heard

    def see(self, crops: Tensor) -> Tensor:
        """(B, 3, 5, 224, 224) faces, BGR in 0..255, to (B, 1024)."""
        seen: Tensor = self.netfclip(self.netcnnlip(crops).flatten(1))
        return seen


def _flat(inside: int, outside: int, size: int | tuple[int, int], pad: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inside, outside, size, padding=pad), nn.BatchNorm2d(outside), nn.ReLU()


def _deep(inside: int, outside: int, size: tuple[int, int, int], step: int, pad: int) -> tuple[nn.Module, ...]:
    conv = nn.Conv3d(inside, outside, size, (1, step, step), (0, pad, pad))
    return conv, nn.BatchNorm3d(outside), nn.ReLU()


def _head() -> nn.Sequential:
    return nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, 1024))


def is_published(checkpoint: Path) -> bool:
    """Whether a file is the published checkpoint, byte for byte."""
    return checkpoint.is_file() and digest(checkpoint) == CHECKSUM


def load(checkpoint: Path) -> SyncNet:
    """The network with a checkpoint's weights; reading executes nothing. ValueError if they do not fit."""
    net = SyncNet()
    try:
        net.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True))
    except (RuntimeError, AttributeError, TypeError, UnpicklingError) as error:
        raise ValueError("this file does not hold SyncNet's weights") from error
    return net.eval()


def judge(net: SyncNet, faces: Iterable[Frame], samples: Samples) -> LipSync:
    """Compare faces (224, 224, 3) RGB at 25 fps with their sound at 16 kHz; ValueError under half a second."""
    stack = np.stack(list(faces))[..., ::-1].transpose(3, 0, 1, 2)
    cepstra = mfcc(samples)
    last = min(stack.shape[1], len(samples) // (SAMPLE_RATE // 25)) - WINDOW
    if last < WINDOW:
        raise ValueError("half a second at least is needed")
    seen, heard = [], []
    with torch.inference_mode():
        for first in range(0, last, BATCH):
            starts = range(first, min(last, first + BATCH))
            crops = np.stack([stack[:, i : i + WINDOW] for i in starts]).astype(np.float32)
            sounds = np.stack([_window(cepstra, i) for i in starts])[:, None]
            seen.append(net.see(torch.from_numpy(crops)))
            heard.append(net.hear(torch.from_numpy(sounds)))
    return _agree(torch.cat(seen), torch.cat(heard))


def _window(cepstra: Floats, frame: int) -> Floats:
    piece = cepstra[PER_FRAME * frame : PER_FRAME * (frame + WINDOW)]
    return np.pad(piece, ((0, PER_FRAME * WINDOW - len(piece)), (0, 0))).T.astype(np.float32)


def _agree(seen: Tensor, heard: Tensor) -> LipSync:
    """Distances at every offset, averaged over time: the least is LSE-D, median minus least is LSE-C."""
    padded = nn.functional.pad(heard, (0, 0, REACH, REACH))
    spans = (padded[shift : shift + len(seen)] for shift in range(2 * REACH + 1))
    distances = torch.stack([nn.functional.pairwise_distance(seen, span).mean() for span in spans])
    least = int(distances.argmin())
    return LipSync(float(distances.median() - distances[least]), float(distances[least]), REACH - least)


def mfcc(samples: Samples) -> Floats:
    """Thirteen mel cepstra a hundred times a second (T, 13), as python_speech_features computes them by default."""
    wave = np.clip(np.round(samples.astype(np.float64) * 32768), -32768, 32767)
    wave = np.append(wave[:1], wave[1:] - 0.97 * wave[:-1])
    count = 1 + max(0, -(-(len(wave) - _FRAME) // _HOP))
    wave = np.pad(wave, (0, (count - 1) * _HOP + _FRAME - len(wave)))
    frames = wave[_HOP * np.arange(count)[:, None] + np.arange(_FRAME)]
    power = np.abs(np.fft.rfft(frames, _FFT)) ** 2 / _FFT
    tiny = np.finfo(float).eps
    energy, bands = power.sum(axis=1), power @ _mel_filters().T
    cepstra = dct(np.log(np.where(bands == 0, tiny, bands)), norm="ortho")[:, :COEFFICIENTS]
    cepstra *= 1 + _LIFTER / 2 * np.sin(np.pi * np.arange(COEFFICIENTS) / _LIFTER)
    cepstra[:, 0] = np.log(np.where(energy == 0, tiny, energy))
    return cepstra.astype(np.float32)


def _mel_filters() -> Doubles:
    mels = np.linspace(0, 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700), _FILTERS + 2)
    edges = np.floor((_FFT + 1) * 700 * (10 ** (mels / 2595) - 1) / SAMPLE_RATE)
    bins = np.arange(_FFT // 2 + 1)[None]
    low, middle, high = (edges[i : i + _FILTERS, None] for i in range(3))
    rising, falling = (bins - low) / (middle - low), (high - bins) / (high - middle)
    return np.asarray(np.where(bins < middle, rising, falling) * ((bins >= low) & (bins < high)), np.float64)


def face_crops(pictures: Iterable[Frame], points: Floats) -> Iterable[Frame]:
    """The published crop around each face (224, 224, 3), from mesh points (T, 478, 3), smoothed as the authors do."""
    low, high = points[..., :2].min(axis=1), points[..., :2].max(axis=1)
    half = _smooth((high - low).max(axis=1) / 2)
    x, y = (_smooth(each) for each in ((low + high) / 2).T)
    for picture, reach, centre, middle in zip(pictures, half, x, y, strict=False):
        top, left, side = middle - reach, centre - reach * (1 + CROP_SCALE), 2 * reach * (1 + CROP_SCALE)
        scale = SIDE / side
        matrix = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]])
        crop = cv2.warpAffine(picture, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderValue=(PAD_GREY,) * 3)
        yield np.asarray(crop, np.uint8)


def _smooth(track: Floats) -> Floats:
    size = min(13, len(track) - 1 + len(track) % 2)
    return medfilt(np.pad(track, size // 2, mode="edge"), size)[size // 2 : size // 2 + len(track)]
