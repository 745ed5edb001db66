"""`python -m services.train.job`: train one avatar. Started by the job runner; see services/common/jobs/child.py."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from services.common.hosting import Engines
from services.common.jobs import child
from services.common.storage import Storage
from services.train import engines
from services.train.engine import Progress, TrainEngine, TrainingTask
from services.train.recordings import Recordings
from services.train.settings import TrainSettings
from services.train.trainings import (
    AVATAR_MANIFEST,
    AVATARS,
    FOLDER,
    PREVIEW,
    add_transcript,
    avatar_of,
    name_taken,
)

PROVENANCE = ("kind", "sha256", "duration_s", "width", "height", "fps")  # a photo has neither length nor rate
STATEMENT = "A synthetic likeness made with consent. What it is made to say, the person did not say."


def work(task: child.Task, report: child.Report) -> dict[str, Any]:
    """Train the avatar, put it into storage, and forget the recording.

    Started again after a kill, it goes on where it was; a kill after the avatar was stored only repeats the tidying.
    """
    settings = TrainSettings(**task.settings)
    os.nice(settings.niceness)
    storage = Storage(settings.storage_url, settings.work_folder / "cache")
    recordings = Recordings(storage)
    spec = task.spec
    manifest = avatar_of(storage, task.id, spec["name"]) or _make(task, report, settings, storage, recordings)
    add_transcript(storage, task.id, spec["name"])
    recordings.forget(spec["recording_id"])
    return {"report": _report(manifest)}


def _make(
    task: child.Task, report: child.Report, settings: TrainSettings, storage: Storage, recordings: Recordings
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
    card = engine.train(job, Teller(task, report, storage))
    manifest = _manifest(task, engine.info().version, card, recording, folder)
    if storage.exists(f"{AVATARS}/{spec['name']}/{AVATAR_MANIFEST}"):
        raise name_taken()
    storage.delete_folder(f"{AVATARS}/{spec['name']}")  # the rest of an attempt that was killed while storing
    storage.require_space(sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()))
    storage.put_folder(folder, f"{AVATARS}/{spec['name']}", AVATAR_MANIFEST)
    return manifest


def _manifest(
    task: child.Task, engine_version: str, card: dict[str, Any], recording: dict[str, Any], folder: Path
) -> dict[str, Any]:
    """Complete the avatar.json that the engine left, in place."""
    path, spec = folder / AVATAR_MANIFEST, task.spec
    own = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    manifest = own | {
        "metrics": card.get("metrics", {}),
        "baselines": card.get("baselines", {}),
        "engine": spec["engine"],
        "version": engine_version,
        "visavis": version("visavis"),
        "voice": spec["voice"],
        "consent": spec["consent"],
        "provenance": {key: recording[key] for key in PROVENANCE if recording.get(key)},
        "parameters": spec["parameters"],
        "training_id": task.id,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "statement": STATEMENT,
        "report": card,
    }
    manifest = _finite(manifest)
    path.write_text(json.dumps(manifest, indent=2, ensure_ascii=False), encoding="utf-8")
    return manifest


def _report(manifest: dict[str, Any]) -> dict[str, Any]:
    """The report card that the job shows."""
    keys = ("kind", "metrics", "baselines", "engine", "version", "size", "fps", "created_at")
    return {key: manifest[key] for key in keys if key in manifest} | manifest.get("report", {})


def _finite(value: Any) -> Any:
    """JSON as everyone can read it: numbers that are none become null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


class Teller:
    """Tells the service how far the training is, and brings previews to where every replica can read them."""

    def __init__(self, task: child.Task, report: child.Report, storage: Storage) -> None:
        self._report, self._storage = report, storage
        self._key = f"{FOLDER}/{task.id}/{PREVIEW}"
        self._preview = 0
        self._told: tuple[Any, ...] = ()

    def __call__(self, progress: Progress) -> None:
        if progress.preview:
            self._storage.write(self._key, progress.preview.read_bytes())
            self._preview = int(time.time())  # grows, also over a restart
        shown = (progress.stage, round(progress.progress, 3), self._preview)
        if shown == self._told:
            return  # engines tell every step; people and the table need no more than a thousandth
        self._told = shown
        self._report(
            {
                "stage": progress.stage,
                "progress": progress.progress,
                "eta_s": progress.eta_s,
                "step": progress.step,
                "steps": progress.steps,
                "loss": progress.loss if progress.loss is None or math.isfinite(progress.loss) else None,
                "preview": self._preview,
            }
        )


if __name__ == "__main__":
    sys.exit(child.run("train", work))
