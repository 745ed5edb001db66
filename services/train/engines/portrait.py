"""The built-in talking head."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from typing import Any

from pydantic import Field
from pydantic_settings import SettingsConfigDict

import portrait
from services.common.engine import Capability, EngineInfo, EngineSettings, Parameter
from services.common.errors import InvalidInput
from services.train.engine import Progress, TrainEngine, TrainingTask

GIVEN_BY_SERVICE = ("device",)
PHOTO_LOOP_S = 14.0  # more footage made of one photo shows nothing more
KEPT = {"held-out.jpg": "comparison.jpg", "report.html": "report.html"}  # of the work folder, in the avatar's


class Settings(EngineSettings):
    """How much of the processor a training takes."""

    model_config = SettingsConfigDict(env_prefix="TRAIN_PORTRAIT_")

    threads: int = Field(0, ge=0)
    """Processor threads that a training uses; 0 for all."""


class Engine(TrainEngine):
    """Person-specific mouths, learned in minutes on a processor."""

    settings_type = Settings

    def __init__(self, settings: Settings) -> None:
        self._threads = settings.threads

    def info(self) -> EngineInfo:
        """Language does not matter to it: it hears phones."""
        able = {Capability.RESUME, Capability.PREVIEW, Capability.PHOTO, Capability.OFFLINE}
        return EngineInfo("portrait", "1", capabilities=frozenset(able), licence="Apache-2.0")

    def parameters(self) -> list[Parameter]:
        """The library's own, but for those that the service decides."""
        fields = dataclasses.fields(portrait.TrainingParameters)
        return [_parameter(field) for field in fields if field.name not in GIVEN_BY_SERVICE]

    def train(self, task: TrainingTask, on_progress: Callable[[Progress], None]) -> dict[str, Any]:
        """Run the library's stages; a photo needs only those that look at it."""
        import torch

        if self._threads:
            torch.set_num_threads(self._threads)
        parameters = portrait.TrainingParameters(**task.parameters, device=task.device)
        make = _from_photo if portrait.is_photo(task.recording) else _from_video
        try:
            return make(task, parameters, lambda progress: on_progress(_progress(progress)))
        except portrait.RecordingError as error:
            reason = error.reason.upper().replace("-", "_")
            raise InvalidInput(str(error), reason=reason, field="video", values=error.values) from error


Told = Callable[[portrait.Progress], None]


def _from_video(task: TrainingTask, parameters: portrait.TrainingParameters, on_progress: Told) -> dict[str, Any]:
    report = portrait.train(task.recording, task.work_folder, task.avatar_folder, parameters, on_progress)
    for name, kept in KEPT.items():
        shutil.copy(task.work_folder / name, task.avatar_folder / kept)
    return {key: value for key, value in dataclasses.asdict(report).items() if key != "avatar"}


def _from_photo(task: TrainingTask, parameters: portrait.TrainingParameters, on_progress: Told) -> dict[str, Any]:
    """Nothing is measured: there is no footage to measure against."""
    report = portrait.from_photo(
        task.recording, task.avatar_folder, size=parameters.size, seed=parameters.seed,
        loop_seconds=min(parameters.loop_seconds, PHOTO_LOOP_S), on_progress=on_progress,
    )  # fmt: skip
    return {"kind": "photo", "seconds": report.seconds}


def _progress(progress: portrait.Progress) -> Progress:
    return Progress(
        progress.stage,
        progress.fraction,
        progress.step,
        progress.steps,
        progress.loss,
        progress.eta_s,
        progress.preview,
    )


def _parameter(field: dataclasses.Field[Any]) -> Parameter:
    limits = field.metadata
    return Parameter(
        field.name,
        field.default,
        limits["description"],
        limits.get("minimum"),
        limits.get("maximum"),
        limits.get("step"),
        tuple(limits.get("choices", ())),
    )
