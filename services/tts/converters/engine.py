"""What engines have in common that speak as another engine does, and have each sentence converted by a program."""

from __future__ import annotations

import asyncio
import threading
from abc import abstractmethod
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from services.common.audio import resampled
from services.common.engine import EngineSettings, Lack, import_engine
from services.tts import engines, loudness
from services.tts.converters.process import Converter
from services.tts.converters.program import Program
from services.tts.engine import LipClosure, Prosody, Speech, SpokenWord, TtsEngine


class ConverterSettings(EngineSettings):
    """Where a program lies, and over which voice it works."""

    python: str = ""
    """The Python in which the program's packages are installed: a path, e.g. of a virtual environment of its own."""

    source: str = ""
    """Path of a checkout of the program."""

    base: str = Field("espeak", pattern="^(espeak|piper|kokoro)$")
    """The engine whose own voice is converted, with its own settings: espeak, piper or kokoro."""

    device: str = Field("cpu", pattern=r"^(cpu|cuda(:\d+)?)$")
    """Where it computes: cpu, cuda, or cuda:1."""


class ConvertingEngine(TtsEngine):
    """Speaks as another engine does; sentences come in one piece, and callers take turns by them."""

    requires = ("onnxruntime", "onnx")

    def __init__(self, settings: ConverterSettings, program: Program) -> None:
        self._program = program
        engine = import_engine(engines, settings.base)
        self._base: TtsEngine = engine(engine.settings_type())
        self._converter: Converter | None = None

    @abstractmethod
    def task(self) -> dict[str, Any]:
        """What the program is to load."""

    def environment(self) -> dict[str, str]:
        """Variables that the program reads."""
        return {}

    @abstractmethod
    def files_lack(self) -> Lack | None:
        """What is missing of the program's model, once the program is there."""

    @abstractmethod
    def how(self, voice: Path | None) -> dict[str, Any] | None:
        """What the program is asked with each sentence; None leaves the base voice as it is."""

    def load(self) -> None:
        """Load both.

        Raises:
            Unavailable: one of them cannot be loaded.
        """
        self._base.load()
        self._converter = Converter(self._program, self.task(), self.environment())
        self.sample_rate = self._converter.rate

    def models(self) -> tuple[str, ...]:
        """Those of the base voice."""
        return self._base.models()

    def lack(self) -> Lack | None:
        """What is missing of the program, of its model, or of the base voice."""
        return self._program.lack() or self.files_lack() or self._base.lack()

    def check_language(self, language: str) -> None:
        """Raises:
        Unsupported: the base voice does not speak it.
        """
        self._base.check_language(language)

    async def synthesize(
        self, text: str, *, language: str, voice: Path | None, prosody: Prosody
    ) -> AsyncGenerator[Speech, None]:
        """One piece per sentence, in the times of the base voice.

        Raises:
            InvalidInput: there is nothing to say.
            Unsupported: the base voice does not speak the language.
            Internal: the program died of it.
        """
        how = self.how(voice)
        gone = threading.Event()
        speech = self._base.synthesize(text, language=language, voice=None, prosody=prosody)
        try:
            async with aclosing(_whole(speech)) as spoken:
                async for sentence in spoken:
                    yield await asyncio.to_thread(self._changed, sentence, how, gone)
        finally:
            gone.set()

    def close(self) -> None:
        """Let go of both."""
        if self._converter:
            self._converter.close()
            self._converter = None
        self._base.close()

    def _changed(self, speech: Speech, how: dict[str, Any] | None, gone: threading.Event) -> Speech:
        """A sentence at the program's rate, changed; its silence stays silent."""
        samples = resampled(speech.samples, speech.sample_rate, self.sample_rate)
        start, end = loudness.sounding_span(samples, self.sample_rate)
        if how is not None and self._converter and end > start:
            sound = self._converter.convert(gone, samples[start:end], how)
            samples = np.zeros_like(samples)
            samples[start:end] = loudness.faded(loudness.levelled(sound, self.sample_rate), self.sample_rate)
        return replace(speech, samples=samples, sample_rate=self.sample_rate)


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
