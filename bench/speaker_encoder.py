"""An independent judge of who is speaking: the Resemblyzer speaker encoder (GE2E, Wan et al. 2018).

Its weights are part of the `resemblyzer` wheel (0.1.4). Only they are used: the package itself imports modules that
newer SciPy no longer has, and its network is small enough to state here.
"""

from __future__ import annotations

import importlib.util
import math
from functools import cache
from pathlib import Path

import numpy as np
import torch
import webrtcvad
from scipy.ndimage import binary_dilation
from scipy.signal import stft
from torch import nn

from portrait.arrays import Doubles, Floats, Samples

SAMPLE_RATE = 16_000
_PARTIAL_FRAMES = 160
_STEP_FRAMES = 77  # 1.3 partial utterances a second
_LOUDNESS_DBFS = -30.0


class _Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(40, 256, 3, batch_first=True)
        self.linear = nn.Linear(256, 256)

    def forward(self, mels: torch.Tensor) -> torch.Tensor:
        _, (hidden, _) = self.lstm(mels)
        return nn.functional.normalize(torch.relu(self.linear(hidden[-1])), dim=1)


@cache
def _encoder() -> _Encoder:
    spec = importlib.util.find_spec("resemblyzer")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("This bench needs: pip install --no-deps resemblyzer==0.1.4")
    state = torch.load(
        Path(spec.submodule_search_locations[0]) / "pretrained.pt", map_location="cpu", weights_only=True
    )
    encoder = _Encoder()
    encoder.load_state_dict(state["model_state"], strict=False)
    return encoder.eval()


def embed(samples: Samples) -> Floats:
    """The 256-dimensional unit vector of a 16 kHz recording's voice."""
    mels = _mel(_trim(_level(samples)))
    starts = range(0, max(len(mels) - _PARTIAL_FRAMES, 0) + 1, _STEP_FRAMES)
    partials = np.stack([_padded(mels[start : start + _PARTIAL_FRAMES]) for start in starts])
    with torch.inference_mode():
        mean = _encoder()(torch.from_numpy(partials)).mean(0).numpy()
    return np.asarray(mean / np.linalg.norm(mean))


def similarity(one: Samples, other: Samples) -> float:
    """Cosine similarity of two recordings' voices, both 16 kHz."""
    return float(embed(one) @ embed(other))


def _padded(mels: Floats) -> Floats:
    return np.pad(mels, ((0, _PARTIAL_FRAMES - len(mels)), (0, 0)))


def _level(samples: Samples) -> Samples:
    gain = 10 ** (_LOUDNESS_DBFS / 20) / max(float(np.sqrt(np.mean(samples**2))), 1e-9)
    return samples * max(gain, 1.0)


def _trim(samples: Samples) -> Samples:
    """Cut silences the way Resemblyzer does: 30 ms decisions, averaged over 8, dilated by 6."""
    window = SAMPLE_RATE * 30 // 1000
    samples = samples[: len(samples) // window * window]
    pcm = (np.clip(samples, -1, 1) * 32767).astype("<i2")
    detector = webrtcvad.Vad(3)
    speech = [detector.is_speech(pcm[at : at + window].tobytes(), SAMPLE_RATE) for at in range(0, len(pcm), window)]
    smooth = np.convolve(np.pad(np.asarray(speech, float), (3, 4)), np.full(8, 1 / 8), "valid").round().astype(bool)
    kept: Samples = samples[np.repeat(binary_dilation(smooth, np.ones(7, bool)), window)]
    return kept


def _mel(samples: Samples) -> Floats:
    _, _, spectrum = stft(
        samples, SAMPLE_RATE, nperseg=400, noverlap=240, boundary="zeros", padded=False, scaling="spectrum"
    )
    power = (np.abs(spectrum) * 200) ** 2  # undo SciPy's scaling by the sum of the Hann window
    return np.asarray((_filters() @ power).T, np.float32)


@cache
def _filters() -> Doubles:
    """40 triangular filters on Slaney's mel scale, each of unit area."""
    edges = _hertz(np.linspace(0, _mels(SAMPLE_RATE / 2), 42))
    bins = np.linspace(0, SAMPLE_RATE / 2, 201)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    return np.asarray(np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None])


def _mels(hertz: float) -> float:
    return 15 + 27 * math.log(hertz / 1000) / math.log(6.4)


def _hertz(mels: Doubles) -> Doubles:
    return np.where(mels < 15, mels * 200 / 3, 1000 * np.exp((mels - 15) * np.log(6.4) / 27))
