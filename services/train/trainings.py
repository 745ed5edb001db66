"""Avatars in the making: a job each."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any, Literal

from google.protobuf.json_format import MessageToDict
from visavis.jobs.v1 import jobs_pb2
from visavis.train.v1 import train_pb2

from basics.problem import Problem
from services.common import hardware, parameters, tidying
from services.common.avatars import PREVIEW, Avatars, name_taken
from services.common.consent import checked_consent
from services.common.disk import require_space
from services.common.engine import Capability
from services.common.errors import Conflict, NotFound, StorageFull
from services.common.hosting import Engines
from services.common.jobs import calls
from services.common.jobs.servicer import JobKind
from services.common.jobs.store import Job, JobStore, State
from services.common.names import checked_name
from services.common.peers import Peers
from services.common.recordings import Recordings
from services.common.storage import Storage
from services.train.engine import TrainEngine
from services.train.extras import forget_voice
from services.train.ingest import no_photos
from services.train.settings import TrainSettings

KIND = "training"
CAME_TO_NOTHING = (State.FAILED, State.CANCELLED)
WORK_BYTES_PER_S, WORK_BYTES = 9 * 2**20, 200 * 2**20  # crops and frames of a second, and everything else


class Trainings(JobKind):
    """Asks for the jobs, and knows what only they have."""

    name = KIND

    def __init__(
        self,
        store: JobStore,
        storage: Storage,
        recordings: Recordings,
        hosted: Engines[TrainEngine],
        settings: TrainSettings,
    ) -> None:
        super().__init__()
        self._store, self._storage, self._recordings = store, storage, recordings
        self._avatars = Avatars(storage)
        self._engines, self._settings = hosted, settings
        self._old = tidying.Lasting()

    def create(self, request: train_pb2.CreateTrainingRequest) -> Job:
        """A new job, or the one that the same request made before.

        Raises:
            AlreadyExists: there is an avatar of that name, or one in the making.
            NotFound: the recording is gone.
            InvalidInput: the request id, the name, the engine, a parameter, the device or the consent will not do.
            StorageFull: the disk has no room for the work.
        """
        calls.check_request_id(request.request_id)
        with self.lock:  # between seeing that a name is free and taking it
            if known := self._store.find_request(KIND, request.request_id):
                return known
            spec = self._spec(request)
            warnings = tuple(Problem(**one) for one in spec["warnings"])
            return self._store.create(
                KIND, spec, device=request.device, request_id=request.request_id, warnings=warnings
            )

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
        if recording.get("kind") == "photo":
            wanted |= {"new_voice": None, "subtitles": None}
        return wanted | {"recording_id": request.recording_id, "warnings": recording.get("warnings", [])}

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
            "new_voice": _options(request, "new_voice") if not request.voice else None,
            "subtitles": _options(request, "subtitles"),
            "device": request.device,
        }

    def _check_kind(self, recording: dict[str, Any], engine: str) -> None:
        """Only some engines can make do with a photo."""
        if recording.get("kind") == "photo" and Capability.PHOTO not in self._engines.info(engine).capabilities:
            raise no_photos()

    def _check_free(self, name: str) -> None:
        if self._is_taken(name):
            raise name_taken()

    def _is_taken(self, name: str) -> bool:
        in_the_making = any(job.spec["name"] == name for job in self._store.active(KIND))
        return in_the_making or self._avatars.is_taken(name)

    def _check_space(self, duration_s: float) -> None:
        try:
            require_space(self._settings.work_folder, WORK_BYTES + round(WORK_BYTES_PER_S * min(duration_s, 600)))
        except StorageFull as error:
            raise error.about("video") from None

    def can_resume(self, job: Job) -> bool:
        """Whether it has failed lately and its recording is still kept."""
        return job.can_resume(self._settings.keep_failed_days) and self._recordings.is_kept(job.spec["recording_id"])

    def require_resumable(self, job: Job) -> None:
        """Look at what a training needs to go on from its checkpoint.

        Raises:
            NotFound: its recording is gone.
            Conflict: its recording is damaged, or its name was taken meanwhile.
            StorageFull: the disk has no room for the work.
        """
        name = job.spec["name"]
        if self._avatars.made_by(job.id, name):
            return  # only the tidying is left to do
        if self._is_taken(name):
            message = "By now another avatar has that name, or will have it. Delete that, then resume."
            raise Conflict(message, reason="NAME_TAKEN_SINCE", field="id")
        self._check_space(self._recordings.find(job.spec["recording_id"])["duration_s"])

    def free(self, job: Job) -> None:
        """Forget a training's traces, and its recording unless another training needs that."""
        recording_id = job.spec["recording_id"]
        if recording_id not in self._recordings_in_use(but=job.id):
            self._recordings.forget(recording_id)
        self._avatars.forget_traces(job.id)
        self.call_off(job)

    def call_off(self, job: Job) -> None:
        """Take away the voice that an attempt has made which was lost before the avatar was stored."""
        name = job.spec["name"]
        may_have_one = job.spec.get("new_voice") and job.started_at and job.state in CAME_TO_NOTHING
        if may_have_one and not self._avatars.made_by(job.id, name):
            forget_voice(Peers(self._settings, job.id), name, job.id)

    def _recordings_in_use(self, but: str = "") -> set[str]:
        """Recordings of trainings that have not ended or can be resumed."""
        jobs = [*self._store.active(KIND), *filter(self.can_resume, self._store.failed(KIND))]
        return {job.spec["recording_id"] for job in jobs if job.id != but}

    def file(self, job: Job, file: jobs_pb2.JobFile.ValueType) -> tuple[str, str]:
        """Where the latest preview lies.

        Raises:
            NotFound: there is none yet, or another file is asked for.
        """
        key = self._avatars.preview(job.id)
        if file != jobs_pb2.JOB_FILE_PREVIEW:
            raise NotFound("A training has no such file.", reason="FILE_NOT_FOUND", field="file")
        if not self._storage.exists(key):
            raise NotFound("There is no preview yet.", reason="PREVIEW_NOT_FOUND", field="id")
        return key, PREVIEW

    def describe(self, job: Job, message: jobs_pb2.Job) -> None:
        """Tell the avatar, its engine and voice, and in the end its report card."""
        spec, training = job.spec, message.training
        training.avatar, training.engine = spec["name"], spec["engine"]
        training.voice = (job.result or spec).get("voice", spec["voice"])
        if job.state is State.SUCCEEDED and job.result:
            training.report.update(job.result["report"])

    def expire(self) -> int:
        """Forget recordings and traces of trainings that came to nothing some days ago; returns how many."""
        age_s = self._settings.keep_recordings_days * 24 * 3600
        forgotten = self._recordings.expire(age_s, self._recordings_in_use())
        before, trainings = time.time() - age_s, self._avatars.traces()
        old = [training_id for training_id in trainings if self._came_to_nothing(training_id, before)]
        traces = self._old.among(old, tidying.CERTAIN_AFTER_S)
        for training_id in traces:
            self._avatars.forget_traces(training_id)
        return forgotten + len(traces)

    def _came_to_nothing(self, training_id: str, before: float) -> bool:
        try:
            job = self._store.get(training_id, KIND)
        except NotFound:
            return False
        return job.state in CAME_TO_NOTHING and job.ended_at < before and not self.can_resume(job)


def _options(
    request: train_pb2.CreateTrainingRequest, part: Literal["new_voice", "subtitles"]
) -> dict[str, str] | None:
    """How a part of the training is wanted, or that it is not."""
    if not request.HasField(part):
        return None
    return MessageToDict(
        getattr(request, part), preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
