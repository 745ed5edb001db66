"""Models for sherpa-onnx: SenseVoice, Paraformer, streaming Zipformer transducers and Moonshine, offline.

Streaming models hear speech as it comes. The others recognise the utterance so far again and again while somebody
speaks, and begin with the end of it in a pause, which may be that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from basics.languages import primary
from models.errors import ModelError
from models.folder import find as find_model
from services.asr.engine import SAMPLE_RATE, AsrEngine, Hypothesis, Recognition
from services.asr.sherpa.files import Kind, WrongModel, find, unreadable
from services.asr.turns import Turns, Urgency
from services.common import hardware
from services.common.audio import from_pcm
from services.common.engine import Capability, EngineInfo, EngineSettings, Lack
from services.common.errors import Unavailable, Unsupported

if TYPE_CHECKING:
    from services.asr.sherpa.models import Model, Stream

_BYTES_PER_S = 2 * SAMPLE_RATE
_FIRST_S = 0.6  # of an utterance, which begins before its onset, until something can be guessed
_EVERY_S = 0.4  # between two guesses; or, if that is longer, twice as long as the last one took
_LONGEST_GUESS_S = 20.0
_MOST_THREADS = 4
_STREAMING = (Kind.STREAMING_PARAFORMER, Kind.TRANSDUCER)
_WORD_TIMES = (Kind.SENSE_VOICE, Kind.TRANSDUCER)
_WRITES = (Kind.SENSE_VOICE, Kind.MOONSHINE)
_LANGUAGES = {
    Kind.SENSE_VOICE: ("zh", "en", "ja", "ko", "yue"),
    Kind.PARAFORMER: ("zh", "en"),
    Kind.STREAMING_PARAFORMER: ("zh", "en"),
    Kind.TRANSDUCER: ("zh", "en"),
    Kind.MOONSHINE: ("en",),
}


class Settings(EngineSettings):
    """Which model recognises, and how much of the machine it takes."""

    model_config = SettingsConfigDict(env_prefix="ASR_SHERPA_")

    model: str = "sense-voice"
    """A model of the catalogue (`visavis models list`), or the path of a folder with one for sherpa-onnx: its kind is
    known by its files."""

    languages: tuple[str, ...] = ()
    """Languages that the model knows, as a JSON list of BCP 47 tags; empty for those usual for its kind: Chinese and
    English for Paraformer and transducers, English for Moonshine."""

    device: str = Field("cpu", pattern="^(cpu|cuda)$")
    """Where it computes: cpu, or cuda with a build of sherpa-onnx for it."""

    threads: int = Field(0, ge=0, le=64)
    """Processors that a computation uses; 0 for all there are, at most four."""


class Engine(AsrEngine):
    """Recognises with one model, whatever its kind; callers take turns where it is heard whole."""

    settings_type = Settings
    requires = ("sherpa_onnx",)

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._model: Model | None = None
        self._turns: Turns | None = None

    def load(self) -> None:
        """Load the model, and recognise silence, so that the first caller does not wait for that.

        Raises:
            Unavailable: a file of it cannot be read.
        """
        from services.asr.sherpa.models import Model

        files = find(self._folder())
        threads = self._settings.threads or min(_MOST_THREADS, hardware.processors())
        try:
            self._model = Model(
                files, threads=threads, provider=self._settings.device, languages=self._languages(files.kind)
            )
        except RuntimeError as error:
            lack = unreadable(", ".join(sorted(path.name for path in files.parts.values()))).lack
            message = f"{lack.reason} {lack.remedy}"
            raise Unavailable(message, reason="MODEL_FILE_UNREADABLE", values=lack.values) from error
        self._turns = Turns()
        recognition = self.open("")
        recognition.feed(bytes(_BYTES_PER_S))
        recognition.finish()

    def info(self) -> EngineInfo:
        """What its model can do; of one that is not there, what SenseVoice can."""
        kind = self._kind() or Kind.SENSE_VOICE
        able = {Capability.STREAMING, Capability.OFFLINE}
        languages = self._languages(kind)
        if len(languages) > 1:
            able.add(Capability.LANGUAGE_DETECTION)
        if kind in _WORD_TIMES:
            able.add(Capability.WORD_TIMES)
        if kind in _WRITES:
            able.add(Capability.WRITTEN_FORM)
        if kind is Kind.TRANSDUCER:
            able.add(Capability.HOTWORDS)
        return EngineInfo("sherpa", _version(), languages, frozenset(able), "Apache-2.0")

    def models(self) -> tuple[str, ...]:
        """The one that the settings name."""
        return () if self._is_folder else (self._settings.model,)

    def lack(self) -> Lack | None:
        """What is wrong with the files of the model."""
        try:
            find(self._folder())
        except WrongModel as error:
            return error.lack
        except ModelError:
            return None  # one of the catalogue is not here: told of `models`
        return None

    def open(self, language: str, hotwords: Sequence[str] = ()) -> Recognition:
        """Begin an utterance.

        Raises:
            Unsupported: the model does not know the language.
        """
        self._check(language)
        model = self._loaded
        if model.kind in _STREAMING:
            return _Streamed(model.stream(hotwords), language)
        if self._turns is None:
            raise RuntimeError("load it first")
        return _Whole(model, self._turns, language)

    def open_recorded(self, language: str, hotwords: Sequence[str] = ()) -> Recognition:
        """Begin an utterance of a recording, for which nobody who speaks waits."""
        recognition = self.open(language, hotwords)
        if isinstance(recognition, _Whole):
            recognition.is_recorded = True
        return recognition

    def close(self) -> None:
        """Let go of the model."""
        turns, self._turns, self._model = self._turns, None, None
        if turns:
            turns.close()

    @property
    def _loaded(self) -> Model:
        if self._model is None:
            raise RuntimeError("load it first")
        return self._model

    @property
    def _is_folder(self) -> bool:
        return "/" in self._settings.model

    def _folder(self) -> Path:
        """Where the model lies; raises a `ModelError` where one of the catalogue is not here."""
        return Path(self._settings.model) if self._is_folder else find_model(self._settings.model)

    def _kind(self) -> Kind | None:
        try:
            return find(self._folder()).kind
        except (ModelError, WrongModel):
            return None

    def _languages(self, kind: Kind) -> tuple[str, ...]:
        return self._settings.languages or _LANGUAGES[kind]

    def _check(self, language: str) -> None:
        known = self.info().languages
        if not language or primary(language) in map(primary, known):
            return
        message = (
            f"This model knows {', '.join(known)}, not '{language[:35]}'. Set ASR_SHERPA_MODEL to one that knows it "
            "(or ASR_SHERPA_LANGUAGES, if it does), or ASR_ENGINE to another engine."
        )
        values = {"language": language[:35], "engine": "sherpa"}
        raise Unsupported(message, reason="LANGUAGE_NOT_SUPPORTED", field="config.language", values=values)


class _Streamed(Recognition):
    """An utterance that is heard as it comes."""

    def __init__(self, stream: Stream, language: str) -> None:
        self._stream, self._language = stream, language

    def feed(self, pcm: bytes) -> str:
        return self._stream.feed(from_pcm(pcm))

    def finish(self) -> Hypothesis:
        return _in_language(self._stream.finish(), self._language)


class _Whole(Recognition):
    """An utterance of which all that has been said is recognised again and again."""

    def __init__(self, model: Model, turns: Turns, language: str) -> None:
        self.is_recorded = False
        self._model, self._turns, self._language = model, turns, language
        self._pcm = bytearray()
        self._text = ""
        self._guess: Future[Hypothesis] | None = None
        self._asked, self._next_s = 0.0, _FIRST_S
        self._final: Future[Hypothesis] | None = None  # holds as long as only silence follows

    def feed(self, pcm: bytes) -> str:
        self._pcm += pcm
        if self._final:
            self._final.cancel()
            self._final = None
        self._take_guess()
        seconds = len(self._pcm) / _BYTES_PER_S
        if self._guess is None and self._next_s <= seconds <= _LONGEST_GUESS_S and not self.is_recorded:
            self._asked, self._next_s = time.monotonic(), seconds
            self._guess = self._turns.submit(Urgency.PARTIAL, self._recognising())
        return self._text

    def pause(self, pcm: bytes) -> str:
        self._pcm += pcm
        self._take_guess()
        if self._final is None:
            self._final = self._recognised()
        elif self._final.done():
            self._text = self._final.result().text or self._text
        return self._text

    def finish(self) -> Hypothesis:
        if self._guess:
            self._guess.cancel()
        return _in_language((self._final or self._recognised()).result(), self._language)

    def close(self) -> None:
        for future in (self._guess, self._final):
            if future:
                future.cancel()

    def _recognised(self) -> Future[Hypothesis]:
        if self.is_recorded:
            return self._turns.submit(Urgency.BATCH, self._recognising())
        return self._turns.submit(Urgency.FINAL, self._recognising())

    def _recognising(self) -> Callable[[], Hypothesis]:
        return partial(self._model.recognise, from_pcm(bytes(self._pcm)))

    def _take_guess(self) -> None:
        """Look whether the guess that was asked for is there."""
        if self._guess is None or not self._guess.done():
            return
        guess, self._guess = self._guess, None
        self._next_s += max(_EVERY_S, 2 * (time.monotonic() - self._asked))
        if not guess.cancelled():
            self._text = guess.result().text or self._text


def _in_language(told: Hypothesis, asked: str) -> Hypothesis:
    """In the tag that was asked for, where the model says no other language."""
    is_same = not told.language or primary(told.language) == primary(asked)
    return replace(told, language=asked) if asked and is_same else told


def _version() -> str:
    try:
        return version("sherpa-onnx")
    except PackageNotFoundError:
        return ""
