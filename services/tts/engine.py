"""The contract of a speech engine."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from basics.languages import primary
from services.common.arrays import Samples
from services.common.engine import BaseEngine
from services.common.errors import Unsupported


@dataclass(frozen=True)
class SpokenWord:
    """A word (or Chinese character) and when it is said, in seconds from the start of its piece."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class LipClosure:
    """A stretch in which the lips are shut, as on b, m and p, in seconds from the start of its piece."""

    start_s: float
    end_s: float


@dataclass(frozen=True)
class Speech:
    """A piece of speech. Pieces of one sentence follow each other without a gap."""

    samples: Samples  # float32 in [-1, 1], mono
    sample_rate: int
    sentence_index: int
    sentence: str  # the text this piece belongs to
    words: tuple[SpokenWord, ...] = ()  # those that begin in this piece, where the engine knows
    is_first: bool = True  # the first piece of its sentence
    closures: tuple[LipClosure, ...] = ()  # in order and apart, where the engine knows; else avatars go by ear


@dataclass(frozen=True)
class Prosody:
    """How to speak. 1.0 and 0.0 leave the voice as it is."""

    rate: float = 1.0  # speaking rate factor, 0.5 to 2.0
    pitch_semitones: float = 0.0  # -12 to 12


class TtsEngine(BaseEngine):
    """Turns text into audio; one instance serves many callers at once."""

    sample_rate: int  # of every piece of speech
    learns_transcript: ClassVar[bool] = False
    """Whether `enrol` makes anything of the transcript: a voice is enrolled anew when that is changed."""

    enrolment: str = ""
    """What `enrol` depends on besides the recording: its method, the base voice. A voice that was enrolled under
    another name than this is enrolled anew when it is used. Known once the engine is loaded."""

    def check_language(self, language: str) -> None:
        """Refuse a language before any text is there; empty means that the text decides. As it is, one speaks the
        languages that `info` tells, in any country's way, and whatever is asked where it tells none.

        Raises:
            Unsupported: the engine cannot speak it.
        """
        own = self.info()
        if not language or not own.languages or primary(language) in map(primary, own.languages):
            return
        known = ", ".join(own.languages)
        message = f"This engine speaks {known}, not '{language[:35]}'. Choose another engine for it."
        values = {"language": language[:35], "engine": own.name}
        raise Unsupported(message, reason="LANGUAGE_NOT_SUPPORTED", field="language", values=values)

    def enrol(self, reference: Samples, sample_rate: int, transcript: str, folder: Path) -> None:
        """Analyse a reference recording and leave in `folder` whatever `synthesize` needs to sound like it. An engine
        without `Capability.CLONING` leaves this as it is.

        Args:
            reference: float32 mono speech, at most five minutes, silence trimmed, level normalised.
            transcript: what is said in it, or empty.
            folder: an existing, empty folder; no pickles.

        Raises:
            InvalidInput: the recording will not do, e.g. too little speech.
            Unsupported: the engine speaks in no voice but its own.
        """
        raise self.no_cloning()

    def no_cloning(self, field: str = "config.engine") -> Unsupported:
        """The error of an engine that speaks in no voice but its own."""
        name = self.info().name
        message = f"The engine '{name}' speaks in its own voice only. Choose another engine, or no voice."
        return Unsupported(message, reason="NO_CLONING", field=field, values={"engine": name})

    @abstractmethod
    def synthesize(
        self, text: str, *, language: str, voice: Path | None, prosody: Prosody
    ) -> AsyncGenerator[Speech, None]:
        """Speak `text` sentence by sentence, the first piece as early as possible.

        Args:
            text: a sentence as it is said, in words; as it is written for an engine with `Capability.READING`. Never
                with marks of Markdown.
            language: a BCP 47 tag, e.g. `en-US` or `zh`; empty lets the text decide.
            voice: a folder that `enrol` filled, or None for the engine's own voice.

        Raises:
            InvalidInput: there is nothing to say.
            Unsupported: the engine cannot speak the language.
        """
