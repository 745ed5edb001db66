"""Kokoro: a network of 82 million weights with many voices, offline; too slow for talks on two cores.

It speaks English here, American and British. Registered voices are spoken in by converting it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.common.engine import EngineInfo, EngineSettings
from services.tts.kokoro.files import find
from services.tts.own_voice import OwnVoiceEngine

if TYPE_CHECKING:
    from services.tts.kokoro.voice import Voice


class Settings(EngineSettings):
    """Which voice speaks, and how much of the machine it takes."""

    model_config = SettingsConfigDict(env_prefix="TTS_KOKORO_")

    model: str = "kokoro"
    """The model of the catalogue (`visavis models list`), or the path of a folder with `kokoro*.onnx` and `voices`."""

    voice: str = "af_heart"
    """Which of its voices speaks, one that begins with a (American) or b (British): the name of a file in `voices`."""

    threads: int = Field(0, ge=0, le=64)
    """Processors that a computation uses; 0 for all there are, at most four."""


class Engine(OwnVoiceEngine):
    """Speaks in one of Kokoro's voices, part by part of a sentence."""

    settings_type = Settings

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, settings.model, settings.threads, settings.voice)

    def info(self) -> EngineInfo:
        """What its voice can do."""
        return self.own_info("kokoro")

    def language(self) -> str:
        """English of the country that the voice's name begins with."""
        return "en-GB" if self._speaker.startswith("b") else "en-US"

    def check(self, path: Path) -> None:
        """Raises:
        WrongVoice: a file is missing or wrong, or the voice speaks what cannot be read here.
        """
        find(path, self._speaker)

    def open(self, path: Path, threads: int) -> Voice:
        """Raises:
        WrongVoice: its network is not Kokoro's.
        """
        from services.tts.kokoro.voice import Voice

        return Voice(find(path, self._speaker), threads=threads)
