"""Answers from the persona's own documents: offline, in milliseconds, and never with anything that is not in them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence

from services.common.engine import Capability, EngineInfo
from services.llm.answers import answer
from services.llm.engine import LlmEngine, Message, ReplyOptions

_PIECE = re.compile(r"\S+\s*")
_CHINESE_PIECE = re.compile(r"[^，。！？；：、]*[，。！？；：、]+|[^，。！？；：、]+")


class Engine(LlmEngine):
    """The dialogue engine that needs no language model."""

    def load(self) -> None:
        """Nothing to load: the documents come with each question, from the persona that is asked."""

    def info(self) -> EngineInfo:
        """English and Chinese; answers only from documents."""
        return EngineInfo(
            "knowledge", "1", ("en", "zh"), frozenset({Capability.OFFLINE, Capability.GROUNDED}), "Apache-2.0"
        )

    async def reply(self, dialogue: Sequence[Message], options: ReplyOptions) -> AsyncGenerator[str, None]:
        """Yield the answer word by word, or clause by clause in Chinese."""
        text = await asyncio.to_thread(answer, options.persona, dialogue, options.language)
        pieces = _CHINESE_PIECE if options.language.startswith("zh") else _PIECE
        for piece in pieces.findall(text):
            yield piece
