"""espeak-ng, converted toward a registered voice with WORLD: offline, every language of espeak's, no download."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
from pydantic_settings import SettingsConfigDict

from services.common.arrays import Samples
from services.common.engine import EngineInfo, EngineSettings
from services.tts import cloning, espeak_ng, languages, loudness, timing, world
from services.tts.base_voice import ENGLISH, OTHERS, BaseVoice
from services.tts.conversion import Change, changed
from services.tts.engine import Prosody
from services.tts.phonemic import Spoken
from services.tts.phonemic_engine import ABLE, PhonemicEngine

_WORDS_PER_MINUTE = (120, 230)
_PITCHED_S = 3  # of a sentence that tell how high it is spoken
_MISSED_SYLLABLES = 1.16  # people slur syllables that espeak says; measured on thirteen recordings with transcripts


class Settings(EngineSettings):
    """How espeak-ng sounds by itself."""

    model_config = SettingsConfigDict(env_prefix="TTS_ESPEAK_")

    variant: str = "f3"
    """Variant of espeak-ng's own voice, for text that names no voice: f1 to f5, m1 to m8; empty for the plain one."""


class Engine(PhonemicEngine):
    """Speaks with espeak-ng; a registered voice lends its timbre, pitch and tempo."""

    settings_type = Settings
    enrolment = cloning.STAMP

    def __init__(self, settings: Settings) -> None:
        self._variant = settings.variant
        self._base = BaseVoice(plain, (ENGLISH, OTHERS))

    def load(self) -> None:
        """Start espeak-ng and WORLD by speaking a word."""
        world.synthesise(world.analyse(plain("en-us", "Hello.")))

    def info(self) -> EngineInfo:
        """All of espeak's languages, voice cloning, word times, pitch and rate."""
        spoken = languages.spoken_languages()
        return EngineInfo("espeak", version("espeakng-loader"), spoken, ABLE, "GPL-3.0-or-later")

    def check_language(self, language: str) -> None:
        """Raises:
        Unsupported: espeak does not speak it.
        """
        if language:
            languages.espeak_language(language)

    def learn(self, person: world.Frames, folder: Path) -> None:
        """Learn them over the voice."""
        self._base.learn(person, folder)

    def say(self, sentence: str, language: str, voice: Path | None, prosody: Prosody) -> Iterator[Spoken]:
        """In several pieces where WORLD has to change it."""
        person = self._base.person(voice) if voice else None
        return _say(sentence, languages.espeak_language(language), person or self._variant, prosody)

    def close(self) -> None:
        """Forget the voices that were read."""
        self._base.forget()


def plain(language: str, text: str) -> Samples:
    """espeak's own voice."""
    utterance = espeak_ng.speak(text, languages.voice_for(language, text))
    return world.resampled(utterance.samples, espeak_ng.SAMPLE_RATE)


def _say(sentence: str, language: str, who: cloning.VoiceModel | str, prosody: Prosody) -> Iterator[Spoken]:
    """One sentence in a registered voice or a variant of espeak's, levelled, with its pause; its words and closures."""
    voice = languages.voice_for(language, sentence)
    model = None if isinstance(who, str) else who
    if model:
        utterance = espeak_ng.speak(sentence, voice, _tempo(model))
    else:
        utterance = espeak_ng.speak(sentence, f"{voice}+{who}" if who else voice)
    samples = world.resampled(utterance.samples, espeak_ng.SAMPLE_RATE)
    start, end = loudness.sounding_span(samples, world.SAMPLE_RATE)
    samples = samples[start:end]
    clock = timing.Clock(start / world.SAMPLE_RATE, 1.0, len(samples) / world.SAMPLE_RATE)
    words, closures = timing.words(utterance.words, clock), timing.closures(utterance.closures, clock)
    pause = timing.silence(timing.pause_s(sentence), world.SAMPLE_RATE)
    if model or prosody != Prosody():
        whole = Spoken(np.concatenate([samples, pause]), words, closures)
        yield from changed([whole], _change(model, samples, prosody))
    else:
        speech = loudness.faded(loudness.levelled(samples, world.SAMPLE_RATE), world.SAMPLE_RATE)
        yield Spoken(np.concatenate([speech, pause]), words, closures)


def _change(model: cloning.VoiceModel | None, samples: Samples, prosody: Prosody) -> Change:
    """What becomes of a sentence: it has the person's pitch in the mean, and every sentence has the same level."""
    if not model:
        gain = loudness.gain(samples, world.SAMPLE_RATE)
        return Change(semitones=prosody.pitch_semitones, rate=prosody.rate, gain=gain)
    heard = world.pitch(samples[: _PITCHED_S * world.SAMPLE_RATE])
    mean = float(np.log(heard[heard > 0]).mean()) if heard.any() else model.base.pitch_mean
    return Change(model, mean, semitones=prosody.pitch_semitones, rate=prosody.rate, gain=model.gain)


def _tempo(model: cloning.VoiceModel) -> int:
    """espeak's words per minute for the person's syllables per second."""
    ratio = _MISSED_SYLLABLES * model.speaker.syllables_per_s / max(model.base.syllables_per_s, 0.1)
    return round(float(np.clip(espeak_ng.NORMAL_WORDS_PER_MINUTE * ratio, *_WORDS_PER_MINUTE)))
