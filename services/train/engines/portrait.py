"""The built-in talking head."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import Field
from pydantic_settings import SettingsConfigDict

import portrait
from services.common import lips
from services.common.engine import Capability, EngineInfo, EngineSettings, Lack, Parameter
from services.common.errors import InvalidInput, Unavailable
from services.train.engine import Progress, TrainEngine, TrainingTask, Upload

ABLE = {Capability.RESUME, Capability.PREVIEW, Capability.PHOTO, Capability.OFFLINE, Capability.EVALUATION}
GIVEN_BY_SERVICE = ("device",)
PHOTO_LOOP_S = 14.0  # more footage made of one photo shows nothing more
KEPT = {"held-out.jpg": "comparison.jpg", "report.html": "report.html"}  # of the work folder, in the avatar's


class Settings(EngineSettings):
    """What is asked of a recording, how much of the processor a training takes, and what videos are measured by."""

    model_config = SettingsConfigDict(env_prefix="TRAIN_PORTRAIT_")

    threads: int = Field(0, ge=0)
    """Processor threads that a training uses; 0 for all."""

    min_seconds: float = Field(10.0, gt=0)
    """Least footage in which the face can be followed."""

    min_face_pixels: int = Field(64, ge=16)
    """Least width of the face, in pixels of the recording."""

    encoder: str = "whisper-tiny.en"
    """A Whisper model of the catalogue (`visavis models list`), or the path of a folder with one for CTranslate2, by
    whose encoder avatars learn to hear too, from 36 s of recording on (30 s to learn from, the rest to judge by); empty
    for none. Where it is not here, they learn without."""

    syncnet: Path | None = None
    """SyncNet's published weights (syncnet_v2.model), for LSE-C and LSE-D; without them these are not measured."""


class Engine(TrainEngine):
    """Person-specific mouths, learned in minutes on a processor."""

    settings_type = Settings

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def info(self) -> EngineInfo:
        """Language does not matter to it: it hears phones."""
        return EngineInfo("portrait", "1", capabilities=frozenset(ABLE), licence="Apache-2.0")

    def wish(self) -> Lack | None:
        """An encoder to learn with."""
        return lips.wish(self._settings.encoder, "train")

    def parameters(self) -> list[Parameter]:
        """The library's own, but for those that the service decides."""
        fields = dataclasses.fields(portrait.TrainingParameters)
        return [_parameter(field) for field in fields if field.name not in GIVEN_BY_SERVICE]

    def check(self, upload: Upload) -> list[InvalidInput]:
        """Look for one face that can be followed."""
        least = self._settings.min_face_pixels
        try:
            if upload.kind == "photo":
                warnings = portrait.check_photo(upload.path, least_face=least)
            else:
                warnings = portrait.check_video(
                    upload.path, upload.duration_s, upload.keyframes_s,
                    least_seconds=self._settings.min_seconds, least_face=least,
                )  # fmt: skip
        except portrait.RecordingError as error:
            raise _refusal(error) from error
        return [_refusal(warning) for warning in warnings]

    def train(self, task: TrainingTask, on_progress: Callable[[Progress], None]) -> dict[str, Any]:
        """Run the library's stages; a photo needs only those that look at it."""
        import torch

        if self._settings.threads:
            torch.set_num_threads(self._settings.threads)
        wanted: dict[str, Any] = {**task.parameters, "device": task.device}  # checked against their fields
        parameters = portrait.TrainingParameters(**wanted)

        def tell(progress: portrait.Progress) -> None:
            on_progress(_progress(progress))

        try:
            if portrait.is_photo(task.recording):
                return _from_photo(task, parameters, tell)
            return _from_video(task, parameters, tell, self._encoder())
        except portrait.RecordingError as error:
            raise _refusal(error) from error

    def _encoder(self) -> Path | None:
        """The encoder to learn with, tried before anything is: it is needed after minutes."""
        folder = lips.encoder(self._settings.encoder)
        try:
            if folder:
                portrait.Encoder(folder)
        except portrait.EncoderError as error:
            message = f"The encoder for the lips cannot be used. {error} Set TRAIN_PORTRAIT_ENCODER to whisper-tiny.en."
            raise Unavailable(message, reason="ENCODER_UNUSABLE", values={"cause": str(error)}) from error
        return folder

    def evaluate(self, true_video: Path, generated_video: Path, page: Path | None) -> dict[str, Any]:
        """Compare frame by frame, and by SyncNet where its weights are."""
        for field, path in (("true_video", true_video), ("generated_video", generated_video)):
            try:
                portrait.probe(path)
            except portrait.RecordingError as error:
                raise InvalidInput(str(error), reason="UNREADABLE_MEDIA", field=field) from error
        try:
            comparison = portrait.evaluate(true_video, generated_video, syncnet=self._settings.syncnet)
        except portrait.NotComparable as error:
            message = f"These videos cannot be compared: {error}."
            raise InvalidInput(message, reason="NOT_COMPARABLE", field=f"{error.video}_video") from error
        if page:
            page.write_text(portrait.page(comparison), encoding="utf-8")
        return comparison.as_dict()


def _refusal(error: portrait.RecordingError) -> InvalidInput:
    reason = error.reason.upper().replace("-", "_")
    return InvalidInput(str(error), reason=reason, field="video", values=error.values)


Told = Callable[[portrait.Progress], None]


def _from_video(
    task: TrainingTask, parameters: portrait.TrainingParameters, on_progress: Told, encoder: Path | None
) -> dict[str, Any]:
    report = portrait.train(
        task.recording, task.work_folder, task.avatar_folder, parameters, on_progress, encoder=encoder
    )
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
    default: Any = field.default
    return Parameter(
        field.name,
        default,
        limits["description"],
        limits.get("minimum"),
        limits.get("maximum"),
        limits.get("step"),
        tuple(limits.get("choices", ())),
    )
