"""Speech as WORLD parameters: pitch, spectral envelope and aperiodicity, 200 times a second.

M. Morise, F. Yokomori, K. Ozawa: "WORLD: a vocoder-based high-quality speech synthesis system for real-time
applications", IEICE 2016. The envelope is kept as mel-cepstra-like coefficients, the aperiodicity in bands.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, replace
from functools import cache
from importlib.machinery import PathFinder
from math import gcd
from types import ModuleType

import numpy as np
from scipy.signal import butter, resample_poly, sosfilt

from services.common.arrays import Doubles, Flags, Samples

SAMPLE_RATE = 24_000
FRAME_MS = 5.0
FRAMES_PER_S = 200
CEPSTRA = 40
_FFT_SIZE = 1024
_F0_FLOOR, _F0_CEIL = 60.0, 500.0
_CHUNK_FRAMES = 4000  # 20 s: a whole spectrogram of a long recording would not fit into memory
_ACTIVE_DB = 30


@dataclass(frozen=True)
class Frames:
    """Analysed speech; every array has one row per frame."""

    f0: Doubles  # hertz, 0 where unvoiced
    cepstra: Doubles  # (n, CEPSTRA), the first is the level
    aperiodicity: Doubles  # (n, bands), decibels

    def __len__(self) -> int:
        return len(self.f0)

    @property
    def voiced(self) -> Flags:
        return self.f0 > 0

    @property
    def loud(self) -> float:
        """The first coefficient of the loud frames."""
        return float(np.percentile(self.cepstra[:, 0], 95))

    @property
    def active(self) -> Flags:
        """Frames with speech in them."""
        return self.active_beside(self.loud)

    def active_beside(self, loud: float) -> Flags:
        """Frames with speech in them: at most 30 dB quieter than the loud ones, of which these may be a part."""
        return np.asarray((self.cepstra[:, 0] - loud) * _level_scale() > -_ACTIVE_DB)

    def part(self, which: slice) -> Frames:
        """Some of the frames."""
        return Frames(self.f0[which], self.cepstra[which], self.aperiodicity[which])


@cache
def _world() -> ModuleType:
    """The compiled part of pyworld. Its `__init__` only adds an import of `pkg_resources`, which setuptools dropped."""
    package = importlib.util.find_spec("pyworld")
    spec = package and PathFinder.find_spec("pyworld.pyworld", package.submodule_search_locations)
    if not spec or not spec.loader:
        raise ModuleNotFoundError("pyworld is not installed.", name="pyworld")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def _level_scale() -> float:
    """Decibels per unit of the first coefficient, from an envelope raised by 20 dB."""
    quiet, loud = (_encoded(np.full((1, _FFT_SIZE // 2 + 1), power))[0, 0] for power in (1.0, 100.0))
    return float(20 / (loud - quiet))


@cache
def _voice_band() -> Doubles:
    """Where voices have their strongest harmonics."""
    return np.asarray(butter(2, (100, 1500), "bandpass", fs=SAMPLE_RATE, output="sos"))


def resampled(samples: Samples, rate: int) -> Samples:
    """The samples at WORLD's rate, float32."""
    common = gcd(rate, SAMPLE_RATE)
    return np.asarray(resample_poly(samples, SAMPLE_RATE // common, rate // common), np.float32)


def pitch(samples: Samples, by_halves: bool = False) -> Doubles:
    """Hertz of each frame of 24 kHz speech, 0 where it is unvoiced; `by_halves` as of `analyse`."""
    world = _world()
    signal = np.ascontiguousarray(samples, np.float64)
    heard = signal
    if by_halves:
        heard = np.asarray(sosfilt(_voice_band(), signal))
        np.maximum(heard, 0, out=heard)
    f0, times = world.dio(heard, SAMPLE_RATE, f0_floor=_F0_FLOOR, f0_ceil=_F0_CEIL, frame_period=FRAME_MS)
    return np.asarray(world.stonemask(signal, f0, times, SAMPLE_RATE))


def analyse(samples: Samples, by_halves: bool = False, f0: Doubles | None = None) -> Frames:
    """WORLD parameters of 24 kHz speech.

    Args:
        by_halves: hear the pitch in the upper half of the wave. DIO looks for the fundamental, which a voice may lack,
            as Piper's Joe does: half a wave has it again. It finds less of a person's voice in a room.
        f0: what `pitch` told of these samples, if it was asked before.
    """
    world = _world()
    signal = np.ascontiguousarray(samples, np.float64)
    f0 = pitch(samples, by_halves) if f0 is None else f0
    times = np.arange(len(f0)) * FRAME_MS / 1000
    cepstra, aperiodicity = [], []
    for start in range(0, len(f0), _CHUNK_FRAMES):
        part = slice(start, start + _CHUNK_FRAMES)
        envelope = world.cheaptrick(signal, f0[part], times[part], SAMPLE_RATE, fft_size=_FFT_SIZE)
        noise = world.d4c(signal, f0[part], times[part], SAMPLE_RATE, fft_size=_FFT_SIZE)
        cepstra.append(_encoded(envelope))
        aperiodicity.append(world.code_aperiodicity(noise, SAMPLE_RATE))
    return Frames(f0, np.concatenate(cepstra), np.concatenate(aperiodicity))


def synthesise(frames: Frames, rate: float = 1.0) -> Samples:
    """24 kHz float32 speech; `rate` plays the same frames faster or slower without touching pitch or timbre."""
    world = _world()
    envelope = _decoded(frames.cepstra)
    noise = world.decode_aperiodicity(np.ascontiguousarray(frames.aperiodicity), SAMPLE_RATE, _FFT_SIZE)
    f0 = np.ascontiguousarray(frames.f0)
    return np.asarray(world.synthesize(f0, envelope, noise, SAMPLE_RATE, FRAME_MS / rate), np.float32)


def stretched(frames: Frames, factor: float) -> Frames:
    """The same speech out of a vocal tract that is shorter by a factor: its resonances lie higher by that."""
    envelope = np.log(_decoded(frames.cepstra))
    places = np.arange(envelope.shape[1]) / factor
    below = np.minimum(places.astype(int), envelope.shape[1] - 2)
    share = np.minimum(places - below, 1.0)
    moved = (1 - share) * envelope[:, below] + share * envelope[:, below + 1]
    return replace(frames, cepstra=_encoded(np.exp(moved)))


def _decoded(cepstra: Doubles) -> Doubles:
    envelope: Doubles = _world().decode_spectral_envelope(np.ascontiguousarray(cepstra), SAMPLE_RATE, _FFT_SIZE)
    return envelope


def _encoded(envelope: Doubles) -> Doubles:
    coded: Doubles = _world().code_spectral_envelope(np.ascontiguousarray(envelope), SAMPLE_RATE, CEPSTRA)
    return coded
