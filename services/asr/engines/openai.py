"""Any service that speaks OpenAI's transcription protocol: OpenAI, Groq, speaches (faster-whisper), vLLM, LocalAI.

It takes whole utterances. Models differ in what they tell beside the text: OpenAI's newer ones stream it and tell no
times, Whisper's tell when each word is said, and a server that refuses to be asked for that is asked for less.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic_settings import SettingsConfigDict

from services.asr.engine import AsrEngine, Hypothesis, Recognition
from services.asr.remote.heard import as_text, hypothesis
from services.asr.remote.names import tag_of
from services.asr.remote.sent import Sent, as_wav
from services.asr.remote.settings import RecogniserFailures, RecogniserSettings
from services.asr.whisper.languages import LANGUAGES, code
from services.common import provider
from services.common.bounds import PLAIN, AnswerTooLarge, Bounded, is_too_large
from services.common.engine import Capability, EngineInfo, Lack
from services.common.errors import ServiceError
from services.common.line import Line
from services.common.subtitles import Word

if TYPE_CHECKING:
    import openai

_OPENAI = "https://api.openai.com/v1"
_DEFAULT_MODEL = "whisper-1"
_STREAMS = "gpt-4o"  # what the names of models begin with that stream their text and tell no times
_NO_SPEECH, _UNLIKELY, _REPETITIVE = 0.6, -1.0, 2.4  # Whisper's own measures of text that nobody said
_MOST_PROMPT = 800  # characters; Whisper reads the last 224 tokens


class Settings(RecogniserSettings):
    """Which endpoint, and which of its models."""

    model_config = SettingsConfigDict(env_prefix="ASR_OPENAI_")

    prompt: str = ""
    """What the speech is about, in its language: names and terms in it are heard better, and its style is imitated."""


class Engine(AsrEngine):
    """Sends what is said to the endpoint at `ASR_OPENAI_BASE_URL`, with the `openai` SDK."""

    settings_type = Settings
    requires = ("openai",)

    def __init__(self, settings: Settings) -> None:
        self._settings, self._failures = settings, RecogniserFailures(settings)
        self._model = settings.model or _DEFAULT_MODEL
        self._streams = self._model.startswith(_STREAMS)
        self._tells_times = not self._streams  # until the server says that it does not
        self._tls: Any = True

    def load(self) -> None:
        """Read the certificates; nothing is sent yet, so that the service starts without the provider."""
        import httpx2
        import openai  # noqa: F401 - it takes a second, which the first caller shall not wait

        provider.keep_logs_clean()
        self._tls = httpx2.create_ssl_context()

    def info(self) -> EngineInfo:
        """Without partial texts while somebody speaks."""
        able = {Capability.LANGUAGE_DETECTION, Capability.HOTWORDS, Capability.WRITTEN_FORM}
        able |= provider.whereabouts(self._settings.base_url)
        if self._tells_times:
            able.add(Capability.WORD_TIMES)
        return EngineInfo(
            "openai", self._model, LANGUAGES, frozenset(able), "Apache-2.0 (the SDK); the model has its own"
        )

    def lack(self) -> Lack | None:
        """A key for OpenAI's own models, a model's name for anybody else's."""
        return provider.endpoint_lack(self._settings)

    def open(self, language: str, hotwords: Sequence[str] = ()) -> Recognition:
        """Begin an utterance, sent when it is over."""
        return self._opened(language, hotwords, is_live=True)

    def open_recorded(self, language: str, hotwords: Sequence[str] = ()) -> Recognition:
        """The same, with more patience for a provider that is busy."""
        return self._opened(language, hotwords, is_live=False)

    def _opened(self, language: str, hotwords: Sequence[str], *, is_live: bool) -> Recognition:
        if code(language) not in ("", *map(code, LANGUAGES)):
            raise self._failures.language_unknown(language, f"{len(LANGUAGES)} languages")
        return Sent(partial(self._asked, language, hotwords), self._settings.answer_seconds, is_live=is_live)

    def _asked(
        self, language: str, hotwords: Sequence[str], pcm: bytes, line: Line
    ) -> Generator[str, None, Hypothesis]:
        asked = {"file": as_wav(pcm), "model": self._model}
        if language:
            asked["language"] = code(language)
        if prompt := ", ".join(filter(None, (self._settings.prompt, *hotwords)))[:_MOST_PROMPT]:
            asked["prompt"] = prompt
        if self._streams:
            text = ""
            with self._client(line) as client:
                for text in self._texts(client, asked):
                    yield text
            return hypothesis(text, (), "", language)
        heard = Hypothesis("")
        with self._client(line) as client:
            heard = self._heard(self._answer(client, asked), language)
        return heard

    def _texts(self, client: openai.OpenAI, asked: dict[str, Any]) -> Iterator[str]:
        """The text so far, again and again."""
        with client.audio.transcriptions.with_streaming_response.create(**asked, stream=True) as response:
            if "event-stream" not in response.headers.get("Content-Type", ""):
                yield as_text(self._read(response.read())["text"])
                return
            text = ""
            for event in response.parse():
                kind = getattr(event, "type", None)  # of what a server sends the SDK makes whatever it can
                if kind == "transcript.text.done":
                    yield as_text(event.text)
                    return
                if kind == "transcript.text.delta":
                    text += event.delta
                    yield as_text(text)
            raise self._failures.broken_off()

    def _answer(self, client: openai.OpenAI, asked: dict[str, Any]) -> dict[str, Any]:
        """With the times of words, unless the server refuses to be asked for them."""
        import openai

        create = client.audio.transcriptions.with_raw_response.create
        if self._tells_times:
            detailed: Any = {"response_format": "verbose_json", "timestamp_granularities": ["word", "segment"]}
            try:
                return self._read(create(**asked, **detailed).content)
            except (openai.BadRequestError, openai.UnprocessableEntityError):
                answer = self._read(create(**asked, response_format="json").content)
                self._tells_times = False
                return answer
        return self._read(create(**asked, response_format="json").content)

    def _read(self, body: bytes) -> dict[str, Any]:
        """An answer, whatever the server calls its kind."""
        answer: dict[str, Any] = json.loads(body)
        return {**answer, "text": as_text(answer["text"])}

    def _heard(self, answer: Mapping[str, Any], language: str) -> Hypothesis:
        segments = [one for one in answer.get("segments") or () if isinstance(one, dict)]
        said = [one for one in segments if _is_speech(one)]
        if len(said) < len(segments):
            text = as_text("".join(one.get("text") or "" for one in said))
            return hypothesis(text, (), tag_of(str(answer.get("language") or "")), language)
        return hypothesis(answer["text"], _words(answer), tag_of(str(answer.get("language") or "")), language)

    @contextmanager
    def _client(self, line: Line) -> Generator[openai.OpenAI, None, None]:
        """A client for one request. What goes wrong inside is raised as our errors, unless nobody listens any more."""
        import httpx2
        import openai

        settings = self._settings
        timeout = openai.Timeout(settings.read_seconds, connect=settings.connect_seconds)
        hooks: dict[str, list[Callable[..., Any]]] = {"request": [line.watch], "response": [Bounded(httpx2).hook]}
        how: dict[str, Any] = {"verify": self._tls, "timeout": timeout, "event_hooks": hooks, "headers": PLAIN}
        try:
            with httpx2.Client(**how, follow_redirects=True) as http:
                yield openai.OpenAI(
                    api_key=settings.api_key.get_secret_value() or "none",  # some local servers need none, the SDK does
                    base_url=settings.base_url or _OPENAI,
                    http_client=http,
                    timeout=timeout,
                    max_retries=0,
                )
        except (openai.OpenAIError, httpx2.HTTPError, AnswerTooLarge, *provider.MISSHAPEN) as error:
            if not line.hung_up:
                raise (self._failures.timed_out() if line.is_late else self._translated(error)) from error

    def _translated(self, error: Exception) -> ServiceError:
        """One table from the SDK's errors, and those of the HTTP library that it lets through, to ours."""
        import httpx2
        import openai

        if is_too_large(error):
            return self._failures.endless()
        cause = error.__cause__ if isinstance(error, openai.APIConnectionError) else error
        if isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout):
            return self._failures.unreachable()
        if isinstance(error, openai.APITimeoutError) or isinstance(cause, httpx2.TimeoutException):
            return self._failures.timed_out()
        if isinstance(error, openai.APIConnectionError | httpx2.HTTPError):
            return self._failures.broken_off()
        if isinstance(error, openai.APIStatusError):
            return self._failures.by_status(error.status_code, error.code, error.response.headers)
        if isinstance(error, openai.APIError):  # in the middle of a stream that had begun well
            return self._failures.by_status(500, error.code)
        if isinstance(error, provider.MISSHAPEN):
            return self._failures.garbled()
        return self._failures.failing()


def _words(answer: Mapping[str, Any]) -> list[Word]:
    """Its words and their times; none where it tells them otherwise: the text is right without them."""
    try:
        return [Word(str(one["word"]), float(one["start"]), float(one["end"])) for one in answer.get("words") or ()]
    except (LookupError, OverflowError, TypeError, ValueError):
        return []


def _is_speech(segment: Mapping[str, Any]) -> bool:
    """Whether somebody said it: Whisper writes of silence and noise, too, and tells how sure it is."""
    try:
        no_speech, likely = float(segment.get("no_speech_prob") or 0), float(segment.get("avg_logprob") or 0)
        repetition = float(segment.get("compression_ratio") or 0)
    except (OverflowError, TypeError, ValueError):
        return True
    return not (no_speech > _NO_SPEECH and likely < _UNLIKELY) and repetition <= _REPETITIVE
