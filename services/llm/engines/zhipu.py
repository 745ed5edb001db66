"""Zhipu's GLM models through their own SDK, `zhipuai`.

The SDK blocks, so it runs in a thread. Each reply has an HTTP connection of its own, whose socket is shut down when the
caller goes away: that wakes the thread even while it waits for the model's first word.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import aclosing, closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal

from pydantic_settings import SettingsConfigDict

from services.common.engine import Capability, EngineInfo, Lack
from services.common.streams import in_thread
from services.llm import provider
from services.llm.engine import LlmEngine, Message, ReplyOptions
from services.llm.thoughts import without_thoughts

if TYPE_CHECKING:
    import httpx
    import zhipuai

_DEFAULT_MODEL = "glm-4-flash"
_UNFINISHED = {"sensitive": provider.refused, "network_error": provider.broken_off}  # reasons to end too early


class Settings(provider.ProviderSettings):
    """Which of Zhipu's models, and whether it may think."""

    model_config = SettingsConfigDict(env_prefix="LLM_ZHIPU_")

    thinking: Literal["enabled", "disabled"] = "disabled"
    """Whether GLM models may think before they answer. It delays the first word by seconds."""


class Engine(LlmEngine):
    """Talks to Zhipu's API, or to another at `LLM_ZHIPU_BASE_URL` that speaks its protocol."""

    settings_type = Settings
    requires = ("httpx", "sniffio", "zhipuai")

    def __init__(self, settings: Settings) -> None:
        self._settings, self._failures = settings, provider.Failures(settings)
        self._model = settings.model or _DEFAULT_MODEL
        self._tls: ssl.SSLContext | None = None

    def load(self) -> None:
        """Read the certificates; nothing is sent yet, so that the service starts without the provider."""
        import httpx
        import zhipuai  # noqa: F401 - it takes a second, which the first caller shall not wait

        provider.keep_logs_clean()
        self._tls = httpx.create_ssl_context()

    def info(self) -> EngineInfo:
        """GLM models speak Chinese and English best."""
        able = frozenset({Capability.LANGUAGE_MODEL})
        return EngineInfo("zhipu", self._model, ("zh", "en"), able, "MIT (the SDK); the model has its own")

    def lack(self) -> Lack | None:
        """A key."""
        return provider.key_lack(self._settings)

    async def reply(self, dialogue: Sequence[Message], options: ReplyOptions) -> AsyncIterator[str]:
        """Yield the model's deltas; closing the iterator closes the connection."""
        line = _Line()
        steps = in_thread(self._deltas(line, dialogue, options), interrupt=line.hang_up)
        async with aclosing(without_thoughts(steps)) as deltas:
            async for delta in deltas:
                yield delta

    def _deltas(self, line: _Line, dialogue: Sequence[Message], options: ReplyOptions) -> Generator[str, None, None]:
        messages = [{"role": message.role.value, "content": message.text} for message in dialogue]
        with self._client(line) as client, self._translated(line):
            stream = client.chat.completions.create(
                model=self._model,
                messages=[{"role": "system", "content": options.system_prompt}, *messages],
                max_tokens=options.max_tokens,
                temperature=options.temperature,
                thinking={"type": self._settings.thinking},
                stream=True,
            )
            with closing(stream.response):
                for chunk in stream:
                    choice = chunk.choices[0]
                    if choice.finish_reason in _UNFINISHED:
                        raise _UNFINISHED[choice.finish_reason]()
                    if choice.delta.content:
                        yield choice.delta.content

    @contextmanager
    def _client(self, line: _Line) -> Generator[zhipuai.ZhipuAI, None, None]:
        import httpx
        import zhipuai

        settings = self._settings
        timeout = httpx.Timeout(settings.read_seconds, connect=settings.connect_seconds)
        with httpx.Client(verify=self._tls, timeout=timeout, event_hooks={"request": [line.watch]}) as http:
            yield zhipuai.ZhipuAI(
                api_key=settings.api_key.get_secret_value(),
                base_url=settings.base_url or None,
                http_client=http,
                timeout=timeout,
                max_retries=0,
            )

    @contextmanager
    def _translated(self, line: _Line) -> Generator[None, None, None]:
        """One table from the SDK's errors, and those of the HTTP library that it lets through, to ours."""
        import httpx
        from zhipuai.core import APIConnectionError, APIStatusError, APITimeoutError, ZhipuAIError

        try:
            yield
        except (ZhipuAIError, httpx.HTTPError) as error:
            if line.hung_up:
                return  # nobody listens any more
            if isinstance(error, APIStatusError):
                raise self._failures.by_status(error.status_code) from error
            if isinstance(error, APITimeoutError | httpx.TimeoutException):
                raise self._failures.timed_out() from error
            if isinstance(error, httpx.HTTPError):
                raise provider.broken_off() from error
            is_unreachable = isinstance(error, APIConnectionError)
            raise (self._failures.unreachable() if is_unreachable else provider.refused()) from error


class _Line:
    """The connection of one reply, which can be hung up from another thread."""

    def __init__(self) -> None:
        self.hung_up = False
        self._connection: Any = None  # httpcore.NetworkStream

    def watch(self, request: httpx.Request) -> None:
        """Learn of the connection as soon as it stands."""
        request.extensions["trace"] = self._trace

    def hang_up(self) -> None:
        """End whatever the connection's thread waits for. Closing a socket would not wake it; shutting it down does."""
        self.hung_up = True
        wire = self._connection.get_extra_info("socket") if self._connection else None
        if wire:
            with suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)

    def _trace(self, event: str, info: dict[str, Any]) -> None:
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._connection = info["return_value"]
            if self.hung_up:
                self.hang_up()
