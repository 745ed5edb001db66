"""Models for sherpa-onnx, offline: ZipVoice, which clones from a few seconds, and Kokoro, Matcha and VITS.

`services/tts/sherpa/` knows what lies in a folder, and has a process of its own for it.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Generator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.common import hardware
from services.common.arrays import Samples
from services.common.audio import SILENCE_PEAK
from services.common.engine import Capability, EngineInfo, EngineSettings, Lack, folder_unnamed
from services.common.errors import InvalidInput, Unavailable, Unsupported
from services.common.jobs.process import crashed
from services.common.streams import in_thread
from services.tts import loudness, reference, sentences, timing
from services.tts.engine import Prosody, Speech, TtsEngine
from services.tts.model_process import Died
from services.tts.sherpa.files import SETTING, Files, Kind, WrongModel, find, unreadable
from services.tts.sherpa.process import SpeakingProcess

_SHORTEST_S, _LONGEST_S = 1.5, 10.0  # more is slower, not better
_KEPT_RATE = 24_000
_MOST_THREADS = 4
_LANGUAGES: dict[Kind | None, tuple[str, ...]] = {Kind.ZIPVOICE: ("zh", "en"), Kind.KOKORO: ("en", "zh")}


class Settings(EngineSettings):
    """Which model speaks, and how much of the machine it takes."""

    model_config = SettingsConfigDict(env_prefix="TTS_SHERPA_")

    model: str = ""
    """Path of a folder with a model for sherpa-onnx, its lexicon and, of ZipVoice and Matcha, the vocoder: its kind is
    known by its files."""

    languages: tuple[str, ...] = ()
    """Languages that the model speaks, as a JSON list of BCP 47 tags; empty for Chinese and English of ZipVoice and
    Kokoro, and for whatever is asked of others."""

    speaker: int = Field(0, ge=0)
    """Number of the voice, of a model that has several, for text that names no voice."""

    steps: int = Field(4, ge=1, le=64)
    """How often ZipVoice goes over a sentence: more is better, and slower by as much."""

    device: str = Field("cpu", pattern="^(cpu|cuda)$")
    """Where it computes: cpu, or cuda with a build of sherpa-onnx for it."""

    threads: int = Field(0, ge=0, le=64)
    """Processors that a computation uses; 0 for all there are, at most four."""


class Engine(TtsEngine):
    """Speaks with one model, whatever its kind; callers take turns."""

    settings_type = Settings
    requires = ("sherpa_onnx",)
    learns_transcript = True

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._files: Files | None = None
        self._process: SpeakingProcess | None = None

    def load(self) -> None:
        """Start the process and load the model.

        Raises:
            Unavailable: a file of it cannot be read.
        """
        self._files = files = find(Path(self._settings.model))
        threads = self._settings.threads or min(_MOST_THREADS, hardware.processors())
        try:
            self._process = SpeakingProcess(files, threads=threads, provider=self._settings.device)
        except Died as error:
            raise _cannot_be_read(files) from error
        self.sample_rate = self._process.rate

    def info(self) -> EngineInfo:
        """ZipVoice clones, the others have voices of their own."""
        able = {Capability.OFFLINE, Capability.RATE}
        kind = self._kind()
        if kind is Kind.ZIPVOICE:
            able.add(Capability.CLONING)
        languages = self._settings.languages or _LANGUAGES.get(kind, ())
        licence = "Apache-2.0 (sherpa-onnx); the model has its own"
        return EngineInfo("sherpa", _version(), languages, frozenset(able), licence)

    def lack(self) -> Lack | None:
        """A folder, and what is wrong with the files in it."""
        if not self._settings.model:
            return folder_unnamed(SETTING, "a model for sherpa-onnx")
        try:
            find(Path(self._settings.model))
        except WrongModel as error:
            return error.lack
        return None

    def enrol(self, reference_: Samples, sample_rate: int, transcript: str, folder: Path) -> None:
        """Keep the recording and its words.

        Raises:
            InvalidInput: silence, or too little.
        """
        reference.keep(
            reference_, sample_rate, transcript, folder,
            kept_rate=_KEPT_RATE, shortest_s=_SHORTEST_S, longest_s=_LONGEST_S,
        )  # fmt: skip

    def synthesize(
        self, text: str, *, language: str, voice: Path | None, prosody: Prosody
    ) -> AsyncGenerator[Speech, None]:
        """One piece of speech per sentence. It knows no pitch.

        Raises:
            InvalidInput: there is nothing to say, no voice to say it in, or the words of its recording are needed.
            Unsupported: the model does not speak the language, or none of the words.
            Internal: the model died of it.
        """
        self.check_language(language)
        gone = threading.Event()
        return in_thread(self._speak(text, voice, prosody.rate, gone), gone.set)

    def close(self) -> None:
        """Let go of the model."""
        if self._process:
            self._process.close()
            self._process = None

    def _speak(
        self, text: str, voice: Path | None, speed: float, gone: threading.Event
    ) -> Generator[Speech, None, None]:
        assert self._process  # since it was loaded
        assert self._files
        kept = reference.recall(voice) if voice else None
        if self._files.kind is Kind.ZIPVOICE and not kept:
            message = f"'sherpa' has no voice of its own here. Choose a registered voice, or set {SETTING}."
            values = {"engine": "sherpa", "setting": SETTING}
            raise InvalidInput(message, reason="VOICE_NEEDED", field="config.voice", values=values)
        if kept and not kept.transcript:
            raise reference.words_needed("sherpa")
        recording, words = (str(kept.path), kept.transcript) if kept else ("", "")
        speaker, steps = self._settings.speaker, self._settings.steps
        index = -1
        for index, sentence in enumerate(sentences.split(text)):
            try:
                samples = self._process.speak(
                    gone, text=sentence, speaker=speaker, speed=speed, steps=steps, recording=recording, words=words
                )
            except Died as error:
                raise crashed() from error
            if gone.is_set():
                return
            if np.abs(samples).max(initial=0) < SILENCE_PEAK:
                raise _cannot_be_said()
            start, end = loudness.sounding_span(samples, self.sample_rate)
            pause = timing.silence(timing.pause_s(sentence) / speed, self.sample_rate)
            yield Speech(np.concatenate([loudness.bent(samples[start:end]), pause]), self.sample_rate, index, sentence)
        if index < 0:
            raise InvalidInput("There is nothing to say. Write a sentence.", reason="NOTHING_TO_SAY", field="text")

    def _kind(self) -> Kind | None:
        try:
            return find(Path(self._settings.model)).kind if self._settings.model else None
        except WrongModel:
            return None


def _cannot_be_read(files: Files) -> Unavailable:
    lack = unreadable(files)
    return Unavailable(f"{lack.reason} {lack.remedy}", reason="MODEL_FILE_UNREADABLE", values=lack.values)


def _cannot_be_said() -> Unsupported:
    message = f"The model of 'sherpa' knows none of these words. Set {SETTING} to one for their language."
    return Unsupported(message, reason="WORDS_UNKNOWN", field="text", values={"engine": "sherpa", "setting": SETTING})


def _version() -> str:
    try:
        return version("sherpa-onnx")
    except PackageNotFoundError:
        return ""
