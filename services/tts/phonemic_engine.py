"""What engines have in common that speak phonemes, sentence by sentence, and with WORLD in registered voices."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncGenerator, Generator, Iterator
from pathlib import Path

from services.common.arrays import Samples
from services.common.engine import Capability
from services.common.errors import InvalidInput
from services.common.streams import in_thread
from services.tts import sentences, world
from services.tts.base_voice import heard
from services.tts.engine import Prosody, Speech, TtsEngine
from services.tts.phonemic import Spoken

ABLE = frozenset(
    {Capability.CLONING, Capability.WORD_TIMES, Capability.PITCH, Capability.RATE, Capability.OFFLINE}
)  # fmt: skip
"""What all of these can do."""


class PhonemicEngine(TtsEngine):
    """Knows when its words and its shut lips are."""

    sample_rate = world.SAMPLE_RATE

    @abstractmethod
    def say(self, sentence: str, language: str, voice: Path | None, prosody: Prosody) -> Iterator[Spoken]:
        """One sentence in pieces that follow each other without a gap, with its pause.

        Args:
            language: a BCP 47 tag.
            voice: as of `synthesize`.

        Raises:
            Unsupported: it does not speak the language.
        """

    @abstractmethod
    def learn(self, person: world.Frames, folder: Path) -> None:
        """Leave in a folder what `say` needs to sound like somebody who was heard."""

    def enrol(self, reference: Samples, sample_rate: int, transcript: str, folder: Path) -> None:
        """Learn a voice; the transcript is not needed.

        Raises:
            InvalidInput: silence, or less than three seconds of voiced speech.
        """
        self.learn(heard(reference, sample_rate), folder)

    def synthesize(
        self, text: str, *, language: str, voice: Path | None, prosody: Prosody
    ) -> AsyncGenerator[Speech, None]:
        """Speak it; a sentence may be several pieces.

        Raises:
            InvalidInput: there is nothing to say.
            Unsupported: it does not speak the language.
        """
        return in_thread(self._speech(text, language, voice, prosody))

    def _speech(self, text: str, language: str, voice: Path | None, prosody: Prosody) -> Generator[Speech, None, None]:
        index = -1
        for index, sentence in enumerate(sentences.split(text)):
            pieces = self.say(sentence, language or sentences.language_of(sentence), voice, prosody)
            for at, piece in enumerate(pieces):
                yield Speech(
                    piece.samples, self.sample_rate, index, sentence, piece.words,
                    is_first=at == 0, closures=piece.closures,
                )  # fmt: skip
        if index < 0:
            raise InvalidInput("There is nothing to say. Write a sentence.", reason="NOTHING_TO_SAY", field="text")
