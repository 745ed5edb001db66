"""What surrounds a batch engine that makes a clip."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from services.common.engine import EngineInfo, EngineSettings
from services.common.errors import Unavailable
from services.render import heads
from services.render.engine import BatchEngine, ClipProgress, ClipTask


class Chatty(BatchEngine):
    """Tells of every picture, and fails in the end."""

    def info(self) -> EngineInfo:
        return EngineInfo("chatty", "1")

    def load(self) -> None:
        """Nothing to load."""

    def render(self, task: ClipTask, on_progress: Callable[[ClipProgress], None]) -> None:
        for stage in ("hear", "draw"):
            for picture in range(1000):
                on_progress(ClipProgress(stage, picture / 1000))
        raise Unavailable("Enough said.", reason="CHATTY")


def test_an_engine_that_tells_every_picture_floods_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "REPORT_EVERY_S", 60)
    task = ClipTask(tmp_path, tmp_path / "speech.wav", tmp_path / "clip.mp4", tmp_path / "work")
    told: list[ClipProgress] = []
    with pytest.raises(Unavailable):
        heads.make_clip(Chatty(EngineSettings()), "chatty", task, told.append)
    assert told == [ClipProgress("hear", 0.0), ClipProgress("draw", 0.0)]
