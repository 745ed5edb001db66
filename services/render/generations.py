"""Videos being made: a job each, whose speech arrives after it was asked for.

Storage keeps what was brought in `generations/<id>/input-<…>/` until the video is made (the folder's name is in the
job's spec, so that of several who bring speech each has its own), then `video.mp4`, `subtitles.vtt` and, last,
`manifest.json`. Of a job that was cancelled nothing stays but its row; of one that failed the speech stays
for some days, so that it can go on; of one that is deleted, nothing.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
import time
import uuid
import wave
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from visavis.common.v1 import job_pb2
from visavis.render.v1 import render_pb2

from services.common import hardware, tidying
from services.common.audio import SILENCE_PEAK, silent
from services.common.conversion import Sound
from services.common.errors import Conflict, NotFound
from services.common.jobs import calls
from services.common.jobs.store import Job, JobStore, State
from services.common.shelf import parsed
from services.common.storage import Storage
from services.common.times import duration
from services.render import webvtt
from services.render.avatars import Avatars
from services.render.cast import check_size
from services.render.expression import expression_of
from services.render.settings import RenderSettings

KIND = "generation"
FOLDER, MANIFEST = "generations", "manifest.json"
VIDEO, SUBTITLES, SPEECH, CLOSURES = "video.mp4", "subtitles.vtt", "speech", "closures.json"
FACTS = ("files", "duration_s", "frame_count")
"""Of a video's manifest, what is the result of its job."""
FILES = {render_pb2.GENERATION_FILE_VIDEO: VIDEO, render_pb2.GENERATION_FILE_SUBTITLES: SUBTITLES}


@dataclass
class Extras:
    """What comes with the speech of a video."""

    subtitles: str = ""  # WebVTT
    closures: list[tuple[float, float]] = field(default_factory=list)  # seconds between which the lips are shut


class Generations:
    """Asks for, feeds and describes the jobs."""

    def __init__(self, store: JobStore, storage: Storage, avatars: Avatars, settings: RenderSettings) -> None:
        self._store, self._storage, self._avatars, self._settings = store, storage, avatars, settings
        self._old = tidying.Lasting()

    def create(self, request: render_pb2.CreateGenerationRequest) -> Job:
        """A job that waits for its speech.

        Raises:
            NotFound: there is no such avatar.
            InvalidInput: the request id, the size, the device or the expression is none that can be had.
        """
        calls.check_request_id(request.request_id)
        avatar, _ = self._avatars.find(request.avatar)
        hardware.check_device(request.device, self._settings.job_devices)
        check_size(request.size, self._settings.max_size)
        expression = expression_of(request.expression)
        spec = {
            "avatar": avatar,
            "size": request.size,
            "burn_subtitles": request.burn_subtitles,
            "device": request.device,
            "title": request.title.strip(),
            "expression": dataclasses.asdict(expression),
        }
        job = self._store.create(KIND, spec, device=request.device, request_id=request.request_id, waiting=True)
        self._store.update(job.id, only=(State.WAITING,), stage="input")
        return self._store.get(job.id)

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

    def supply(self, job: Job, speech: Path, sound: Sound, extras: Extras) -> Job:
        """Keep the speech, and let the job begin.

        Raises:
            InvalidInput: it is silent, or what comes with it cannot be read.
            Conflict: the job does not wait for it any more.
        """
        subtitles, closures = extras.subtitles, extras.closures
        webvtt.parse(subtitles or "WEBVTT")
        if sound.peak < SILENCE_PEAK:
            raise silent()
        self.waiting(job.id)  # a repeated request may have brought it meanwhile
        spec = job.spec | {
            "input": f"input-{uuid.uuid4().hex}",
            "duration_s": sound.seconds,
            "subtitles": bool(subtitles),
            "closures": bool(closures),
        }
        folder = input_folder(job.id, spec)
        self._storage.put_file(speech, f"{folder}/{SPEECH}")
        if subtitles:
            self._storage.write(f"{folder}/{SUBTITLES}", subtitles.encode())
        if closures:
            self._storage.write(f"{folder}/{CLOSURES}", json.dumps(closures).encode())
        if not self._store.update(job.id, only=(State.WAITING,), state=State.QUEUED, spec=spec, stage=""):
            self._storage.delete_folder(folder)
            return self.waiting(job.id)
        return self._store.get(job.id)

    def fail(self, job: Job, error: dict[str, Any]) -> Job:
        """End a job whose speech cannot be brought; one that does not wait for it stays as it is."""
        self._store.finish(job.id, State.FAILED, only=(State.WAITING,), error=error)
        return self._store.get(job.id)

    def resume(self, job_id: str) -> Job:
        """Let a failed job go on with the pieces that it has.

        Raises:
            NotFound: there is no such job, or its avatar is gone.
            Conflict: it has not failed, its speech never came or is no longer kept.
        """
        job = calls.failed(self._store, KIND, job_id, self._settings.keep_failed_days)
        self._avatars.find(job.spec["avatar"])
        if not self._can_resume(job):
            message = "The speech for this video never came, or is no longer kept. Ask for it anew."
            raise Conflict(message, reason="SPEECH_GONE", field="id")
        self._store.resume(job)
        return self._store.get(job.id)

    def _can_resume(self, job: Job) -> bool:
        has_come = "input" in job.spec  # is noted when it is whole
        if not (has_come and job.can_resume(self._settings.keep_failed_days)):
            return False
        needed = (f"{FOLDER}/{job.id}/{MANIFEST}", f"{input_folder(job.id, job.spec)}/{SPEECH}")
        return any(self._storage.exists(key) for key in needed)

    def describe(self, job: Job) -> render_pb2.Generation:
        """A job as a message."""
        generation = render_pb2.Generation(
            job=calls.message(self._store, job, can_resume=self._can_resume(job)),
            avatar=job.spec["avatar"],
            title=job.spec.get("title", ""),
        )
        if job.state is State.SUCCEEDED and job.result:
            names = job.result["files"]
            generation.files.extend(kind for kind, name in FILES.items() if name in names)
        if seconds := (job.result or job.spec).get("duration_s"):
            generation.duration.CopyFrom(duration(seconds))
        return generation

    def file(self, job_id: str, kind: int) -> tuple[str, str]:
        """The storage key of one of a video's files, and a name to offer when it is saved.

        Raises:
            NotFound: there is no such job, or it has no such file (yet).
        """
        job = self._store.get(job_id, KIND)
        key = f"{FOLDER}/{job.id}/{FILES.get(kind, '')}"
        if kind not in FILES or job.state is not State.SUCCEEDED or not self._storage.exists(key):
            raise NotFound("This video has no such file yet.", reason="FILE_NOT_FOUND", field="file")
        return key, f"{job.spec['avatar']}-{job.id[-6:]}{Path(key).suffix}"

    def delete(self, job_id: str) -> None:
        """Forget a video and its job.

        Raises:
            NotFound: there is no such job.
            Conflict: it has not ended.
        """
        job = calls.ended(self._store, KIND, job_id)
        self._storage.delete_folder(f"{FOLDER}/{job.id}", MANIFEST)  # first: while the row is there, it can be repeated
        self._store.delete(job.id)

    def expire(self) -> int:
        """Forget the speech of jobs that came to nothing; returns of how many."""
        jobs = [*filter(None, map(self._find, self._storage.folders(FOLDER)))]
        cancelled = [job.id for job in jobs if job.state is State.CANCELLED]
        failed = [job.id for job in jobs if job.state is State.FAILED and not self._can_resume(job)]
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


def error_from(message: job_pb2.Error) -> dict[str, Any]:
    """A caller's error as it is kept in the job's row."""
    return {
        "reason": message.reason or "INPUT_FAILED",
        "message": message.message or "The speech for this video could not be made.",
        "field": message.field,
        "values": dict(message.values),
    }


def wrap_pcm(speech: Path, sample_rate: int) -> None:
    """Make a WAV file of a file of raw PCM, in its place."""
    with tempfile.NamedTemporaryFile(dir=speech.parent, delete=False) as file, wave.open(file, "wb") as out:
        out.setparams((1, 2, sample_rate, 0, "NONE", ""))
        with speech.open("rb") as pcm:
            while data := pcm.read(2**20):
                out.writeframes(data)
    Path(file.name).replace(speech)
