"""Settings of the recognition service, from `ASR_…` variables."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints
from pydantic_settings import SettingsConfigDict

from services.common.settings import ServiceSettings


class AsrSettings(ServiceSettings):
    """How speech is recognised."""

    model_config = SettingsConfigDict(env_prefix="ASR_", use_attribute_docstrings=True, extra="ignore")

    port: int = 50051
    """Port to listen on; 0 lets the system choose."""

    choices = ("whisper", "pocketsphinx")

    engine: str = ""
    """The recognition engine of calls that name none: the name of a file in services/asr/engines. Empty for `whisper`
    where its model is here, or else `pocketsphinx`, which needs none."""

    hotwords: tuple[Annotated[str, StringConstraints(max_length=50)], ...] = Field((), max_length=100)
    """Words that may well be said and are rare otherwise, such as names of people and products, as a JSON list. Engines
    with hot words hear them better; callers may name more."""

    written_form: bool = True
    """Whether numbers, dates and the like are written as people do ("$23", 50%), and sentences end, where the engine
    tells bare words and the caller does not want them as they were said."""

    hangover_ms: int = Field(600, ge=100, le=5000)
    """Silence that ends an utterance, unless the caller asks for another."""

    file_hangover_ms: int = Field(2000, ge=100, le=10_000)
    """Silence that ends an utterance of a recording: nobody waits, and longer utterances are recognised better."""

    min_speech_ms: int = Field(80, ge=20, le=1000)
    """Sounds shorter than this are taken for clicks, not for speech."""

    max_utterance_ms: int = Field(20_000, ge=2000, le=60_000)
    """Longest utterance; from half of it on, ever shorter pauses end it."""

    vad_aggressiveness: int = Field(1, ge=0, le=3)
    """How eagerly the voice activity detector calls sounds noise, 0 to 3."""

    use_silero: bool = True
    """Whether Silero's detector tells where a voice pauses in live speech, where its model is here (silero-vad)."""

    use_smart_turn: bool = True
    """Whether Smart Turn tells early in a pause whether somebody who speaks live has finished, where its model is here
    (smart-turn): who surely has is answered at once, who surely has not gets half as long again."""

    max_recording_seconds: int = Field(3 * 3600, ge=1)
    """Longest recording that Transcribe takes."""

    max_upload_bytes: int = Field(2 * 1024**3, ge=1)
    """Largest file that Transcribe takes."""
