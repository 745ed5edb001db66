"""Zhipu's GLM models through their own SDK, `zhipuai`.

The SDK blocks, so it runs in a thread. Each reply has an HTTP connection of its own, whose socket is shut down when the
caller goes away: that wakes the thread even while it waits for the model's first word.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import aclosing, closing
from functools import partial
from typing import Literal

from pydantic_settings import SettingsConfigDict

from services.common import provider, zhipu
from services.common.engine import Capability, EngineInfo, Lack
from services.common.line import Line
from services.common.streams import in_thread
from services.llm.engine import LlmEngine, Message, ReplyOptions
from services.llm.patience import patiently
from services.llm.thoughts import without_thoughts

_DEFAULT_MODEL = "glm-4-flash"


class Settings(provider.ProviderSettings):
    """Which of Zhipu's models, and whether it may think."""

    model_config = SettingsConfigDict(env_prefix="LLM_ZHIPU_")

    thinking: Literal["enabled", "disabled"] = "disabled"
    """Whether GLM models may think before they answer. It delays the first word by seconds."""


class Engine(LlmEngine):
    """Talks to Zhipu's API, or to another at `LLM_ZHIPU_BASE_URL` that speaks its protocol."""

    settings_type = Settings
    requires = zhipu.REQUIRES

    def __init__(self, settings: Settings) -> None:
        self._settings, self._failures = settings, provider.Failures(settings)
        self._model = settings.model or _DEFAULT_MODEL
        self._zhipu = zhipu.Zhipu(settings, self._failures)
        self._unfinished = {  # reasons to end too early
            "sensitive": self._failures.refused,
            "network_error": self._failures.broken_off,
        }

    def load(self) -> None:
        """Nothing is sent yet, so that the service starts without the provider."""
        self._zhipu.load()

    def info(self) -> EngineInfo:
        """GLM models speak Chinese and English best."""
        able = {Capability.LANGUAGE_MODEL, *provider.whereabouts(self._settings.base_url)}
        return EngineInfo("zhipu", self._model, ("zh", "en"), frozenset(able), zhipu.LICENCE)

    def lack(self) -> Lack | None:
        """A key."""
        return provider.key_lack(self._settings)

    async def reply(self, dialogue: Sequence[Message], options: ReplyOptions) -> AsyncGenerator[str, None]:
        """Yield the model's deltas; closing the iterator closes the connection."""
        asked = partial(self._asked, dialogue, options)
        async with aclosing(without_thoughts(patiently(asked, options.patience_s))) as deltas:
            async for delta in deltas:
                yield delta

    def _asked(self, dialogue: Sequence[Message], options: ReplyOptions) -> AsyncGenerator[str, None]:
        line = Line()
        return in_thread(self._deltas(line, dialogue, options), interrupt=line.hang_up)

    def _deltas(self, line: Line, dialogue: Sequence[Message], options: ReplyOptions) -> Generator[str, None, None]:
        messages = [{"role": message.role.value, "content": message.text} for message in dialogue]
        with self._zhipu.client(line) as client:
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
                    if choice.finish_reason in self._unfinished:
                        raise self._unfinished[choice.finish_reason]()
                    if choice.delta.content:
                        yield choice.delta.content
