"""`python -m services.render.job`: make one video. Started by the job runner; see services/common/jobs/child.py."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import shutil
import sys
import time
import wave
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from services.common import hardware
from services.common.audio import decode_blocks, to_pcm
from services.common.disk import require_space
from services.common.jobs import child
from services.common.peers import Peers
from services.common.provenance import metadata
from services.common.settings import ServiceSettings
from services.common.storage import Storage
from services.render import speech
from services.render.avatars.cast import Cast, open_avatar, open_cast
from services.render.engine import (
    SAMPLE_RATE,
    BatchEngine,
    ClipProgress,
    ClipTask,
    Expression,
    InProcess,
    LiveEngine,
    Pool,
    RenderEngine,
)
from services.render.film.generations import FOLDER, SUBTITLES, VIDEO, facts_of, write_manifest
from services.render.film.making import Film, Scene, worth
from services.render.heads import make_clip, open_clip
from services.render.settings import RenderSettings
from services.render.speech import Speech
from services.render.video import webvtt
from services.render.video.encoding import SOUND_RATE
from services.render.video.overlay import check_font

BYTES_PER_S = 2**20  # of 512×512 video, generously
REPORT_EVERY_S = 0.5
FILM_SHARE = 0.97  # of the progress; the rest is loading and storing
CLIP_SHARE = 0.9  # of that, for the clip of a batch engine; the rest is drawing into it and encoding


def work(task: child.Task, report: child.Report) -> dict[str, Any]:
    """Make the speech ready, film it, put the video into storage, and forget what it was made of.

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
    said, begin = speech.ready(task, report, settings, storage, Peers(settings, task.id))
    report = child.part(report, begin)
    require_space(task.work_folder, int(2 * said.duration_s * BYTES_PER_S))  # pieces, and what they make
    report({"stage": "load", "progress": 0.01})
    folder = f"{FOLDER}/{task.id}"
    video, frame_count = _film(task, report, settings, storage, said)
    report({"stage": "store", "progress": FILM_SHARE + 0.01})
    storage.put_file(video, f"{folder}/{VIDEO}")
    files = [VIDEO]
    if task.spec["subtitles"]:
        storage.write(f"{folder}/{SUBTITLES}", said.webvtt.encode())
        files.append(SUBTITLES)
    result = {"files": files, "duration_s": said.duration_s, "frame_count": frame_count}
    write_manifest(storage, task.id, result | {"avatar": task.spec["avatar"], "created_at": _now()})
    return result


def _film(
    task: child.Task, report: child.Report, settings: RenderSettings, storage: Storage, said: Speech
) -> tuple[Path, int]:
    """Make the video, going on with the pieces of an attempt that was killed; returns it and its number of frames."""
    avatars = open_cast(settings)
    avatar = avatars.fetch(task.spec["avatar"])  # once, not by all processes at the same time
    engine = avatars.engine(avatar.manifest.engine, loaded=False)  # each process loads its own
    duration_s = said.duration_s
    processes = worth(_processes(engine, task.device, settings), duration_s)
    scene = _scene(task, settings, said, processes)
    video = _place(task, scene, settings, avatar.card) / VIDEO
    begun = 0.0
    if isinstance(engine, BatchEngine):
        begun = CLIP_SHARE * FILM_SHARE
        head = avatars.performer(avatar.name, task.spec["size"], task.device)
        clip = _clip(task, report, avatars, said, video.parent)
        scene = dataclasses.replace(scene, open=open_clip, arguments=(str(clip), head.width, head.height, head.fps))
    film = Film(video, scene, metadata(task.id), rate=SOUND_RATE, pool=_pool(engine, processes))
    pace = Pace(report, max(1, round(duration_s * film.fps)), begun)
    try:
        for start_s, end_s in said.closures:
            film.shut(start_s, end_s)
        for block in decode_blocks(said.file, SOUND_RATE):
            film.push(block)
            pace.tell(film.frame_count, film.drawn_count)
        for done in film.finish():
            pace.tell(done, film.drawn_count)
    finally:
        film.close()
    return video, film.frame_count


def _processes(engine: RenderEngine, device: str, settings: RenderSettings) -> int:
    """How many may draw: beside GPUs, the processors are rarely asked for. A clip is only read, by one."""
    if not isinstance(engine, LiveEngine):
        return 1
    slots = max(1, sum(device != "cpu" for device in hardware.devices(settings.job_devices)))
    return settings.job_processes or max(1, engine.most_processes(device) // slots)


def _pool(engine: RenderEngine, processes: int) -> Callable[[Callable[[], object]], Pool]:
    return functools.partial(engine.pool, processes) if isinstance(engine, LiveEngine) else InProcess


def _clip(
    task: child.Task,
    report: child.Report,
    avatars: Cast,
    said: Speech,
    place: Path,
) -> Path:
    """Have the whole clip made, going on from what the engine has kept of an attempt that was killed."""
    heard, clip = place / "speech.wav", place / "clip.mp4"
    with wave.open(str(heard), "wb") as wav:
        wav.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        for block in decode_blocks(said.file, SAMPLE_RATE):
            wav.writeframesraw(to_pcm(block))
    name, folder, engine = avatars.batch(task.spec["avatar"])
    parameters = task.spec.get("parameters", {})
    wanted = ClipTask(folder, heard, clip, place / "engine", parameters, task.device, tuple(said.closures))

    def tell(progress: ClipProgress) -> None:
        share = CLIP_SHARE * FILM_SHARE * progress.progress
        report({"stage": progress.stage, "progress": share, "eta_s": progress.eta_s})

    make_clip(engine, name, wanted, tell)
    return clip


def _place(task: child.Task, scene: Scene, settings: RenderSettings, card: dict[str, Any]) -> Path:
    """The folder of pieces of just this film: what an earlier attempt left there was drawn with the same settings, of
    the same avatar. Others are forgotten."""
    own = settings.model_dump(mode="json", exclude=set(ServiceSettings.model_fields))
    asked = scene.arguments[1:], scene.expression, scene.cues, task.spec.get("parameters")
    what = (own, *asked, card, version("visavis"))
    digest = hashlib.sha256(repr(what).encode()).hexdigest()
    place = task.work_folder / f"film-{digest[:16]}"
    for other in task.work_folder.glob("film-*"):
        if other != place:
            shutil.rmtree(other)
    place.mkdir(exist_ok=True)
    return place


def _scene(task: child.Task, settings: RenderSettings, said: Speech, processes: int) -> Scene:
    cues: list[webvtt.Cue] = []
    if said.webvtt and task.spec["burn_subtitles"]:
        cues = webvtt.parse(said.webvtt)
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


class Pace:
    """Tells how far the filming is and how long it will take still."""

    def __init__(self, report: child.Report, total: int, begun: float = 0.0) -> None:
        """`begun` is the share of the progress that lies behind it."""
        self._report, self._total, self._begun = report, total, begun
        self._began = self._told = time.monotonic()

    def tell(self, done: int, drawn: int) -> None:
        """Report, but not more often than a person can read. `drawn` are the frames that this attempt drew itself."""
        now = time.monotonic()
        if now - self._told < REPORT_EVERY_S or not done:
            return
        self._told = now
        share = self._begun + (FILM_SHARE - self._begun) * min(1.0, done / self._total)
        eta_s = (now - self._began) * max(0, self._total - done) / drawn if drawn else None
        self._report({"stage": "render", "progress": share, "eta_s": eta_s, "step": done, "steps": self._total})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


if __name__ == "__main__":
    sys.exit(child.run("render", work))
