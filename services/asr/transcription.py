"""From sound to utterances with words in time: live, and for whole recordings in bounded memory."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace

from services.asr.endpointing import Endpointer, Event, Speech, SpeechEnded, SpeechGoesOn, SpeechStarted
from services.asr.engine import SAMPLE_RATE, AsrEngine, Hypothesis, Recognition, Word
from services.common.audio import Resampler, from_pcm, to_pcm


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


LiveEvent = SpeechStarted | SpeechGoesOn | Interim | Utterance | SpeechEnded


class LiveTranscription:
    """One caller's speech, recognised as it arrives. Its methods block and must not overlap.

    Args:
        sample_rate: of the audio that will be pushed, in Hz.
    """

    def __init__(self, engine: AsrEngine, language: str, sample_rate: int, endpointer: Endpointer) -> None:
        self._engine, self._language = engine, language
        self._endpointer = endpointer
        self._resampler = Resampler(sample_rate, SAMPLE_RATE)
        self._recognition: Recognition | None = None
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

    def close(self) -> None:
        """Release the engine, in the middle of an utterance too."""
        if self._recognition:
            self._recognition.close()
            self._recognition = None

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
                hypothesis = self._recognition.finish() if self._recognition else Hypothesis("")
                self.close()
                yield _utterance(hypothesis, self._offset_s, self._started_s, event)
                yield event

    def _hear(self, speech: Speech) -> Generator[Interim, None, None]:
        if self._recognition is None:
            self._recognition = self._engine.open(self._language)
            self._offset_s = speech.sample_index / SAMPLE_RATE
        text = self._recognition.feed(speech.pcm)
        if text and text != self._shown:
            self._shown = text
            yield Interim(text)


def transcribe(
    engine: AsrEngine, language: str, blocks: Iterable[bytes], endpointer: Endpointer
) -> Generator[Utterance, None, None]:
    """Recognise a recording, utterance by utterance; only one is in memory.

    Args:
        blocks: its sound as 16 kHz signed 16-bit mono PCM.
    """
    started_s, first, pcm = 0.0, 0, b""
    for event in _events(blocks, endpointer):
        match event:
            case SpeechStarted():
                started_s, pcm = event.sample_index / SAMPLE_RATE, b""
            case Speech():
                first = first if pcm else event.sample_index
                pcm += event.pcm
            case SpeechEnded():
                hypothesis = _recognise(engine, language, pcm)
                yield _utterance(hypothesis, first / SAMPLE_RATE, started_s, event)


def _events(blocks: Iterable[bytes], endpointer: Endpointer) -> Generator[Event, None, None]:
    for block in blocks:
        yield from endpointer.push(block)
    yield from endpointer.flush()


def _recognise(engine: AsrEngine, language: str, pcm: bytes) -> Hypothesis:
    recognition = engine.open(language)
    try:
        recognition.feed(pcm)
        return recognition.finish()
    finally:
        recognition.close()


def _utterance(hypothesis: Hypothesis, offset_s: float, start_s: float, end: SpeechEnded) -> Utterance:
    words = tuple(
        replace(word, start_s=offset_s + word.start_s, end_s=offset_s + word.end_s) for word in hypothesis.words
    )
    return Utterance(hypothesis.text, start_s, end.sample_index / SAMPLE_RATE, words, end.known_index / SAMPLE_RATE)
