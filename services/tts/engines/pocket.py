"""Kyutai's pocket-tts, offline: a small network that clones from some seconds, and draws sound while it goes on.

`services/tts/pocket/` knows what lies in a folder, and has a thread of its own for the model.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.common import hardware
from services.common.arrays import Samples
from services.common.engine import Capability, EngineInfo, EngineSettings, Lack, folder_unnamed
from services.common.errors import InvalidInput, Unavailable, Unsupported
from services.tts import loudness, sentences, timing
from services.tts.engine import Prosody, Speech, TtsEngine
from services.tts.pocket.files import SETTING, Files
from services.tts.reference import beginning
from services.tts.remote.sound import Edges

if TYPE_CHECKING:
    from services.tts.pocket.model import Model

_SHORTEST_S, _LONGEST_S = 3.0, 30.0
_MOST_THREADS = 2  # more do not help, its authors say
_STATE = "state.safetensors"


class Settings(EngineSettings):
    """Which model speaks, and how."""

    model_config = SettingsConfigDict(env_prefix="TTS_POCKET_")

    model: str = ""
    """Path of a folder with a model for pocket-tts: `model.safetensors`, `tokenizer.json` or `tokenizer.model`, and
    `embeddings/` with the voices that come with it; a model of one's own has a `config.yaml` besides."""

    config: str = "english"
    """Which of the package's configurations the model is of: the name of its folder at Hugging Face, e.g. `english`,
    `german`, `english_2m_2026-10`. Not needed beside a `config.yaml`."""

    languages: tuple[str, ...] = ()
    """Languages that the model speaks, as a JSON list of BCP 47 tags; empty for that of the configuration, and for
    whatever is asked of a model of one's own."""

    speaker: str = ""
    """Voice of the model's own, for text that names no voice: a name in `embeddings/`; empty for the first."""

    temperature: float | None = Field(None, ge=0, le=2)
    """How freely it varies; unset for what the model's makers recommend."""

    threads: int = Field(0, ge=0, le=64)
    """Processors that a computation uses; 0 for all there are, at most two."""


class Engine(TtsEngine):
    """Speaks with one model; callers take turns by sentences."""

    settings_type = Settings
    requires = ("pocket_tts",)

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._files = Files(Path(settings.model), settings.config)
        self._model: Model | None = None

    def load(self) -> None:
        """Load the model.

        Raises:
            Unavailable: a file of it cannot be read.
        """
        from services.tts.pocket.model import Model

        threads = self._settings.threads or min(_MOST_THREADS, hardware.processors())
        try:
            self._model = Model(self._files, threads=threads, temperature=self._settings.temperature)
        except Exception as error:  # whatever its libraries raise over files that are not what they should be
            lack = self._files.unreadable()
            message = f"{lack.reason} {lack.remedy}"
            raise Unavailable(message, reason="MODEL_FILE_UNREADABLE", values=lack.values) from error
        self.sample_rate = self._model.rate
        self.enrolment = f"pocket {_version()} {self._model.digest}"

    def info(self) -> EngineInfo:
        """It clones, unless its weights turn out to be those without."""
        able = {Capability.OFFLINE}
        if not self._model or self._model.clones:
            able.add(Capability.CLONING)
        languages = self._settings.languages or self._files.languages
        return EngineInfo("pocket", _version(), languages, frozenset(able), "MIT (pocket-tts); the model has its own")

    def lack(self) -> Lack | None:
        """A folder, and what is missing in it."""
        if not self._settings.model:
            return folder_unnamed(SETTING, "a model for pocket-tts")
        return self._files.lack(self._settings.speaker)

    def enrol(self, reference: Samples, sample_rate: int, transcript: str, folder: Path) -> None:
        """Keep what the model hears of the first half minute; the transcript is not needed.

        Raises:
            InvalidInput: silence, or less than three seconds.
            Unsupported: the model's weights are those that cannot clone.
        """
        assert self._model  # since it was loaded
        if not self._model.clones:
            raise self.no_cloning("config.voice")
        samples = beginning(reference, sample_rate, self.sample_rate, shortest_s=_SHORTEST_S, longest_s=_LONGEST_S)
        self._model.learn(samples, folder / _STATE)

    def synthesize(
        self, text: str, *, language: str, voice: Path | None, prosody: Prosody
    ) -> AsyncGenerator[Speech, None]:
        """Pieces as they are drawn; closing the iterator ends the work. It knows no rate and no pitch.

        Raises:
            InvalidInput: there is nothing to say, or no voice to say it in.
            Unsupported: the model does not speak the language, or none of the words.
        """
        self.check_language(language)
        return self._speak(text, language, voice / _STATE if voice else self._files.speaker(self._settings.speaker))

    def close(self) -> None:
        """Let go of the model."""
        if self._model:
            self._model.close()
            self._model = None

    async def _speak(self, text: str, language: str, voice: Path | None) -> AsyncGenerator[Speech, None]:
        assert self._model  # since it was loaded
        if not voice:
            raise _voice_needed()
        index = -1
        for index, sentence in enumerate(sentences.split(text)):
            self.check_language(language or sentences.language_of(sentence))
            edges, is_first = Edges(self.sample_rate), True
            async with aclosing(self._model.speak(voice, sentence)) as drawn:
                async for samples in drawn:
                    if len(sound := edges.push(samples)):
                        sound = loudness.faded(loudness.bent(sound), self.sample_rate, begins=is_first, ends=False)
                        yield Speech(sound, self.sample_rate, index, sentence, is_first=is_first)
                        is_first = False
            if not edges.is_audible:
                raise _cannot_be_said()
            pause = timing.silence(timing.pause_s(sentence), self.sample_rate)
            yield Speech(pause, self.sample_rate, index, sentence, is_first=False)
        if index < 0:
            raise InvalidInput("There is nothing to say. Write a sentence.", reason="NOTHING_TO_SAY", field="text")


def _version() -> str:
    try:
        return version("pocket-tts")
    except PackageNotFoundError:
        return "none"


def _voice_needed() -> InvalidInput:
    setting = "TTS_POCKET_SPEAKER"
    message = f"'pocket' has no voice of its own here. Choose a registered voice, or set {setting}."
    return InvalidInput(
        message, reason="VOICE_NEEDED", field="config.voice", values={"engine": "pocket", "setting": setting}
    )


def _cannot_be_said() -> Unsupported:
    message = f"The model of 'pocket' knows none of these words. Set {SETTING} to one for their language."
    return Unsupported(message, reason="WORDS_UNKNOWN", field="text", values={"engine": "pocket", "setting": SETTING})
