"""A Whisper model on CTranslate2: recognises pieces of speech, each encoded at its own length.

Whisper was trained on windows of 30 seconds, but its encoder takes shorter ones; padding speech to 30 s is what would
make it slow. It does need a little silence at the end: where speech is cut off at once, it says the last words again
and again. In what is no speech it hears any words. So a detector of speech (Silero's, from the wheel of faster-whisper)
tells where there is some, and what the model is not sure of, or repeats, is not believed.

Following several texts at a time takes twice as long, and finds another one only where the model is not sure of the one
that it would have written: so it is done only there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_compression_ratio, get_suppressed_tokens, merge_punctuations
from faster_whisper.vad import get_vad_model
from numpy.typing import NDArray

from services.asr.engine import SAMPLE_RATE, Expected, Hypothesis
from services.asr.whisper.languages import code
from services.asr.whisper.languages import tag as language_tag
from services.asr.whisper.script import written
from services.common.subtitles import Word

Samples = NDArray[np.float32]
"""At 16 kHz, ±1."""

_SILENCE_S, _PENALTY = 0.75, 1.05  # after speech, and on words said before: together they keep it from repeating …
_MORE_SILENCE_S, _MORE_PENALTY = 1.5, 1.15  # … what is cut off in mid-word, short, or repeated
_SHORT_S = 1.5  # speech that is shorter is repeated most easily
_LONGEST_S = 28  # of a window; with the silence it stays below 30 s
_CUT_S = 20  # what is longer is cut from here on, where speech is least probable
_MARGIN_S = 0.25  # around the speech that was detected
_FRAME = 512  # samples that the detector judges at once
_IS_SPEECH = 0.5  # probability from which a frame counts
_LEAST_FRAMES = 4
_SURELY_SPEECH = 0.75  # of one of them at least: tunes come near it
_LEAST_SURE = -1.0  # mean log probability of a token; below it, what may be no speech is not believed …
_NO_SPEECH = 0.6  # … and this probably is none
_GUESSED = -1.8  # below it, nothing is believed
_QUITE_SURE = -0.4
_AS_SURE = 0.05  # difference of two means that counts for nothing
_EXPECTED = 8  # times as probable as an expected language another has to be
_SURE = -0.3  # above it, following more texts changes nothing
_WORKERS = 2  # somebody who has stopped speaking does not wait for a guess at what somebody says
_GUESSED_SHORT = -1.2  # the same for what is short: below it, it is a sound that is no word
_TWICE = 4  # letters of what is short that it says twice, by their width: once is meant
_COMPRESSION = 2.4  # a text that repeats itself is compressed by more
_SAID_AGAIN = 12  # letters at the end that were said before, by their width
_TOKENS_PER_S = 12
_MOST_BEFORE = 223  # tokens of what was said before: half of what the decoder takes, less one
_OPENING, _CLOSING = "\"'“¿([{-", "\"'.。,，!！?？:：”)]}、"
_CIRCLES = re.compile(r"(.{1,12}?)\1{4,}$")
_NO_LETTERS = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class Guess:
    """What speech that still goes on seems to say."""

    tokens: tuple[int, ...] = ()
    text: str = ""
    language: str = ""


@dataclass(frozen=True)
class _Decoded:
    tokens: list[int]
    text: str
    sureness: float
    no_speech: float

    def is_believable(self, samples: Samples) -> bool:
        """Whether it was said, in the speech that was decoded."""
        if self.sureness < (_GUESSED_SHORT if _is_short(samples) else _GUESSED) or (
            self.sureness < _LEAST_SURE and self.no_speech > _NO_SPEECH
        ):
            return False
        return _compression(self.text) <= _COMPRESSION

    @property
    def repeats_itself(self) -> bool:
        return _compression(self.text) > _COMPRESSION or said_again(self.text)


class Model:
    """A model in memory. Its methods block; two threads may call them at the same time.

    Args:
        folder: of the model as CTranslate2 keeps it, with its tokenizer.json.
        device: of CTranslate2, "cpu" or "cuda".
        threads: how many processors one computation uses.
        compute_type: of CTranslate2, e.g. "int8".
        tells_apart: languages of which one is spoken where nobody says which, nor among which; all, if there are none.
        expects: those among them that are spoken unless another is far more probable.

    Raises:
        RuntimeError: the folder holds no such model.
    """

    def __init__(
        self,
        folder: Path,
        *,
        device: str,
        threads: int,
        compute_type: str,
        tells_apart: Collection[str] = (),
        expects: Collection[str] = (),
    ) -> None:
        self._whisper = WhisperModel(
            str(folder), device=device, compute_type=compute_type, cpu_threads=threads, num_workers=_WORKERS
        )
        self._detector = get_vad_model()
        self._tells_apart, self._expects = (frozenset(map(code, some)) for some in (tells_apart, expects))
        self._tokenizer = cache(self._made_tokenizer)
        self._suppressed = get_suppressed_tokens(self._tokenizer("en"), [-1])

    def warm(self) -> None:
        """Compute once what the first caller would wait for."""
        encoded = self._encode(np.zeros(SAMPLE_RATE, np.float32), _SILENCE_S)
        self._decode(encoded, "en", 1)

    def recognise(
        self,
        samples: Samples,
        expected: Expected,
        beam: int,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> Hypothesis:
        """What an utterance says and when; nothing, where nobody speaks in it.

        Args:
            beam: how many texts are followed at the same time where the model is not sure.
            is_wanted: whether anybody waits for it, asked between its steps; when nobody does, it says nothing.
        """
        words: list[tuple[str, float, float, float]] = []
        tag, language = expected.language, code(expected.language)
        for start, end in self._spoken(samples):
            piece = samples[start:end]
            if not is_wanted():
                return Hypothesis("")
            encoded = self._encode(piece, _MORE_SILENCE_S if _is_short(piece) else _SILENCE_S)
            if not is_wanted():
                return Hypothesis("")
            language = language or self._detected(encoded, expected.among)
            words += self._words(piece, encoded, language, beam, start / SAMPLE_RATE, expected.hotwords)
        texts = _as_read([word[0] for word in words], language, tag)
        heard = [Word(text.strip(), *times) for text, (_, *times) in zip(texts, words, strict=True)]
        return Hypothesis(
            "".join(texts).strip(), tuple(word for word in heard if word.text), tag or language_tag(language)
        )

    def guess(
        self,
        samples: Samples,
        expected: Expected,
        known: Sequence[int],
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> Guess:
        """What speech says so far, which begins with the tokens that are known; nothing, when nobody waits for it."""
        spoken = list(self._spoken(samples))
        if len(spoken) != 1 or not is_wanted():
            return Guess()
        encoded = self._encode(samples[spoken[0][0] :], _MORE_SILENCE_S)
        if not is_wanted():
            return Guess()
        tag, hotwords = expected.language, expected.hotwords
        language = code(tag) or self._detected(encoded, expected.among)
        decoded = self._decode(encoded, language, 1, _MORE_PENALTY, known, hotwords)
        if (
            not decoded.is_believable(samples)
            or decoded.repeats_itself
            or (hotwords and not _without(hotwords, decoded.text))
        ):
            return Guess()
        words, _ = self._tokenizer(language).split_to_word_tokens(decoded.tokens)
        return Guess(tuple(decoded.tokens), "".join(_as_read(words, language, tag)).strip(" \ufffd"), language)

    def _spoken(self, samples: Samples) -> Iterator[tuple[int, int]]:
        """Where speech begins and ends, in samples, in pieces that fit a window."""
        padded = np.pad(samples, (0, -len(samples) % _FRAME))
        probability = self._detector(padded).reshape(-1)
        speech = np.flatnonzero(probability > _IS_SPEECH)
        if len(speech) < _LEAST_FRAMES or probability.max() < _SURELY_SPEECH:
            return
        margin = round(_MARGIN_S * SAMPLE_RATE)
        start, end = max(0, speech[0] * _FRAME - margin), min(len(samples), (speech[-1] + 1) * _FRAME + margin)
        while end - start > _LONGEST_S * SAMPLE_RATE:
            first, last = ((start + seconds * SAMPLE_RATE) // _FRAME for seconds in (_CUT_S, _LONGEST_S))
            cut = int(first + np.argmin(probability[first:last])) * _FRAME
            yield start, cut
            start = cut
        yield start, end

    def _encode(self, samples: Samples, silence_s: float) -> Any:
        length = len(samples) + round(silence_s * SAMPLE_RATE)
        padded = np.pad(
            samples, (0, length - len(samples) + -length % (2 * self._whisper.feature_extractor.hop_length))
        )
        return self._whisper.encode(self._whisper.feature_extractor(padded, padding=0))

    def _detected(self, encoded: Any, among: Collection[str]) -> str:
        if not self._whisper.model.is_multilingual:
            return "en"
        probable = {token.strip("<|>"): p for token, p in self._whisper.model.detect_language(encoded)[0]}
        return likeliest(probable, frozenset(map(code, among)) or self._tells_apart, self._expects)

    def _words(
        self, piece: Samples, encoded: Any, language: str, beam: int, offset_s: float, hotwords: Sequence[str]
    ) -> list[tuple[str, float, float, float]]:
        """Words as the model writes them, most with a space before; their times, and how sure it is of each."""
        penalty = _MORE_PENALTY if _is_short(piece) else _PENALTY
        decoded = self._decode_expecting(hotwords, encoded, language, beam, penalty)
        if decoded.repeats_itself and not _is_short(piece):
            encoded = self._encode(piece, _MORE_SILENCE_S)
            decoded = self._decode_expecting(hotwords, encoded, language, beam, _MORE_PENALTY)
        if not decoded.is_believable(piece):
            return []
        frames = len(piece) // self._whisper.feature_extractor.hop_length
        aligned = self._whisper.find_alignment(self._tokenizer(language), [decoded.tokens], encoded, frames)[0]
        merge_punctuations(aligned, _OPENING, _CLOSING)
        aligned = [one for one in aligned if one["word"]]
        if _is_short(piece):
            aligned = aligned[: once([one["word"] for one in aligned])]
        longest_s = len(piece) / SAMPLE_RATE
        return [
            (
                one["word"],
                offset_s + min(max(float(one["start"]), 0.0), longest_s),
                offset_s + min(max(float(one["end"]), 0.0), longest_s),
                min(1.0, float(one["probability"])),
            )
            for one in aligned
        ]

    def _decode_expecting(
        self, hotwords: Sequence[str], encoded: Any, language: str, beam: int, penalty: float
    ) -> _Decoded:
        """What is said, where hot words may be. They lead Whisper astray at times, and it likes to say some that nobody
        did: so where it is not quite sure, or says some, what it hears without them must not be surer; and where it
        says nothing else, it must have heard something without them, too."""
        decoded = self._searched(encoded, language, beam, penalty, hotwords)
        rest = _without(hotwords, decoded.text)
        if not hotwords or (decoded.sureness > _QUITE_SURE and rest == _letters(decoded.text)):
            return decoded
        plain = self._searched(encoded, language, beam, penalty)
        is_believed = decoded.sureness > plain.sureness - _AS_SURE and (rest or plain.sureness > _LEAST_SURE)
        return decoded if is_believed else plain

    def _searched(
        self, encoded: Any, language: str, beam: int, penalty: float, hotwords: Sequence[str] = ()
    ) -> _Decoded:
        """What the model would write at once or, where it is not sure of that, the best of several texts.

        A mere guess stays one: by a wider search it would only look better.
        """
        decoded = self._decode(encoded, language, 1, penalty, hotwords=hotwords)
        if beam == 1 or not _GUESSED <= decoded.sureness <= _SURE:
            return decoded
        return self._decode(encoded, language, beam, penalty, hotwords=hotwords)

    def _decode(
        self,
        encoded: Any,
        language: str,
        beam: int,
        penalty: float = _PENALTY,
        known: Sequence[int] = (),
        hotwords: Sequence[str] = (),
    ) -> _Decoded:
        tokenizer = self._tokenizer(language)
        prompt = [*self._told_before(tokenizer, hotwords), *tokenizer.sot_sequence, tokenizer.no_timestamps, *known]
        seconds = encoded.shape[1] * self._whisper.num_samples_per_token / SAMPLE_RATE
        result = self._whisper.model.generate(
            encoded,
            [prompt],
            beam_size=beam,
            repetition_penalty=penalty,
            max_length=min(self._whisper.max_length, len(prompt) + round(seconds * _TOKENS_PER_S)),
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=self._suppressed,
        )[0]
        tokens = result.sequences_ids[0]  # the known ones included
        return _Decoded(tokens, tokenizer.decode(tokens), result.scores[0], result.no_speech_prob)

    def _told_before(self, tokenizer: Tokenizer, hotwords: Sequence[str]) -> list[int]:
        """Hot words as if they had been said before, which is where Whisper looks for the spelling of names: as many as
        there is room for. Without a full stop it would leave out its own."""
        tokens: list[int] = []
        for word in hotwords:
            more = [token for token in tokenizer.encode(f", {word}" if tokens else f" {word}") if token < tokenizer.eot]
            if len(tokens) + len(more) >= _MOST_BEFORE:
                break
            tokens += more
        return [tokenizer.sot_prev, *tokens, *tokenizer.encode(".")] if tokens else []

    def _made_tokenizer(self, language: str) -> Tokenizer:
        whisper = self._whisper
        return Tokenizer(whisper.hf_tokenizer, whisper.model.is_multilingual, task="transcribe", language=language)


def _without(hotwords: Sequence[str], text: str) -> str:
    """The letters of a text that belong to none of some words."""
    letters = _letters(text)
    for word in sorted(map(_letters, hotwords), key=len, reverse=True):
        letters = letters.replace(word, "") if word else letters
    return letters


def _letters(text: str) -> str:
    return _NO_LETTERS.sub("", text.lower())


def likeliest(probable: Mapping[str, float], tells_apart: Collection[str], expects: Collection[str]) -> str:
    """The language that is spoken, by the model's probabilities; one that is not expected must be far more probable.

    Small models take a second of English for any language, and an accent for its speaker's own.
    """
    among = {language: p for language, p in probable.items() if language in tells_apart} or probable
    return max(among, key=lambda language: among[language] * (_EXPECTED if language in expects else 1))


def said_again(text: str) -> bool:
    """Whether a text ends with much of what it said before, or with the same five times: a model turns in circles."""
    letters = _letters(text)
    if _CIRCLES.search(letters):
        return True
    width = 0
    for start in range(len(letters) - 1, 0, -1):
        width += 2 if letters[start] >= "\u2e80" else 1
        if width >= _SAID_AGAIN:
            return letters[start:] in letters[:start]
    return False


def once(words: Sequence[str]) -> int:
    """How many of the words say all there is, where the rest says the same again."""
    letters = _letters("".join(words))
    for count in range(1, len(words)):
        first = _letters("".join(words[:count]))
        if _width(first) >= _TWICE and first * (len(letters) // len(first)) == letters:
            return count
    return len(words)


def _width(letters: str) -> int:
    return sum(2 if letter >= "\u2e80" else 1 for letter in letters)


def _is_short(piece: Samples) -> bool:
    return len(piece) < _SHORT_S * SAMPLE_RATE


def _compression(text: str) -> float:
    return float(get_compression_ratio(text))


def _as_read(words: Sequence[str], language: str, tag: str) -> Sequence[str]:
    return written(words, tag) if language == "zh" else words
