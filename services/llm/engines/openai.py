"""Any service that speaks OpenAI's chat-completions protocol: Ollama, vLLM, DeepSeek, Qwen, OpenAI itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

import openai

from services.common.engine import EngineInfo
from services.common.errors import ServiceError
from services.llm import provider
from services.llm.engine import LlmEngine, Message, ReplyOptions
from services.llm.settings import LlmSettings
from services.llm.thoughts import without_thoughts

_OPENAI = "https://api.openai.com/v1"
_DEFAULT_MODEL = "gpt-4o-mini"


class Engine(LlmEngine):
    """Talks to the endpoint at `LLM_BASE_URL` with the `openai` SDK.

    Raises:
        ValueError: an endpoint is set but no model; only OpenAI's own has a default.
    """

    def __init__(self, settings: LlmSettings) -> None:
        if settings.base_url and not settings.model:
            raise ValueError("Set LLM_MODEL to the name of a model that the endpoint at LLM_BASE_URL has.")
        self._settings = settings
        self._model = settings.model or _DEFAULT_MODEL
        self._client: openai.AsyncOpenAI | None = None

    def load(self) -> None:
        """Make the client; nothing is sent yet, so that the service starts without the provider."""
        provider.keep_logs_clean()
        settings = self._settings
        self._client = openai.AsyncOpenAI(
            # The SDK insists on some key; local servers ignore it.
            api_key=settings.api_key.get_secret_value() or "none",
            base_url=settings.base_url or _OPENAI,
            timeout=openai.Timeout(settings.read_seconds, connect=settings.connect_seconds),
            max_retries=1,
        )

    def info(self) -> EngineInfo:
        """The model answers in whatever languages it knows."""
        return EngineInfo("openai", self._model, (), frozenset({"language_model"}))

    async def reply(self, dialogue: Sequence[Message], options: ReplyOptions) -> AsyncIterator[str]:
        """Yield the model's deltas; closing the iterator closes the connection."""
        if not self._settings.base_url and not self._settings.api_key.get_secret_value():
            raise provider.key_missing()
        try:
            async with aclosing(without_thoughts(self._deltas(dialogue, options))) as deltas:
                async for delta in deltas:
                    yield delta
        except openai.OpenAIError as error:
            raise _translated(error) from error

    async def _deltas(self, dialogue: Sequence[Message], options: ReplyOptions) -> AsyncIterator[str]:
        messages = [{"role": message.role.value, "content": message.text} for message in dialogue]
        stream = await self._client.chat.completions.create(
            model=self._model,
            messages=[{"role": "system", "content": options.system_prompt}, *messages],
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
                raise (provider.broken_off() if began else _translated(error)) from error


def _translated(error: openai.OpenAIError) -> ServiceError:
    """One table from the SDK's errors to ours."""
    if isinstance(error, openai.APITimeoutError):
        return provider.timed_out()
    if isinstance(error, openai.APIConnectionError):
        return provider.unreachable()
    if isinstance(error, openai.APIStatusError):
        return provider.by_status(error.status_code)
    return provider.failing()
