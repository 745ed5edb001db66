"""Whether lips shut on m, b, p and in silence and open on a, in speech whose phones and their times are known."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from demo.script import SENTENCES
from demo.speech import Phoneme, recite
from portrait.arrays import Floats, Samples
from portrait.media.video import FRAME_RATE, SAMPLE_RATE
from services.common.audio import decode
from services.tts import cloning, espeak_ng, world
from services.tts.base_voice import ENGLISH, OTHERS, BaseVoice
from services.tts.engines.espeak import plain

SECONDS = 40.0
SHUT, OPEN = "mbp", ("æ", "a", "aɪ", "aʊ", "ɑː", "ɑːɹ")
LEAST_OPEN_S, LEAST_SILENCE_S, FADE_S = 0.06, 0.2, 0.08
LOW, HIGH, MIDDLE, PART = 0.1, 0.9, 0.5, 0.25
DEFINITION = (
    "A mouth is *shut* when its opening is at most q10 + 0.25 (q90 - q10), and *open* from the median q50 on, by the "
    "quantiles of the person's own training frames. A phone m, b or p counts if the mouth is shut in one of its frames "
    "(or one beside them: closures are shorter than a frame is long), an a if it is open in one of its frames; silence "
    "is counted in frames, 80 ms after speech ends until 80 ms before it begins."
)
COLUMNS = {
    "m, b, p": ".0%",
    "silence": ".0%",
    "a": ".0%",
    "phones mbp": ".0f",
    "frames silent": ".0f",
    "phones a": ".0f",
}


@dataclass(frozen=True)
class Recital:
    """Speech at 16 kHz with its phones."""

    voice: str
    samples: Samples
    phones: tuple[Phoneme, ...]

    @property
    def closures(self) -> tuple[tuple[float, float], ...]:
        """When the lips are shut, in seconds, as speech synthesis tells it."""
        told = [(phone.symbol, phone.start) for phone in self.phones]
        return espeak_ng.lip_closures(told, len(self.samples) / SAMPLE_RATE)


def recitals(voices: list[Path]) -> list[Recital]:
    """The demo's own text by espeak-ng, and by the voices cloned from recordings, with the same phone times."""
    spoken = recite(itertools.cycle(SENTENCES), SECONDS)
    base = resample_poly(spoken.samples, SAMPLE_RATE, spoken.rate).astype(np.float32)
    made = [Recital("espeak-ng", base, spoken.phonemes)]
    frames = world.analyse(world.resampled(spoken.samples, spoken.rate))
    banks = BaseVoice(plain, (ENGLISH, OTHERS)).known() if voices else []
    for path in voices:
        model = cloning.learn(world.analyse(decode(path, world.SAMPLE_RATE)), banks)
        samples = resample_poly(world.synthesise(model.convert(frames)), SAMPLE_RATE, world.SAMPLE_RATE)
        made.append(Recital(f"cloned: {path.stem}", samples.astype(np.float32), spoken.phonemes))
    return made


def shares(recital: Recital, openings: Floats, own: Floats) -> dict[str, float]:
    """The shares that are as they should be; `openings` (T,) of the speech, `own` those of the training frames."""
    low, high, middle = np.quantile(own, [LOW, HIGH, MIDDLE])
    shut, opened = openings <= low + PART * (high - low), openings >= middle
    sounds = [(each, each.symbol.strip("ˈˌ")) for each in recital.phones]
    closures = [shut[_frames(p, 1, len(shut))].any() for p, symbol in sounds if symbol and symbol in SHUT]
    vowels = [opened[_frames(p, 0, len(shut))].any() for p, symbol in sounds
              if symbol in OPEN and p.end - p.start >= LEAST_OPEN_S]  # fmt: skip
    silent = shut[_silent(recital.phones, len(shut))]
    return {"m, b, p": float(np.mean(closures)), "silence": float(np.mean(silent)), "a": float(np.mean(vowels)),
            "phones mbp": len(closures), "frames silent": len(silent), "phones a": len(vowels)}  # fmt: skip


def _frames(phone: Phoneme, margin: int, count: int) -> slice:
    first, last = int(phone.start * FRAME_RATE) - margin, int(phone.end * FRAME_RATE) + margin
    return slice(max(0, first), min(count, last + 1))


def _silent(phones: tuple[Phoneme, ...], count: int) -> NDArray[np.intp]:
    """Indices of frames that lie well inside pauses."""
    spoken = [phone for phone in phones if phone.symbol]
    times = (np.arange(count) + 0.5) / FRAME_RATE
    inside = np.zeros(count, bool)
    edges = [0.0, *(edge for phone in spoken for edge in (phone.start, phone.end)), count / FRAME_RATE]
    for end, start in zip(edges[::2], edges[1::2], strict=True):
        if start - end >= LEAST_SILENCE_S:
            inside |= (times >= end + FADE_S) & (times <= start - FADE_S)
    return np.flatnonzero(inside)
