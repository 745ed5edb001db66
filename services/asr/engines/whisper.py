"""OpenAI's Whisper on CTranslate2 (faster-whisper): Chinese, English and about a hundred other languages, offline.

While somebody speaks, the utterance so far is recognised again and again; what two guesses agree on is kept for the
next. A pause may be the end, so its beginning starts the final recognition, which is there when it turns out to be.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from models.errors import ModelError
from models.folder import find
from services.asr.engine import SAMPLE_RATE, AsrEngine, Expected, Hypothesis, Recognition
from services.asr.turns import Turns, Urgency
from services.asr.whisper.languages import LANGUAGES, code
from services.asr.whisper.languages import tag as language_tag
from services.common import hardware
from services.common.audio import from_pcm
from services.common.engine import Capability, EngineInfo, EngineSettings, Lack
from services.common.errors import Unsupported

if TYPE_CHECKING:
    from services.asr.whisper.model import Guess, Model

T = TypeVar("T")
_BYTES_PER_S = 2 * SAMPLE_RATE
_FIRST_S = 0.6  # of an utterance, which begins before its onset, until something can be guessed
_EVERY_S = 0.3  # between two guesses; or, if that is longer, so long as the last one took …
_EVERY_SHARE = 0.2  # … or this share of what has been said: the longer it is, the less is new
_TELLING_S = 2.0  # of speech tell its language for good
_LONGEST_GUESS_S = 28.0
_MOST_THREADS = 4  # more do not make short windows faster
_WEIGHTS = "model.bin"
_MULTILINGUAL_TOKENS = 51_865  # of a vocabulary; English models have fewer
_TELLS_APART = ("zh", "en", "es", "de", "fr", "ja", "ko", "ru", "pt", "it", "nl", "pl", "tr", "ar", "id", "vi", "uk")


class Settings(EngineSettings):
    """Which Whisper recognises, and how much of the machine it takes."""

    model_config = SettingsConfigDict(env_prefix="ASR_WHISPER_")

    model: str = "whisper-base"
    """A Whisper model of the catalogue (`visavis models list`), or the path of a folder with one for CTranslate2."""

    device: str = Field("cpu", pattern="^(cpu|cuda)$")
    """Where it computes: cpu or cuda."""

    compute_type: str = "int8"
    """Precision of the weights, as CTranslate2 calls it: int8 for processors, float16 for graphics cards."""

    threads: int = Field(0, ge=0, le=64)
    """Processors that a computation uses, one for all callers at a time; 0 for all there are, at most four."""

    beam_size: int = Field(5, ge=1, le=10)
    """Texts that are followed at the same time where the model is not sure of the first one; 1 is quicker and worse at
    Chinese."""

    tells_apart: tuple[str, ...] = _TELLS_APART
    """Languages that may be spoken where nobody says which, as a JSON list; empty for all that the model knows. Small
    models take British English for Welsh."""

    expects: tuple[str, ...] = ("zh", "en")
    """Languages that are spoken, where nobody says which, unless another is far more probable, as a JSON list."""


class Engine(AsrEngine):
    """Recognises many languages; one model serves all callers, live ones first."""

    settings_type = Settings
    requires = ("faster_whisper", "opencc")

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._hearing: _Hearing | None = None

    def load(self) -> None:
        """Load the model, and recognise something, so that the first caller does not wait for that."""
        from services.asr.whisper.model import Model

        settings = self._settings
        model = Model(
            _path(settings.model),
            device=settings.device,
            threads=settings.threads or min(_MOST_THREADS, hardware.processors()),
            compute_type=settings.compute_type,
            tells_apart=settings.tells_apart,
            expects=settings.expects,
        )
        model.warm()
        self._hearing = _Hearing(model, settings.beam_size)

    def info(self) -> EngineInfo:
        """What its model can do; of one that is not there, what most can."""
        able = {Capability.STREAMING, Capability.WORD_TIMES, Capability.CONFIDENCE, Capability.OFFLINE}
        able |= {Capability.HOTWORDS, Capability.WRITTEN_FORM}
        languages = self._languages()
        if len(languages) > 1:
            able.add(Capability.LANGUAGE_DETECTION)
        return EngineInfo("whisper", _version(), languages, frozenset(able), "MIT")

    def models(self) -> tuple[str, ...]:
        """The one that the settings name."""
        return () if _is_folder(self._settings.model) else (self._settings.model,)

    def lack(self) -> Lack | None:
        """Weights in a folder of the user's."""
        if not _is_folder(self._settings.model) or (Path(self._settings.model) / _WEIGHTS).is_file():
            return None
        remedy = "Set ASR_WHISPER_MODEL to a model of the catalogue, or to a folder with one in CTranslate2's format."
        return Lack("MODEL_FOLDER_WRONG", f"There is no {_WEIGHTS} in the folder of its model.", remedy)

    def open(self, language: str, hotwords: Sequence[str] = ()) -> Recognition:
        """Begin an utterance, guessed at while it lasts."""
        return self.begin(Expected(language, (), tuple(hotwords)))

    def open_recorded(self, language: str, hotwords: Sequence[str] = ()) -> Recognition:
        """Begin an utterance that is recognised as a whole, when nobody who speaks waits."""
        return self.begin(Expected(language, (), tuple(hotwords)), is_recorded=True)

    def begin(self, expected: Expected, *, is_recorded: bool = False) -> Recognition:
        """Begin an utterance, whose language is one of those that are expected."""
        self._check(expected.language)
        kind = _Recorded if is_recorded else _Utterance
        return kind(self._loaded, expected)

    def close(self) -> None:
        """Let go of the model."""
        hearing, self._hearing = self._hearing, None
        if hearing:
            hearing.close()

    @property
    def _loaded(self) -> _Hearing:
        if self._hearing is None:
            raise RuntimeError("load it first")
        return self._hearing

    def _languages(self) -> tuple[str, ...]:
        try:
            return LANGUAGES if _is_multilingual(_path(self._settings.model)) else LANGUAGES[:1]
        except ModelError:
            return LANGUAGES

    def _check(self, language: str) -> None:
        known = self._languages()
        if code(language) in ("", *map(code, known)):
            return
        told = ", ".join(known) if len(known) < 9 else f"{len(known)} languages"
        message = (
            f"This model knows {told}, not '{language[:35]}'. Set ASR_WHISPER_MODEL to one that knows it, or "
            "ASR_ENGINE to another engine."
        )
        values = {"language": language[:35], "engine": "whisper"}
        raise Unsupported(message, reason="LANGUAGE_NOT_SUPPORTED", field="config.language", values=values)


class _Asked(Generic[T]):
    """What the model was asked for, and whether anybody still waits for that."""

    def __init__(self, turns: Turns, urgency: Urgency, work: Callable[[Callable[[], bool]], T]) -> None:
        self._turns = turns
        self._is_stale = self._is_dropped = False
        self.future = turns.submit(urgency, lambda: work(self._is_wanted))

    def drop(self) -> None:
        """Nobody waits for it any more: it is not begun, or ends at its next step."""
        self._is_dropped = True
        self.future.cancel()

    def grow_stale(self) -> bool:
        """It is good for little now: it is not begun, or ends where it would keep others waiting. Whether it may
        come."""
        self._is_stale = True
        return not self.future.cancel()

    def _is_wanted(self) -> bool:
        return not (self._is_dropped or (self._is_stale and self._turns.somebody_waits()))


class _Hearing:
    """A model, and whose turn it is."""

    def __init__(self, model: Model, beam: int) -> None:
        self.model, self._beam = model, beam
        self.turns = Turns()

    def conclude(self, pcm: bytes, expected: Expected) -> _Asked[Hypothesis]:
        """Of an utterance that has ended, or pauses."""
        return self._asked(Urgency.FINAL, pcm, expected)

    def recognise(self, pcm: bytes, expected: Expected) -> _Asked[Hypothesis]:
        """Of a recording."""
        return self._asked(Urgency.BATCH, pcm, expected)

    def guess(self, pcm: bytes, expected: Expected, known: Sequence[int]) -> _Asked[Guess]:
        """Of an utterance that goes on."""

        def work(is_wanted: Callable[[], bool]) -> Guess:
            return self.model.guess(from_pcm(pcm), expected, known, is_wanted)

        return _Asked(self.turns, Urgency.PARTIAL, work)

    def close(self) -> None:
        self.turns.close()

    def _asked(self, urgency: Urgency, pcm: bytes, expected: Expected) -> _Asked[Hypothesis]:
        def work(is_wanted: Callable[[], bool]) -> Hypothesis:
            return self.model.recognise(from_pcm(pcm), expected, self._beam, is_wanted)

        return _Asked(self.turns, urgency, work)


class _Utterance(Recognition):
    """One utterance. Nothing here computes: the model has a thread of its own, which is only waited for at the end."""

    def __init__(self, hearing: _Hearing, expected: Expected) -> None:
        self._hearing, self._expected = hearing, expected
        self._pcm = bytearray()
        self._text = ""
        self._guess: _Asked[Guess] | None = None
        self._guessed_s = 0.0  # how much had been said, and when, as the latest guess began
        self._asked = 0.0
        self._next_s = _FIRST_S
        self._latest: tuple[int, ...] = ()
        self._known: tuple[int, ...] = ()  # what the two latest guesses agree on
        self._final: _Asked[Hypothesis] | None = None  # holds as long as only silence follows …
        self._passed: _Asked[Hypothesis] | None = None  # … and did not hold

    def feed(self, pcm: bytes) -> str:
        self._pcm += pcm
        self._take_back()
        self._take_guess()
        if self._guess is None and self._next_s <= self._seconds <= _LONGEST_GUESS_S:
            self._guessed_s, self._asked = self._seconds, time.monotonic()
            self._guess = self._hearing.guess(bytes(self._pcm), self._expected, self._known)
        return self._text

    def pause(self, pcm: bytes) -> str:
        self._pcm += pcm
        self._take_guess()
        if self._final is None:
            self._drop(self._guess)
            self._final = self._recognised()
        elif self._final.future.done() and (text := self._final.future.result().text):
            self._text = text
        return self._text

    def finish(self) -> Hypothesis:
        self._drop(self._guess)
        self._final = self._final or self._recognised()
        return self._final.future.result()

    def close(self) -> None:
        for asked in (self._guess, self._final, self._passed):
            self._drop(asked)

    @property
    def _seconds(self) -> float:
        return len(self._pcm) / _BYTES_PER_S

    def _recognised(self) -> _Asked[Hypothesis]:
        self._drop(self._passed)
        return self._hearing.conclude(bytes(self._pcm), self._expected)

    def _take_back(self) -> None:
        """The utterance goes on: what was to be its text, unless nothing has been done for it, is a guess at it."""
        if self._final and self._final.grow_stale():
            self._passed = self._final
            self._next_s = max(self._next_s, self._seconds + _EVERY_S)
        self._final = None
        if self._passed and self._passed.future.done():
            self._text = self._passed.future.result().text or self._text
            self._passed = None

    def _take_guess(self) -> None:
        """Look whether the guess that was asked for is there."""
        if self._guess is None or not self._guess.future.done():
            return
        guess, self._guess = self._guess.future, None
        took_s = time.monotonic() - self._asked
        self._next_s = self._guessed_s + max(_EVERY_S, took_s * 2, self._guessed_s * _EVERY_SHARE)
        if guess.cancelled() or not (found := guess.result()).text:
            self._known = ()
            return
        self._text = found.text
        if self._guessed_s >= _TELLING_S and not self._expected.language:
            self._expected = replace(self._expected, language=language_tag(found.language))
        both = zip(self._latest, found.tokens, strict=False)
        self._known = tuple(token for token, _ in takewhile(lambda pair: pair[0] == pair[1], both))
        self._latest = found.tokens

    @staticmethod
    def _drop(asked: _Asked[Any] | None) -> None:
        if asked:
            asked.drop()


class _Recorded(Recognition):
    """One utterance of a recording."""

    def __init__(self, hearing: _Hearing, expected: Expected) -> None:
        self._hearing, self._expected = hearing, expected
        self._pcm = bytearray()

    def feed(self, pcm: bytes) -> str:
        self._pcm += pcm
        return ""

    def finish(self) -> Hypothesis:
        return self._hearing.recognise(bytes(self._pcm), self._expected).future.result()


def _is_folder(model: str) -> bool:
    return "/" in model


def _path(model: str) -> Path:
    """Where a model lies; raises a `ModelError` where one of the catalogue is not here."""
    return Path(model) if _is_folder(model) else find(model)


@cache
def _is_multilingual(path: Path) -> bool:
    """By the size of its vocabulary, as OpenAI's own code tells."""
    if (lines := path / "vocabulary.txt").is_file():
        return len(lines.read_bytes().splitlines()) >= _MULTILINGUAL_TOKENS
    if (listed := path / "vocabulary.json").is_file():
        return len(json.loads(listed.read_bytes())) >= _MULTILINGUAL_TOKENS
    return True


def _version() -> str:
    try:
        return version("faster-whisper")
    except PackageNotFoundError:
        return ""
