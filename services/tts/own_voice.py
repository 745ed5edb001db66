"""What engines have in common that speak in the voice of a network of their own, and in no registered one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncGenerator, Generator, Iterator
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from models.errors import ModelError
from models.folder import find
from services.common import hardware
from services.common.engine import Capability, EngineInfo, EngineSettings, Lack
from services.common.errors import InvalidInput, Unavailable, Unsupported
from services.common.streams import in_thread
from services.tts import cloning, languages, sentences, world
from services.tts.engine import Prosody, Speech, TtsEngine
from services.tts.phonemic import PhonemicVoice, Spoken, WrongVoice

_MOST_THREADS = 4


class OwnVoiceEngine(TtsEngine):
    """Speaks in one voice, which an ONNX network has.

    Args:
        model: a model of the catalogue, or a path.
        threads: processors that a computation uses; 0 for all there are, at most four.
    """

    requires = ("onnxruntime", "onnx")
    sample_rate = world.SAMPLE_RATE

    def __init__(self, settings: EngineSettings, model: str, threads: int) -> None:
        super().__init__(settings)
        self._model, self._threads = model, threads
        self._voice: PhonemicVoice | None = None

    @abstractmethod
    def language(self) -> str:
        """What the voice speaks, as a BCP 47 tag; of one that is not here, what the default one does."""

    @abstractmethod
    def check(self, path: Path) -> None:
        """Cheap; asked often.

        Raises:
            WrongVoice: what lies there cannot be used.
        """

    @abstractmethod
    def open(self, path: Path, threads: int) -> PhonemicVoice:
        """Load what lies there, and speak a sentence.

        Raises:
            WrongVoice: it cannot be used.
        """

    def load(self) -> None:
        """Load the voice.

        Raises:
            Unavailable: its network cannot be used.
        """
        try:
            self._voice = self.open(self.path(), self._threads or min(_MOST_THREADS, hardware.processors()))
        except WrongVoice as error:
            lack = error.lack
            raise Unavailable(f"{lack.reason} {lack.remedy}", reason="VOICE_MODEL_WRONG", values=lack.values) from error

    def own_info(self, name: str) -> EngineInfo:
        """What all of these can do, in the language of the voice."""
        able = {Capability.WORD_TIMES, Capability.PITCH, Capability.RATE, Capability.OFFLINE}
        licence = "Apache-2.0 AND GPL-3.0-or-later"  # ours, and espeak-ng's
        return EngineInfo(name, _version(), (self.language(),), frozenset(able), licence)

    def models(self) -> tuple[str, ...]:
        """The one that the settings name."""
        return () if self._is_path else (self._model,)

    def lack(self) -> Lack | None:
        """What is wrong with the files of the voice."""
        try:
            self.check(self.path())
        except WrongVoice as error:
            return error.lack
        except ModelError:
            return None  # one of the catalogue is not here: told of `models`
        return None

    def check_language(self, language: str) -> None:
        """Raises:
        Unsupported: it is not the voice's.
        """
        own = self.language()
        if language and languages.tongue(language) != languages.tongue(own):
            message = f"This voice speaks {own} only. Choose another engine, or another voice for this one."
            values = {"language": language[:35], "engine": self.info().name}
            raise Unsupported(message, reason="LANGUAGE_NOT_SUPPORTED", field="language", values=values)

    def synthesize(
        self, text: str, *, language: str, voice: Path | None, prosody: Prosody
    ) -> AsyncGenerator[Speech, None]:
        """Speak it; a sentence whose pitch is changed is one piece.

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
    def _loaded(self) -> PhonemicVoice:
        if self._voice is None:
            raise RuntimeError("load it first")
        return self._voice

    @property
    def _is_path(self) -> bool:
        return "/" in self._model

    def path(self) -> Path:
        """Where the model lies; raises a `ModelError` where one of the catalogue is not here."""
        return Path(self._model) if self._is_path else find(self._model)


def _version() -> str:
    try:
        return version("onnxruntime")
    except PackageNotFoundError:
        return "none"


def _pieces(voice: PhonemicVoice, sentence: str, prosody: Prosody) -> Iterator[Spoken]:
    """The sentence; whole, if its pitch is to be shifted. WORLD does that, and leaves times as they are."""
    if not prosody.pitch_semitones:
        yield from voice.speak(sentence, prosody.rate)
        return
    spoken = voice.whole(sentence, prosody.rate)
    if len(spoken.samples):
        frames = cloning.shifted(world.analyse(spoken.samples), prosody.pitch_semitones)
        yield replace(spoken, samples=world.synthesise(frames)[: len(spoken.samples)])
