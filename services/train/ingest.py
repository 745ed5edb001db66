"""`python -m services.train.ingest`: can an avatar be made of this recording? Run once per upload, in its own process.

What every engine needs is looked at here: a whole file of a fit length and size, with sound that is speech. What only
an engine can know, such as whether it can follow the face, it is asked. Each refusal says what is wrong, where, and
what to do. What is not ideal but can be lived with becomes a warning.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PIL import Image

from basics.media import MOST_PIXELS
from services.common.audio import SILENCE_PEAK
from services.common.engine import Capability
from services.common.errors import InvalidInput
from services.common.hosting import Engines
from services.common.jobs import child
from services.train import engines
from services.train.engine import TrainEngine, Upload
from services.train.footage import NotMedia, Outline, outline, photo_size
from services.train.hearing import Sound, listen
from services.train.settings import TrainSettings

FIELD = "video"
MOST_BYTES = 4 * 2**30  # of memory; what is not in the file must not be made of it
SLACK_S = 0.3  # a recording of "ten seconds" may lack a few frames
COMPLETE_SHARE = 0.9  # of the declared length that must be there
SOUND_GAP_S = 1.0  # of sound missing at either end that is worth a word
LEAST_SPEECH_S, LEAST_SPEECH_SHARE = 3.0, 0.1
QUIET_DB, CLIPPED_SHARE, LOW_FPS = -38.0, 0.001, 20.0


def check(path: Path, settings: TrainSettings, engine: TrainEngine) -> dict[str, Any]:
    """What the recording is like: kind, duration_s, width, height, fps, warnings.

    Raises:
        InvalidInput: it cannot serve, or not this engine.
    """
    if not path.stat().st_size:
        raise _refusal("FILE_EMPTY", "This file is empty. Choose another.")
    upload, warnings = _photo(path, settings) or _video(path, settings)
    if upload.kind == "photo" and Capability.PHOTO not in engine.info().capabilities:
        raise no_photos()
    warnings += engine.check(upload)
    return {
        "kind": upload.kind,
        "duration_s": upload.duration_s,
        "width": upload.width,
        "height": upload.height,
        "fps": upload.fps,
        "warnings": [asdict(warning.problem) for warning in warnings],
    }


def no_photos() -> InvalidInput:
    """The error for an engine that cannot make do with a photo."""
    message = "This engine needs a video. Choose another engine for a photo."
    return InvalidInput(message, reason="NO_PHOTOS", field="engine")


def _photo(path: Path, settings: TrainSettings) -> tuple[Upload, list[InvalidInput]] | None:
    try:
        shown = photo_size(path)
    except Image.DecompressionBombError as error:
        raise _refusal("PHOTO_TOO_LARGE", "This picture is too large; scale it down.") from error
    if shown is None:
        return None
    if min(shown) < settings.min_side:
        size, least = "×".join(map(str, shown)), str(settings.min_side)
        message = f"This photo is only {size} pixels; each side needs at least {least}. Choose a larger one."
        raise _refusal("RESOLUTION_TOO_LOW", message, size=size, min=least)
    return Upload(path, "photo", *shown), []


def _video(path: Path, settings: TrainSettings) -> tuple[Upload, list[InvalidInput]]:
    about = _check_file(path, settings)
    partly = _check_span(about, settings)
    sound = _check_sound(path, about)
    upload = Upload(path, "video", about.width, about.height, about.fps, about.duration_s, about.keyframes_s)
    return upload, [*partly, *_sound_warnings(sound), *_picture_warnings(about)]


def _refusal(reason: str, message: str, **values: str) -> InvalidInput:
    return InvalidInput(message, reason=reason, field=FIELD, values=values)


def _check_file(path: Path, settings: TrainSettings) -> Outline:
    try:
        about = outline(path)
    except NotMedia as error:
        if error.is_cut:
            raise _refusal("TRUNCATED", "The end of this video is missing. Copy or upload the whole file.") from error
        message = "This file is no video or photo. Choose an MP4, MOV, WebM, MKV or AVI file, or a JPEG, PNG or WebP."
        raise _refusal("NOT_A_VIDEO", message) from error
    if not about.has_picture or not about.fps:
        raise _refusal("NOT_A_VIDEO", "This file has no moving picture. Choose a video of a person talking.")
    if about.duration_s < COMPLETE_SHARE * about.declared_s:
        second = f"{about.duration_s:.1f}"
        message = f"This video breaks off at second {second} of {about.declared_s:.1f}. Copy or upload the whole file."
        raise _refusal("TRUNCATED", message, second=second)
    _check_bounds(about, settings)
    return about


def _check_bounds(about: Outline, settings: TrainSettings) -> None:
    if about.duration_s < settings.min_seconds - SLACK_S:
        least, second = f"{settings.min_seconds:g}", f"{about.duration_s:.1f}"
        message = f"This video is {second} seconds long; at least {least} are needed, and a minute or two is best."
        raise _refusal("TOO_SHORT", message, second=second, min=least)
    if about.duration_s > settings.max_seconds + SLACK_S:
        most = f"{settings.max_seconds / 60:g}"
        message = f"This video is {about.duration_s / 60:.0f} minutes long; cut it to at most {most} minutes."
        raise _refusal("TOO_LONG", message, max_minutes=most)
    if min(about.width, about.height) < settings.min_side:
        size, least = f"{about.width}×{about.height}", str(settings.min_side)
        message = f"This video is only {size} pixels; each side needs at least {least}. Record it larger."
        raise _refusal("RESOLUTION_TOO_LOW", message, size=size, min=least)
    if about.width * about.height > MOST_PIXELS:
        size = f"{about.width}×{about.height}"
        message = f"This video is {size} pixels, more than 8K. Export it smaller, 1920×1080 for example."
        raise _refusal("RESOLUTION_TOO_HIGH", message, size=size)
    if not about.has_sound:
        raise _refusal("NO_AUDIO", "This video has no sound. Record it again with a microphone.")


def _check_span(about: Outline, settings: TrainSettings) -> list[InvalidInput]:
    """Sound and picture must be there together for long enough; a warning if not all the time."""
    start, end = max(0.0, about.heard_s[0]), min(about.heard_s[1], about.duration_s)
    values = {"start": f"{start:.1f}", "end": f"{max(start, end):.1f}", "min": f"{settings.min_seconds:g}"}
    span = f"There is sound only from second {values['start']} to {values['end']}"
    if end - start < settings.min_seconds - SLACK_S:
        message = f"{span}; at least {values['min']} seconds with sound are needed. Record or export it again."
        raise _refusal("SOUND_TOO_SHORT", message, **values)
    if start <= SOUND_GAP_S and end >= about.duration_s - SOUND_GAP_S:
        return []
    message = f"{span}; the rest is left out. Export the video again if there should be more."
    return [_refusal("SOUND_PARTLY", message, start=values["start"], end=values["end"])]


def _check_sound(path: Path, about: Outline) -> Sound:
    sound = listen(path)
    if sound.peak < SILENCE_PEAK:
        raise _refusal("SILENT", "This video is silent. Check the microphone and record it again.")
    if sound.speech_s < max(LEAST_SPEECH_S, LEAST_SPEECH_SHARE * about.duration_s):
        second = f"{sound.speech_s:.1f}"
        message = f"Only {second} seconds of this video sound like speech. Record someone talking, without loud noise."
        raise _refusal("NO_SPEECH", message, second=second)
    return sound


def _sound_warnings(sound: Sound) -> list[InvalidInput]:
    warnings = []
    if sound.clipped_share > CLIPPED_SHARE:
        message = "The sound is overdriven in places. Move back from the microphone or lower its level."
        warnings.append(_refusal("CLIPPING", message))
    if sound.speech_db < QUIET_DB:
        level = f"{sound.speech_db:.0f}"
        message = f"The voice is quiet ({level} dB). Move closer to the microphone or raise its level."
        warnings.append(_refusal("QUIET", message, level=level))
    return warnings


def _picture_warnings(about: Outline) -> list[InvalidInput]:
    warnings = []
    if about.fps < LOW_FPS:
        fps = f"{about.fps:.0f}"
        message = f"The video has only {fps} pictures a second; 25 or more follow the lips better."
        warnings.append(_refusal("LOW_FPS", message, fps=fps))
    if about.is_hdr:
        message = "The video is HDR; colours may come out pale. Switch HDR off in the camera, or export it as SDR."
        warnings.append(_refusal("HDR", message))
    if about.is_interlaced:
        message = "The video is interlaced; lips may show combs. Export it deinterlaced, as progressive video."
        warnings.append(_refusal("INTERLACED", message))
    return warnings


def work(task: child.Task, _report: child.Report) -> dict[str, Any]:
    """Check the file that the service wrote down, for the engine that it named."""
    settings = TrainSettings(**task.settings)
    hosted: Engines[TrainEngine] = Engines(engines, "train", settings)
    return check(Path(task.spec["path"]), settings, hosted.keep(task.spec["engine"]))


if __name__ == "__main__":
    sys.exit(child.run("train", work, most_bytes=MOST_BYTES))
