"""A model of sherpa-onnx in memory, whatever its kind: recognises a piece of speech, or speech as it comes."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sherpa_onnx
from numpy.typing import NDArray

from services.asr.engine import SAMPLE_RATE, Hypothesis
from services.asr.sherpa.files import Files, Kind, symbols
from services.common.subtitles import Word

Samples = NDArray[np.float32]
"""At 16 kHz, ±1."""

STREAMING = frozenset((Kind.STREAMING_PARAFORMER, Kind.TRANSDUCER))
_TAIL_S = 0.8  # of silence, which streaming models need to tell the last words
_LONGEST_WORD_S = 0.6  # of the last one, whose end is not told
_LEAST_S = 0.1  # less than one frame of the models
_HAN = re.compile(r"[\u3400-\u9fff\U00020000-\U0003ffff]")
_TAG = re.compile(r"<\|(\w+)\|>")
_SPECIAL = re.compile(r"<.+>")  # a token that is no text, such as <unk>
_MARKS = re.compile(r"[\s,.!?;:，。！？；：、]+")
_GOES_ON = "@@"  # at the end of a token of Paraformer that is no whole word
_SPACES = (" ", "▁")


@dataclass(frozen=True)
class _Told:
    """What sherpa-onnx tells of speech."""

    text: str
    tokens: Sequence[str]
    times_s: Sequence[float]
    language: str = ""


class Model:
    """A model in memory. Several threads may call it.

    Args:
        files: of the model.
        threads: how many processors a computation uses.
        provider: of ONNX Runtime, "cpu" or "cuda".
        languages: BCP 47 tags of those that it knows.

    Raises:
        RuntimeError: ONNX Runtime cannot read a file.
    """

    def __init__(self, files: Files, *, threads: int, provider: str, languages: Collection[str]) -> None:
        self.kind = files.kind
        self._languages = languages
        self._symbols = frozenset(symbols(files.tokens))
        self._letters = frozenset("".join(symbol for symbol in self._symbols if not _SPECIAL.fullmatch(symbol)))
        self._cuts_words = files.bpe_vocabulary is not None
        self._recognizer = _MAKERS[files.kind](files, threads, provider)

    def recognise(self, samples: Samples) -> Hypothesis:
        """What a piece of speech says."""
        if len(samples) < _LEAST_S * SAMPLE_RATE:
            return Hypothesis("")
        stream = self._recognizer.create_stream()
        stream.accept_waveform(SAMPLE_RATE, samples)
        self._recognizer.decode_stream(stream)
        result = stream.result
        tag = _TAG.fullmatch(result.lang)
        told = _Told(result.text, result.tokens, result.timestamps, tag[1] if tag else "")
        return self._hypothesis(told, len(samples) / SAMPLE_RATE)

    def stream(self, hotwords: Sequence[str]) -> Stream:
        """Speech that comes in pieces; of a streaming model."""
        words = "/".join(filter(None, map(self._spelled, hotwords))) if self.kind is Kind.TRANSDUCER else ""
        stream = self._recognizer.create_stream(words) if words else self._recognizer.create_stream()
        return Stream(self, self._recognizer, stream)

    def _spelled(self, word: str) -> str:
        """A hot word in the tokens' kind of letters; nothing of one that they cannot spell, which would be logged."""
        plain = " ".join(_MARKS.sub(" ", word.replace("/", " ")).split())
        if not any("a" <= letter <= "z" for letter in self._letters):
            plain = plain.upper()
        letters = {letter for letter in plain if not letter.isspace()}
        is_known = all(
            letter in self._symbols if _HAN.match(letter) else letter.isalpha() and letter in self._letters
            for letter in letters
        )
        has_latin = any(not _HAN.match(letter) for letter in letters)
        return plain if is_known and (self._cuts_words or not has_latin) else ""

    def _hypothesis(self, told: _Told, seconds: float) -> Hypothesis:
        joins = self.kind in (Kind.PARAFORMER, Kind.STREAMING_PARAFORMER)
        text = _cased(told.text.strip())
        words = _words(told, seconds, joins_marked=joins) if len(told.times_s) == len(told.tokens) else ()
        language = told.language or self._language_of(text)
        return Hypothesis(text if _MARKS.sub("", text) else "", words if text else (), language)

    def _language_of(self, text: str) -> str:
        """By its letters, where a model knows only Chinese and one written in Latin letters."""
        if len(self._languages) == 2 and "zh" in self._languages:
            return "zh" if _HAN.search(text) else next(tag for tag in self._languages if tag != "zh")
        return next(iter(self._languages)) if len(self._languages) == 1 else ""


class Stream:
    """Speech that comes in pieces."""

    def __init__(self, model: Model, recognizer: Any, stream: Any) -> None:
        self._model, self._recognizer, self._stream = model, recognizer, stream
        self._seconds = 0.0

    def feed(self, samples: Samples) -> str:
        """What has been said so far."""
        self._accept(samples)
        return self._told().text

    def finish(self) -> Hypothesis:
        """What was said."""
        seconds = self._seconds
        if not seconds:
            return Hypothesis("")
        self._accept(np.zeros(round(_TAIL_S * SAMPLE_RATE), np.float32))
        self._stream.input_finished()
        self._decode()
        return self._told(seconds)

    def _accept(self, samples: Samples) -> None:
        self._stream.accept_waveform(SAMPLE_RATE, samples)
        self._seconds += len(samples) / SAMPLE_RATE
        self._decode()

    def _decode(self) -> None:
        while self._recognizer.is_ready(self._stream):
            self._recognizer.decode_stream(self._stream)

    def _told(self, seconds: float = 0.0) -> Hypothesis:
        result = self._recognizer.get_result_all(self._stream)
        told = _Told(result.text, result.tokens, result.timestamps)
        return self._model._hypothesis(told, seconds or self._seconds)


def _words(told: _Told, seconds: float, *, joins_marked: bool) -> tuple[Word, ...]:
    """Words in time. Tokens begin a word with a space, or (`joins_marked`) end with a mark where it goes on."""
    starts: list[tuple[str, float]] = []
    goes_on = False
    for token, start_s in zip(told.tokens, told.times_s, strict=True):
        piece = token.lstrip("".join(_SPACES)).removesuffix(_GOES_ON)
        begins = not starts or bool(_HAN.match(piece) or _HAN.search(starts[-1][0]))
        begins = begins or (not goes_on if joins_marked else token.startswith(_SPACES))
        goes_on = token.endswith(_GOES_ON)
        if starts and (not piece or _MARKS.fullmatch(piece) or not begins):
            starts[-1] = starts[-1][0] + piece, starts[-1][1]
        elif piece:
            starts.append((piece, float(start_s)))
    if not starts:
        return ()
    last_s = min(seconds, starts[-1][1] + _LONGEST_WORD_S)
    ends = [*(start_s for _, start_s in starts[1:]), last_s]
    return tuple(
        Word(_cased_as(told.text, text), min(start_s, seconds), min(end_s, seconds), 0.0)
        for (text, start_s), end_s in zip(starts, ends, strict=True)
    )


def _cased(text: str) -> str:
    """In small letters, where a model knows only capitals."""
    return text.lower() if text.isupper() else text


def _cased_as(whole: str, word: str) -> str:
    return word.lower() if whole.strip().isupper() else word


def _sense_voice(files: Files, threads: int, provider: str) -> Any:
    return sherpa_onnx.OfflineRecognizer.from_sense_voice(
        model=str(files.parts["model"]), tokens=str(files.tokens), num_threads=threads, provider=provider,
        language="auto", use_itn=True,
    )  # fmt: skip


def _paraformer(files: Files, threads: int, provider: str) -> Any:
    return sherpa_onnx.OfflineRecognizer.from_paraformer(
        paraformer=str(files.parts["model"]), tokens=str(files.tokens), num_threads=threads, provider=provider
    )


def _streaming_paraformer(files: Files, threads: int, provider: str) -> Any:
    return sherpa_onnx.OnlineRecognizer.from_paraformer(
        encoder=str(files.parts["encoder"]), decoder=str(files.parts["decoder"]), tokens=str(files.tokens),
        num_threads=threads, provider=provider,
    )  # fmt: skip


def _transducer(files: Files, threads: int, provider: str) -> Any:
    return sherpa_onnx.OnlineRecognizer.from_transducer(
        encoder=str(files.parts["encoder"]), decoder=str(files.parts["decoder"]), joiner=str(files.parts["joiner"]),
        tokens=str(files.tokens), num_threads=threads, provider=provider, decoding_method="modified_beam_search",
        modeling_unit="cjkchar+bpe" if files.bpe_vocabulary else "cjkchar", bpe_vocab=str(files.bpe_vocabulary or ""),
    )  # fmt: skip


def _moonshine(files: Files, threads: int, provider: str) -> Any:
    return sherpa_onnx.OfflineRecognizer.from_moonshine(
        preprocessor=str(files.parts["preprocess"]), encoder=str(files.parts["encode"]),
        uncached_decoder=str(files.parts["uncached_decode"]), cached_decoder=str(files.parts["cached_decode"]),
        tokens=str(files.tokens), num_threads=threads, provider=provider,
    )  # fmt: skip


_MAKERS = {
    Kind.SENSE_VOICE: _sense_voice,
    Kind.PARAFORMER: _paraformer,
    Kind.STREAMING_PARAFORMER: _streaming_paraformer,
    Kind.TRANSDUCER: _transducer,
    Kind.MOONSHINE: _moonshine,
}
