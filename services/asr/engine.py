"""The contract of a recognition engine.

The service finds utterances with a voice activity detector; an engine recognises one utterance at a time. An engine
that can only work on whole utterances collects audio in `feed` and recognises in `finish`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from services.common.engine import BaseEngine
from services.common.subtitles import Word

SAMPLE_RATE = 16_000  # Hz, of all audio that engines see


@dataclass(frozen=True)
class Hypothesis:
    """What an utterance seems to say."""

    text: str
    words: tuple[Word, ...] = ()
    language: str = ""
    """BCP 47 tag of what was heard; empty where the engine does not tell."""


@dataclass(frozen=True)
class Expected:
    """What may be heard."""

    language: str = ""
    """BCP 47 tag of what is spoken; empty for the engine's first, or for it to detect …"""
    among: tuple[str, ...] = ()
    """… among these, where it can; empty for all that it knows."""
    hotwords: tuple[str, ...] = ()
    """What may well be said, the likeliest first."""


class Recognition(ABC):
    """One utterance being recognised. Its methods block; the service calls them in a thread."""

    @abstractmethod
    def feed(self, pcm: bytes) -> str:
        """Take the next 16 kHz signed 16-bit mono audio; return the partial text so far (may be empty)."""

    def pause(self, pcm: bytes) -> str:
        """Take audio as `feed` does, of a pause that may be the end: it is, if `finish` follows before another `feed`.

        An engine that recognises whole utterances can begin here with what `finish` will return.
        """
        return self.feed(pcm)

    def finishing(self) -> Iterator[str]:
        """The utterance is over: yield the text as it becomes known, where that takes a while. `finish` follows."""
        return iter(())

    @abstractmethod
    def finish(self) -> Hypothesis:
        """The utterance is over: return the final hypothesis."""

    def interrupt(self) -> None:  # noqa: B027 - an engine that waits for nobody need not override it
        """Nobody waits any more. Called from another thread, also while a method blocks: one that waits for a network
        ends that and returns soon; what it returns is not used."""

    def close(self) -> None:  # noqa: B027 - an engine that holds nothing need not override it
        """Give back what the utterance holds. Always called at the end, after `finish` or instead of it."""


class AsrEngine(BaseEngine):
    """Turns speech into text; one instance serves many callers at once."""

    longest_s: ClassVar[float] = math.inf
    """Length of an utterance that it takes at once. Longer ones are cut at their pauses."""

    @abstractmethod
    def open(self, language: str, hotwords: Sequence[str] = ()) -> Recognition:
        """Begin an utterance.

        Args:
            language: BCP 47 tag of what is spoken; empty for the engine's first, or for it to detect.
            hotwords: what may well be said, the likeliest first; ignored by an engine without `Capability.HOTWORDS`.

        Raises:
            Unsupported: the engine does not know the language; the message says how to get one that does.
        """

    def open_recorded(self, language: str, hotwords: Sequence[str] = ()) -> Recognition:
        """Begin an utterance of a recording, for which nobody who speaks waits; as `open`."""
        return self.open(language, hotwords)

    def begin(self, expected: Expected, *, is_recorded: bool = False) -> Recognition:
        """Begin an utterance, of a recording or of somebody who speaks. An engine that can detect a language among
        some overrides it.

        Raises:
            Unsupported: as `open`.
        """
        begin = self.open_recorded if is_recorded else self.open
        return begin(expected.language, expected.hotwords)

    def recognise(self, pcm: bytes, language: str, hotwords: Sequence[str] = ()) -> Hypothesis:
        """Recognise a whole utterance of a recording. Blocks; raises as `open`."""
        recognition = self.open_recorded(language, hotwords)
        try:
            recognition.feed(pcm)
            return recognition.finish()
        finally:
            recognition.close()
