"""Text to speech and back."""

from __future__ import annotations

import contextlib
import io
import re
import struct
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import IO, Any, Literal, TypedDict, Unpack

from visavis.asr.v1 import asr_pb2
from visavis.common.v1 import media_pb2
from visavis.tts.v1 import tts_pb2

from client import library
from client.talk.hearing import Expected
from client.wire.deadline import RESTART_PAUSES_S, through_restarts
from client.wire.errors import translate
from client.wire.files import upload
from client.wire.services import Services

with warnings.catch_warnings():
    # pydub looks for an ffmpeg program, which WAV does not need, and imports audioop, which is there until Python 3.13.
    warnings.simplefilter("ignore")
    from pydub import AudioSegment

SAY_TIMEOUT_S = 1800
STANDARD_VOICE = ":standard"
"""The engine's own voice where an empty name means another, e.g. an avatar's. No voice can be registered as it."""


class Prosody(TypedDict, total=False):
    """How fast, and by how many semitones higher; what is missing stays."""

    rate: float
    pitch_semitones: float


PROSODY: dict[Literal["rate", "pitch_semitones"], tuple[float, float]] = {
    "rate": (0.5, 2.0),
    "pitch_semitones": (-12.0, 12.0),
}
"""How a text may be spoken, from and to."""
VOLUME_DB = (-24.0, 12.0)
"""How much quieter and louder than its engine a file may be; who plays a video or a talk has a volume of his own."""
TRANSCRIBE_TIMEOUT_S = 3600
_MARKS = r"[*_`~\\]*"  # which stand in a text and not in its words


@dataclass(frozen=True)
class Word:
    """A word and when it is heard."""

    text: str
    start_s: float
    end_s: float
    confidence: float = 0.0
    """From 0 to 1; 0 where nobody tells."""

    @classmethod
    def of(cls, word: media_pb2.TimedWord) -> Word:
        """What a message says."""
        start_s, end_s = (offset.ToTimedelta().total_seconds() for offset in (word.start_offset, word.end_offset))
        return cls(word.text, start_s, end_s, word.confidence)


@dataclass(frozen=True)
class Utterance:
    """What was said in one go."""

    text: str
    start_s: float
    end_s: float
    words: tuple[Word, ...]


@dataclass(frozen=True)
class Transcription:
    """What a recording says, and its subtitles in two formats."""

    text: str
    words: tuple[Word, ...]
    utterances: tuple[Utterance, ...]
    webvtt: str
    srt: str
    language: str
    duration_s: float


@dataclass
class SpokenSentence:
    """A sentence on the utterance's time line."""

    index: int
    text: str
    """Without the marks of Markdown."""
    start_s: float
    text_end: int
    """How many characters of the whole text are said with it and before it."""
    words: list[Word] = field(default_factory=list)
    is_complete: bool = False  # no more words of it will come

    def until(self, seconds: float, written: str) -> str:
        """How much of it has begun to be heard at a position of the utterance.

        Args:
            written: the characters of the whole text that are said with it, marks included.
        """
        if not self.words:
            return written if self.start_s < seconds else ""
        words = [word.text for word in self.words if word.start_s < seconds]
        if self.is_complete and len(words) == len(self.words):
            return written
        return _beginning(written, words)


class Speech:
    """Speech on its way. Iterate over it for PCM; `sentences` grows as it goes. Closing it cancels the call."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self._replies = iter(call)
        self.sentences: list[SpokenSentence] = []

    @property
    def sample_rate(self) -> int:
        """Of the PCM. Waits until the speech begins.

        Raises:
            CallError: the text, the voice or the language is refused.
        """
        return self.header.sample_rate_hertz

    @cached_property
    def header(self) -> tts_pb2.SynthesisHeader:
        """What is told before the speech; waits and raises as `sample_rate`."""
        with translate():
            header: tts_pb2.SynthesisHeader = next(self._replies).header
        return header

    def __iter__(self) -> Iterator[bytes]:
        """Signed 16-bit little-endian mono PCM."""
        for event in self.events():
            if isinstance(event, bytes):
                yield event

    def events(self) -> Iterator[bytes | media_pb2.LipClosures | SpokenSentence]:
        """PCM, and just before it: the sentence that begins with it, and the closures that begin in it."""
        try:
            rate = self.sample_rate
            with translate():
                for reply in self._replies:
                    yield from self._told(reply, rate)
            self._complete_last()
        finally:
            self.close()

    def _told(
        self, reply: tts_pb2.StreamingSynthesizeResponse, rate: int
    ) -> Iterator[bytes | media_pb2.LipClosures | SpokenSentence]:
        if reply.WhichOneof("response") == "sentence":
            started = reply.sentence
            self._complete_last()
            start_s = started.sample_index / rate
            sentence = SpokenSentence(started.sentence_index, started.text, start_s, started.text_end)
            self.sentences.append(sentence)
            yield self.sentences[-1]
            return
        self.sentences[-1].words += map(Word.of, reply.audio.words)
        if reply.audio.closures:
            yield media_pb2.LipClosures(closures=reply.audio.closures)
        yield reply.audio.pcm

    def _complete_last(self) -> None:
        if self.sentences:
            self.sentences[-1].is_complete = True

    def close(self) -> None:
        """Cancel the call if it still runs."""
        self._call.cancel()


def end_of_heard(written: str, sentences: Iterable[SpokenSentence], seconds: float) -> int:
    """How many characters of a text have begun to be heard at a position of the utterance."""
    end = 0
    for sentence in sentences:
        told = written[end : sentence.text_end]
        heard = sentence.until(seconds, told)
        end += len(heard)
        if len(heard) < len(told):
            break
    return end


def how(
    *,
    voice: str = "",
    language: str = "",
    rate: float = 1.0,
    pitch_semitones: float = 0.0,
    volume_db: float = 0.0,
    engine: str = "",
) -> tts_pb2.SynthesisConfig:
    """How to speak. An empty `voice` is the engine's own, an empty `engine` the default one."""
    voice = "" if voice == STANDARD_VOICE else voice
    return tts_pb2.SynthesisConfig(
        voice=voice,
        language=language,
        rate=rate,
        pitch_semitones=pitch_semitones,
        volume_db=volume_db,
        engine=engine,
    )


def check(services: Services, config: tts_pb2.SynthesisConfig) -> None:
    """Have the service refuse now whatever of this it would refuse of any text.

    Raises:
        CallError: the voice, the language, the engine or how to speak is refused; or nobody is there.
    """
    library.get_info(services, "tts")  # if nobody is there to begin with, that is told at once

    def attempt() -> None:
        requests = iter([tts_pb2.StreamingSynthesizeRequest(config=config)])
        with contextlib.closing(Speech(services.tts.StreamingSynthesize(requests, timeout=SAY_TIMEOUT_S))) as spoken:
            spoken.sample_rate  # noqa: B018 - is told once all of it has been accepted

    through_restarts(attempt, RESTART_PAUSES_S)


def say(services: Services, text: str | Iterable[str], **manner: Any) -> Speech:
    """Speak text, whole or as it comes; keywords as `how`."""
    config = how(**manner)
    pieces = [text] if isinstance(text, str) else text

    def requests() -> Iterator[tts_pb2.StreamingSynthesizeRequest]:
        yield tts_pb2.StreamingSynthesizeRequest(config=config)
        for piece in pieces:
            yield tts_pb2.StreamingSynthesizeRequest(text=piece)

    return Speech(services.tts.StreamingSynthesize(requests(), timeout=SAY_TIMEOUT_S))


def speech_wav(services: Services, text: str, **how: Any) -> bytes:
    """Speak text into a WAV file that says that it is synthetic; keywords as `say`."""
    speech = say(services, text, **how)
    rate, mark = speech.sample_rate, speech.header.mark
    segment = AudioSegment(b"".join(speech), sample_width=2, frame_rate=rate, channels=1)
    wav = segment.export(io.BytesIO(), format="wav").getvalue()
    return _with_info(wav, {"AIGC": mark.aigc, "ICMT": mark.statement})


def _with_info(wav: bytes, told: dict[str, str]) -> bytes:
    """A WAV file with an INFO list (chunks of four letters each) between its format and its samples."""
    info = b"INFO" + b"".join(_chunk(name, text.encode() + b"\0") for name, text in told.items())
    at = wav.index(b"data")
    body = wav[len("RIFFsize") : at] + _chunk("LIST", info) + wav[at:]
    return _chunk("RIFF", body)


def _chunk(name: str, data: bytes) -> bytes:
    return name.encode() + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def transcribe(
    services: Services,
    audio: IO[bytes],
    language: str = "",
    engine: str = "",
    hotwords: Iterable[str] = (),
    *,
    languages: Iterable[str] = (),
    spoken_form: bool = False,
) -> Transcription:
    """Recognise a recording in any audio or video container.

    Args:
        language: BCP 47 tag of what is spoken; empty only where the recogniser can tell.
        engine: which recognises; empty for the service's default.
        hotwords: names and rare words that may well be said.
        languages: of which one is spoken, where `language` is empty; empty for any.
        spoken_form: leave numbers in words, where the recogniser tells them so.
    """
    config = asr_pb2.TranscribeConfig(
        language=language, engine=engine, hotwords=hotwords, languages=languages, spoken_form=spoken_form
    )
    with translate():
        requests = upload(config, asr_pb2.TranscribeRequest, audio)
        reply = services.asr.Transcribe(requests, timeout=TRANSCRIBE_TIMEOUT_S)
    utterances = tuple(map(_utterance, reply.utterances))
    return Transcription(
        text=reply.text,
        words=tuple(word for utterance in utterances for word in utterance.words),
        utterances=utterances,
        webvtt=reply.webvtt,
        srt=reply.srt,
        language=reply.language,
        duration_s=reply.duration.ToTimedelta().total_seconds(),
    )


def hear(services: Services, audio: IO[bytes], engine: str = "", **expected: Unpack[Expected]) -> Transcription:
    """Recognise a recording from its beginning, through restarts of the recogniser: nobody need speak again."""

    def attempt() -> Transcription:
        audio.seek(0)
        return transcribe(services, audio, engine=engine, **expected)

    return through_restarts(attempt, RESTART_PAUSES_S)


def _utterance(utterance: asr_pb2.Utterance) -> Utterance:
    return Utterance(
        text=utterance.text,
        start_s=utterance.start_offset.ToTimedelta().total_seconds(),
        end_s=utterance.end_offset.ToTimedelta().total_seconds(),
        words=tuple(map(Word.of, utterance.words)),
    )


def _beginning(text: str, words: list[str]) -> str:
    """The text up to the last of its first words, as it is written: Chinese has no spaces between them.

    A word that stands there otherwise, such as one in a formula, is passed over.
    """
    end = 0
    for word in words:
        letters = _MARKS.join(map(re.escape, word))
        if found := re.compile(letters, re.IGNORECASE).search(text, end):
            end = found.end()
    return text[:end]
