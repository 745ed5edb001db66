"""CMU PocketSphinx with the US English acoustic and language models of its wheel: offline, one CPU core, no download.

PocketSphinx 5 normalises the cepstra of live audio by a running mean that starts wrong and converges slowly, which more
than doubles the word error rate of short utterances. So each utterance is collected until its own mean can be estimated
(`_FRESH_START_S`), decoded from its beginning with that, and runs live from there.
"""

from __future__ import annotations

import queue
import re
from collections.abc import Sequence
from importlib.metadata import version

from pocketsphinx import Decoder
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from basics.languages import primary
from services.asr.engine import SAMPLE_RATE, AsrEngine, Hypothesis, Recognition
from services.common.engine import Capability, EngineInfo, EngineSettings
from services.common.errors import Busy, Unsupported
from services.common.subtitles import Word

_BYTES_PER_S = 2 * SAMPLE_RATE
_PIECE_BYTES = _BYTES_PER_S // 4
_FRAMES_PER_S = 100
_FRESH_START_S = 1.0
_STATES_PER_FRAME = 3000  # of the search; a tenth of PocketSphinx's default, at half the time
_NEXT_TO_NO_SEARCH = "mean"
_NO_WORD = re.compile(r"^[<\[+]")  # <s>, <sil>, [NOISE], [SPEECH], ++BREATH++
_PRONUNCIATION = re.compile(r"\(\d+\)$")  # "the(2)" is "the", said another way
_CAPITAL_I = re.compile(r"^i(?='|$)")


class Settings(EngineSettings):
    """How much PocketSphinx may do at once."""

    model_config = SettingsConfigDict(env_prefix="ASR_POCKETSPHINX_")

    decoders: int = Field(4, ge=1, le=64)
    """Utterances recognised at the same moment; each takes about 90 MB of memory."""

    decoder_wait_seconds: float = Field(10.0, gt=0)
    """How long an utterance waits for a free decoder before it is refused as too much at once."""


class Engine(AsrEngine):
    """Recognises English; a bounded pool of decoders serves callers at the same time."""

    settings_type = Settings

    def __init__(self, settings: Settings) -> None:
        self._pool = _Decoders(settings.decoders, settings.decoder_wait_seconds)

    def load(self) -> None:
        """Load one decoder; others follow when several people speak at once."""
        self._pool.give_back(self._pool.take())

    def info(self) -> EngineInfo:
        """English, with partial texts, word times and confidences."""
        able = {Capability.STREAMING, Capability.WORD_TIMES, Capability.CONFIDENCE, Capability.OFFLINE}
        return EngineInfo("pocketsphinx", version("pocketsphinx"), ("en",), frozenset(able), "BSD-2-Clause")

    def open(self, language: str, hotwords: Sequence[str] = ()) -> Recognition:
        """Begin an utterance in English.

        Raises:
            Unsupported: another language is asked for.
        """
        if primary(language) not in ("", "en"):
            message = (
                f"This engine knows English, not '{language[:35]}'. Get a model that knows it, visavis models pull "
                "whisper-base, or set ASR_ENGINE to an engine that does; docs/adding-an-engine.md shows how to add one."
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
        self._free: queue.LifoQueue[Decoder | None] = queue.LifoQueue()
        self.clear()

    def take(self) -> Decoder:
        try:
            decoder = self._free.get(timeout=self._wait_s)
        except queue.Empty:
            raise Busy(
                "Too many people are speaking at once. Try again in a moment, or raise ASR_POCKETSPHINX_DECODERS.",
                reason="TOO_MANY_UTTERANCES",
            ) from None
        try:
            return decoder or self._make()
        except BaseException:
            self._free.put(None)
            raise

    def _make(self) -> Decoder:
        decoder = Decoder(loglevel="FATAL", maxhmmpf=_STATES_PER_FRAME)
        decoder.add_keyphrase(_NEXT_TO_NO_SEARCH, "oh")
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
        self._collected = bytearray()  # until there is enough for an estimate of the mean
        self._is_live = False

    def feed(self, pcm: bytes) -> str:
        decoder = self._decoder or self._begin()
        if self._is_live:
            _decode(decoder, pcm)
            return _text(decoder)
        self._collected += pcm
        if len(self._collected) < _FRESH_START_S * _BYTES_PER_S:
            return ""
        self._go_live(decoder)
        return _text(decoder)

    def finish(self) -> Hypothesis:
        if self._decoder is None:
            return Hypothesis("")
        if not self._is_live and self._collected:
            self._go_live(self._decoder)
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

    def _go_live(self, decoder: Decoder) -> None:
        """Take the cepstral mean of what was collected, and decode it with that."""
        audio = bytes(self._collected)
        decoder.end_utt()
        decoder.set_cmn(_mean(decoder, audio))
        decoder.start_utt()
        _decode(decoder, audio)
        self._is_live = True
        self._collected.clear()

    def _release(self) -> None:
        decoder, self._decoder = self._decoder, None
        if decoder:
            self._pool.give_back(decoder)


def _mean(decoder: Decoder, audio: bytes) -> str:
    """Cepstral mean of audio. Ending an utterance searches it, so another search than for words is put in its place."""
    words = decoder.current_search()
    decoder.activate_search(_NEXT_TO_NO_SEARCH)
    decoder.reinit_feat()  # or the mean of whoever was heard before stays in it
    decoder.start_utt()
    decoder.process_raw(audio, no_search=True, full_utt=True)
    decoder.end_utt()
    decoder.activate_search(words)
    return str(decoder.get_cmn())


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
