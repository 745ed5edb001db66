"""A person's voice where there is one, espeak-ng elsewhere: each sentence by Piper's if it knows the language.

So one engine speaks a hundred languages, those that have a network like a person, in the same registered voices.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.common.engine import EngineInfo, EngineSettings, Lack
from services.tts import languages, world
from services.tts.engine import Prosody
from services.tts.engines import espeak, piper
from services.tts.own_voice import AS_IT_IS, Shape
from services.tts.phonemic import Spoken
from services.tts.phonemic_engine import ABLE, PhonemicEngine
from services.tts.sentences import has_han


class Settings(EngineSettings):
    """How Piper's voice sounds where it speaks for nobody. The one that is had, a man's, is made a woman's: the first
    avatar is one, and so is espeak-ng's voice, which reads all else. Any other stays as it is unless one of these is
    set. Which voices they are, their own settings say."""

    model_config = SettingsConfigDict(env_prefix="TTS_NATURAL_")

    semitones: float = Field(12.0, ge=-18, le=18)
    """By how much higher than it was recorded it speaks; 0 and 1 for the man whose voice it is."""

    resonances: float = Field(1.16, ge=0.8, le=1.25)
    """By how much higher its resonances are: a woman's lie about a sixth higher than a man's."""


class Engine(PhonemicEngine):
    """Speaks with either; a registered voice is learnt over both."""

    settings_type = Settings
    requires = piper.Engine.requires

    def __init__(self, settings: Settings) -> None:
        voice = piper.Settings()
        is_joe = voice.voice == piper.Settings.model_fields["voice"].default
        is_shaped = (
            is_joe or settings.model_fields_set
        )  # somebody else's voice stays as it is until it is told otherwise
        self._person = piper.Engine(voice, Shape(settings.semitones, settings.resonances) if is_shaped else AS_IT_IS)
        self._others = espeak.Engine(espeak.Settings())

    def load(self) -> None:
        """Load both.

        Raises:
            Unavailable: the network of Piper's voice cannot be used.
        """
        self._person.load()
        self._others.load()
        self.enrolment = f"{self._person.enrolment} {self._others.enrolment}"

    def info(self) -> EngineInfo:
        """All of espeak's languages."""
        one, other = self._person.info(), self._others.info()
        return EngineInfo("natural", one.version, other.languages, ABLE, one.licence)

    def models(self) -> tuple[str, ...]:
        """That of Piper's voice."""
        return self._person.models()

    def lack(self) -> Lack | None:
        """What is wrong with the files of Piper's voice."""
        return self._person.lack()

    def check_language(self, language: str) -> None:
        """Raises:
        Unsupported: espeak does not speak it.
        """
        self._others.check_language(language)

    def learn(self, person: world.Frames, folder: Path) -> None:
        """Learn them over both."""
        for engine in (self._person, self._others):
            part = _part(folder, engine)
            part.mkdir()
            engine.learn(person, part)

    def say(self, sentence: str, language: str, voice: Path | None, prosody: Prosody) -> Iterator[Spoken]:
        """By the one that knows the language better."""
        engine = self._person if self._knows(sentence, language) else self._others
        return engine.say(sentence, language, _part(voice, engine) if voice else None, prosody)

    def _knows(self, sentence: str, language: str) -> bool:
        """Whether Piper's voice can say it."""
        own = languages.tongue(self._person.language())
        asked = languages.tongue(languages.tag(languages.espeak_language(language)))  # zh-HK is Cantonese, no is nb
        return asked == own and (languages.reads_han(own) or not has_han(sentence))

    def close(self) -> None:
        """Let go of both."""
        self._person.close()
        self._others.close()


def _part(folder: Path, engine: PhonemicEngine) -> Path:
    """Where what one of the two learnt lies."""
    return folder / engine.info().name
