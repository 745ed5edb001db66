"""The training half of a live head for tests: it needs nobody's face, and looks at recordings in its own way."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import av
from PIL import Image

from services.common.engine import EngineInfo
from services.common.errors import InvalidInput
from services.train.engine import Progress, TrainEngine, TrainingTask, Upload

SIZE, FPS = 96, 30


class Engine(TrainEngine):
    """Keeps a picture of the recording, and how the brisk are shuffled."""

    def info(self) -> EngineInfo:
        return EngineInfo("brisk", "1", licence="Apache-2.0")

    def check(self, upload: Upload) -> list[InvalidInput]:
        if upload.height > upload.width:
            raise InvalidInput("Cards lie. Turn the camera.", reason="BRISK_STAND", field="video")
        return [InvalidInput("These are few brisk.", reason="BRISK_FEW", field="video")]

    def train(self, task: TrainingTask, on_progress: Callable[[Progress], None]) -> dict[str, Any]:
        on_progress(Progress("shuffling", 0.5))
        task.avatar_folder.mkdir(parents=True)
        with av.open(str(task.recording)) as container:
            picture: Image.Image = next(container.decode(video=0)).to_image()
        picture.resize((SIZE, SIZE)).save(task.avatar_folder / "thumbnail.jpg")
        told = {"engine": "brisk", "width": SIZE, "height": SIZE, "fps": FPS}
        (task.avatar_folder / "avatar.json").write_text(json.dumps(told))
        return {"metrics": {}, "baselines": {}}
