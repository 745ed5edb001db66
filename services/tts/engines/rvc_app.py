"""The image `rvc-app`, by a Docker engine: Chatterbox Multilingual, which clones, set to Mandarin; it is no RVC."""

from __future__ import annotations

from pydantic_settings import SettingsConfigDict

from services.tts.boxed.engine import BoxedEngine, BoxedSettings


class Settings(BoxedSettings):
    """Which image speaks, and what it gets."""

    model_config = SettingsConfigDict(env_prefix="TTS_RVC_APP_")


class Engine(BoxedEngine):
    """Speaks Mandarin in the voice of a recording."""

    settings_type = Settings
    name = "rvc_app"
    languages = ("zh",)
    models_folder = "/app/models_zh"

    def arguments(self, recording: str, words: str, text: str, out: str) -> list[str]:
        """The words of the recording are not asked for."""
        return ["--ref", recording, "--text-file", text, "--out", out]
