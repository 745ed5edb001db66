"""Piper's voices: VITS networks that speak espeak-ng's phonemes, offline, and sound like a person.

One network is one voice (some have several speakers) of one language. Registered voices are spoken in by converting it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from models.errors import ModelError
from services.common.engine import EngineInfo, EngineSettings
from services.tts import languages
from services.tts.own_voice import AS_IT_IS, OwnVoiceEngine, Shape
from services.tts.phonemic import WrongVoice
from services.tts.piper.files import find, speaker_of

if TYPE_CHECKING:
    from services.tts.piper.voice import Voice

_LANGUAGE = "en-US"  # of a voice that is not here yet: the default one's


class Settings(EngineSettings):
    """Which voice speaks, and how much of the machine it takes."""

    model_config = SettingsConfigDict(env_prefix="TTS_PIPER_")

    voice: str = "piper-en-us-joe"
    """A voice of the catalogue (`visavis models list`), or the path of one of Piper's: a folder with its `.onnx` and
    `.onnx.json`, or the former."""

    speaker: str = ""
    """Which speaker of a voice with several, by name or number; empty for the first."""

    threads: int = Field(0, ge=0, le=64)
    """Processors that a computation uses; 0 for all there are, at most four."""


class Engine(OwnVoiceEngine):
    """Speaks in one voice of Piper's; the first piece of a sentence comes before the rest is drawn."""

    settings_type = Settings

    def __init__(self, settings: Settings, shape: Shape = AS_IT_IS) -> None:
        super().__init__(settings, settings.voice, settings.threads, settings.speaker, shape)

    def info(self) -> EngineInfo:
        """What its voice can do."""
        return self.own_info("piper")

    def language(self) -> str:
        """That of the voice's configuration."""
        try:
            return languages.tag(find(self.path()).config.espeak.voice)
        except (WrongVoice, ModelError):
            return _LANGUAGE

    def check(self, path: Path) -> None:
        """Raises:
        WrongVoice: a file is missing or wrong, or there is no such speaker.
        """
        speaker_of(find(path), self._speaker)

    def open(self, path: Path, threads: int) -> Voice:
        """Raises:
        WrongVoice: its network is none of Piper's.
        """
        from services.tts.piper.voice import Voice

        return Voice(find(path), threads=threads, speaker=self._speaker)
