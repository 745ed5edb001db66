"""Settings of the recognition service, from `ASR_…` variables."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.common.settings import ServiceSettings


class AsrSettings(ServiceSettings):
    """How speech is recognised."""

    model_config = SettingsConfigDict(env_prefix="ASR_", use_attribute_docstrings=True, extra="ignore")

    port: int = 50051
    """Port to listen on; 0 lets the system choose."""

    engine: str = "pocketsphinx"
    """The recognition engine of calls that name none: the name of a file in services/asr/engines."""

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

    max_recording_seconds: int = Field(3 * 3600, ge=1)
    """Longest recording that Transcribe takes."""

    max_upload_bytes: int = Field(2 * 1024**3, ge=1)
    """Largest file that Transcribe takes."""
