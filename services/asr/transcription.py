"""From sound to utterances with words in time: live, and for whole recordings in bounded memory."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace

from services.asr.endpointing import Endpointer, Event, Speech, SpeechEnded, SpeechGoesOn, SpeechStarted
from services.asr.engine import SAMPLE_RATE, AsrEngine, Expected, Hypothesis, Recognition
from services.asr.numbers import as_written
from services.common.audio import Resampler, from_pcm, to_pcm
from services.common.subtitles import Word


@dataclass(frozen=True)
class Interim:
    """What the utterance seems to say so far; replaces the previous one."""

    text: str


@dataclass(frozen=True)
class Utterance:
    """One stretch of speech; all times are seconds from the beginning of the audio."""

    text: str
    start_s: float
    end_s: float
    words: tuple[Word, ...]
    endpoint_s: float
    """How far the audio had come when it was known that this had ended."""
    language: str = ""
    """BCP 47 tag of what was spoken; empty where the engine does not tell."""
    spoken: str = ""
    """The text as the engine heard it."""


LiveEvent = SpeechStarted | SpeechGoesOn | Interim | Utterance | SpeechEnded


class _Transcription:
    """Speech that an engine recognises, utterance by utterance.

    Args:
        writes: BCP 47 tag of the language whose numbers are written as people do, unless the engine tells another;
            empty for what the engine hears.
    """

    def __init__(self, engine: AsrEngine, expected: Expected, endpointer: Endpointer, writes: str = "") -> None:
        self._engine, self._expected = engine, expected
        self._endpointer, self._writes = endpointer, writes
        self._recognition: Recognition | None = None
        self._is_interrupted = False

    def interrupt(self) -> None:
        """Nobody waits any more: end what the engine waits for. May be called while another method runs."""
        self._is_interrupted = True
        if recognition := self._recognition:
            recognition.interrupt()

    def close(self) -> None:
        """Release the engine, in the middle of an utterance too."""
        if self._recognition:
            self._recognition.close()
            self._recognition = None

    def _begin(self, *, is_recorded: bool) -> Recognition:
        self._recognition = recognition = self._engine.begin(self._expected, is_recorded=is_recorded)
        if self._is_interrupted:
            recognition.interrupt()
        return recognition


class LiveTranscription(_Transcription):
    """One caller's speech, recognised as it arrives. Its methods block and must not overlap.

    Args:
        sample_rate: of the audio that will be pushed, in Hz.
        writes: as of all transcriptions.
    """

    def __init__(
        self, engine: AsrEngine, expected: Expected, sample_rate: int, endpointer: Endpointer, writes: str = ""
    ) -> None:
        super().__init__(engine, expected, endpointer, writes)
        self._resampler = Resampler(sample_rate, SAMPLE_RATE)
        self._offset_s = 0.0  # of the utterance's first sample
        self._started_s = 0.0
        self._shown = ""

    def push(self, pcm: bytes) -> Generator[LiveEvent, None, None]:
        """Take signed 16-bit mono audio; yield what became known.

        Raises:
            InvalidInput: half a sample is missing.
        """
        for event in self._endpointer.push(to_pcm(self._resampler.push(from_pcm(pcm)))):
            yield from self._follow(event)

    def finish(self) -> Generator[LiveEvent, None, None]:
        """The audio is over; an utterance that is still open ends."""
        rest = self._endpointer.push(to_pcm(self._resampler.flush()))
        for event in [*rest, *self._endpointer.flush()]:
            yield from self._follow(event)

    def _follow(self, event: Event) -> Generator[LiveEvent, None, None]:
        match event:
            case SpeechStarted():
                self._started_s = event.sample_index / SAMPLE_RATE
                self._shown = ""
                yield event
            case SpeechGoesOn():
                yield event
            case Speech():
                yield from self._hear(event)
            case SpeechEnded():
                yield from self._finish(event)
                yield event

    def _hear(self, speech: Speech) -> Generator[Interim, None, None]:
        recognition = self._recognition
        if recognition is None:
            recognition = self._begin(is_recorded=False)
            self._offset_s = speech.sample_index / SAMPLE_RATE
        hear = recognition.pause if speech.is_pause else recognition.feed
        yield from self._show(hear(speech.pcm))

    def _finish(self, end: SpeechEnded) -> Generator[LiveEvent, None, None]:
        hypothesis = Hypothesis("")
        if self._recognition:
            for text in self._recognition.finishing():
                yield from self._show(text)
            hypothesis = self._recognition.finish()
        self.close()
        yield _utterance(hypothesis, self._writes, self._offset_s, self._started_s, end)

    def _show(self, text: str) -> Generator[Interim, None, None]:
        if text and text != self._shown:
            self._shown = text
            yield Interim(text)


class RecordedTranscription(_Transcription):
    """A recording, recognised utterance by utterance; only one is in memory."""

    def utterances(self, blocks: Iterable[bytes]) -> Generator[Utterance, None, None]:
        """What is said in its sound.

        Args:
            blocks: 16 kHz signed 16-bit mono PCM.
        """
        started_s, first, pcm = 0.0, 0, b""
        for event in _events(blocks, self._endpointer):
            match event:
                case SpeechStarted():
                    started_s, pcm = event.sample_index / SAMPLE_RATE, b""
                case Speech():
                    first = first if pcm else event.sample_index
                    pcm += event.pcm
                case SpeechEnded():
                    yield _utterance(self._recognised(pcm), self._writes, first / SAMPLE_RATE, started_s, event)

    def _recognised(self, pcm: bytes) -> Hypothesis:
        try:
            recognition = self._begin(is_recorded=True)
            recognition.feed(pcm)
            return recognition.finish()
        finally:
            self.close()


def _events(blocks: Iterable[bytes], endpointer: Endpointer) -> Generator[Event, None, None]:
    for block in blocks:
        yield from endpointer.push(block)
    yield from endpointer.flush()


def _utterance(heard: Hypothesis, writes: str, offset_s: float, start_s: float, end: SpeechEnded) -> Utterance:
    told = as_written(heard, heard.language or writes) if writes else heard
    end_s, endpoint_s = end.sample_index / SAMPLE_RATE, end.known_index / SAMPLE_RATE
    words = tuple(_placed(word, offset_s, endpoint_s) for word in told.words)
    return Utterance(told.text, start_s, end_s, words, endpoint_s, told.language, heard.text)


def _placed(word: Word, offset_s: float, endpoint_s: float) -> Word:
    """A word of an utterance in the whole audio, within what was heard of that, whatever time its engine tells."""
    start_s = min(max(offset_s, offset_s + word.start_s), endpoint_s)  # of no number the first that `max` is given
    return replace(word, start_s=start_s, end_s=min(max(start_s, offset_s + word.end_s), endpoint_s))
