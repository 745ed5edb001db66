"""Settings of the speech synthesis service."""

from __future__ import annotations

from pydantic_settings import SettingsConfigDict

from services.common.settings import ServiceSettings


class TtsSettings(ServiceSettings):
    """Variables begin with `TTS_`."""

    model_config = SettingsConfigDict(env_prefix="TTS_")

    port: int = 50053
    """Port to listen on; 0 lets the system choose."""

    choices = ("natural", "espeak")

    engine: str = ""
    """The engine that speaks for calls that name none: the name of a file in services/tts/engines. Empty for `natural`
    where its model is here, or else `espeak`, which needs none."""

    max_text_characters: int = 50_000
    """Longest text of one call."""

    max_reference_bytes: int = 2 * 2**30
    """Largest file a voice may be made from; a training's whole video is one."""

    max_reference_minutes: float = 30.0
    """Longest recording a voice may be made from."""
