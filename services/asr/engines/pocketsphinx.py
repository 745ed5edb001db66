"""CMU PocketSphinx with the US English acoustic and language models of its wheel: offline, one CPU core, no download.

PocketSphinx 5 normalises the cepstra of live audio by a running mean that starts wrong and converges slowly, which more
than doubles the word error rate of short utterances. So each utterance is decoded afresh whenever it has grown enough
for a better estimate of its own mean (`_FRESH_STARTS_S`), and runs live from there.
"""

from __future__ import annotations

import queue
import re
from importlib.metadata import version

from pocketsphinx import Decoder

from services.asr.engine import SAMPLE_RATE, AsrEngine, Hypothesis, Recognition, Word
from services.asr.settings import AsrSettings
from services.common.engine import EngineInfo
from services.common.errors import Busy, Unsupported

_BYTES_PER_S = 2 * SAMPLE_RATE
_PIECE_BYTES = _BYTES_PER_S // 4
_FRAMES_PER_S = 100
_FRESH_STARTS_S = (1.0, 2.5)
_WORTH_A_START = 1.5  # growth of the audio that makes another start at the end worth its time
_NO_WORD = re.compile(r"^[<\[+]")  # <s>, <sil>, [NOISE], [SPEECH], ++BREATH++
_PRONUNCIATION = re.compile(r"\(\d+\)$")  # "the(2)" is "the", said another way
_CAPITAL_I = re.compile(r"^i(?='|$)")


class Engine(AsrEngine):
    """Recognises English; a bounded pool of decoders serves callers at the same time."""

    def __init__(self, settings: AsrSettings) -> None:
        self._pool = _Decoders(settings.decoders, settings.decoder_wait_seconds)

    def load(self) -> None:
        """Load one decoder; others follow when several people speak at once."""
        self._pool.give_back(self._pool.take())

    def info(self) -> EngineInfo:
        """English, with partial texts, word times and confidences."""
        capabilities = frozenset({"streaming", "word_times", "confidence"})
        return EngineInfo("pocketsphinx", version("pocketsphinx"), ("en",), capabilities)

    def open(self, language: str) -> Recognition:
        """Begin an utterance in English.

        Raises:
            Unsupported: another language is asked for.
        """
        if re.split("[-_]", language.lower())[0] not in ("", "en"):
            message = (
                f"This engine knows English, not '{language[:35]}'. Set ASR_ENGINE to an engine that knows it; "
                "docs/adding-an-engine.md shows how to add one."
            )
            values = {"language": language[:35], "engine": "pocketsphinx"}
            raise Unsupported(message, reason="LANGUAGE_NOT_SUPPORTED", field="config.language", values=values)
        return _Utterance(self._pool)

    def close(self) -> None:
        """Free the decoders."""
        self._pool.clear()


class _Decoders:
    """At most `size` decoders, made when first needed. A decoder is not thread-safe, so each serves one utterance."""

    def __init__(self, size: int, wait_s: float) -> None:
        self._wait_s = wait_s
        self._size = size
        self.first_mean = ""  # the cepstral mean that a new decoder begins with
        self._free: queue.LifoQueue[Decoder | None] = queue.LifoQueue()
        self.clear()

    def take(self) -> Decoder:
        try:
            decoder = self._free.get(timeout=self._wait_s)
        except queue.Empty:
            raise Busy(
                "Too many people are speaking at once. Try again in a moment, or raise ASR_DECODERS.",
                reason="TOO_MANY_UTTERANCES",
            ) from None
        try:
            return decoder or self._make()
        except BaseException:
            self._free.put(None)
            raise

    def _make(self) -> Decoder:
        decoder = Decoder(loglevel="FATAL")
        self.first_mean = decoder.get_cmn()
        return decoder

    def give_back(self, decoder: Decoder) -> None:
        self._free.put(decoder)

    def clear(self) -> None:
        self._free = queue.LifoQueue()
        for _ in range(self._size):
            self._free.put(None)


class _Utterance(Recognition):
    """One utterance, decoded as it grows."""

    def __init__(self, pool: _Decoders) -> None:
        self._pool = pool
        self._decoder: Decoder | None = None
        self._audio = bytearray()  # kept while a fresh start may still need it
        self._estimated_from = 0  # bytes of audio that the mean in force was estimated from
        self._fresh_starts = [int(seconds * _BYTES_PER_S) for seconds in _FRESH_STARTS_S]

    def feed(self, pcm: bytes) -> str:
        decoder = self._decoder or self._begin()
        if not self._fresh_starts:
            _decode(decoder, pcm)
            return _text(decoder)
        self._audio += pcm
        if len(self._audio) >= self._fresh_starts[0]:
            self._fresh_starts = [size for size in self._fresh_starts if size > len(self._audio)]
            self._start_afresh(decoder)
        elif len(self._fresh_starts) < len(_FRESH_STARTS_S):
            _decode(decoder, pcm)
        return _text(decoder)

    def finish(self) -> Hypothesis:
        if self._decoder is None:
            return Hypothesis("")
        if self._fresh_starts and self._audio and len(self._audio) >= _WORTH_A_START * self._estimated_from:
            self._start_afresh(self._decoder)
        self._decoder.end_utt()
        words = _words(self._decoder)
        self._release()
        return Hypothesis(" ".join(word.text for word in words), words)

    def close(self) -> None:
        if self._decoder:
            self._decoder.end_utt()
            self._release()

    def _begin(self) -> Decoder:
        self._decoder = self._pool.take()
        self._decoder.start_utt()
        return self._decoder

    def _start_afresh(self, decoder: Decoder) -> None:
        """Take the cepstral mean of all audio so far and decode it again from the start."""
        audio = bytes(self._audio)
        self._estimated_from = len(audio)
        decoder.end_utt()
        decoder.set_cmn(self._pool.first_mean)  # nothing of the previous speaker may stay
        decoder.start_utt()
        decoder.process_raw(audio, no_search=True, full_utt=True)
        decoder.end_utt()
        decoder.set_cmn(decoder.get_cmn())
        decoder.start_utt()
        _decode(decoder, audio)
        if not self._fresh_starts:
            self._audio.clear()

    def _release(self) -> None:
        decoder, self._decoder = self._decoder, None
        if decoder:
            self._pool.give_back(decoder)


def _decode(decoder: Decoder, audio: bytes) -> None:
    """Search live, in pieces: PocketSphinx 5.1 silently drops the end of a buffer that is longer than a few seconds."""
    for start in range(0, len(audio), _PIECE_BYTES):
        decoder.process_raw(audio[start : start + _PIECE_BYTES])


def _text(decoder: Decoder) -> str:
    hypothesis = decoder.hyp()
    raw = hypothesis.hypstr.split() if hypothesis else []
    return " ".join(_spelled(word) for word in raw if not _NO_WORD.match(word))


def _words(decoder: Decoder) -> tuple[Word, ...]:
    """Words of a finished utterance; frames are 10 ms and `end_frame` is the last one inside the word."""
    return tuple(
        Word(
            text=_spelled(segment.word),
            start_s=segment.start_frame / _FRAMES_PER_S,
            end_s=(segment.end_frame + 1) / _FRAMES_PER_S,
            confidence=min(1.0, max(0.0, segment.prob)),
        )
        for segment in decoder.seg() or ()
        if not _NO_WORD.match(segment.word)
    )


def _spelled(word: str) -> str:
    return _CAPITAL_I.sub("I", _PRONUNCIATION.sub("", word))
