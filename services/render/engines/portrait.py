"""The built-in talking head."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from portrait.avatar.stored import Avatar
from portrait.avatar.synthesis import Passage as Heard
from portrait.avatar.synthesis import Performance as Speaking
from portrait.avatar.synthesis import Synthesizer
from portrait.compute.device import choose
from portrait.compute.workers import Workers, most_workers
from portrait.errors import AvatarError
from portrait.media.video import FRAME_RATE
from portrait.mouth.expression import Expression as Manner
from services.common import lips
from services.common.arrays import Frame, Samples
from services.common.engine import Capability, EngineInfo, EngineSettings, Lack
from services.common.errors import Unavailable
from services.render.engine import Expression, LiveEngine, Passage, Performance, Performer

ABLE = {Capability.STREAMING, Capability.IDLE, Capability.EXPRESSION, Capability.OFFLINE}


class Settings(EngineSettings):
    """How much of the processor the talking head takes."""

    model_config = SettingsConfigDict(env_prefix="RENDER_PORTRAIT_")

    threads: int = Field(2, ge=1)
    """Processor threads that one calculation uses."""

    encoder: str = "whisper-tiny.en"
    """A Whisper model of the catalogue (`visavis models list`), or the path of a folder with one for CTranslate2:
    avatars that have learned with it hear by its encoder, too; empty for none. Where it is not here, they hear as
    others do."""


class Engine(LiveEngine):
    """Person-specific mouths drawn into the person's own footage."""

    settings_type = Settings

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def load(self) -> None:
        """Share the processor fairly; nothing else is common to avatars."""
        torch.set_num_threads(self._settings.threads)

    def info(self) -> EngineInfo:
        """Language does not matter to it: it hears phones."""
        return EngineInfo("portrait", "1", capabilities=frozenset(ABLE), licence="Apache-2.0")

    def wish(self) -> Lack | None:
        """The encoder that avatars may have learned with."""
        return lips.wish(self._settings.encoder, "render")

    def open(self, folder: Path, *, size: int, device: str) -> Performer:
        """Load weights and footage, and draw a first frame so that the first caller does not wait for it."""
        try:
            avatar, encoder = Avatar.load(folder), lips.encoder(self._settings.encoder)
            synthesizer = Synthesizer(avatar, size=size or None, device=device or "auto", encoder=encoder)
        except AvatarError as error:
            message = "This avatar's files are damaged or too old for this version. Train it again."
            raise Unavailable(message, reason="AVATAR_UNREADABLE", field="avatar") from error
        for _ in synthesizer.idle(1):
            pass
        return _Performer(synthesizer)

    def most_processes(self, device: str) -> int:
        """As many as there are processors and memory for, on the device too."""
        return most_workers(choose(device or "auto"))

    def pool(self, count: int, begin: Callable[[], object]) -> Workers:
        """Processes that share what drawing imports."""
        return Workers(count, Synthesizer.__module__, begin)


class _Performer(Performer):
    fps = float(FRAME_RATE)

    def __init__(self, synthesizer: Synthesizer) -> None:
        self._synthesizer = synthesizer
        self.width = self.height = synthesizer.size

    def warm(self) -> None:
        if encoder := self._synthesizer.encoder:
            encoder.width  # noqa: B018 - known when one window has been heard

    def perform(self, start_frame_index: int, expression: Expression) -> Performance:
        manner = Manner(expression.mouth_amplitude, expression.head_motion)
        return _Performance(self._synthesizer.stream(start_frame_index, manner))

    def idle(self) -> Iterator[Frame]:
        return self._synthesizer.idle(self._synthesizer.avatar.footage.idle_length)


class _Performance(Performance):
    def __init__(self, speaking: Speaking) -> None:
        self._speaking = speaking

    def hear(self, samples: Samples) -> Iterator[Passage]:
        return self._speaking.hear(samples)

    def shut(self, start_s: float, end_s: float) -> None:
        self._speaking.shut(start_s, end_s)

    def end(self) -> Iterator[Passage]:
        return self._speaking.end()

    def draw(self, passage: Passage) -> Iterator[Frame]:
        assert isinstance(passage, Heard)  # our own
        return self._speaking.draw(passage)

    @property
    def next_frame_index(self) -> int:
        return self._speaking.frame_index

    def idle_frame(self, index: int) -> int:
        return self._speaking.idle_frame(index)

    def close(self) -> None:
        self._speaking.close()
