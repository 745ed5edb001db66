"""Piper's voices: VITS networks that speak espeak-ng's phonemes, offline, and sound like a person.

One network is one voice (some have several speakers) of one language. It speaks in no registered voice.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterator
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from models.errors import ModelError
from models.folder import find as find_model
from services.common import hardware
from services.common.engine import Capability, EngineInfo, EngineSettings, Lack
from services.common.errors import InvalidInput, Unavailable, Unsupported
from services.common.streams import in_thread
from services.tts import cloning, languages, sentences, world
from services.tts.engine import Prosody, Speech, TtsEngine
from services.tts.piper.files import WrongVoice, find, speaker_of

if TYPE_CHECKING:
    from services.tts.piper.voice import Spoken, Voice

_MOST_THREADS = 4
_LANGUAGE = "en-US"  # of a voice that is not here yet: the default one's


class Settings(EngineSettings):
    """Which voice speaks, and how much of the machine it takes."""

    model_config = SettingsConfigDict(env_prefix="TTS_PIPER_")

    voice: str = "piper-en-us-joe"
    """A voice of the catalogue (`visavis models list`), or the path of one of Piper's: a folder with its `.onnx` and
    `.onnx.json`, or the former."""

    speaker: str = ""
    """Which speaker of a voice with several, by name or number; empty for the first."""

    threads: int = Field(0, ge=0, le=64)
    """Processors that a computation uses; 0 for all there are, at most four."""


class Engine(TtsEngine):
    """Speaks in one voice of Piper's; the first piece of a sentence comes before the rest is drawn."""

    settings_type = Settings
    requires = ("onnxruntime", "onnx")
    sample_rate = world.SAMPLE_RATE

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._voice: Voice | None = None

    def load(self) -> None:
        """Load the voice, and speak a sentence.

        Raises:
            Unavailable: its network cannot be used.
        """
        from services.tts.piper.voice import Voice

        threads = self._settings.threads or min(_MOST_THREADS, hardware.processors())
        try:
            self._voice = Voice(find(self._path()), threads=threads, speaker=self._settings.speaker)
        except WrongVoice as error:
            lack = error.lack
            raise Unavailable(f"{lack.reason} {lack.remedy}", reason="VOICE_MODEL_WRONG", values=lack.values) from error

    def info(self) -> EngineInfo:
        """What its voice speaks; of one that is not there, what the default one does."""
        able = {Capability.WORD_TIMES, Capability.PITCH, Capability.RATE, Capability.OFFLINE}
        licence = "Apache-2.0 AND GPL-3.0-or-later"  # ours, and espeak-ng's
        return EngineInfo("piper", _version(), (self._language(),), frozenset(able), licence)

    def models(self) -> tuple[str, ...]:
        """The one that the settings name."""
        return () if self._is_path else (self._settings.voice,)

    def lack(self) -> Lack | None:
        """What is wrong with the files of the voice."""
        try:
            speaker_of(find(self._path()), self._settings.speaker)
        except WrongVoice as error:
            return error.lack
        except ModelError:
            return None  # one of the catalogue is not here: told of `models`
        return None

    def check_language(self, language: str) -> None:
        """Raises:
        Unsupported: it is not the voice's.
        """
        own = self._language()
        if language and languages.tongue(language) != languages.tongue(own):
            message = f"This voice speaks {own} only. Choose another engine, or set TTS_PIPER_VOICE to another voice."
            values = {"language": language[:35], "engine": "piper"}
            raise Unsupported(message, reason="LANGUAGE_NOT_SUPPORTED", field="language", values=values)

    def synthesize(
        self, text: str, *, language: str, voice: Path | None, prosody: Prosody
    ) -> AsyncGenerator[Speech, None]:
        """Several pieces of speech per sentence, one where the pitch is changed.

        Raises:
            InvalidInput: there is nothing to say.
            Unsupported: the voice does not speak the language.
        """
        return in_thread(self._speak(text, language, prosody))

    def close(self) -> None:
        """Let go of the voice."""
        self._voice = None

    def _speak(self, text: str, language: str, prosody: Prosody) -> Generator[Speech, None, None]:
        voice, index = self._loaded, -1
        for index, sentence in enumerate(sentences.split(text)):
            self.check_language(language or sentences.language_of(sentence))
            for at, piece in enumerate(_pieces(voice, sentence, prosody)):
                yield Speech(
                    piece.samples, self.sample_rate, index, sentence, piece.words,
                    is_first=at == 0, closures=piece.closures,
                )  # fmt: skip
        if index < 0:
            raise InvalidInput("There is nothing to say. Write a sentence.", reason="NOTHING_TO_SAY", field="text")

    @property
    def _loaded(self) -> Voice:
        if self._voice is None:
            raise RuntimeError("load it first")
        return self._voice

    @property
    def _is_path(self) -> bool:
        return "/" in self._settings.voice

    def _path(self) -> Path:
        return Path(self._settings.voice) if self._is_path else find_model(self._settings.voice)

    def _language(self) -> str:
        try:
            return languages.tag(find(self._path()).config.espeak.voice)
        except (WrongVoice, ModelError):
            return _LANGUAGE


def _version() -> str:
    try:
        return version("onnxruntime")
    except PackageNotFoundError:
        return "none"


def _pieces(voice: Voice, sentence: str, prosody: Prosody) -> Iterator[Spoken]:
    """The sentence; whole, if its pitch is to be shifted. WORLD does that, and leaves times as they are."""
    if not prosody.pitch_semitones:
        yield from voice.speak(sentence, prosody.rate)
        return
    spoken = voice.whole(sentence, prosody.rate)
    if len(spoken.samples):
        frames = cloning.shifted(world.analyse(spoken.samples), prosody.pitch_semitones)
        yield replace(spoken, samples=world.synthesise(frames)[: len(spoken.samples)])
