"""What engines have in common that speak in the voice of a network of their own, and convert it to registered ones."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from models.errors import ModelError
from models.folder import find
from services.common import hardware
from services.common.arrays import Samples
from services.common.engine import EngineInfo, EngineSettings, Lack
from services.common.errors import Unavailable, Unsupported
from services.tts import cloning, languages, world
from services.tts.base_voice import BaseVoice, known_by
from services.tts.cloning import VoiceModel
from services.tts.conversion import Change, changed
from services.tts.engine import Prosody
from services.tts.phonemic import PhonemicVoice, Spoken, WrongVoice
from services.tts.phonemic_engine import ABLE, PhonemicEngine

_MOST_THREADS = 4
_TEMPO = (0.8, 1.25)
_CHANGED_S = 0.65  # of what is changed nothing is given out before so much is there: `conversion`, and some silence


@dataclass(frozen=True)
class Shape:
    """How the voice sounds by itself, beside how it was recorded."""

    semitones: float = 0.0
    resonances: float = 1.0

    def of(self, change: Change) -> Change:
        """What else becomes of speech."""
        return replace(change, semitones=change.semitones + self.semitones, resonances=self.resonances)


AS_IT_IS = Shape()


class OwnVoiceEngine(PhonemicEngine):
    """Speaks in one voice, which an ONNX network has.

    Args:
        model: a model of the catalogue, or a path.
        threads: processors that a computation uses; 0 for all there are, at most four.
        speaker: which voice of the network it is, where it has several.
        shape: what becomes of it where it speaks for nobody.
    """

    requires = ("onnxruntime", "onnx")

    def __init__(
        self, settings: EngineSettings, model: str, threads: int, speaker: str, shape: Shape = AS_IT_IS
    ) -> None:
        super().__init__(settings)
        self._shape = shape
        self._model, self._threads, self._speaker = model, threads, speaker
        self._voice: PhonemicVoice | None = None
        self._base = BaseVoice(self._plain, ())

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
        self._base = BaseVoice(self._plain, (known_by(self.language()),), by_halves=True)
        self.enrolment = f"{cloning.STAMP} {_digest(self.path())} {self._speaker}"

    def own_info(self, name: str) -> EngineInfo:
        """What all of these can do, in the language of the voice."""
        licence = "Apache-2.0 AND GPL-3.0-or-later"  # ours, and espeak-ng's
        return EngineInfo(name, _version(), (self.language(),), ABLE, licence)

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

    def learn(self, person: world.Frames, folder: Path) -> None:
        """Learn them over the voice."""
        self._base.learn(person, folder)

    def say(self, sentence: str, language: str, voice: Path | None, prosody: Prosody) -> Iterator[Spoken]:
        """In several pieces, changed by WORLD if they have to be, which leaves times as they are."""
        self.check_language(language)
        person = self._base.person(voice) if voice else None
        rate = prosody.rate * (_tempo(person) if person else 1)
        if not person and not prosody.pitch_semitones and self._shape == AS_IT_IS:
            return self._loaded.speak(sentence, rate)
        pieces = self._loaded.speak(sentence, rate, _CHANGED_S)
        change = Change(semitones=prosody.pitch_semitones, by_halves=True)
        if person:
            change = replace(change, person=person, pitch_mean=person.base.pitch_mean, gain=person.gain)
        return changed(pieces, change if person else self._shape.of(change))

    def close(self) -> None:
        """Let go of the voice, and of those that were learnt over it."""
        self._voice = None
        self._base.forget()

    def _plain(self, language: str, text: str) -> Samples:
        return self._loaded.whole(text).samples

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


def _digest(path: Path) -> str:
    """Of the networks in a folder, or of the one that is named."""
    digest = hashlib.sha256()
    for network in [path] if path.is_file() else sorted(path.glob("*.onnx")):
        with network.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _tempo(person: VoiceModel) -> float:
    """How much faster than the voice the person speaks."""
    return float(np.clip(person.speaker.syllables_per_s / max(person.base.syllables_per_s, 0.1), *_TEMPO))
