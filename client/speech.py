"""Text to speech and back."""

from __future__ import annotations

import io
import re
import struct
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, BinaryIO

from visavis.asr.v1 import asr_pb2
from visavis.common.v1 import media_pb2
from visavis.tts.v1 import tts_pb2

from client.errors import translate
from client.files import upload
from client.patience import RESTART_PAUSES_S, through_restarts
from client.services import Services

with warnings.catch_warnings():
    # pydub looks for an ffmpeg program, which WAV does not need, and imports audioop, which is there until Python 3.13.
    warnings.simplefilter("ignore")
    from pydub import AudioSegment

SAY_TIMEOUT_S = 1800
STANDARD_VOICE = ":standard"
"""The engine's own voice where an empty name means another, e.g. an avatar's. No voice can be registered as it."""
PROSODY = {"rate": (0.5, 2.0), "pitch_semitones": (-12.0, 12.0)}
"""How a text may be spoken, from and to."""
TRANSCRIBE_TIMEOUT_S = 3600


@dataclass
class SpokenSentence:
    """A sentence on the utterance's time line."""

    index: int
    text: str
    start_s: float
    words: list[dict[str, Any]] = field(default_factory=list)
    is_complete: bool = False  # no more words of it will come

    def until(self, seconds: float) -> str:
        """How much of its text has begun to be heard at a position of the utterance."""
        if not self.words:
            return self.text if self.start_s < seconds else ""
        words = [word["text"] for word in self.words if word["start_s"] < seconds]
        if self.is_complete and len(words) == len(self.words):
            return self.text
        return _beginning(self.text, words)


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
            return next(self._replies).header

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
            self.sentences.append(SpokenSentence(started.sentence_index, started.text, started.sample_index / rate))
            yield self.sentences[-1]
            return
        self.sentences[-1].words += [timed_word(word) for word in reply.audio.words]
        if reply.audio.closures:
            yield media_pb2.LipClosures(closures=reply.audio.closures)
        yield reply.audio.pcm

    def _complete_last(self) -> None:
        if self.sentences:
            self.sentences[-1].is_complete = True

    def close(self) -> None:
        """Cancel the call if it still runs."""
        self._call.cancel()


def timed_word(word: media_pb2.TimedWord) -> dict[str, Any]:
    """A word with its times in seconds."""
    return {
        "text": word.text,
        "start_s": word.start_offset.ToTimedelta().total_seconds(),
        "end_s": word.end_offset.ToTimedelta().total_seconds(),
        "confidence": word.confidence,
    }


def say(
    services: Services,
    text: str | Iterable[str],
    *,
    voice: str = "",
    language: str = "",
    rate: float = 1.0,
    pitch_semitones: float = 0.0,
    engine: str = "",
) -> Speech:
    """Speak text, whole or as it comes. An empty `voice` is the engine's own, an empty `engine` the default one."""
    voice = "" if voice == STANDARD_VOICE else voice
    config = tts_pb2.SynthesisConfig(
        voice=voice, language=language, rate=rate, pitch_semitones=pitch_semitones, engine=engine
    )
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


def transcribe(services: Services, audio: BinaryIO, language: str = "", engine: str = "") -> dict[str, Any]:
    """Recognise a recording in any audio or video container.

    Args:
        language: BCP 47 tag of what is spoken; empty only where the recogniser can tell.
        engine: which recognises; empty for the service's default.
    """
    config = asr_pb2.TranscribeConfig(language=language, engine=engine)
    with translate():
        requests = upload(config, asr_pb2.TranscribeRequest, audio)
        reply = services.asr.Transcribe(requests, timeout=TRANSCRIBE_TIMEOUT_S)
    utterances = [_utterance(utterance) for utterance in reply.utterances]
    return {
        "text": reply.text,
        "words": [word for utterance in utterances for word in utterance["words"]],
        "utterances": utterances,
        "webvtt": reply.webvtt,
        "srt": reply.srt,
        "language": reply.language,
        "duration_s": reply.duration.ToTimedelta().total_seconds(),
    }


def hear(
    services: Services,
    audio: BinaryIO,
    language: str = "",
    engine: str = "",
    pauses_s: Sequence[float] = RESTART_PAUSES_S,
) -> dict[str, Any]:
    """Recognise a recording from its beginning, through restarts of the recogniser: else who spoke had to speak again.

    Args:
        pauses_s: between the attempts while it is away.
    """

    def attempt() -> dict[str, Any]:
        audio.seek(0)
        return transcribe(services, audio, language, engine)

    return through_restarts(attempt, pauses_s)


def _utterance(utterance: asr_pb2.Utterance) -> dict[str, Any]:
    return {
        "text": utterance.text,
        "start_s": utterance.start_offset.ToTimedelta().total_seconds(),
        "end_s": utterance.end_offset.ToTimedelta().total_seconds(),
        "words": [timed_word(word) for word in utterance.words],
    }


def _beginning(text: str, words: list[str]) -> str:
    """The text up to the last of its first words, as it is written: Chinese has no spaces between them.

    A word that is spoken otherwise than written, such as a number, is passed over.
    """
    end = 0
    for word in words:
        if found := re.compile(re.escape(word), re.IGNORECASE).search(text, end):
            end = found.end()
    return text[:end]
