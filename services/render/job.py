"""`python -m services.render.job`: make one video. Started by the job runner; see services/common/jobs/child.py."""

from __future__ import annotations

import json
import shutil
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.common.audio import decode_blocks
from services.common.disk import require_space
from services.common.jobs import child
from services.common.storage import Storage
from services.render import webvtt
from services.render.avatars import Avatars
from services.render.cast import Cast
from services.render.encoding import SOUND_RATE, Format, MovieFile
from services.render.engine import Expression
from services.render.generations import CLOSURES, FOLDER, INPUT, SUBTITLES, VIDEO, write_manifest
from services.render.overlay import check_font, drawing
from services.render.provenance import metadata
from services.render.settings import RenderSettings
from services.render.speaking import Speaking

BYTES_PER_S = 2**20  # of 512×512 video, generously
REPORT_EVERY_S = 0.5
FILM_SHARE = 0.97  # of the progress; the rest is loading and storing


def work(task: child.Task, report: child.Report) -> dict[str, Any]:
    """Film the speech that was brought, and put the video into storage."""
    settings = RenderSettings(**task.settings)
    storage = Storage(settings.storage_url, settings.work_folder / "cache")
    require_space(task.work_folder, int(task.spec["duration_s"] * BYTES_PER_S))
    report({"stage": "load", "progress": 0.01})
    folder = f"{FOLDER}/{task.id}"
    speech = storage.local_file(f"{folder}/{INPUT}")
    video = task.work_folder / VIDEO
    frame_count = _film(task, report, settings, storage, speech, video)
    report({"stage": "store", "progress": FILM_SHARE + 0.01})
    storage.put_file(video, f"{folder}/{VIDEO}")
    files = [VIDEO, *([SUBTITLES] if task.spec["subtitles"] else [])]
    result = {"files": files, "duration_s": task.spec["duration_s"], "frame_count": frame_count}
    write_manifest(storage, task.id, result | {"avatar": task.spec["avatar"], "created_at": _now()})
    for used in (INPUT, CLOSURES):
        storage.delete_file(f"{folder}/{used}")
    shutil.rmtree(task.work_folder, ignore_errors=True)
    return result


def _film(
    task: child.Task, report: child.Report, settings: RenderSettings, storage: Storage, speech: Path, video: Path
) -> int:
    cues = []
    if task.spec["subtitles"] and task.spec["burn_subtitles"]:
        cues = webvtt.parse(storage.read(f"{FOLDER}/{task.id}/{SUBTITLES}").decode())
        check_font(cues, settings.subtitle_font)
    performer = Cast(Avatars(storage), settings).performer(task.spec["avatar"], task.spec["size"], task.device)
    width, height, fps = performer.width, performer.height, performer.fps
    text = settings.label_text if settings.visible_label else ""
    speaking = Speaking(
        performer.perform(0, Expression(**task.spec.get("expression", {}))),
        MovieFile(
            video,
            Format(width, height, fps, settings.file_crf, settings.file_preset, settings.threads),
            metadata(task.id),
        ),
        rate=SOUND_RATE,
        fps=fps,
        draw=drawing(cues, width, height, label_text=text, font_file=settings.subtitle_font),
    )
    total = max(1, round(task.spec["duration_s"] * fps))
    pace = Pace(report, total)
    try:
        for start_s, end_s in _closures(task, storage):
            speaking.shut(start_s, end_s)
        for block in decode_blocks(speech, SOUND_RATE):
            for _ in speaking.push(block):
                pass
            pace.tell(speaking.frame_count)
        for _ in speaking.finish():
            pass
        pace.tell(speaking.frame_count)
    finally:
        speaking.close()
    return speaking.frame_count


def _closures(task: child.Task, storage: Storage) -> list[tuple[float, float]]:
    if not task.spec.get("closures"):
        return []
    return json.loads(storage.read(f"{FOLDER}/{task.id}/{CLOSURES}"))


class Pace:
    """Tells how far the filming is and how long it will take still."""

    def __init__(self, report: child.Report, total: int) -> None:
        self._report, self._total = report, total
        self._began = self._told = time.monotonic()

    def tell(self, done: int) -> None:
        """Report, but not more often than a person can read."""
        now = time.monotonic()
        if now - self._told < REPORT_EVERY_S or not done:
            return
        self._told = now
        share = min(1.0, done / self._total)
        eta_s = (now - self._began) * (1 - share) / share
        self._report(
            {"stage": "render", "progress": FILM_SHARE * share, "eta_s": eta_s, "step": done, "steps": self._total}
        )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


if __name__ == "__main__":
    sys.exit(child.run("render", work))
