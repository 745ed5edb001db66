"""The contract of a dialogue engine."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from enum import Enum

from services.common.engine import BaseEngine
from services.llm.persona import Persona


class Role(Enum):
    """Who said a message."""

    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True)
class Message:
    """One turn of the dialogue so far."""

    role: Role
    text: str


@dataclass(frozen=True)
class ReplyOptions:
    """What shapes a reply besides the dialogue itself."""

    system_prompt: str  # already complete: persona, style of speech, retrieved passages
    persona: Persona  # whose documents the embedded engine answers from
    language: str  # BCP 47; empty lets the engine follow the user
    max_tokens: int = 400
    temperature: float = 0.7
    patience_s: float = math.inf  # until whoever asked waits no longer


class LlmEngine(BaseEngine):
    """Writes the reply to a dialogue; one instance serves many callers at once."""

    @abstractmethod
    def reply(self, dialogue: Sequence[Message], options: ReplyOptions) -> AsyncGenerator[str, None]:
        """Yield the reply in pieces as they come. The last message of `dialogue` is the user's.

        Raises:
            Unavailable: the model cannot be reached or refused the key; the message says what to set.
        """
