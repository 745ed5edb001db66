"""Avatars in the making: a job each.

`trainings/<id>/` in storage holds the latest preview and the transcript; the avatar lands in `avatars/<name>/`.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import Any

from google.protobuf.struct_pb2 import Struct
from visavis.train.v1 import train_pb2

from services.common import hardware, tidying
from services.common.consent import checked_consent
from services.common.disk import require_space
from services.common.engine import Capability
from services.common.errors import AlreadyExists, Conflict, InvalidInput, NotFound, StorageFull
from services.common.hosting import Engines
from services.common.jobs import calls
from services.common.jobs.store import Job, JobStore, State
from services.common.names import checked_name
from services.common.shelf import parsed
from services.common.storage import Storage
from services.train import parameters
from services.train.engine import TrainEngine
from services.train.recordings import Recordings
from services.train.settings import TrainSettings

KIND = "training"
FOLDER, PREVIEW, TRANSCRIPT = "trainings", "preview.jpg", "transcript.vtt"
AVATARS, AVATAR_MANIFEST = "avatars", "avatar.json"
CAME_TO_NOTHING = (State.FAILED, State.CANCELLED)
WORK_BYTES_PER_S, WORK_BYTES = 9 * 2**20, 200 * 2**20  # crops and frames of a second, and everything else


class Trainings:
    """Asks for and describes the jobs."""

    def __init__(
        self,
        store: JobStore,
        storage: Storage,
        recordings: Recordings,
        hosted: Engines[TrainEngine],
        settings: TrainSettings,
    ) -> None:
        self._store, self._storage, self._recordings = store, storage, recordings
        self._engines, self._settings = hosted, settings
        self._old = tidying.Lasting()
        self._naming = threading.Lock()  # between seeing that a name is free and taking it

    def create(self, request: train_pb2.CreateTrainingRequest) -> Job:
        """A new job, or the one that the same request made before.

        Raises:
            AlreadyExists: there is an avatar of that name, or one in the making.
            NotFound: the recording is gone.
            InvalidInput: the request id, the name, the engine, a parameter, the device or the consent will not do.
            StorageFull: the disk has no room for the work.
        """
        calls.check_request_id(request.request_id)
        with self._naming:
            if known := self._store.find_request(KIND, request.request_id):
                return known
            spec = self._spec(request)
            return self._store.create(KIND, spec, device=request.device, request_id=request.request_id)

    def judge(self, request: train_pb2.CreateTrainingRequest) -> Job | None:
        """What `create` would refuse without looking at the recording, so that nobody brings one in vain.

        Returns:
            The job that the same request made before, if it has made one.
        """
        calls.check_request_id(request.request_id)
        if known := self._store.find_request(KIND, request.request_id):
            return known
        self._wanted(request)
        return None

    def _spec(self, request: train_pb2.CreateTrainingRequest) -> dict[str, Any]:
        wanted = self._wanted(request)
        recording = self._recordings.find(request.recording_id)
        self._check_kind(recording, wanted["engine"])
        self._check_space(recording["duration_s"])
        return wanted | {"recording_id": request.recording_id}

    def _wanted(self, request: train_pb2.CreateTrainingRequest) -> dict[str, Any]:
        name = checked_name(request.name)
        self._check_free(name)
        engine = request.engine or self._engines.default
        self._engines.keep(engine)
        values = parameters.check(request.parameters, self._engines.parameters(engine))
        given_by = checked_consent(request.consent.given_by)
        hardware.check_device(request.device, self._settings.devices)
        return {
            "name": name,
            "engine": engine,
            "parameters": values,
            "consent": {"given_by": given_by, "time": datetime.now(UTC).isoformat(timespec="seconds")},
            "voice": request.voice,
            "device": request.device,
        }

    def _check_kind(self, recording: dict[str, Any], engine: str) -> None:
        """Only some engines can make do with a photo."""
        if recording.get("kind") == "photo" and Capability.PHOTO not in self._engines.info(engine).capabilities:
            message = "This engine needs a video. Choose another engine for a photo."
            raise InvalidInput(message, reason="NO_PHOTOS", field="engine")

    def _check_free(self, name: str) -> None:
        if self._is_taken(name):
            raise name_taken()

    def _is_taken(self, name: str) -> bool:
        in_the_making = any(job.spec["name"] == name for job in self._store.active(KIND))
        return in_the_making or self._storage.exists(f"{AVATARS}/{name}/{AVATAR_MANIFEST}")

    def _check_space(self, duration_s: float) -> None:
        try:
            require_space(self._settings.work_folder, WORK_BYTES + round(WORK_BYTES_PER_S * min(duration_s, 600)))
        except StorageFull as error:
            error.field = "video"
            raise

    def resume(self, training_id: str) -> Job:
        """Let a failed training go on from its checkpoint.

        Raises:
            NotFound: there is no such training, or its recording is gone.
            Conflict: it has not failed, what it had made is no longer kept, or its name was taken meanwhile.
            StorageFull: the disk has no room for the work.
        """
        with self._naming:
            job = calls.failed(self._store, KIND, training_id, self._settings.keep_failed_days)
            name = job.spec["name"]
            if not avatar_of(self._storage, job.id, name):  # else only the tidying is left to do
                if self._is_taken(name):
                    message = "By now another avatar has that name, or will have it. Delete that, then resume."
                    raise Conflict(message, reason="NAME_TAKEN_SINCE", field="id")
                self._check_space(self._recordings.find(job.spec["recording_id"])["duration_s"])
            self._store.resume(job)
        return self._store.get(job.id)

    def delete(self, training_id: str) -> None:
        """Forget a training, and its recording with it unless another training needs that.

        Raises:
            NotFound: there is no such training.
            Conflict: it has not ended.
        """
        with self._naming:
            job = calls.ended(self._store, KIND, training_id)
            recording_id = job.spec["recording_id"]
            if recording_id not in self._recordings_in_use(but=job.id):
                self._recordings.forget(recording_id)
            self._storage.delete_folder(f"{FOLDER}/{job.id}")
            self._store.delete(job.id)  # last: while the row is there, this can be repeated

    def _recordings_in_use(self, but: str = "") -> set[str]:
        """Recordings of trainings that have not ended or can be resumed."""
        jobs = [*self._store.active(KIND), *filter(self._can_resume, self._store.failed(KIND))]
        return {job.spec["recording_id"] for job in jobs if job.id != but}

    def _can_resume(self, job: Job) -> bool:
        return job.can_resume(self._settings.keep_failed_days) and self._recordings.is_kept(job.spec["recording_id"])

    def set_transcript(self, training_id: str, webvtt: str) -> None:
        """Keep what the recording says, with the avatar too once there is one.

        Raises:
            NotFound: there is no such training.
            InvalidInput: this is no WebVTT.
        """
        job = self._store.get(training_id, KIND)
        if not webvtt.lstrip("\ufeff").startswith("WEBVTT"):
            message = "The transcript must be WebVTT: the first line must be WEBVTT."
            raise InvalidInput(message, reason="BAD_TRANSCRIPT", field="webvtt")
        self._storage.write(f"{FOLDER}/{job.id}/{TRANSCRIPT}", webvtt.encode())
        if avatar_of(self._storage, job.id, job.spec["name"]):
            add_transcript(self._storage, job.id, job.spec["name"])

    def preview_key(self, training_id: str) -> str:
        """Where the latest preview lies.

        Raises:
            NotFound: there is no such training, or no preview yet.
        """
        key = f"{FOLDER}/{self._store.get(training_id, KIND).id}/{PREVIEW}"
        if not self._storage.exists(key):
            raise NotFound("There is no preview yet.", reason="PREVIEW_NOT_FOUND", field="id")
        return key

    def describe(self, job: Job) -> train_pb2.Training:
        """A job as a message."""
        spec = job.spec
        training = train_pb2.Training(
            job=calls.message(self._store, job, can_resume=self._can_resume(job)),
            avatar=spec["name"],
            engine=spec["engine"],
            voice=spec["voice"],
        )
        if job.state is State.SUCCEEDED and job.result:
            report = Struct()
            report.update(job.result["report"])
            training.report.CopyFrom(report)
        return training

    def expire(self) -> int:
        """Forget recordings and traces of trainings that came to nothing some days ago; returns how many."""
        age_s = self._settings.keep_recordings_days * 24 * 3600
        forgotten = self._recordings.expire(age_s, self._recordings_in_use())
        before, trainings = time.time() - age_s, self._storage.folders(FOLDER)
        old = [training_id for training_id in trainings if self._came_to_nothing(training_id, before)]
        traces = self._old.among(old, tidying.CERTAIN_AFTER_S)
        for training_id in traces:
            self._storage.delete_folder(f"{FOLDER}/{training_id}")
        return forgotten + len(traces)

    def _came_to_nothing(self, training_id: str, before: float) -> bool:
        try:
            job = self._store.get(training_id, KIND)
        except NotFound:
            return False
        return job.state in CAME_TO_NOTHING and job.ended_at < before and not self._can_resume(job)


def name_taken() -> AlreadyExists:
    """The error for a name that an avatar has, or will have."""
    message = "There is an avatar of that name already, or one in the making. Choose another name."
    return AlreadyExists(message, reason="NAME_TAKEN", field="name")


def avatar_of(storage: Storage, training_id: str, name: str) -> dict[str, Any] | None:
    """The manifest of the avatar that this training made, if it has."""
    try:
        manifest = parsed(storage.read(f"{AVATARS}/{name}/{AVATAR_MANIFEST}"))
    except (FileNotFoundError, ValueError):
        return None
    return manifest if manifest.get("training_id") == training_id else None


def add_transcript(storage: Storage, training_id: str, name: str) -> None:
    """Copy the training's transcript, if there is one, to its avatar."""
    key = f"{FOLDER}/{training_id}/{TRANSCRIPT}"
    if storage.exists(key):
        storage.write(f"{AVATARS}/{name}/{TRANSCRIPT}", storage.read(key))
