"""Settings of the speech synthesis service."""

from __future__ import annotations

from pydantic_settings import SettingsConfigDict

from services.common.settings import ServiceSettings


class TtsSettings(ServiceSettings):
    """Variables begin with `TTS_`."""

    model_config = SettingsConfigDict(env_prefix="TTS_")

    port: int = 50053
    """Port to listen on; 0 lets the system choose."""

    engine: str = "espeak"
    """Which engine speaks; see docs/adding-an-engine.md."""

    espeak_variant: str = "f3"
    """Variant of espeak-ng's own voice, for text that names no voice: f1 to f5, m1 to m8; empty for the plain one."""

    max_text_characters: int = 50_000
    """Longest text of one call."""

    max_reference_bytes: int = 2 * 2**30
    """Largest file a voice may be made from; a training's whole video is one."""

    max_reference_minutes: float = 30.0
    """Longest recording a voice may be made from."""
