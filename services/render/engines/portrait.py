"""The built-in talking head."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from portrait.avatar import Avatar
from portrait.errors import AvatarError
from portrait.expression import Expression as Manner
from portrait.synthesis import Performance as Speaking
from portrait.synthesis import Synthesizer
from portrait.video import FRAME_RATE
from services.common.engine import Capability, EngineInfo, EngineSettings
from services.common.errors import Unavailable
from services.render.engine import Expression, Passage, Performance, Performer, RenderEngine

ABLE = {Capability.STREAMING, Capability.IDLE, Capability.EXPRESSION, Capability.OFFLINE}


class Settings(EngineSettings):
    """How much of the processor the talking head takes."""

    model_config = SettingsConfigDict(env_prefix="RENDER_PORTRAIT_")

    threads: int = Field(2, ge=1)
    """Processor threads that one calculation uses."""


class Engine(RenderEngine):
    """Person-specific mouths drawn into the person's own footage."""

    settings_type = Settings

    def __init__(self, settings: Settings) -> None:
        self._threads = settings.threads

    def load(self) -> None:
        """Share the processor fairly; nothing else is common to avatars."""
        torch.set_num_threads(self._threads)

    def info(self) -> EngineInfo:
        """Language does not matter to it: it hears phones."""
        return EngineInfo("portrait", "1", capabilities=frozenset(ABLE), licence="Apache-2.0")

    def open(self, folder: Path, *, size: int, device: str) -> Performer:
        """Load weights and footage, and draw a first frame so that the first caller does not wait for it."""
        try:
            synthesizer = Synthesizer(Avatar.load(folder), size=size or None, device=device or "auto")
        except AvatarError as error:
            message = "This avatar's files are damaged or too old for this version. Train it again."
            raise Unavailable(message, reason="AVATAR_UNREADABLE", field="avatar") from error
        for _ in synthesizer.idle(1):
            pass
        return _Performer(synthesizer)


class _Performer(Performer):
    fps = float(FRAME_RATE)

    def __init__(self, synthesizer: Synthesizer) -> None:
        self._synthesizer = synthesizer
        self.width = self.height = synthesizer.size

    def perform(self, start_frame_index: int, expression: Expression) -> Performance:
        manner = Manner(expression.mouth_amplitude, expression.head_motion)
        return _Performance(self._synthesizer.stream(start_frame_index, manner))

    def idle(self) -> Iterator[np.ndarray]:
        return self._synthesizer.idle(self._synthesizer.avatar.footage.idle_length)


class _Performance(Performance):
    def __init__(self, speaking: Speaking) -> None:
        self._speaking = speaking

    def hear(self, samples: np.ndarray) -> Iterator[Passage]:
        return self._speaking.hear(samples)

    def shut(self, start_s: float, end_s: float) -> None:
        self._speaking.shut(start_s, end_s)

    def end(self) -> Iterator[Passage]:
        return self._speaking.end()

    def draw(self, passage: Passage) -> Iterator[np.ndarray]:
        return self._speaking.draw(passage)

    @property
    def next_frame_index(self) -> int:
        return self._speaking.frame_index

    def idle_frame(self, index: int) -> int:
        return self._speaking.idle_frame(index)

    def close(self) -> None:
        self._speaking.close()
