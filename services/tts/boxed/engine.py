"""What engines have in common whose work an image does: one container, and a call of it for each part of a sentence."""

from __future__ import annotations

import asyncio
import io
import threading
import uuid
from abc import abstractmethod
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from pydantic import Field

from services.common.arrays import Samples
from services.common.audio import SILENCE_PEAK, decode
from services.common.containers import Box, Gone, Image
from services.common.engine import Capability, EngineInfo, EngineSettings, Lack
from services.common.errors import InvalidInput, Unavailable
from services.tts import loudness, reference, sentences, timing
from services.tts.boxed.chunks import chunks
from services.tts.engine import Prosody, Speech, TtsEngine

SAMPLE_RATE = 24_000
_LONGEST_S = 120
_IN, _OUT = "/io", "/output"


class BoxedSettings(EngineSettings):
    """Which image speaks, and what it gets. An engine's own class adds the prefix."""

    image: str = ""
    """Name of the image, which is on the Docker engine's machine; the engine is found by `DOCKER_HOST`."""

    models: str = ""
    """Folder with its models on that machine, or the name of a volume; empty where they are in the image."""

    gpu: bool = True
    """Whether it gets the graphics processors."""

    memory_gb: float = Field(0, ge=0)
    """Main memory that it may take; 0 for no limit."""

    seconds: float = Field(300.0, gt=0)
    """How long one part of a sentence may take: these images load their models for each."""


class BoxedEngine(TtsEngine):
    """Speaks by an image; callers take turns."""

    requires = ("docker",)
    sample_rate = SAMPLE_RATE
    name: str
    languages: tuple[str, ...]
    models_folder: str
    """Where the image looks for its models."""

    shortest_s, longest_s = 3.0, 15.0  # of a recording

    def __init__(self, settings: BoxedSettings) -> None:
        self._settings = settings
        self._turns: ThreadPoolExecutor | None = None
        self._box: Box | None = None

    @abstractmethod
    def arguments(self, recording: str, words: str, text: str, out: str) -> list[str]:
        """What the image's program is told: paths in the container, and the words of the recording."""

    def load(self) -> None:
        """Start the container.

        Raises:
            Unavailable: no Docker engine can be reached, the image is not there, or cannot be started.
        """
        self._turns = ThreadPoolExecutor(1, self.name)
        self._box = self._opened()

    def info(self) -> EngineInfo:
        """It clones, and nothing else."""
        able = frozenset({Capability.CLONING, Capability.OFFLINE})
        return EngineInfo(self.name, self._settings.image or "none", self.languages, able, "the image's own")

    def lack(self) -> Lack | None:
        """An image; whether the Docker engine has it is seen when it is first used."""
        if self._settings.image:
            return None
        setting = self._settings.variable("image")
        remedy = f"Set {setting} to its name on the Docker engine, and restart the service."
        return Lack("IMAGE_UNNAMED", "It is not told which image speaks.", remedy, {"setting": setting})

    def enrol(self, reference_: Samples, sample_rate: int, transcript: str, folder: Path) -> None:
        """Keep the recording and its words.

        Raises:
            InvalidInput: silence, or too little.
        """
        reference.keep(
            reference_, sample_rate, transcript, folder,
            kept_rate=SAMPLE_RATE, shortest_s=self.shortest_s, longest_s=self.longest_s,
        )  # fmt: skip

    def synthesize(
        self, text: str, *, language: str, voice: Path | None, prosody: Prosody
    ) -> AsyncGenerator[Speech, None]:
        """A piece for each part of a sentence; closing the iterator ends the work. It knows no rate and no pitch.

        Raises:
            InvalidInput: there is nothing to say, no voice to say it in, or the words of its recording are needed.
            Unsupported: the image does not speak the language.
            Unavailable: the image leaves no speech, takes too long or too much, or the Docker engine is away.
        """
        self.check_language(language)
        return self._speak(text, language, voice)

    def close(self) -> None:
        """Remove the container."""
        if self._box:
            self._box.close()
        if self._turns:
            self._turns.shutdown(wait=True, cancel_futures=True)
        self._box = self._turns = None

    async def _speak(self, text: str, language: str, voice: Path | None) -> AsyncGenerator[Speech, None]:
        if not voice:
            message = f"'{self.name}' has no voice of its own. Choose a registered voice, or another engine."
            raise InvalidInput(message, reason="NO_OWN_VOICE", field="config.voice", values={"engine": self.name})
        kept, index = await asyncio.to_thread(reference.recall, voice), -1
        for index, sentence in enumerate(sentences.split(text)):
            self.check_language(language or sentences.language_of(sentence))
            parts = chunks(sentence)
            for at, part in enumerate(parts):
                samples = await self._in_turn(kept, part)
                pause_s = timing.pause_s(sentence if at == len(parts) - 1 else part)
                sound = np.concatenate([samples, timing.silence(pause_s, SAMPLE_RATE)])
                yield Speech(sound, SAMPLE_RATE, index, sentence, is_first=at == 0)
        if index < 0:
            raise InvalidInput("There is nothing to say. Write a sentence.", reason="NOTHING_TO_SAY", field="text")

    async def _in_turn(self, kept: reference.Reference, part: str) -> Samples:
        assert self._turns  # since it was loaded
        stop = threading.Event()
        work = asyncio.get_running_loop().run_in_executor(self._turns, self._said, kept, part, stop)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            stop.set()
            if not work.cancel():
                await asyncio.wait([work])
            raise

    def _said(self, kept: reference.Reference, part: str, stop: threading.Event) -> Samples:
        """One part, said. A container that is gone is made anew once."""
        for is_last in (False, True):
            if not self._box:
                self._box = self._opened()
            try:
                return self._spoken(self._box, kept, part, stop)
            except (Gone, Unavailable) as error:
                if isinstance(error, Gone) or error.reason != "IMAGE_SPOKE_NOTHING":
                    self._box.close()
                    self._box = None
                if isinstance(error, Unavailable):
                    raise
                if stop.is_set() or is_last:
                    break
        raise self._spoke_nothing()

    def _spoken(self, box: Box, kept: reference.Reference, part: str, stop: threading.Event) -> Samples:
        """Judged by the file alone: these programs end with 0 also when they have failed."""
        name = uuid.uuid4().hex  # so that no file of another call passes for this one's
        recording, text, out = f"{_IN}/{name}.wav", f"{_IN}/{name}.txt", f"{_OUT}/{name}.wav"
        box.put({recording: kept.path.read_bytes(), text: part.encode(), f"{_OUT}/.visavis": b""})
        box.run(self.arguments(recording, kept.transcript, text, out), stop, self._settings.seconds)
        data = box.get(out)
        box.forget([recording, text, out])
        return self._heard(data)

    def _heard(self, data: bytes | None) -> Samples:
        if not data:
            raise self._spoke_nothing()
        try:
            samples = decode(io.BytesIO(data), SAMPLE_RATE, max_seconds=_LONGEST_S)
        except InvalidInput as error:
            raise self._spoke_nothing() from error
        if np.abs(samples).max(initial=0) < SILENCE_PEAK:
            raise self._spoke_nothing()
        start, end = loudness.sounding_span(samples, SAMPLE_RATE)
        return loudness.faded(loudness.bent(samples[start:end]), SAMPLE_RATE)

    def _opened(self) -> Box:
        settings = self._settings
        return Box(
            Image(
                name=settings.image,
                engine=self.name,
                setting=settings.variable("image"),
                folders={settings.models: self.models_folder} if settings.models else {},
                has_gpu=settings.gpu,
                memory=round(settings.memory_gb * 2**30),
            )
        )

    def _spoke_nothing(self) -> Unavailable:
        message = f"The image '{self._settings.image}' left no speech for this sentence. Try again; check its models."
        return Unavailable(message, reason="IMAGE_SPOKE_NOTHING", values={"image": self._settings.image})
