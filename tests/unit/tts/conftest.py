"""A made-up person for the voice tests: espeak's woman, warped and filtered so that she is nobody's base voice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import lfilter

from services.tts import espeak_ng, timing, world
from services.tts.engine import Prosody, Speech
from services.tts.engines.espeak import Engine, Settings

REFERENCE_TEXT = (
    "Some call me nature, others call me mother nature. I have been here for over four and a half billion years, "
    "twenty two thousand five hundred times longer than you."
)


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The engine, loaded."""
    engine = Engine(Settings(variant=""))
    engine.load()
    return engine


@pytest.fixture(scope="session")
def reference() -> np.ndarray:
    """Ten seconds of a person, 24 kHz."""
    spoken = espeak_ng.speak(REFERENCE_TEXT, "gmw/en+f3", 160).samples
    return lfilter([1, -0.4], [1], world.resampled(spoken, espeak_ng.SAMPLE_RATE)).astype(np.float32) * 0.5


@pytest.fixture(scope="session")
def voice(engine: Engine, reference: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The person's voice, learnt."""
    folder = tmp_path_factory.mktemp("voice")
    engine.enrol(reference, world.SAMPLE_RATE, "", folder)
    return folder


@pytest.fixture(scope="session")
def speak() -> Callable[..., list[Speech]]:
    """All of the speech at once: `speak(engine, text, voice, language, prosody)`."""
    return _speak


def _speak(
    engine: Engine, text: str, voice: Path | None, language: str = "en-US", prosody: Prosody | None = None
) -> list[Speech]:
    async def collected() -> list[Speech]:
        speech = engine.synthesize(text, language=language, voice=voice, prosody=prosody or Prosody())
        return [piece async for piece in speech]

    return asyncio.run(collected())


@pytest.fixture(scope="session")
def whole() -> Callable[[list[Speech]], list[Speech]]:
    """Each sentence as one piece of speech."""
    return _whole


def _whole(pieces: list[Speech]) -> list[Speech]:
    joined: list[Speech] = []
    for piece in pieces:
        if piece.is_first:
            joined.append(piece)
            continue
        before = joined.pop()
        begun_s = len(before.samples) / before.sample_rate
        joined.append(
            replace(
                before,
                samples=np.concatenate([before.samples, piece.samples]),
                words=before.words + timing.later(piece.words, begun_s),
                closures=before.closures + timing.later(piece.closures, begun_s),
            )
        )
    return joined
