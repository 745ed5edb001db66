"""CosyVoice 1, 2 and 3 on a server of one's own, over its gRPC or its FastAPI: cloned voices, sound as it is made.

`services/tts/cosyvoice/` knows what to ask and how.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from services.common import provider
from services.common.arrays import Samples
from services.common.engine import Capability, EngineInfo, Lack
from services.tts import reference
from services.tts.cosyvoice import asked
from services.tts.cosyvoice.failures import CosyVoiceFailures
from services.tts.engine import Prosody, Speech, TtsEngine
from services.tts.remote.settings import SpeakerSettings
from services.tts.remote.speaking import spoken
from services.tts.sentences import language_of

if TYPE_CHECKING:
    from services.tts.cosyvoice.wires import Wire

_SHORTEST_S, _LONGEST_S = 3.0, 29.5  # the server refuses more than 30; less than 3 is hardly a voice


class Settings(SpeakerSettings):
    """Where the server is, and which model it runs."""

    model_config = SettingsConfigDict(env_prefix="TTS_COSYVOICE_")

    url: str = Field("", pattern="^$|^(grpcs?|https?)://")
    """Address of the server: `grpc://HOST:PORT` for its gRPC (`grpcs` with TLS), `http://HOST:PORT` for its FastAPI."""

    model: str = ""
    """The `--model_dir` that the server was started with, e.g. `iic/CosyVoice2-0.5B`: the generation in it tells the
    rate of the sound, which the server does not, and how it wants to be asked."""

    speaker: str = ""
    """Voice that is built into the model, for text that names no voice; only CosyVoice-300M-SFT and -Instruct come with
    some, of which the language chooses where this is empty."""

    instruct: str = ""
    """How to speak, in words, e.g. `Speak slowly and warmly.`; empty for as it comes. With a registered voice only
    over HTTP."""

    @field_validator("model")
    @classmethod
    def _is_of_cosyvoice(cls, value: str) -> str:
        if value:
            asked.Model.named(value)
        return value


class Engine(TtsEngine):
    """Sends each sentence, and the recording of the voice, to the server at `TTS_COSYVOICE_URL`."""

    settings_type = Settings
    requires = ("grpc", "httpx")
    learns_transcript = True

    def __init__(self, settings: Settings) -> None:
        self._settings, self._failures = settings, CosyVoiceFailures(settings)
        self._model = asked.Model.named(settings.model or "CosyVoice2")
        self.sample_rate = self._model.rate
        self._wire: Wire | None = None

    def load(self) -> None:
        """Nothing is sent yet, so that the service starts without the server."""
        from services.tts.cosyvoice import wires

        self._wire = wires.wire(self._settings, self._failures)
        self._wire.load()

    def info(self) -> EngineInfo:
        """It clones unless its model has voices of its own."""
        able = {*provider.whereabouts(self._settings.url)}
        if self._model.clones:
            able.add(Capability.CLONING)
        version = self._settings.model or "2"
        return EngineInfo(
            "cosyvoice", version, self._model.languages, frozenset(able), "Apache-2.0 (the server and its models)"
        )

    def lack(self) -> Lack | None:
        """An address, the name of the model, and a wire for what is asked of it."""
        settings = self._settings
        if lack := provider.address_lack(settings, "grpc://127.0.0.1:50000"):
            return lack
        if lack := provider.model_lack(settings):
            return lack
        if settings.instruct and self._model.generation > 1 and settings.url.startswith("grpc"):
            names = {"instruct": settings.variable("instruct"), "url": settings.variable("url")}
            reason = "CosyVoice's gRPC server takes no instruction together with a recording."
            remedy = f"Set {names['url']} to its FastAPI server (http://…), or leave {names['instruct']} empty."
            return Lack("INSTRUCT_NEEDS_HTTP", reason, remedy, names)
        return None

    def check_language(self, language: str) -> None:
        """Raises:
        Unsupported: the model does not speak it.
        """
        if language and not self._model.speaks(language):
            raise self._failures.language_unknown(language, ", ".join(self._model.languages))

    def enrol(self, reference_: Samples, sample_rate: int, transcript: str, folder: Path) -> None:
        """Keep the recording and its words: both are sent with every sentence.

        Raises:
            InvalidInput: silence, or less than three seconds.
        """
        reference.keep(
            reference_, sample_rate, transcript, folder,
            kept_rate=asked.PROMPT_RATE, shortest_s=_SHORTEST_S, longest_s=_LONGEST_S,
        )  # fmt: skip

    def synthesize(
        self, text: str, *, language: str, voice: Path | None, prosody: Prosody
    ) -> AsyncGenerator[Speech, None]:
        """Pieces as the server sends them; closing the iterator ends its work. It knows no rate and no pitch.

        Raises:
            InvalidInput: there is nothing to say, or no voice to say it in.
            Unsupported: the model does not speak the language.
            Unavailable, Busy: the server cannot be reached, refuses, breaks off or speaks something else.
        """
        self.check_language(language)
        return spoken(text, partial(self._ask, language, voice), self.sample_rate, self._failures)

    async def _ask(self, language: str, voice: Path | None, sentence: str) -> AsyncGenerator[bytes, None]:
        assert self._wire  # since it was loaded
        language = language or language_of(sentence)
        self.check_language(language)
        question = await asyncio.to_thread(self._question, sentence, language, voice)
        async with aclosing(self._wire.speak(question)) as pieces:
            async for piece in pieces:
                yield piece

    def _question(self, sentence: str, language: str, voice: Path | None) -> asked.Asked:
        settings = self._settings
        if voice:
            return asked.in_voice(self._model, sentence, language, reference.recall(voice), settings.instruct)
        question = asked.in_built_in(self._model, sentence, language, settings.speaker, settings.instruct)
        if not question:
            raise self._failures.voice_needed(settings.variable("speaker"))
        return question
