"""FunASR's runtime, a server of one's own, over its WebSocket protocol: Paraformer and SenseVoice, while one speaks.

`services/asr/funasr/` speaks the protocol. A connection is an utterance: a runtime takes hot words once per connection,
and one that does not mark its last text may send more of it when the next utterance has begun. It is made with the
first sound, so nobody waits for it at the end.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveInt
from pydantic_settings import SettingsConfigDict

from basics.languages import primary
from services.asr.engine import AsrEngine, Recognition
from services.asr.remote.settings import RecogniserFailures
from services.common import provider
from services.common.engine import Capability, EngineInfo, EngineSettings, Lack


class Settings(EngineSettings):
    """Where the runtime is, and what is asked of it."""

    model_config = SettingsConfigDict(env_prefix="ASR_FUNASR_")

    url: str = Field("", pattern="^$|^wss?://")
    """Address of the runtime: `ws://HOST:PORT`, or `wss://HOST:PORT` with TLS."""

    certificate: str = ""
    """File with the certificate of a runtime that made its own, as those do that come with it; trusted by itself."""

    mode: Literal["2pass", "online", "offline"] = "2pass"
    """The runtime's pass: `2pass` corrects the text at pauses, `online` does not, `offline` waits for the end."""

    languages: tuple[str, ...] = Field(("zh", "en"), min_length=1)
    """What the runtime's models understand, as a JSON list of BCP 47 tags; SenseVoice: zh, yue, en, ja, ko."""

    chunk_size: tuple[int, PositiveInt, int] = (5, 10, 5)
    """How much the streaming model looks back, at and ahead, in steps of 60 ms, as a JSON list."""

    itn: bool = True
    """Whether numbers are written in figures."""

    hotword_weight: int = Field(20, ge=1, le=100)
    """How much likelier the runtime takes a hot word to be."""

    connect_seconds: float = Field(5.0, gt=0)
    """How long to wait for the runtime to accept a connection."""

    read_seconds: float = Field(15.0, gt=0)
    """How long to wait for the next piece of the text after an utterance; four times as long for all of it."""


class Engine(AsrEngine):
    """Sends speech to the runtime at `ASR_FUNASR_URL` while it is spoken."""

    settings_type = Settings
    requires = ("websockets",)

    def __init__(self, settings: Settings) -> None:
        self._settings, self._failures = settings, RecogniserFailures(settings, url="url")
        self._tls: ssl.SSLContext | None = None

    def load(self) -> None:
        """Read the certificates; nothing is sent yet, so that the service starts without the runtime.

        Raises:
            Unavailable: the file of the certificate that is named holds none.
        """
        import websockets.sync.client  # noqa: F401 - the first caller shall not wait for it

        provider.keep_logs_clean()
        if self._settings.url.startswith("wss:"):
            try:
                self._tls = _trusting(self._settings.certificate)
            except OSError as error:
                raise self._failures.distrusted() from error

    def info(self) -> EngineInfo:
        """Its server tells times of words where its model does."""
        settings = self._settings
        able = {Capability.WORD_TIMES, Capability.HOTWORDS, Capability.LANGUAGE_DETECTION}
        able |= provider.whereabouts(settings.url)
        if settings.mode != "offline":
            able.add(Capability.STREAMING)
        if settings.itn:
            able.add(Capability.WRITTEN_FORM)
        return EngineInfo(
            "funasr", settings.mode, settings.languages, frozenset(able), "MIT (the runtime); models have their own"
        )

    def lack(self) -> Lack | None:
        """An address, and the certificate that is named."""
        settings = self._settings
        if lack := provider.address_lack(settings, "ws://127.0.0.1:10095"):
            return lack
        if settings.certificate and not Path(settings.certificate).is_file():
            file = settings.variable("certificate")
            remedy = f"Correct {file} and restart the service."
            return Lack(
                "CERTIFICATE_MISSING", "The file of its server's certificate is not there.", remedy, {"file": file}
            )
        return None

    def open(self, language: str, hotwords: Sequence[str] = ()) -> Recognition:
        """Begin an utterance; the connection is made with its first sound."""
        from services.asr.funasr.conversation import Conversation

        known = self._settings.languages
        if language and primary(language) not in map(primary, known):
            raise self._failures.language_unknown(language, ", ".join(known))
        return Conversation(self._settings, self._failures, self._tls, language, hotwords)


def _trusting(certificate: str) -> ssl.SSLContext:
    """Whom to believe: the authorities; or only this one certificate, whatever name stands in it."""
    context = ssl.create_default_context(cafile=certificate or None)
    context.check_hostname = not certificate
    return context
