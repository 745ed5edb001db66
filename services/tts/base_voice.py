"""A voice that conversion starts from: how it is known by what it says, and how persons are learnt over it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from services.common.arrays import Samples
from services.common.errors import InvalidInput
from services.tts import cloning, loudness, world
from services.tts.languages import tongue

Speak = Callable[[str, str], Samples]
"""A text of a language of espeak's, e.g. `en-us`, spoken at `world.SAMPLE_RATE`: `speak(language, text)`."""

Bank = Sequence[tuple[str, str]]
"""Languages and texts."""

_MIN_VOICED_S = 3.0
_MAX_REFERENCE_S = 180

# Every sound of English; then most of Mandarin, and the sounds that German, French, Spanish and Russian add.
ENGLISH: Bank = (
    ("en-us", "The quick brown fox jumps over the lazy dog while a young child watches with joy."),
    ("en-us", "She had her dark suit in greasy wash water all year."),
    ("en-us", "Ask me to carry an oily rag, and I shall bring fresh snow peas, thick blue cheese and a good book."),
    ("en-us", "The usual measure of pleasure on this beige couch is a vision that the church judge would choose."),
    ("en-us", "Four hours of steady work faced us, though nothing there was worth the youngest father's anger."),
    ("en-us", "How about those noisy boys now? They found out why five white mice hide outside."),
    ("en-us", "It is easy to tell the depth of a well, but a round bowl of rice is rarely a full meal."),
    ("en-us", "Bob took six big spoons, put them back on the shelf, and asked his mother for a snack at the zoo."),
)
OTHERS: Bank = (
    ("cmn", "四是四，十是十，十四是十四，四十是四十。女孩子去学校学习语文和数学。"),
    ("cmn", "天气很好，我们一起出去走走，喝一杯热茶，吃一点儿东西，然后回家休息。"),
    ("de", "Zwölf hübsche Boxkämpfer jagen Eva quer über den großen Sylter Deich."),
    ("fr-fr", "Un bon vin blanc, une jeune fille heureuse et deux œufs frais."),
    ("es", "El pequeño perro corre rápido por la calle lluviosa."),
    ("ru", "Съешь ещё этих мягких французских булок, да выпей чаю."),
)


def known_by(language: str) -> Bank:
    """What a voice of one language says to be known: what there is of it, and English by its own rules."""
    own = tuple(line for line in OTHERS if tongue(line[0]) == tongue(language))
    return ENGLISH if tongue(language) == "en" else (*own, *ENGLISH)


def heard(reference: Samples, sample_rate: int) -> world.Frames:
    """Somebody's recording, of which nobody needs to know the words.

    Raises:
        InvalidInput: silence, or less than three seconds of voiced speech.
    """
    samples = reference[: _MAX_REFERENCE_S * sample_rate]
    if not np.abs(samples).max(initial=0) > loudness.AUDIBLE:
        message = "This recording is silent. Check the microphone and record it again."
        raise InvalidInput(message, reason="SILENT", field="audio")
    frames = world.analyse(world.resampled(samples, sample_rate))
    voiced_s = np.count_nonzero(frames.voiced & frames.active) / world.FRAMES_PER_S
    if voiced_s < _MIN_VOICED_S:
        message = f"Only {voiced_s:.1f} seconds of voice were heard. Record at least ten seconds of clear speech."
        raise InvalidInput(message, reason="TOO_SHORT", field="audio", values={"seconds": f"{voiced_s:.1f}"})
    return frames


class BaseVoice:
    """Learns persons over one voice. Several threads may call it.

    Args:
        banks: what the voice says to be known. Each is paired with all of a person's recording; the first has to hold
            every sound of a language.
        by_halves: how its pitch is heard, as of `world.analyse`.
    """

    def __init__(self, speak: Speak, banks: Sequence[Bank], by_halves: bool = False) -> None:
        self._speak, self._banks, self._by_halves = speak, banks, by_halves
        self._learning = threading.Lock()
        self._recorded: list[list[world.Frames]] = []
        self._open = lru_cache(maxsize=32)(_open)

    def learn(self, person: world.Frames, folder: Path) -> None:
        """Learn who speaks, as `heard`, into a folder."""
        cloning.learn(person, self.known()).save(folder)

    def person(self, folder: Path) -> cloning.VoiceModel:
        """Who was learnt into a folder."""
        return self._open(folder, cloning.VoiceModel.stamp(folder))

    def forget(self) -> None:
        """Let go of everybody."""
        self._open.cache_clear()

    def analyse(self, samples: Samples) -> world.Frames:
        """What the voice says, at `world.SAMPLE_RATE`."""
        return world.analyse(samples, self._by_halves)

    def known(self) -> list[list[world.Frames]]:
        """What the voice said to be known, bank by bank; said when this is first asked."""
        with self._learning:
            self._recorded = self._recorded or [
                [self.analyse(self._speak(language, text)) for language, text in bank] for bank in self._banks
            ]
            return self._recorded


def _open(folder: Path, stamp: int) -> cloning.VoiceModel:
    """The stamp is part of what the cache remembers: a voice may be registered anew under its old name."""
    return cloning.VoiceModel.open(folder)
