"""Any service that speaks OpenAI's chat-completions protocol: Ollama, vLLM, DeepSeek, Qwen, OpenAI itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING

from pydantic_settings import SettingsConfigDict

from services.common import provider
from services.common.bounds import PLAIN, AnswerTooLarge, Bounded, is_too_large
from services.common.engine import Capability, EngineInfo, Lack
from services.common.errors import ServiceError
from services.llm.engine import LlmEngine, Message, ReplyOptions, Role
from services.llm.patience import patiently
from services.llm.thoughts import without_thoughts

if TYPE_CHECKING:
    import openai
    from openai.types.chat import ChatCompletionMessageParam

_OPENAI = "https://api.openai.com/v1"
_DEFAULT_MODEL = "gpt-4o-mini"


class Settings(provider.ProviderSettings):
    """Which endpoint, and which of its models."""

    model_config = SettingsConfigDict(env_prefix="LLM_OPENAI_")


class Engine(LlmEngine):
    """Talks to the endpoint at `LLM_OPENAI_BASE_URL` with the `openai` SDK."""

    settings_type = Settings
    requires = ("openai",)

    def __init__(self, settings: Settings) -> None:
        self._settings, self._failures = settings, provider.Failures(settings)
        self._model = settings.model or _DEFAULT_MODEL
        self._client: openai.AsyncOpenAI | None = None

    def load(self) -> None:
        """Make the client; nothing is sent yet, so that the service starts without the provider."""
        import httpx2
        import openai

        provider.keep_logs_clean()
        settings = self._settings
        hooks = {"response": [Bounded(httpx2).async_hook]}
        timeout = openai.Timeout(settings.read_seconds, connect=settings.connect_seconds)
        self._client = openai.AsyncOpenAI(
            # The SDK insists on some key; local servers ignore it.
            api_key=settings.api_key.get_secret_value() or "none",
            base_url=settings.base_url or _OPENAI,
            timeout=timeout,
            http_client=openai.DefaultAsyncHttpxClient(timeout=timeout, event_hooks=hooks, headers=PLAIN),
            max_retries=0,
        )

    def info(self) -> EngineInfo:
        """The model answers in whatever languages it knows."""
        able = frozenset({Capability.LANGUAGE_MODEL, *provider.whereabouts(self._settings.base_url)})
        return EngineInfo("openai", self._model, (), able, "Apache-2.0 (the SDK); the model has its own")

    def lack(self) -> Lack | None:
        """A key for OpenAI's own models, a model's name for anybody else's."""
        return provider.endpoint_lack(self._settings)

    async def reply(self, dialogue: Sequence[Message], options: ReplyOptions) -> AsyncGenerator[str, None]:
        """Yield the model's deltas; closing the iterator closes the connection."""
        asked = partial(self._asked, dialogue, options)
        async with aclosing(without_thoughts(patiently(asked, options.patience_s))) as deltas:
            async for delta in deltas:
                yield delta

    async def _asked(self, dialogue: Sequence[Message], options: ReplyOptions) -> AsyncGenerator[str, None]:
        import openai

        try:
            async with aclosing(self._deltas(dialogue, options)) as deltas:
                async for delta in deltas:
                    yield delta
        except (openai.OpenAIError, AnswerTooLarge) as error:
            raise self._translated(error) from error

    async def _deltas(self, dialogue: Sequence[Message], options: ReplyOptions) -> AsyncGenerator[str, None]:
        import openai

        assert self._client  # since it was loaded
        stream = await self._client.chat.completions.create(
            model=self._model,
            messages=[{"role": "system", "content": options.system_prompt}, *map(_told, dialogue)],
            max_tokens=options.max_tokens,
            temperature=options.temperature,
            stream=True,
        )
        began = False
        async with stream:
            try:
                async for chunk in stream:
                    delta = chunk.choices[0].delta.content if chunk.choices else None
                    if delta:
                        began = True
                        yield delta
            except openai.APIConnectionError as error:
                raise (self._failures.broken_off() if began else self._translated(error)) from error

    def _translated(self, error: Exception) -> ServiceError:
        """One table from the SDK's errors to ours."""
        import openai

        if is_too_large(error):
            return self._failures.endless()
        if isinstance(error, openai.APITimeoutError):
            return self._failures.timed_out()
        if isinstance(error, openai.APIConnectionError):
            return self._failures.unreachable()
        if isinstance(error, openai.APIStatusError):
            return self._failures.by_status(error.status_code, error.code, error.response.headers)
        return self._failures.failing()


def _told(message: Message) -> ChatCompletionMessageParam:
    if message.role is Role.USER:
        return {"role": "user", "content": message.text}
    return {"role": "assistant", "content": message.text}
