"""A batch head for tests: a card for each frame, 30 a second. Its avatar.json may say how it misbehaves."""

from __future__ import annotations

import json
import time
import wave
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

from services.common.engine import EngineInfo, Parameter
from services.common.errors import Unavailable
from services.render.engine import BatchEngine, ClipProgress, ClipTask

SIZE, FPS, STEPS = 128, 30, 4


class Engine(BatchEngine):
    """Shows the sound's loudness as a bar, so that a test sees that picture and speech belong together."""

    def load(self) -> None:
        """Nothing to load."""

    def info(self) -> EngineInfo:
        return EngineInfo("cards", "1", licence="Apache-2.0")

    def parameters(self) -> list[Parameter]:
        return [Parameter("red", 0, "How red the cards are.", 0, 255)]

    def render(self, task: ClipTask, on_progress: Callable[[ClipProgress], None]) -> None:
        told = json.loads((task.avatar_folder / "avatar.json").read_text()).get("cards", {})
        samples = _samples(task.speech)
        has_begun = (task.work_folder / "begun").exists()
        (task.work_folder / "begun").touch()
        for step in range(STEPS):
            left_s = told.get("seconds", 0.0) * (1 - step / STEPS)
            on_progress(ClipProgress("shuffling", step / STEPS, left_s))
            time.sleep(told.get("seconds", 0.0) / STEPS)
            if step == 1 and (told.get("fails") or (told.get("stumbles") and not has_begun)):
                raise Unavailable("The cards are all aces.", reason="CARDS_WRONG")
        on_progress(ClipProgress("dealing", 1.0, 0.0))
        count = int(np.ceil(len(samples) / 16_000 * FPS * told.get("share", 1.0)))
        if count:
            _write(task.out, _loudness(samples, count), int(task.parameters.get("red", 0)))


def _samples(speech: Path) -> np.ndarray:
    with wave.open(str(speech)) as file:
        assert (file.getframerate(), file.getnchannels()) == (16_000, 1)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768


def _loudness(samples: np.ndarray, count: int) -> np.ndarray:
    edges = [round(index / FPS * 16_000) for index in range(count + 1)]
    return np.array([np.abs(samples[a:b]).max(initial=0) for a, b in zip(edges, edges[1:], strict=False)])


def _write(out: Path, loudness: np.ndarray, red: int) -> None:
    with av.open(str(out), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width = stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for level in loudness:
            picture = np.full((SIZE, SIZE, 3), (red, 40, 60), np.uint8)
            picture[round(SIZE * (1 - level)) :] = (240, 240, 240)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))
