"""OpenVoice V2, offline: another engine's own voice, its tone colour converted to a registered one.

`services/tts/openvoice/` knows what lies where, and has a process of its own for it, in a Python of its own.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.common.arrays import Samples
from services.common.audio import resampled
from services.common.engine import Capability, EngineInfo, EngineSettings, Lack, import_engine
from services.tts import engines, loudness
from services.tts.base_voice import ENGLISH, OTHERS, known_by
from services.tts.engine import LipClosure, Prosody, Speech, SpokenWord, TtsEngine
from services.tts.openvoice.converter import Converter
from services.tts.openvoice.files import Files
from services.tts.reference import beginning

_SHORTEST_S, _LONGEST_S = 5.0, 120.0  # OpenVoice's own tools refuse less
_COLOUR = "colour.npy"
_METHOD = 1


class Settings(EngineSettings):
    """Where OpenVoice lies, and over which voice it works."""

    model_config = SettingsConfigDict(env_prefix="TTS_OPENVOICE_")

    python: str = ""
    """The Python in which OpenVoice's packages are installed: a path, e.g. of a virtual environment of its own."""

    source: str = ""
    """Path of a checkout of OpenVoice."""

    checkpoints: str = ""
    """Path of the folder `checkpoints_v2`, or of another converter's with `config.json` and `checkpoint.pth`."""

    base: Literal["espeak", "piper", "kokoro"] = "espeak"
    """The engine whose own voice is converted, with its own settings."""

    device: str = Field("cpu", pattern=r"^(cpu|cuda(:\d+)?)$")
    """Where it computes: cpu, cuda, or cuda:1."""

    tau: float = Field(0.3, gt=0, le=1)
    """How freely it varies: less keeps nearer to the base voice."""


class Engine(TtsEngine):
    """Speaks as another engine does, and converts each sentence; callers take turns by sentences."""

    settings_type = Settings
    requires = ("onnxruntime", "onnx")

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._files = Files(settings.python, settings.source, settings.checkpoints)
        engine = import_engine(engines, settings.base)
        self._base: TtsEngine = engine(engine.settings_type())
        self._converter: Converter | None = None
        self._own = np.zeros(0, np.float32)

    def load(self) -> None:
        """Load both, and let the converter hear the base voice.

        Raises:
            Unavailable: one of them cannot be loaded.
        """
        self._base.load()
        self._converter = converter = Converter(self._files, self._settings.device)
        self.sample_rate = converter.rate
        with self._files.checkpoint.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self.enrolment = f"openvoice {_METHOD} {digest}"
        try:
            self._own = converter.learn(asyncio.run(self._heard()))
        except BaseException:
            converter.close()
            raise

    def info(self) -> EngineInfo:
        """What the base voice can do, and cloning."""
        base = self._base.info()
        able = {Capability.CLONING} | (base.capabilities - {Capability.READING})
        licence = f"MIT (OpenVoice and its weights) AND {base.licence}"
        return EngineInfo("openvoice", "2", base.languages, frozenset(able), licence)

    def models(self) -> tuple[str, ...]:
        """Those of the base voice."""
        return self._base.models()

    def lack(self) -> Lack | None:
        """What is missing of OpenVoice, or of the base voice."""
        return self._files.lack() or self._base.lack()

    def check_language(self, language: str) -> None:
        """Raises:
        Unsupported: the base voice does not speak it.
        """
        self._base.check_language(language)

    def enrol(self, reference: Samples, sample_rate: int, transcript: str, folder: Path) -> None:
        """Keep the tone colour of the first two minutes; the transcript is not needed.

        Raises:
            InvalidInput: silence, or less than five seconds.
            Internal: OpenVoice died of it.
        """
        assert self._converter  # since it was loaded
        samples = beginning(reference, sample_rate, self.sample_rate, shortest_s=_SHORTEST_S, longest_s=_LONGEST_S)
        colour = self._converter.learn(samples)
        np.save(folder / _COLOUR, colour, allow_pickle=False)

    async def synthesize(
        self, text: str, *, language: str, voice: Path | None, prosody: Prosody
    ) -> AsyncGenerator[Speech, None]:
        """One piece per sentence, in the times of the base voice; without a voice, in that itself.

        Raises:
            InvalidInput: there is nothing to say.
            Unsupported: the base voice does not speak the language.
            Internal: OpenVoice died of it.
        """
        colour = np.load(voice / _COLOUR, allow_pickle=False) if voice else None
        gone = threading.Event()
        speech = self._base.synthesize(text, language=language, voice=None, prosody=prosody)
        try:
            async with aclosing(_whole(speech)) as spoken:
                async for sentence in spoken:
                    yield await asyncio.to_thread(self._changed, sentence, colour, gone)
        finally:
            gone.set()

    def close(self) -> None:
        """Let go of both."""
        if self._converter:
            self._converter.close()
            self._converter = None
        self._base.close()

    def _changed(self, speech: Speech, colour: Samples | None, gone: threading.Event) -> Speech:
        """A sentence at the converter's rate and, if anybody's colour is given, in that; its silence stays silent."""
        samples = resampled(speech.samples, speech.sample_rate, self.sample_rate)
        start, end = loudness.sounding_span(samples, self.sample_rate)
        if colour is not None and self._converter and end > start:
            sound = self._converter.convert(gone, samples[start:end], self._own, colour, self._settings.tau)
            samples = np.zeros_like(samples)
            samples[start:end] = loudness.faded(loudness.levelled(sound, self.sample_rate), self.sample_rate)
        return replace(speech, samples=samples, sample_rate=self.sample_rate)

    async def _heard(self) -> Samples:
        """What the base voice says to be known, at the converter's rate."""
        known = self._base.info().languages
        bank = known_by(known[0]) if len(known) == 1 else (*ENGLISH, *OTHERS)
        pieces = []
        for tongue, text in bank:
            language = tongue if len(known) > 1 else known[0]
            tag = {"cmn": "zh"}.get(language, language)
            async for speech in self._base.synthesize(text, language=tag, voice=None, prosody=Prosody()):
                pieces.append(resampled(speech.samples, speech.sample_rate, self.sample_rate))
        return np.concatenate(pieces)


async def _whole(speech: AsyncGenerator[Speech, None]) -> AsyncGenerator[Speech, None]:
    """Sentences in one piece each."""
    pieces: list[Speech] = []
    async with aclosing(speech):
        async for piece in speech:
            if pieces and piece.sentence_index != pieces[0].sentence_index:
                yield _joined(pieces)
                pieces = []
            pieces.append(piece)
    if pieces:
        yield _joined(pieces)


def _joined(pieces: list[Speech]) -> Speech:
    words: list[SpokenWord] = []
    closures: list[LipClosure] = []
    at = 0.0
    for piece in pieces:
        words += [replace(word, start_s=word.start_s + at, end_s=word.end_s + at) for word in piece.words]
        closures += [replace(shut, start_s=shut.start_s + at, end_s=shut.end_s + at) for shut in piece.closures]
        at += len(piece.samples) / piece.sample_rate
    samples = np.concatenate([piece.samples for piece in pieces])
    return replace(pieces[0], samples=samples, words=tuple(words), closures=tuple(closures), is_first=True)
