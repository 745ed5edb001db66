"""The phones heard in speech: the English acoustic model of the pocketsphinx wheel, evaluated with matrix products.

The decoder of pocketsphinx wants whole utterances and writes its scores to files; a talking head needs them while the
speech is still being spoken. So this module reads the model's files (formats: the public sources of pocketsphinx,
`bin_mdef`, `ms_gauden`, `ptm_mgau`, `feat`) and computes the log-likelihoods of its 126 context-independent states
itself. It is a phonetically tied mixture: each of the 42 phones owns 128 Gaussians in each of three streams (cepstra,
their slopes, their curvatures), and each of the phone's three states weighs those Gaussians in its own way.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from portrait.arrays import Floats

PHONES = (
    "+NSN+", "+SPN+", "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH", "IH",
    "IY", "JH", "K", "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "SIL", "T", "TH", "UH", "UW", "V", "W", "Y",
    "Z", "ZH",
)  # fmt: skip
"""The phones of the model in its own order; +NSN+ and +SPN+ are noise and babble."""
BILABIALS = frozenset(PHONES.index(phone) for phone in ("B", "M", "P"))
"""Indices in PHONES of the sounds that cannot be made with open lips."""
SILENCE = PHONES.index("SIL")
STATES_PER_PHONE = 3
STATE_COUNT = len(PHONES) * STATES_PER_PHONE

CEPSTRUM_SIZE = 13
DELTA_SPAN = 3
"""Frames on either side that slopes and curvatures look at."""
TEMPERATURE = 2.0
"""Divides log-likelihoods (nats) before the softmax: the streams are not independent, so raw ones are too sure."""

_MAGIC = 0x11223344
_LOG_STEP = 1024 * np.log(1.0001)
"""Nats per unit of the model's eight-bit logarithms."""
_DENSITY_FLOOR = np.float32(np.exp(-16))
"""pocketsphinx sums the best four Gaussians, none below -9.8 nats; all of them over -16 nats comes closest to that."""
_VARIANCE_FLOOR = 1e-4
_BLOCK = 64
"""Frames scored at once: the Gaussians of one stream then fit in the processor's cache."""


@dataclass(frozen=True, eq=False)
class AcousticModel:
    """Gaussians and mixture weights as they enter the matrix products."""

    quadratics: Floats
    """(streams, 27, phones * densities): coefficients of x squared, x and 1 in each Gaussian's log-density."""
    weights: Floats
    """(streams, phones, densities, states): mixture weights."""

    def scores(self, features: Floats) -> Floats:
        """Log-likelihoods in nats (t, 126) of (t, 39) features, up to a constant per frame; the best is near 0."""
        blocks = [self._score(features[start : start + _BLOCK]) for start in range(0, len(features), _BLOCK)]
        return np.concatenate(blocks) if blocks else np.zeros((0, STATE_COUNT), np.float32)

    def _score(self, features: Floats) -> Floats:
        frames, phones = len(features), self.weights.shape[1]
        total = np.zeros((phones, frames, STATES_PER_PHONE), np.float32)
        for stream, (quadratics, weights) in enumerate(zip(self.quadratics, self.weights, strict=True)):
            x = features[:, stream * CEPSTRUM_SIZE : (stream + 1) * CEPSTRUM_SIZE]
            densities = np.concatenate([x * x, x, np.ones((frames, 1), np.float32)], axis=1) @ quadratics
            densities -= densities.max(axis=1, keepdims=True)
            np.maximum(densities, np.float32(-30), out=densities)  # beyond the floor; denormals would be slow
            np.exp(densities, out=densities)
            mixed = densities.reshape(frames, phones, -1).transpose(1, 0, 2) @ weights
            total += np.log(mixed + _DENSITY_FLOOR)
        return total.transpose(1, 0, 2).reshape(frames, STATE_COUNT)


def posteriors(scores: Floats) -> Floats:
    """Soft phone posteriors (t, 42) from state log-likelihoods (t, 126)."""
    likelihoods = np.exp((scores - scores.max(axis=1, keepdims=True)) / np.float32(TEMPERATURE))
    phones = likelihoods.reshape(len(scores), len(PHONES), STATES_PER_PHONE).sum(axis=2)
    return np.asarray(phones / phones.sum(axis=1, keepdims=True), np.float32)


def with_deltas(cepstra: Floats) -> Floats:
    """Features (t - 6, 39) of cepstra (t, 13): themselves, slopes over +-2 frames, curvatures; `1s_c_d_dd`."""
    slopes = cepstra[4:] - cepstra[:-4]
    return np.concatenate([cepstra[3:-3], slopes[1:-1], slopes[2:] - slopes[:-2]], axis=1)


@cache
def acoustic_model() -> AcousticModel:
    """The model in the pocketsphinx wheel, read once. Raises ValueError if it is not the one this code knows."""
    from pocketsphinx import get_model_path  # only here: the package is large and this module's names are cheap

    folder = Path(get_model_path("en-us")) / "en-us"
    if _read_phone_names(folder / "mdef") != PHONES:
        raise ValueError("the acoustic model of pocketsphinx has other phones than expected")
    means = _read_gaussians(folder / "means")
    variances = np.maximum(_read_gaussians(folder / "variances"), _VARIANCE_FLOOR)
    weights = _read_mixture_weights(folder / "sendump", streams=means.shape[1], densities=means.shape[2])
    return AcousticModel(_quadratics(means, variances), weights)


def _quadratics(means: NDArray[np.float64], variances: NDArray[np.float64]) -> Floats:
    """Expand log N(x; mean, variance) into coefficients of x squared, x and 1."""
    constants = -0.5 * (np.log(2 * np.pi * variances) + means**2 / variances).sum(axis=-1, keepdims=True)
    coefficients = np.concatenate([-0.5 / variances, means / variances, constants], axis=-1)
    phones, streams, densities, size = coefficients.shape
    return coefficients.transpose(1, 3, 0, 2).reshape(streams, size, phones * densities).astype(np.float32)


def _read_gaussians(path: Path) -> NDArray[np.float64]:
    """Read an S3 parameter file as (phones, streams, densities, 13)."""
    content = path.read_bytes()
    body = content[content.index(b"endhdr\n") + 7 :]
    magic, phones, streams, densities, *sizes = struct.unpack_from("<7i", body)
    if magic != _MAGIC or (phones, streams) != (len(PHONES), 3) or set(sizes) != {CEPSTRUM_SIZE}:
        raise ValueError(f"{path.name}: not the Gaussians of a three-stream tied mixture over {len(PHONES)} phones")
    count = phones * streams * densities * CEPSTRUM_SIZE
    values = np.frombuffer(body, "<f4", count, offset=8 * 4)  # after the sizes comes the count of values
    return values.astype(np.float64).reshape(phones, streams, densities, CEPSTRUM_SIZE)


def _read_mixture_weights(path: Path, *, streams: int, densities: int) -> Floats:
    """Read the first 126 states' weights of a sendump file as (streams, phones, densities, states)."""
    content = path.read_bytes()
    offset = 0
    while length := struct.unpack_from("<i", content, offset)[0]:  # lengths and texts, ended by a length of zero
        offset += 4 + length
    rows, columns = struct.unpack_from("<2i", content, offset + 4)
    if rows != densities or columns < STATE_COUNT:
        raise ValueError(f"{path.name}: {rows} densities and {columns} states, not what the Gaussians need")
    logs = np.frombuffer(content, np.uint8, streams * rows * columns, offset=offset + 12)
    logs = logs.reshape(streams, rows, columns)[:, :, :STATE_COUNT]
    weights = np.exp(-_LOG_STEP * logs.astype(np.float64)).reshape(streams, rows, len(PHONES), STATES_PER_PHONE)
    return np.ascontiguousarray(weights.transpose(0, 2, 1, 3), dtype=np.float32)


def _read_phone_names(path: Path) -> tuple[str, ...]:
    """Read the context-independent phones of a binary mdef file."""
    content = path.read_bytes()
    if content[:4] != b"BMDF":
        raise ValueError(f"{path.name}: not a binary model definition")
    counts = 12 + struct.unpack_from("<i", content, 8)[0]  # the description's length stands before it
    phone_count = struct.unpack_from("<i", content, counts)[0]
    names = content[counts + 10 * 4 :].split(b"\0", phone_count)[:phone_count]
    return tuple(name.decode("ascii") for name in names)
