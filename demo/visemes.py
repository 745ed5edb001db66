"""Phonemes to mouth movement: each sound pulls the articulators toward its target, and neighbours share the pull.

The blending is the dominance model of Cohen and Massaro (1993): a sound's influence on an articulator decays
exponentially away from its middle, and the pose is the mean of all targets weighted by influence. Lips that must meet
(b, m, p) or touch the teeth (f, v) have a far stronger say than a vowel's jaw, so that closures really close.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from demo.speech import Phoneme

CHANNELS = ("jaw", "width", "press", "upper", "lower", "tuck", "tongue")


@dataclass(frozen=True, slots=True)
class Target:
    """Where one sound wants the articulators, and how strongly."""

    jaw: float
    width: float = 0.0
    press: float = 0.0
    upper: float = 0.0
    lower: float = 0.0
    tuck: float = 0.0
    tongue: float = 0.0
    jaw_pull: float = 1.0
    lip_pull: float = 1.0


_REST = Target(0.0, jaw_pull=0.9, lip_pull=0.6)
_NEUTRAL = Target(0.24, lower=0.15, jaw_pull=0.5, lip_pull=0.4)


def _shared(symbols: str, target: Target) -> dict[str, Target]:
    return dict.fromkeys(symbols.split(), target)


_TARGETS: dict[str, Target] = {
    **_shared("b m p", Target(0.0, press=0.85, jaw_pull=9.0, lip_pull=3.0)),
    **_shared("f v", Target(0.07, width=0.1, upper=0.45, tuck=1.0, jaw_pull=5.0, lip_pull=2.5)),
    **_shared("θ ð", Target(0.20, upper=0.2, lower=0.2, tongue=0.75, jaw_pull=1.6)),
    **_shared("t d n ɾ", Target(0.16, width=0.15, lower=0.25, tongue=0.9, jaw_pull=1.5, lip_pull=0.6)),
    **_shared("l əl", Target(0.26, width=0.1, lower=0.2, tongue=1.0, jaw_pull=1.2, lip_pull=0.6)),
    **_shared("s z", Target(0.08, width=0.35, upper=0.35, lower=0.55, jaw_pull=3.5, lip_pull=1.2)),
    **_shared("ʃ ʒ tʃ dʒ", Target(0.11, width=-0.55, upper=0.5, lower=0.5, jaw_pull=3.0, lip_pull=1.8)),
    **_shared("k ɡ g ŋ", Target(0.22, lower=0.15, jaw_pull=0.8, lip_pull=0.3)),
    **_shared("ɹ r ɚ", Target(0.18, width=-0.45, lower=0.2, jaw_pull=1.2, lip_pull=1.2)),
    **_shared("w", Target(0.06, width=-1.0, jaw_pull=2.5, lip_pull=2.4)),
    **_shared("j", Target(0.16, width=0.45, lower=0.2, jaw_pull=1.2)),
    **_shared("h x ʔ", Target(0.28, jaw_pull=0.3, lip_pull=0.1)),
    **_shared("ɑː ɑ ɒ", Target(0.82, width=0.05, lower=0.25)),
    **_shared("a æ", Target(0.72, width=0.35, lower=0.35, upper=0.15)),
    **_shared("ʌ ɐ", Target(0.52, width=0.08, lower=0.2)),
    **_shared("ə ᵻ", Target(0.30, lower=0.15, jaw_pull=0.7, lip_pull=0.4)),
    **_shared("ɛ e", Target(0.48, width=0.4, lower=0.3, upper=0.1)),
    **_shared("ɪ", Target(0.30, width=0.4, lower=0.3)),
    **_shared("i iː", Target(0.20, width=0.75, lower=0.4, upper=0.15, lip_pull=1.3)),
    **_shared("ɔ ɔː", Target(0.60, width=-0.5, lip_pull=1.3)),
    **_shared("o", Target(0.46, width=-0.75, lip_pull=1.5)),
    **_shared("ʊ", Target(0.28, width=-0.65, lip_pull=1.4)),
    **_shared("u uː", Target(0.18, width=-0.95, lip_pull=1.7)),
    **_shared("ɜ ɜː", Target(0.32, width=-0.35, lower=0.2)),
}


def _targets(symbol: str) -> list[Target]:
    """The targets one espeak phoneme passes through: two for a diphthong or an r-coloured vowel."""
    plain = symbol.lstrip("ˈˌ")
    if not plain:
        return [_REST]
    if plain in _TARGETS:
        return [_TARGETS[plain]]
    return [_TARGETS[c] for c in plain if c in _TARGETS] or [_NEUTRAL]


@dataclass(frozen=True, slots=True)
class _Pull:
    target: Target
    middle: float
    half: float
    stress: float


def _pulls(phonemes: Sequence[Phoneme], seconds: float) -> list[_Pull]:
    pulls = []
    for phoneme in phonemes:
        targets = _targets(phoneme.symbol)
        part = (phoneme.end - phoneme.start) / len(targets)
        stress = 1.12 if phoneme.symbol.startswith("ˈ") else 0.96
        for i, target in enumerate(targets):
            pulls.append(_Pull(target, phoneme.start + (i + 0.5) * part, part / 2, stress))
    for start, end in _silences(phonemes, seconds):
        for at in np.arange(start, end, 0.1):
            pulls.append(_Pull(_REST, float(at) + 0.05, 0.05, 1.0))
    return pulls


def _silences(phonemes: Sequence[Phoneme], seconds: float) -> list[tuple[float, float]]:
    edges = [0.0, *(t for p in phonemes for t in (p.start, p.end)), seconds]
    pairs = zip(edges[::2], edges[1::2], strict=True)
    return [(a, b) for a, b in pairs if b - a > 0.15]


def articulate(
    phonemes: Sequence[Phoneme], times: NDArray[np.float64], seconds: float
) -> dict[str, NDArray[np.float64]]:
    """Each articulator's course at `times` (seconds), in the units of `Expression`."""
    total = {name: np.zeros(len(times)) for name in CHANNELS}
    weight = {name: np.full(len(times), 1e-6) for name in CHANNELS}
    for pull in _pulls(phonemes, seconds):
        near = np.abs(times - pull.middle) < pull.half + 0.30
        away = np.maximum(np.abs(times[near] - pull.middle) - 0.6 * pull.half, 0)
        for name in CHANNELS:
            strength = pull.target.jaw_pull if name == "jaw" else pull.target.lip_pull
            influence = strength * np.exp(-away / (0.028 if name == "jaw" else 0.040))
            value = getattr(pull.target, name) * (pull.stress if name == "jaw" else 1.0)
            total[name][near] += influence * value
            weight[name][near] += influence
    return {name: total[name] / weight[name] for name in CHANNELS}
