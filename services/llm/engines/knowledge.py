"""Answers from the persona's own documents: offline, in milliseconds, and never with anything that is not in them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence

from services.common.engine import EngineInfo
from services.llm.answers import answer
from services.llm.engine import LlmEngine, Message, ReplyOptions
from services.llm.persona import SHIPPED, Personas
from services.llm.settings import LlmSettings

_PIECE = re.compile(r"\S+\s*")
_CHINESE_PIECE = re.compile(r"[^，。！？；：、]*[，。！？；：、]+|[^，。！？；：、]+")


class Engine(LlmEngine):
    """The dialogue engine that needs no language model."""

    def __init__(self, settings: LlmSettings) -> None:
        self._settings = settings
        self._personas = Personas(*filter(None, [settings.personas, SHIPPED]))

    def load(self) -> None:
        """Index the documents of every persona."""
        for name in self._personas.names():
            self._personas.get(name)

    def info(self) -> EngineInfo:
        """English and Chinese; answers only from documents."""
        return EngineInfo("knowledge", "1", ("en", "zh"), frozenset({"offline", "grounded"}))

    async def reply(self, dialogue: Sequence[Message], options: ReplyOptions) -> AsyncIterator[str]:
        """Yield the answer word by word, or clause by clause in Chinese."""
        text = await asyncio.to_thread(self._answer, dialogue, options)
        pieces = _CHINESE_PIECE if options.language.startswith("zh") else _PIECE
        for piece in pieces.findall(text):
            yield piece

    def _answer(self, dialogue: Sequence[Message], options: ReplyOptions) -> str:
        return answer(self._personas.get(options.persona), dialogue, options.language)
