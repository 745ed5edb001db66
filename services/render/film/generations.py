"""Videos being made: a job each, which is told what to say or waits for a recording of it.

Storage keeps what was brought in `generations/<id>/input-<…>/` until the video is made (the folder's name is in the
job's spec, so that of several who bring speech each has its own), then `video.mp4`, `subtitles.vtt` and, last,
`manifest.json`. A text lies there too, not in the table. Of a job that was cancelled nothing stays but its row; of one
that failed what it says stays for some days, so that it can go on; of one that is deleted, nothing.
"""

from __future__ import annotations

import dataclasses
import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from visavis.jobs.v1 import jobs_pb2
from visavis.render.v1 import render_pb2

from basics.problem import Problem
from services.common import hardware, tidying
from services.common.audio import SILENCE_PEAK, silent
from services.common.avatars import Avatars
from services.common.conversion import Sound
from services.common.errors import Conflict, InvalidInput, NotFound
from services.common.jobs import calls
from services.common.jobs.servicer import JobKind
from services.common.jobs.store import Job, JobStore, State
from services.common.shelf import parsed
from services.common.storage import Storage
from services.common.times import duration
from services.render.avatars.cast import Cast, check_size
from services.render.avatars.expression import expression_of
from services.render.engine import Expression
from services.render.settings import RenderSettings

KIND = "generation"
FOLDER, MANIFEST = "generations", "manifest.json"
VIDEO, SUBTITLES, SPEECH, CLOSURES, SCRIPT = "video.mp4", "subtitles.vtt", "speech", "closures.json", "script"
FACTS = ("files", "duration_s", "frame_count")
"""Of a video's manifest, what is the result of its job."""
FILES = {jobs_pb2.JOB_FILE_VIDEO: VIDEO, jobs_pb2.JOB_FILE_SUBTITLES: SUBTITLES}


class Generations(JobKind):
    """Asks for and feeds the jobs, and knows what only they have."""

    name = KIND

    def __init__(
        self, store: JobStore, storage: Storage, avatars: Avatars, cast: Cast, settings: RenderSettings
    ) -> None:
        super().__init__()
        self._store, self._storage, self._settings = store, storage, settings
        self._avatars, self._cast = avatars, cast
        self._old = tidying.Lasting()

    def create(self, request: render_pb2.CreateGenerationRequest) -> Job:
        """A job that is told what to say, or waits for its speech; the one that the same request made before.

        Raises:
            NotFound: there is no such avatar.
            InvalidInput: the request id, the size, the device, the expression, a parameter or the text is none that can
                be had.
            Unsupported: the engine that made the avatar is not installed here.
        """
        if known := self._known(request):
            return known
        spec = self._spec(request)
        has_script = request.HasField("script")
        job = self._store.create(
            KIND, spec, device=request.device, request_id=request.request_id, waiting=True,
            stage="" if has_script else "input",  # by which a caller knows that it must bring a recording
        )  # fmt: skip
        if has_script:
            text = request.script.SerializeToString()
            self._begin(job, {"script": True}, lambda folder: self._storage.write(f"{folder}/{SCRIPT}", text))
        return self._store.get(job.id)

    def judge(self, request: render_pb2.CreateGenerationRequest) -> Job | None:
        """What `create` would refuse; the job that the same request made before, if it has made one."""
        if not (known := self._known(request)):
            self._spec(request)
        return known

    def _known(self, request: render_pb2.CreateGenerationRequest) -> Job | None:
        """What the same request made before, unless that was killed before the text was kept."""
        calls.check_request_id(request.request_id)
        known = self._store.find_request(KIND, request.request_id)
        is_begun = known and not (request.HasField("script") and known.state is State.WAITING)
        return known if is_begun else None

    def _spec(self, request: render_pb2.CreateGenerationRequest) -> dict[str, Any]:
        avatar = self._avatars.find(request.avatar)
        hardware.check_device(request.device, self._settings.job_devices)
        check_size(request.size, self._settings.max_size)
        expression = expression_of(request.expression)
        engine = avatar.manifest.engine
        if expression != Expression() and not self._cast.has_expression(engine):
            message = f"The engine '{engine}' of this avatar cannot be told how lively to be. Leave it at 1."
            raise InvalidInput(message, reason="NO_EXPRESSION", field="mouth_amplitude", values={"engine": engine})
        if request.HasField("script") and not request.script.text.strip():
            raise InvalidInput("There is nothing to say. Write a sentence.", reason="NOTHING_TO_SAY", field="text")
        subtitles = {"language": request.subtitles.language, "engine": request.subtitles.engine}
        return {
            "avatar": avatar.name,
            "size": request.size,
            "subtitles": subtitles if request.HasField("subtitles") else None,
            "burn_subtitles": request.burn_subtitles,
            "device": request.device,
            "title": request.title.strip(),
            "expression": dataclasses.asdict(expression),
            "parameters": self._cast.parameters(engine, request.parameters),
        }

    def _begin(self, job: Job, facts: dict[str, Any], keep: Callable[[str], None]) -> bool:
        """Keep in a folder what a waiting job says, and let it begin; tells whether it still waited."""
        spec = job.spec | facts | {"input": f"input-{uuid.uuid4().hex}"}
        folder = input_folder(job.id, spec)
        keep(folder)
        begins = self._store.update(job.id, only=(State.WAITING,), state=State.QUEUED, spec=spec, stage="")
        if not begins:
            self._storage.delete_folder(folder)
        return begins

    def waiting(self, job_id: str) -> Job:
        """A job that still waits for its speech.

        Raises:
            NotFound: there is no such job.
            Conflict: it has its speech already, or has ended.
        """
        job = self._store.get(job_id, KIND)
        if job.state is not State.WAITING:
            message = "This video no longer waits for speech: it has it already, or was cancelled."
            raise Conflict(message, reason="NOT_WAITING", field="id")
        return job

    def touch(self, job: Job) -> None:
        """Note that speech is still arriving.

        Raises:
            Conflict: nobody waits for it any more; it need not be brought to its end.
        """
        if not self._store.update(job.id, only=(State.WAITING,), heartbeat_at=time.time()):
            self.waiting(job.id)

    def supply(self, job: Job, speech: Path, sound: Sound) -> Job:
        """Keep the speech, and let the job begin.

        Raises:
            InvalidInput: it is silent.
            Conflict: the job does not wait for it any more.
        """
        if sound.peak < SILENCE_PEAK:
            raise silent()
        self.waiting(job.id)  # a repeated request may have brought it meanwhile
        facts = {"duration_s": sound.seconds}
        if not self._begin(job, facts, lambda folder: self._storage.put_file(speech, f"{folder}/{SPEECH}")):
            self.waiting(job.id)
        return self._store.get(job.id)

    def fail(self, job: Job, problem: Problem) -> Job:
        """End a job whose speech cannot be brought; one that does not wait for it stays as it is."""
        self._store.finish(job.id, State.FAILED, only=(State.WAITING,), error=problem)
        return self._store.get(job.id)

    def can_resume(self, job: Job) -> bool:
        """Whether it has failed lately, and its speech is still kept or its video is made."""
        has_come = "input" in job.spec  # is noted when it is whole
        if not (has_come and job.can_resume(self._settings.keep_failed_days)):
            return False
        given = SCRIPT if job.spec.get("script") else SPEECH
        needed = (f"{FOLDER}/{job.id}/{MANIFEST}", f"{input_folder(job.id, job.spec)}/{given}")
        return any(self._storage.exists(key) for key in needed)

    def require_resumable(self, job: Job) -> None:
        """Look at what a video needs to go on with the pieces that it has.

        Raises:
            NotFound: its avatar is gone.
            Conflict: its speech never came or is no longer kept.
        """
        self._avatars.find(job.spec["avatar"])
        if not self.can_resume(job):
            message = "The speech for this video never came, or is no longer kept. Ask for it anew."
            raise Conflict(message, reason="SPEECH_GONE", field="id")

    def describe(self, job: Job, message: jobs_pb2.Job) -> None:
        """Tell the avatar, the title, how long the video is, and in the end its files."""
        generation = message.generation
        generation.avatar, generation.title = job.spec["avatar"], job.spec.get("title", "")
        if job.state is State.SUCCEEDED and job.result:
            message.files.extend(file for file, name in FILES.items() if name in job.result["files"])
        if seconds := (job.result or job.spec).get("duration_s"):
            generation.duration.CopyFrom(duration(seconds))

    def file(self, job: Job, file: jobs_pb2.JobFile.ValueType) -> tuple[str, str]:
        """The storage key of one of a video's files, and a name to offer when it is saved.

        Raises:
            NotFound: it has no such file (yet).
        """
        key = f"{FOLDER}/{job.id}/{FILES.get(file, '')}"
        if file not in FILES or job.state is not State.SUCCEEDED or not self._storage.exists(key):
            raise NotFound("This video has no such file yet.", reason="FILE_NOT_FOUND", field="file")
        return key, f"{job.spec['avatar']}-{job.id[-6:]}{Path(key).suffix}"

    def free(self, job: Job) -> None:
        """Forget a video's files."""
        self._storage.delete_folder(f"{FOLDER}/{job.id}", MANIFEST)

    def expire(self) -> int:
        """Forget the speech of jobs that came to nothing; returns of how many."""
        jobs = [*filter(None, map(self._find, self._storage.folders(FOLDER)))]
        cancelled = [job.id for job in jobs if job.state is State.CANCELLED]
        failed = [job.id for job in jobs if job.state is State.FAILED and not self.can_resume(job)]
        forgotten = cancelled + self._old.among(failed, tidying.CERTAIN_AFTER_S)
        for job_id in forgotten:
            self._storage.delete_folder(f"{FOLDER}/{job_id}")
        return len(forgotten)

    def _find(self, job_id: str) -> Job | None:
        try:
            return self._store.get(job_id, KIND)
        except NotFound:
            return None  # of another database, perhaps

    def uses(self, avatar: str) -> bool:
        """Whether a video of this avatar is being made."""
        return any(job.spec["avatar"] == avatar for job in self._store.active(KIND))


def input_folder(job_id: str, spec: dict[str, Any]) -> str:
    """The storage key of the folder of what was brought for a video."""
    return f"{FOLDER}/{job_id}/{spec['input']}"


def facts_of(storage: Storage, job_id: str) -> dict[str, Any] | None:
    """What is known about a video, if it is whole."""
    try:
        manifest = parsed(storage.read(f"{FOLDER}/{job_id}/{MANIFEST}"))
    except (FileNotFoundError, ValueError):
        return None
    return {key: manifest[key] for key in FACTS}


def write_manifest(storage: Storage, job_id: str, manifest: dict[str, Any]) -> None:
    """Say that a video is whole."""
    storage.write(f"{FOLDER}/{job_id}/{MANIFEST}", json.dumps(manifest, ensure_ascii=False, indent=2).encode())
