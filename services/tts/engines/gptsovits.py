"""GPT-SoVITS on a server of one's own, over its `api_v2`: voices cloned from three to ten seconds.

`services/tts/gptsovits/` knows what to ask and what the answers mean.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.common import provider
from services.common.arrays import Samples
from services.common.engine import Capability, EngineInfo, Lack
from services.common.errors import ServiceError
from services.tts import reference
from services.tts.engine import Prosody, Speech, TtsEngine
from services.tts.gptsovits import asked
from services.tts.gptsovits.failures import GptSovitsFailures
from services.tts.gptsovits.sharing import Shared
from services.tts.remote.http import HttpSpeaker
from services.tts.remote.settings import SpeakerSettings
from services.tts.remote.speaking import spoken
from services.tts.sentences import language_of

_SHORTEST_S, _LONGEST_S = 3.05, 9.9  # the server counts samples at 16 kHz and takes 3 to 10
_KEPT_RATE = 24_000


class Settings(SpeakerSettings):
    """Where the server is, what it runs, and how it gets at recordings."""

    model_config = SettingsConfigDict(env_prefix="TTS_GPTSOVITS_")

    url: str = Field("", pattern="^$|^https?://")
    """Address of the server, e.g. `http://127.0.0.1:9880`."""

    model: asked.Version = "v2"
    """The version of the model that it runs: `v1`, `v2`, `v2Pro`, `v2ProPlus`, `v3` or `v4`."""

    references: Path | None = None
    """Folder that the server sees too, in which a voice's recording lies while it speaks. It reads them from its own
    disk. Empty only where it runs on this machine and may read this service's files."""

    server_references: str = ""
    """The same folder as the server sees it, e.g. in its container; empty where that is the same."""

    speaker: str = ""
    """Recording of 3 to 10 s on the server's disk, for text that names no voice."""

    speaker_words: str = ""
    """What is said in it."""

    gpt_weights: str = ""
    """GPT weights on the server's disk that it shall speak with; empty for those that it was started with."""

    sovits_weights: str = ""
    """SoVITS weights, likewise. Whoever else asks this server gets them, too."""

    streaming_mode: int = Field(1, ge=0, le=3)
    """How sound comes: 0 whole sentences, 1 clauses, 2 and 3 while it is computed, sooner and worse."""

    split: str = "cut5"
    """How the server cuts a sentence: `cut5` at commas, `cut0` not at all."""

    temperature: float = Field(1.0, gt=0, le=2)
    """How freely it varies."""

    seed: int = -1
    """Number with which it says the same the same way again; -1 for another every time."""


class Engine(TtsEngine):
    """Sends each sentence, and the place of the voice's recording, to the server at `TTS_GPTSOVITS_URL`."""

    settings_type = Settings
    requires = ("httpx",)
    learns_transcript = True

    def __init__(self, settings: Settings) -> None:
        self._settings, self._failures = settings, GptSovitsFailures(settings)
        self.sample_rate = asked.RATES[settings.model]
        self._server = HttpSpeaker(settings, self._failures, self._failures.explained)
        self._shared = Shared(settings.references, settings.server_references, self._failures)
        self._switching = asyncio.Lock()
        self._is_switched = False

    def load(self) -> None:
        """Nothing is sent yet, so that the service starts without the server."""
        self._server.load()
        self._shared.tidy()

    def info(self) -> EngineInfo:
        """It clones, and speaks faster or slower."""
        settings = self._settings
        able = {Capability.CLONING, Capability.RATE, *provider.whereabouts(settings.url)}
        known = asked.languages(settings.model)
        return EngineInfo("gptsovits", settings.model, known, frozenset(able), "MIT (the server and its models)")

    def lack(self) -> Lack | None:
        """An address, and a folder that both see."""
        settings = self._settings
        if lack := provider.address_lack(settings, "http://127.0.0.1:9880"):
            return lack
        folder = settings.variable("references")
        if settings.references is None:
            if Capability.OFFLINE in provider.whereabouts(settings.url):
                return None
            reason = "Its server reads recordings from its own disk, and shares no folder with this service."
            remedy = f"Set {folder} to a folder that both see, and restart the service."
            return Lack("REFERENCES_UNSHARED", reason, remedy, {"folder": folder})
        if not settings.references.is_dir():
            remedy = f"Make the folder that {folder} names, or correct it, and restart the service."
            return Lack("REFERENCES_MISSING", "The folder for recordings is not there.", remedy, {"folder": folder})
        return None

    def check_language(self, language: str) -> None:
        """Raises:
        Unsupported: the model does not speak it.
        """
        if language and not asked.code(self._settings.model, language):
            known = ", ".join(asked.languages(self._settings.model))
            raise self._failures.language_unknown(language, known)

    def enrol(self, reference_: Samples, sample_rate: int, transcript: str, folder: Path) -> None:
        """Keep the recording and its words.

        Raises:
            InvalidInput: silence, or less than three seconds.
        """
        reference.keep(
            reference_, sample_rate, transcript, folder,
            kept_rate=_KEPT_RATE, shortest_s=_SHORTEST_S, longest_s=_LONGEST_S,
        )  # fmt: skip

    def synthesize(
        self, text: str, *, language: str, voice: Path | None, prosody: Prosody
    ) -> AsyncGenerator[Speech, None]:
        """Pieces as the server sends them; closing the iterator hangs up. It knows no pitch.

        Raises:
            InvalidInput: there is nothing to say, no voice to say it in, or the words of its recording are needed.
            Unsupported: the model does not speak the language.
            Unavailable, Busy: the server cannot be reached, refuses, breaks off or speaks something else.
        """
        self.check_language(language)
        ask = partial(self._ask, language, voice, prosody.rate)
        return spoken(text, ask, self.sample_rate, self._failures, prosody.rate)

    async def _ask(self, language: str, voice: Path | None, speed: float, text: str) -> AsyncGenerator[bytes, None]:
        settings = self._settings
        kept = await asyncio.to_thread(reference.recall, voice) if voice else None
        words = kept.transcript if kept else settings.speaker_words
        if not (kept or settings.speaker):
            raise self._failures.voice_needed(settings.variable("speaker"))
        if settings.model in asked.NEED_WORDS and not words:
            raise self._failures.words_needed()
        language = language or language_of(text)
        self.check_language(language)
        await self._switched()
        with self._shared.lent(kept) if kept else nullcontext(settings.speaker) as path:
            async with aclosing(self._spoken(text, language, path, words, speed)) as pieces:
                async for piece in pieces:
                    yield piece

    async def _spoken(
        self, text: str, language: str, path: str, words: str, speed: float
    ) -> AsyncGenerator[bytes, None]:
        settings, has_sound = self._settings, False
        options: dict[str, Any] = {
            "streaming_mode": settings.streaming_mode,
            "text_split_method": settings.split,
            "temperature": settings.temperature,
            "seed": settings.seed,
        }
        told = asked.body(settings.model, text, language, path=path, words=words, speed=speed, options=options)
        try:
            async with aclosing(self._server.ask("POST", "/tts", json=told)) as pieces:
                async for piece in pieces:
                    has_sound = True
                    yield piece
        except ServiceError as error:
            is_broken_off = error.reason == "REPLY_BROKEN_OFF"
            if is_broken_off or error.reason == "PROVIDER_UNREACHABLE":
                self._is_switched = False  # it may be started anew
            if is_broken_off and not has_sound:  # one that streams has no words for what is wrong with a recording
                await self._server.told("GET", "/set_refer_audio", params={"refer_audio_path": path})
            raise

    async def _switched(self) -> None:
        """The server has the weights that are set, unless it was told already."""
        settings = self._settings
        wanted = {"set_gpt_weights": settings.gpt_weights, "set_sovits_weights": settings.sovits_weights}
        async with self._switching:
            if self._is_switched:
                return
            for route, weights in wanted.items():
                if weights:
                    await self._server.told("GET", f"/{route}", params={"weights_path": weights})
            self._is_switched = True
