"""`python -m services.train.ingest`: can an avatar be made of this recording? Run once per upload, in its own process.

Each refusal says what is wrong, where, and what to do. What is not ideal but can be lived with becomes a warning.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from portrait.framing import rivals
from portrait.media import MOST_PIXELS
from portrait.still import is_photo
from portrait.tracking import Face, Tracker
from portrait.video import heard
from services.common.audio import SILENCE_PEAK
from services.common.errors import InvalidInput
from services.common.jobs import child
from services.train import photos
from services.train.footage import NotMedia, Outline, looks, outline
from services.train.hearing import Sound, listen
from services.train.settings import TrainSettings

FIELD = "video"
MOST_BYTES = 4 * 2**30  # of memory; what is not in the file must not be made of it
SLACK_S = 0.3  # a recording of "ten seconds" may lack a few frames
COMPLETE_SHARE = 0.9  # of the declared length that must be there
MISSING_SHARE = 0.5  # of the looks that may show no face; training leaves such moments out
OTHERS_SHARE = 0.2  # of the looks that may show a second face; these are left out, too
SOUND_GAP_S = 1.0  # of sound missing at either end that is worth a word
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
        return rivals(self.faces[0], self.faces[1:]) if self.faces else []


def check(path: Path, settings: TrainSettings) -> dict[str, Any]:
    """What the recording is like: duration_s, width, height, fps, warnings.

    Raises:
        InvalidInput: it cannot serve.
    """
    if path.stat().st_size and is_photo(path):
        return photos.check(path, settings)
    about = _check_file(path, settings)
    partly = _check_span(path, about, settings)
    sound = _check_sound(path, about)
    sights = _look(path, about)
    _check_faces(sights, about, settings)
    warnings = [*partly, *_sound_warnings(sound), *_picture_warnings(about, sights)]
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
    if about.width * about.height > MOST_PIXELS:
        size = f"{about.width}×{about.height}"
        message = f"This video is {size} pixels, more than 8K. Export it smaller, 1920×1080 for example."
        raise _refusal("RESOLUTION_TOO_HIGH", message, size=size)
    if not about.has_sound:
        raise _refusal("NO_AUDIO", "This video has no sound. Record it again with a microphone.")


def _check_span(path: Path, about: Outline, settings: TrainSettings) -> list[InvalidInput]:
    """Sound and picture must be there together for long enough; a warning if not all the time."""
    start, end = heard(path)
    start, end = max(0.0, start), min(end, about.duration_s)
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


def _look(path: Path, about: Outline) -> list[Sight]:
    with Tracker() as tracker:
        return [Sight(look.second, tracker.faces(look.picture), look.scale) for look in looks(path, about)]


def _check_faces(sights: list[Sight], about: Outline, settings: TrainSettings) -> None:
    if not sights:
        raise _refusal("UNREADABLE_MEDIA", "The picture of this video is damaged. Export it again, as MP4 with H.264.")
    missing, crowded = _missing(sights), [sight for sight in sights if sight.others]
    if _too_many(missing, sights, MISSING_SHARE, about, settings):
        second = f"{missing[0].second:.1f}"
        share = f"{100 * len(missing) / len(sights):.0f}"
        message = f"No face can be seen at second {second} (nor in {share} % of the video). Keep the face in view, lit."
        raise _refusal("NO_FACE", message, second=second, percent=share)
    if len(crowded) > 1 and _too_many([*missing, *crowded], sights, OTHERS_SHARE + len(missing) / len(sights), about,
                                      settings):  # fmt: skip
        second, count = f"{crowded[0].second:.1f}", str(1 + len(crowded[0].others))
        message = f"{count} faces can be seen at second {second}. Only one person may be in the picture."
        raise _refusal("SEVERAL_FACES", message, second=second, count=count)
    _check_size([sight for sight in sights if sight.faces], settings)


def _missing(sights: list[Sight]) -> list[Sight]:
    return [sight for sight in sights if not sight.faces]


def _too_many(
    unusable: list[Sight], sights: list[Sight], share: float, about: Outline, settings: TrainSettings
) -> bool:
    """Whether moments that are left out are too large a share, or leave too few seconds."""
    left_s = about.duration_s * (1 - len(unusable) / len(sights))
    return bool(unusable) and (len(unusable) > share * len(sights) or left_s < settings.min_seconds - SLACK_S)


def _check_size(seen: list[Sight], settings: TrainSettings) -> None:
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
        pixels = str(int(width))
        message = f"The face is {pixels} pixels wide; the avatar would be sharper with {SMALL_FACE} or more."
        warnings.append(_refusal("SMALL_FACE", message, pixels=pixels))
    if about.is_hdr:
        message = "The video is HDR; colours may come out pale. Switch HDR off in the camera, or export it as SDR."
        warnings.append(_refusal("HDR", message))
    if about.is_interlaced:
        message = "The video is interlaced; lips may show combs. Export it deinterlaced, as progressive video."
        warnings.append(_refusal("INTERLACED", message))
    return [*warnings, *_moment_warnings(sights, seen, about)]


def _moment_warnings(sights: list[Sight], seen: list[Sight], about: Outline) -> list[InvalidInput]:
    """What is wrong only now and then, and left out."""
    warnings = []
    if missing := _missing(sights):
        second, seconds = f"{missing[0].second:.1f}", f"{about.duration_s * len(missing) / len(sights):.0f}"
        message = f"No face can be seen near second {second}; about {seconds} seconds like that are left out."
        warnings.append(_refusal("FACE_AWAY", message, second=second, seconds=seconds))
    if crowded := [sight for sight in seen if sight.others]:
        second = f"{crowded[0].second:.1f}"
        message = f"Somebody else can be seen near second {second}; moments like that are left out."
        warnings.append(_refusal("OTHERS_SEEN", message, second=second))
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
    sys.exit(child.run("train", work, most_bytes=MOST_BYTES))
