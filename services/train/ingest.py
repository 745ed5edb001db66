"""`python -m services.train.ingest`: can an avatar be made of this recording? Run once per upload, in its own process.

Each refusal says what is wrong, where, and what to do. What is not ideal but can be lived with becomes a warning.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from portrait.still import is_photo
from portrait.tracking import Face, Tracker
from services.common.audio import SILENCE_PEAK
from services.common.errors import InvalidInput
from services.common.jobs import child
from services.train import photos
from services.train.footage import NotMedia, Outline, looks, outline
from services.train.hearing import Sound, listen
from services.train.settings import TrainSettings

FIELD = "video"
SLACK_S = 0.3  # a recording of "ten seconds" may lack a few frames
COMPLETE_SHARE = 0.9  # of the declared length that must be there
MISSING_SHARE = 0.1  # of the looks that may show no face; training leaves such moments out
OTHERS_SHARE = 0.05  # of the looks that may show a second face: passers-by
OTHER_SIZE = 0.4  # a second face narrower than this share of the first is background
SURE = 0.6  # least confidence for a second face
LEAST_SPEECH_S, LEAST_SPEECH_SHARE = 3.0, 0.1
QUIET_DB, CLIPPED_SHARE, LOW_FPS, SMALL_FACE = -38.0, 0.001, 20.0, 110
JUMP = 0.8  # of the face's width between looks; people rarely move so far


@dataclass(frozen=True)
class Sight:
    """The faces seen at a second, largest first, in pixels of the recording."""

    second: float
    faces: list[Face]
    scale: float

    @property
    def width(self) -> float:
        """Width of the largest face."""
        return self.faces[0].width / self.scale

    @property
    def others(self) -> list[Face]:
        """Further faces that matter."""
        return [
            face for face in self.faces[1:] if face.score >= SURE and face.width >= OTHER_SIZE * self.faces[0].width
        ]


def check(path: Path, settings: TrainSettings) -> dict[str, Any]:
    """What the recording is like: duration_s, width, height, fps, warnings.

    Raises:
        InvalidInput: it cannot serve.
    """
    if path.stat().st_size and is_photo(path):
        return photos.check(path, settings)
    about = _check_file(path, settings)
    sound = _check_sound(path, about)
    sights = _look(path, about)
    _check_faces(sights, settings)
    warnings = [*_sound_warnings(sound), *_picture_warnings(about, sights)]
    return {
        "duration_s": about.duration_s,
        "width": about.width,
        "height": about.height,
        "fps": about.fps,
        "warnings": [child.error_dict(warning) for warning in warnings],
    }


def _refusal(reason: str, message: str, **values: str) -> InvalidInput:
    return InvalidInput(message, reason=reason, field=FIELD, values=values)


def _check_file(path: Path, settings: TrainSettings) -> Outline:
    if not path.stat().st_size:
        raise _refusal("FILE_EMPTY", "This file is empty. Choose another.")
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
    if not about.has_sound:
        raise _refusal("NO_AUDIO", "This video has no sound. Record it again with a microphone.")


def _check_sound(path: Path, about: Outline) -> Sound:
    sound = listen(path)
    if sound.peak < SILENCE_PEAK:
        raise _refusal("SILENT", "This video is silent. Check the microphone and record it again.")
    if sound.speech_s < max(LEAST_SPEECH_S, LEAST_SPEECH_SHARE * about.duration_s):
        second = f"{sound.speech_s:.1f}"
        message = f"Only {second} seconds of this video sound like speech. Record someone talking, without loud noise."
        raise _refusal("NO_SPEECH", message, second=second)
    return sound


def _look(path: Path, about: Outline) -> list[Sight]:
    with Tracker() as tracker:
        return [Sight(look.second, tracker.faces(look.picture), look.scale) for look in looks(path, about)]


def _check_faces(sights: list[Sight], settings: TrainSettings) -> None:
    if not sights:
        raise _refusal("UNREADABLE_MEDIA", "The picture of this video is damaged. Export it again, as MP4 with H.264.")
    missing = [sight for sight in sights if not sight.faces]
    if len(missing) > MISSING_SHARE * len(sights):
        second = f"{missing[0].second:.1f}"
        share = f"{100 * len(missing) / len(sights):.0f}"
        message = f"No face can be seen at second {second} (nor in {share} % of the video). Keep the face in view, lit."
        raise _refusal("NO_FACE", message, second=second, percent=share)
    seen = [sight for sight in sights if sight.faces]
    crowded = [sight for sight in seen if sight.others]
    if len(crowded) > max(1, OTHERS_SHARE * len(sights)):
        second, count = f"{crowded[0].second:.1f}", str(1 + len(crowded[0].others))
        message = f"{count} faces can be seen at second {second}. Only one person may be in the picture."
        raise _refusal("SEVERAL_FACES", message, second=second, count=count)
    width = float(np.median([sight.width for sight in seen]))
    if width < settings.min_face_pixels:
        smallest = min(seen, key=lambda sight: sight.width)
        values = {"pixels": f"{width:.0f}", "min": str(settings.min_face_pixels), "second": f"{smallest.second:.1f}"}
        message = (
            f"The face is only {values['pixels']} pixels wide (at second {values['second']} it is smallest); "
            f"at least {values['min']} are needed. Come closer or record at a higher resolution."
        )
        raise _refusal("FACE_TOO_SMALL", message, **values)


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


def _picture_warnings(about: Outline, sights: list[Sight]) -> list[InvalidInput]:
    warnings = []
    if about.fps < LOW_FPS:
        fps = f"{about.fps:.0f}"
        message = f"The video has only {fps} pictures a second; 25 or more follow the lips better."
        warnings.append(_refusal("LOW_FPS", message, fps=fps))
    seen = [sight for sight in sights if sight.faces]
    width = float(np.median([sight.width for sight in seen]))
    if width < SMALL_FACE:
        pixels = f"{width:.0f}"
        message = f"The face is {pixels} pixels wide; the avatar would be sharper with {SMALL_FACE} or more."
        warnings.append(_refusal("SMALL_FACE", message, pixels=pixels))
    if cut := _cut(seen):
        message = f"The picture seems to jump near second {cut}. Parts without cuts follow the person better."
        warnings.append(_refusal("CUTS", message, second=cut))
    return warnings


def _cut(seen: list[Sight]) -> str:
    """The second after which the face is suddenly elsewhere, or nothing."""
    for before, after in zip(seen, seen[1:], strict=False):
        a, b = before.faces[0], after.faces[0]
        moved = np.hypot(a.x + a.width / 2 - b.x - b.width / 2, a.y + a.height / 2 - b.y - b.height / 2)
        if moved > JUMP * max(a.width, b.width):
            return f"{before.second:.1f}"
    return ""


def work(task: child.Task, _report: child.Report) -> dict[str, Any]:
    """Check the file that the service wrote down."""
    return check(Path(task.spec["path"]), TrainSettings(**task.settings))


if __name__ == "__main__":
    sys.exit(child.run("train", work))
