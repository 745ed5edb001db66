"""Zhipu's GLM-ASR through the client of their own SDK, `zhipuai`: Chinese, its dialects and English, on their servers.

It takes whole utterances of at most 30 s; its text comes in pieces.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any

from pydantic_settings import SettingsConfigDict

from basics.languages import primary
from services.asr.engine import AsrEngine, Hypothesis, Recognition
from services.asr.remote.heard import as_text, hypothesis
from services.asr.remote.sent import Sent, as_wav
from services.asr.remote.settings import RecogniserFailures, RecogniserSettings
from services.common import provider, zhipu
from services.common.engine import Capability, EngineInfo, Lack
from services.common.line import Line

_DEFAULT_MODEL = "glm-asr-2512"
_MOST_HOTWORDS = 100
_LANGUAGES = ("zh", "en")


class Settings(RecogniserSettings):
    """Which of Zhipu's models recognises."""

    model_config = SettingsConfigDict(env_prefix="ASR_ZHIPU_")


class Engine(AsrEngine):
    """Sends what is said to Zhipu's API, or to another at `ASR_ZHIPU_BASE_URL` that speaks its protocol."""

    settings_type = Settings
    requires = zhipu.REQUIRES
    longest_s = 29.0  # they refuse more than 30

    def __init__(self, settings: Settings) -> None:
        self._settings, self._failures = settings, RecogniserFailures(settings)
        self._model = settings.model or _DEFAULT_MODEL
        self._zhipu = zhipu.Zhipu(settings, self._failures)

    def load(self) -> None:
        """Nothing is sent yet, so that the service starts without the provider."""
        self._zhipu.load()

    def info(self) -> EngineInfo:
        """Without partial texts while somebody speaks, and without times of words."""
        able = {Capability.LANGUAGE_DETECTION, Capability.HOTWORDS, Capability.WRITTEN_FORM}
        able |= provider.whereabouts(self._settings.base_url)
        return EngineInfo("zhipu", self._model, _LANGUAGES, frozenset(able), zhipu.LICENCE)

    def lack(self) -> Lack | None:
        """A key."""
        return provider.key_lack(self._settings)

    def open(self, language: str, hotwords: Sequence[str] = ()) -> Recognition:
        """Begin an utterance, sent when it is over."""
        return self._opened(language, hotwords, is_live=True)

    def open_recorded(self, language: str, hotwords: Sequence[str] = ()) -> Recognition:
        """The same, with more patience for a provider that is busy."""
        return self._opened(language, hotwords, is_live=False)

    def _opened(self, language: str, hotwords: Sequence[str], *, is_live: bool) -> Recognition:
        if primary(language) not in ("", *_LANGUAGES):
            raise self._failures.language_unknown(language, "Chinese and English")
        asked = partial(self._asked, language, hotwords[:_MOST_HOTWORDS])
        return Sent(asked, self._settings.answer_seconds, is_live=is_live)

    def _asked(
        self, language: str, hotwords: Sequence[str], pcm: bytes, line: Line
    ) -> Generator[str, None, Hypothesis]:
        from zhipuai.core import StreamResponse

        text = ""
        with self._zhipu.client(line) as client:
            stream = client.post(  # the SDK's own call has no hot words, and its forms hold no lists
                "/audio/transcriptions",
                body={"model": self._model, "stream": True},
                files=[("file", as_wav(pcm)), *(("hotwords", (None, word.encode())) for word in hotwords)],
                options={"headers": {"Content-Type": "multipart/form-data"}},
                cast_type=object,
                stream=True,
                stream_cls=StreamResponse[object],
            )
            with closing(stream.response):
                for text in self._texts(stream):
                    yield text
        return hypothesis(text, (), "", language)

    def _texts(self, stream: Any) -> Iterator[str]:
        """The text so far, again and again. A server that does not stream answers with all of it."""
        kind = stream.response.headers.get("Content-Type", "")
        if "json" in kind:
            stream.response.read()
            yield as_text(stream.response.json()["text"])
            return
        if "event-stream" not in kind:
            raise self._failures.garbled()
        text, is_over = "", False
        for event in stream:
            text = as_text(event.get("text") or text + _delta(event))
            is_over = is_over or _is_last(event)
            yield text
        if not is_over:
            raise self._failures.broken_off()


def _delta(event: Mapping[str, Any]) -> str:
    """What an event adds to the text: as events of transcriptions tell it, or as those of the SDK's chat do."""
    if isinstance(delta := event.get("delta"), str):
        return delta
    return (_choice(event).get("delta") or {}).get("content") or ""


def _is_last(event: Mapping[str, Any]) -> bool:
    """Whether the text is whole with it, told in the same two ways. Of the mark after it, the SDK tells nothing."""
    return event.get("type") == "transcript.text.done" or bool(_choice(event).get("finish_reason"))


def _choice(event: Mapping[str, Any]) -> Mapping[str, Any]:
    choices: Sequence[Mapping[str, Any]] = event.get("choices") or ({},)
    return choices[0]
