"""MOSS-TTS-Nano, offline: a small network of many languages, Chinese among them, that clones and draws sound while it
goes on.

Its authors' package asks for versions of PyTorch that are not ours, and downloads what it misses. What it does with its
ONNX networks is little, and `services/tts/moss/` does that.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from basics.languages import primary
from services.common import hardware
from services.common.arrays import Samples
from services.common.engine import Capability, EngineInfo, EngineSettings, Lack, folder_unnamed
from services.common.errors import InvalidInput, Unavailable
from services.common.streams import in_thread
from services.tts import loudness, sentences, timing
from services.tts.engine import Prosody, Speech, TtsEngine
from services.tts.moss.files import SETTING, Files, WrongModel, find
from services.tts.reference import beginning
from services.tts.remote.sound import Edges

if TYPE_CHECKING:
    from services.tts.moss.model import Model

_LANGUAGES = (
    "zh", "en", "de", "es", "fr", "ja", "it", "hu", "ko", "ru", "fa", "ar", "pl", "pt", "cs", "da", "sv", "el", "tr",
)  # fmt: skip
_SHORTEST_S, _LONGEST_S = 3.0, 20.0
_MOST_THREADS = 4
_CODES = "codes.npy"


class Settings(EngineSettings):
    """Which model speaks, and how much of the machine it takes."""

    model_config = SettingsConfigDict(env_prefix="TTS_MOSS_")

    model: str = ""
    """Path of the folder with `MOSS-TTS-Nano-100M-ONNX` and `MOSS-Audio-Tokenizer-Nano-ONNX`."""

    speaker: str = ""
    """Voice of the model's own, for text that names no voice; empty for the first."""

    threads: int = Field(0, ge=0, le=64)
    """Processors that a computation uses; 0 for all there are, at most four."""


class Engine(TtsEngine):
    """Speaks with one model, for several callers at once."""

    settings_type = Settings
    requires = ("onnxruntime", "sentencepiece")

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._model: Model | None = None
        self._files: Files | None = None

    def load(self) -> None:
        """Load the networks, and let them say something short.

        Raises:
            Unavailable: a file of them cannot be read, or is of another model.
        """
        from services.tts.moss.model import opened

        threads = self._settings.threads or min(_MOST_THREADS, hardware.processors())
        try:
            self._files = find(Path(self._settings.model))
            self._model = opened(self._files, threads)
        except WrongModel as error:
            self._model, lack = None, error.lack
            message = f"{lack.reason} {lack.remedy}"
            raise Unavailable(message, reason=lack.code, values=lack.values) from error
        self.sample_rate = self._model.rate
        self.enrolment = f"moss {self._model.digest}"

    def info(self) -> EngineInfo:
        """What its authors say that it can do."""
        able = frozenset({Capability.OFFLINE, Capability.CLONING})
        return EngineInfo("moss", "MOSS-TTS-Nano", _LANGUAGES, able, "Apache-2.0 (MOSS-TTS-Nano)")

    def lack(self) -> Lack | None:
        """A folder, and what is missing in it."""
        if not self._settings.model:
            return folder_unnamed(SETTING, "MOSS-TTS-Nano for ONNX")
        try:
            find(Path(self._settings.model))
        except WrongModel as error:
            return error.lack
        return None

    def enrol(self, reference: Samples, sample_rate: int, transcript: str, folder: Path) -> None:
        """Keep what the codec makes of the first twenty seconds; the transcript is not needed.

        Raises:
            InvalidInput: silence, or less than three seconds.
        """
        assert self._model  # since it was loaded
        samples = beginning(reference, sample_rate, self.sample_rate, shortest_s=_SHORTEST_S, longest_s=_LONGEST_S)
        np.save(folder / _CODES, self._model.learn(samples))

    def synthesize(
        self, text: str, *, language: str, voice: Path | None, prosody: Prosody
    ) -> AsyncGenerator[Speech, None]:
        """Pieces as they are drawn; closing the iterator ends the work. It knows no rate and no pitch.

        Raises:
            InvalidInput: there is nothing to say, or no voice to say it in.
            Unsupported: the model does not speak the language.
            Unavailable: a sentence does not end, or nothing of it can be heard.
        """
        self.check_language(language)
        return self._speak(text, language, voice)

    def close(self) -> None:
        """Let go of the networks."""
        self._model = None

    async def _speak(self, text: str, language: str, voice: Path | None) -> AsyncGenerator[Speech, None]:
        from services.tts.moss.model import Endless

        model, index = self._model, -1
        assert model  # since it was loaded
        codes = np.load(voice / _CODES, allow_pickle=False) if voice else self._own()
        for index, sentence in enumerate(sentences.split(text)):
            self.check_language(language or sentences.language_of(sentence))
            edges, is_first = Edges(self.sample_rate), True
            said = in_thread(model.speak(codes, _ended(sentence), np.random.default_rng()))
            try:
                async with aclosing(said) as drawn:
                    async for samples in drawn:
                        if len(samples) and len(sound := edges.push(samples)):
                            sound = loudness.bent(sound)
                            sound = loudness.faded(sound, self.sample_rate, begins=is_first, ends=False)
                            yield Speech(sound, self.sample_rate, index, sentence, is_first=is_first)
                            is_first = False
            except Endless as error:
                raise _failed("does not find the end of this sentence") from error
            if not edges.is_audible:
                raise _failed("drew silence for this sentence")
            pause = timing.silence(timing.pause_s(sentence), self.sample_rate)
            yield Speech(pause, self.sample_rate, index, sentence, is_first=False)
        if index < 0:
            raise InvalidInput("There is nothing to say. Write a sentence.", reason="NOTHING_TO_SAY", field="text")

    def _own(self) -> np.ndarray:
        """A voice that comes with the model.

        Raises:
            InvalidInput: there is none, or none of that name.
        """
        assert self._files  # since it was loaded
        wanted, voices = self._settings.speaker, self._files.manifest.get("builtin_voices", ())
        found = next((each for each in voices if not wanted or each["voice"] == wanted), None)
        if found:
            return np.array(found["prompt_audio_codes"], np.int32)
        setting = "TTS_MOSS_SPEAKER"
        message = f"'moss' has no voice of its own here. Choose a registered voice, or set {setting}."
        values = {"engine": "moss", "setting": setting}
        raise InvalidInput(message, reason="VOICE_NEEDED", field="config.voice", values=values)


def _ended(sentence: str) -> str:
    """The model was taught sentences that begin and end as such."""
    whole = sentence[:1].upper() + sentence[1:]
    if not whole[-1:].isalnum():
        return whole
    return whole + ("。" if primary(sentences.language_of(sentence)) in ("zh", "ja") else ".")


def _failed(what: str) -> Unavailable:
    message = f"The model of 'moss' {what}. Try again, or choose another voice."
    return Unavailable(message, reason="SPEAKING_FAILED", values={"engine": "moss"})
