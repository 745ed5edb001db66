"""The image `cosyvoice-app`, by a Docker engine: CosyVoice 2, which clones from a recording and its words."""

from __future__ import annotations

from pydantic_settings import SettingsConfigDict

from services.tts import reference
from services.tts.boxed.engine import BoxedEngine, BoxedSettings


class Settings(BoxedSettings):
    """Which image speaks, and what it gets."""

    model_config = SettingsConfigDict(env_prefix="TTS_COSYVOICE_APP_")


class Engine(BoxedEngine):
    """Speaks in the voice of a recording, whose words it has to know."""

    settings_type = Settings
    learns_transcript = True
    name = "cosyvoice_app"
    languages = ("zh", "en", "ja", "ko")
    models_folder = "/app/pretrained_models"
    shortest_s, longest_s = 3.0, 29.5

    def arguments(self, recording: str, words: str, text: str, out: str) -> list[str]:
        """Raises:
        InvalidInput: nobody knows what is said in the recording.
        """
        if not words:
            raise reference.words_needed("cosyvoice_app")
        return ["--ref-audio", recording, "--ref-text", words, "--target-text-file", text, "--out", out]
