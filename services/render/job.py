"""`python -m services.render.job`: make one video. Started by the job runner; see services/common/jobs/child.py."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from portrait.device import choose
from portrait.workers import most_workers
from services.common import hardware
from services.common.audio import decode_blocks
from services.common.disk import require_space
from services.common.jobs import child
from services.common.provenance import metadata
from services.common.settings import ServiceSettings
from services.common.storage import Storage
from services.render import webvtt
from services.render.avatars import Avatars
from services.render.cast import open_avatar
from services.render.encoding import SOUND_RATE
from services.render.engine import Expression
from services.render.film import Film, Scene, worth
from services.render.generations import (
    CLOSURES,
    FOLDER,
    SPEECH,
    SUBTITLES,
    VIDEO,
    facts_of,
    input_folder,
    write_manifest,
)
from services.render.overlay import check_font
from services.render.settings import RenderSettings

BYTES_PER_S = 2**20  # of 512×512 video, generously
REPORT_EVERY_S = 0.5
FILM_SHARE = 0.97  # of the progress; the rest is loading and storing


def work(task: child.Task, report: child.Report) -> dict[str, Any]:
    """Film the speech that was brought, put the video into storage, and forget the speech.

    Started again after a kill, it goes on where it was; a kill after the video was stored only repeats the tidying.
    """
    settings = RenderSettings(**task.settings)
    os.nice(settings.job_niceness)
    storage = Storage(settings.storage_url, settings.work_folder / "cache")
    result = facts_of(storage, task.id) or _make(task, report, settings, storage)
    folder = f"{FOLDER}/{task.id}"
    for brought in storage.folders(folder):  # also by who was killed while bringing it
        storage.delete_folder(f"{folder}/{brought}")
    shutil.rmtree(task.work_folder, ignore_errors=True)
    return result


def _make(task: child.Task, report: child.Report, settings: RenderSettings, storage: Storage) -> dict[str, Any]:
    require_space(task.work_folder, int(2 * task.spec["duration_s"] * BYTES_PER_S))  # pieces, and what they make
    report({"stage": "load", "progress": 0.01})
    folder, brought = f"{FOLDER}/{task.id}", input_folder(task.id, task.spec)
    speech = storage.local_file(f"{brought}/{SPEECH}")
    video, frame_count = _film(task, report, settings, storage, speech)
    report({"stage": "store", "progress": FILM_SHARE + 0.01})
    storage.put_file(video, f"{folder}/{VIDEO}")
    files = [VIDEO]
    if task.spec["subtitles"]:
        storage.write(f"{folder}/{SUBTITLES}", storage.read(f"{brought}/{SUBTITLES}"))
        files.append(SUBTITLES)
    result = {"files": files, "duration_s": task.spec["duration_s"], "frame_count": frame_count}
    write_manifest(storage, task.id, result | {"avatar": task.spec["avatar"], "created_at": _now()})
    return result


def _film(
    task: child.Task, report: child.Report, settings: RenderSettings, storage: Storage, speech: Path
) -> tuple[Path, int]:
    """Make the video, going on with the pieces of an attempt that was killed; returns it and its number of frames."""
    most = most_workers(choose(task.device or "auto"))
    devices = hardware.devices(settings.job_devices)
    slots = max(1, sum(device != "cpu" for device in devices))  # beside GPUs, the processors are rarely asked for
    avatars = Avatars(storage)
    avatar, manifest = avatars.find(task.spec["avatar"])
    avatars.folder(avatar)  # fetched once, not by all processes at the same time
    duration_s = task.spec["duration_s"]
    processes = worth(settings.job_processes or max(1, most // slots), duration_s)
    scene = _scene(task, settings, storage, processes)
    video = _place(task.work_folder, scene, settings, manifest) / VIDEO
    film = Film(video, scene, metadata(task.id), rate=SOUND_RATE, duration_s=duration_s, processes=processes)
    pace = Pace(report, max(1, round(duration_s * film.fps)))
    try:
        for start_s, end_s in _closures(task, storage):
            film.shut(start_s, end_s)
        for block in decode_blocks(speech, SOUND_RATE):
            film.push(block)
            pace.tell(film.frame_count, film.drawn_count)
        for done in film.finish():
            pace.tell(done, film.drawn_count)
    finally:
        film.close()
    return video, film.frame_count


def _place(work_folder: Path, scene: Scene, settings: RenderSettings, manifest: dict[str, Any]) -> Path:
    """The folder of pieces of just this film: what an earlier attempt left there was drawn with the same settings, of
    the same avatar. Others are forgotten."""
    own = settings.model_dump(mode="json", exclude=set(ServiceSettings.model_fields))
    what = (own, scene.arguments[1:], scene.expression, scene.cues, manifest, version("visavis"))
    digest = hashlib.sha256(repr(what).encode()).hexdigest()
    place = work_folder / f"film-{digest[:16]}"
    for other in work_folder.glob("film-*"):
        if other != place:
            shutil.rmtree(other)
    place.mkdir(exist_ok=True)
    return place


def _scene(task: child.Task, settings: RenderSettings, storage: Storage, processes: int) -> Scene:
    cues: list[webvtt.Cue] = []
    if task.spec["subtitles"] and task.spec["burn_subtitles"]:
        cues = webvtt.parse(storage.read(f"{input_folder(task.id, task.spec)}/{SUBTITLES}").decode())
        check_font(cues, settings.subtitle_font)
    threads = settings.threads if processes == 1 else 1
    chosen = settings.model_copy(update={"threads": threads}).model_dump_json()
    return Scene(
        open_avatar,
        (chosen, task.spec["avatar"], task.spec["size"], task.device),
        Expression(**task.spec.get("expression", {})),
        settings.file_crf,
        settings.file_preset,
        settings.threads,
        tuple(cues),
        settings.label_text if settings.visible_label else "",
        settings.subtitle_font,
    )


def _closures(task: child.Task, storage: Storage) -> list[tuple[float, float]]:
    if not task.spec.get("closures"):
        return []
    return json.loads(storage.read(f"{input_folder(task.id, task.spec)}/{CLOSURES}"))


class Pace:
    """Tells how far the filming is and how long it will take still."""

    def __init__(self, report: child.Report, total: int) -> None:
        self._report, self._total = report, total
        self._began = self._told = time.monotonic()

    def tell(self, done: int, drawn: int) -> None:
        """Report, but not more often than a person can read. `drawn` are the frames that this attempt drew itself."""
        now = time.monotonic()
        if now - self._told < REPORT_EVERY_S or not done:
            return
        self._told = now
        share = min(1.0, done / self._total)
        eta_s = (now - self._began) * max(0, self._total - done) / drawn if drawn else None
        self._report(
            {"stage": "render", "progress": FILM_SHARE * share, "eta_s": eta_s, "step": done, "steps": self._total}
        )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


if __name__ == "__main__":
    sys.exit(child.run("render", work))
