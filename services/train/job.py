"""`python -m services.train.job`: train one avatar. Started by the job runner; see services/common/jobs/child.py."""

from __future__ import annotations

import math
import os
import shutil
import sys
import time
from dataclasses import asdict
from typing import Any

from basics.problem import Problem
from services.common.avatars import TRANSCRIPT, Avatars, Origin, complete, name_taken
from services.common.hosting import Engines
from services.common.jobs import child
from services.common.peers import Peers
from services.common.recordings import Recordings
from services.common.storage import Storage
from services.train import engines, ingest
from services.train.engine import Progress, TrainEngine, TrainingTask
from services.train.extras import SHARE, Extras
from services.train.settings import TrainSettings

PROVENANCE = ("kind", "sha256", "duration_s", "width", "height", "fps")  # a photo has neither length nor rate


def work(task: child.Task, report: child.Report) -> dict[str, Any]:
    """Train the avatar, put it into storage, and forget the recording.

    Started again after a kill, it goes on where it was; a kill after the avatar was stored only repeats the tidying.
    """
    settings = TrainSettings(**task.settings)
    os.nice(settings.niceness)
    storage = Storage(settings.storage_url, settings.work_folder / "cache")
    recordings = Recordings(storage)
    spec = task.spec
    avatars = Avatars(storage)
    made = avatars.made_by(task.id, spec["name"])
    manifest = made.card if made else _make(task, report, settings, avatars, recordings)
    recordings.forget(spec["recording_id"])
    return {"report": _report(manifest), "voice": manifest["voice"]}


def _make(
    task: child.Task, report: child.Report, settings: TrainSettings, avatars: Avatars, recordings: Recordings
) -> dict[str, Any]:
    spec = task.spec
    recording = recordings.find(spec["recording_id"])
    folder = task.work_folder / "avatar"
    shutil.rmtree(folder, ignore_errors=True)
    # The engine names what it keeps as it likes, so its place is not the one that the avatar goes to.
    job = TrainingTask(
        recordings.local_file(spec["recording_id"]),
        task.work_folder / "engine",
        folder,
        spec["parameters"],
        task.device,
    )
    hosted: Engines[TrainEngine] = Engines(engines, "train", settings)
    engine = hosted.keep(spec["engine"])
    if recording.get("engine") != spec["engine"]:  # it was brought for another one
        ingest.check(job.recording, settings, engine)
    tell = Teller(task, report, avatars)
    extras = Extras(task, Peers(settings, task.id), tell)
    try:
        card = engine.train(job, tell)
        if avatars.is_taken(spec["name"]):
            raise name_taken()
        transcript = extras.transcript()
        if transcript.webvtt:
            (folder / TRANSCRIPT).write_text(transcript.webvtt, encoding="utf-8")
        voice = extras.voice(transcript)
        manifest = complete(folder, _origin(task, engine.info().version, recording, card, voice))
        avatars.keep(spec["name"], folder)
    except BaseException:
        extras.forget_voice()
        raise
    return manifest


def _origin(
    task: child.Task, engine_version: str, recording: dict[str, Any], card: dict[str, Any], voice: str
) -> Origin:
    spec = task.spec
    return Origin(
        training_id=task.id,
        engine=spec["engine"],
        version=engine_version,
        voice=voice,
        consent=spec["consent"],
        provenance={key: recording[key] for key in PROVENANCE if recording.get(key)},
        parameters=spec["parameters"],
        report=card,
    )


def _report(manifest: dict[str, Any]) -> dict[str, Any]:
    """The report card that the job shows."""
    keys = ("kind", "metrics", "baselines", "engine", "version", "size", "fps", "created_at")
    report: dict[str, Any] = manifest.get("report", {})
    return {key: manifest[key] for key in keys if key in manifest} | report


class Teller:
    """Tells the service how far the training is, and brings previews to where every replica can read them."""

    def __init__(self, task: child.Task, report: child.Report, avatars: Avatars) -> None:
        self._report, self._avatars, self._id = report, avatars, task.id
        self._warnings = list(task.spec.get("warnings", ()))
        self._preview = 0
        self._after: dict[str, Any] = {}
        self._told: tuple[Any, ...] = ()

    def __call__(self, progress: Progress) -> None:
        if progress.preview:
            self._avatars.show(self._id, progress.preview.read_bytes())
            self._preview = int(time.time())  # grows, also over a restart
        shown = (progress.stage, round(progress.progress, 3), self._preview)
        if shown == self._told:
            return  # engines tell every step; people and the table need no more than a thousandth
        self._told = shown
        self._report(
            {
                "stage": progress.stage,
                "progress": SHARE * progress.progress,
                "eta_s": progress.eta_s,
                "step": progress.step,
                "steps": progress.steps,
                "loss": progress.loss if progress.loss is None or math.isfinite(progress.loss) else None,
                "preview": self._preview,
            }
        )

    def stage(self, name: str, progress: float) -> None:
        """What is left to do once the engine has done its part."""
        # All warnings: what an attempt before could not make may be made by this one.
        self._after = {"stage": name, "progress": progress, "preview": self._preview, "warnings": self._warnings}
        self._report(self._after)

    def warn(self, *problems: Problem) -> None:
        """Something is not as it should be; the training goes on."""
        self._warnings += map(asdict, problems)
        self._report(self._after)


if __name__ == "__main__":
    sys.exit(child.run("train", work))
