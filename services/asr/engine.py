"""The contract of a recognition engine.

The service finds utterances with a voice activity detector; an engine recognises one utterance at a time. An engine
that can only work on whole utterances collects audio in `feed` and recognises in `finish`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from services.common.engine import BaseEngine

SAMPLE_RATE = 16_000  # Hz, of all audio that engines see


@dataclass(frozen=True)
class Word:
    """One recognised word; times are seconds from the first sample fed."""

    text: str
    start_s: float
    end_s: float
    confidence: float  # 0 to 1


@dataclass(frozen=True)
class Hypothesis:
    """What an utterance seems to say."""

    text: str
    words: tuple[Word, ...] = ()


class Recognition(ABC):
    """One utterance being recognised. Its methods block; the service calls them in a thread."""

    @abstractmethod
    def feed(self, pcm: bytes) -> str:
        """Take the next 16 kHz signed 16-bit mono audio; return the partial text so far (may be empty)."""

    @abstractmethod
    def finish(self) -> Hypothesis:
        """The utterance is over: return the final hypothesis."""

    def close(self) -> None:  # noqa: B027 - an engine that holds nothing need not override it
        """Give back what the utterance holds. Always called at the end, after `finish` or instead of it."""


class AsrEngine(BaseEngine):
    """Turns speech into text; one instance serves many callers at once."""

    @abstractmethod
    def open(self, language: str) -> Recognition:
        """Begin an utterance in `language` (BCP 47; empty for the engine's first, or for it to detect).

        Raises:
            Unsupported: the engine does not know the language; the message says how to get one that does.
        """
