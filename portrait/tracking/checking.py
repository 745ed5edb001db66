"""Can an avatar be made of this recording? A look at its face now and then, in seconds, before anything is trained.

Each refusal says what is wrong, where, and what to do. What is not ideal but can be lived with is a warning: a
`RecordingError` that is returned, not raised.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError

from portrait.arrays import Frame
from portrait.errors import RecordingError
from portrait.media.decoding import Still
from portrait.media.opening import best_video, open_media
from portrait.media.still import read
from portrait.media.video import FRAME_RATE
from portrait.tracking.faces import Face, Tracker
from portrait.tracking.framing import rivals

LEAST_SECONDS, LEAST_FACE = 10.0, 64
"""Seconds of usable footage, and pixels of the face's width, that are needed."""
SLACK_S = 0.3
"""A recording of "ten seconds" may lack a few frames."""
LOOKS, LOOKS_PER_S = 60, 1.5
"""Frames looked at, at most and for each second."""
WIDEST, WIDEST_PHOTO = 1280, 2000
"""Pictures are scaled down to this for looking at."""
MISSING_SHARE, OTHERS_SHARE = 0.5, 0.2
"""Share of the looks that may show no face, or a second one; training leaves such moments out."""
SMALL_FACE, SMALL_FACE_IN_PHOTO = 110, 140
"""Pixels under which the avatar is soft."""
JUMP = 0.8
"""Of the face's width between looks; people rarely move so far."""
MOST_TURN = 0.45
"""How far the nose may be off the middle of the face, as a share of half its width."""
NOSE, CHEEKS = 1, (234, 454)


@dataclass(frozen=True)
class Glance:
    """One picture: RGB (H, W, 3), its second, and how much it was scaled."""

    second: float
    picture: Frame
    scale: float


@dataclass(frozen=True)
class Sight:
    """The faces seen at a second, largest first, in pixels of the picture scaled by `scale`."""

    second: float
    faces: list[Face]
    scale: float

    @property
    def width(self) -> float:
        """Width of the largest face, in pixels of the recording."""
        return self.faces[0].width / self.scale

    @property
    def others(self) -> list[Face]:
        """Further faces that matter."""
        return rivals(self.faces[0], self.faces[1:]) if self.faces else []


def check_video(
    video: Path,
    duration_s: float,
    keyframes_s: tuple[float, ...],
    *,
    least_seconds: float = LEAST_SECONDS,
    least_face: int = LEAST_FACE,
) -> list[RecordingError]:
    """Look for the one face of a video; returns what is not ideal.

    Args:
        duration_s: how long its picture really is.
        keyframes_s: seconds, from its first picture on, of pictures that can be decoded alone.
        least_face: least width of the face, in pixels of the recording.

    Raises:
        RecordingError: no avatar can be made of it.
    """
    with Tracker() as tracker:
        sights = [
            Sight(each.second, tracker.faces(each.picture), each.scale)
            for each in glances(video, duration_s, keyframes_s)
        ]
    if not sights:
        message = "The picture of this video is damaged. Export it again, as MP4 with H.264."
        raise RecordingError("unreadable-media", message)
    _check_presence(sights, duration_s, least_seconds)
    seen = [sight for sight in sights if sight.faces]
    width = float(np.median([sight.width for sight in seen]))
    if width < least_face:
        raise _too_small(min(seen, key=lambda sight: sight.width), width, least_face)
    return [*_size_warnings(width, SMALL_FACE), *_moment_warnings(sights, seen, duration_s)]


def check_photo(photo: Path, *, least_face: int = LEAST_FACE) -> list[RecordingError]:
    """Look for the one face of a JPEG, PNG or WebP picture; arguments and result as of `check_video`.

    Raises:
        RecordingError: no avatar can be made of it, or as `portrait.media.still.read`.
    """
    picture = read(photo)
    step = -(-max(picture.shape[:2]) // WIDEST_PHOTO)
    width = step * _face(np.ascontiguousarray(picture[::step, ::step])).width
    if width < least_face:
        values = {"pixels": f"{width:.0f}", "min": str(least_face)}
        message = (
            f"The face is only {values['pixels']} pixels wide; at least {least_face} are needed. Choose a larger photo."
        )
        raise RecordingError("face-too-small", message, values)
    return _size_warnings(width, SMALL_FACE_IN_PHOTO)


def glances(video: Path, duration_s: float, keyframes_s: tuple[float, ...]) -> Iterator[Glance]:
    """Pictures spread evenly over a recording, decoding little more than needed."""
    count = max(8, min(LOOKS, round(duration_s * LOOKS_PER_S)))
    step = duration_s / count
    wanted = [_snapped((i + 0.5) * step, keyframes_s, step / 3) for i in range(count)]
    with open_media(video) as container:
        stream = best_video(container)
        if stream is None:
            return
        stream.thread_type = "AUTO"
        yield from _at(container, stream, wanted, keyframes_s)


def _snapped(second: float, keyframes: tuple[float, ...], reach: float) -> float:
    """The nearest keyframe, if it is near: it can be decoded alone."""
    index = int(np.searchsorted(keyframes, second))
    near = min(keyframes[max(0, index - 1) : index + 1], key=lambda at: abs(at - second), default=second)
    return near if abs(near - second) <= reach else second


def _at(
    container: av.container.InputContainer, stream: av.VideoStream, wanted: list[float], keyframes: tuple[float, ...]
) -> Iterator[Glance]:
    base = stream.time_base or Fraction(1, FRAME_RATE)
    origin = float((stream.start_time or 0) * base)
    position = -1.0
    frames = container.decode(stream)
    for second in wanted:
        before = max((at for at in keyframes if at <= second + 1e-3), default=0.0)
        if before > position + 0.5:  # nothing is lost by jumping there
            container.seek(int((before + origin) / base), stream=stream)
            frames = container.decode(stream)
        try:
            frame = next(frame for frame in frames if frame.time is not None and frame.time - origin >= second - 0.02)
        except (FFmpegError, StopIteration):
            return  # the rest cannot be decoded
        position = frame.time - origin
        still = Still(frame, stream.sample_aspect_ratio)
        scale = min(1.0, WIDEST / max(still.size))
        yield Glance(position, still.rgb(scale), scale)


def _check_presence(sights: list[Sight], duration_s: float, least_s: float) -> None:
    """Refuse where moments without a face, or with others, are too large a share, or leave too few seconds."""

    def too_many(unusable: list[Sight], share: float) -> bool:
        left_s = duration_s * (1 - len(unusable) / len(sights))
        return bool(unusable) and (len(unusable) > share * len(sights) or left_s < least_s - SLACK_S)

    missing, crowded = _missing(sights), [sight for sight in sights if sight.others]
    if too_many(missing, MISSING_SHARE):
        values = {"second": f"{missing[0].second:.1f}", "percent": f"{100 * len(missing) / len(sights):.0f}"}
        message = (
            f"No face can be seen at second {values['second']} (nor in {values['percent']} % of the video). "
            "Keep the face in view, lit."
        )
        raise RecordingError("no-face", message, values)
    if len(crowded) > 1 and too_many([*missing, *crowded], OTHERS_SHARE + len(missing) / len(sights)):
        values = {"second": f"{crowded[0].second:.1f}", "count": str(1 + len(crowded[0].others))}
        message = (
            f"{values['count']} faces can be seen at second {values['second']}. Only one person may be in the picture."
        )
        raise RecordingError("several-faces", message, values)


def _missing(sights: list[Sight]) -> list[Sight]:
    return [sight for sight in sights if not sight.faces]


def _too_small(smallest: Sight, width: float, least: int) -> RecordingError:
    values = {"pixels": f"{width:.0f}", "min": str(least), "second": f"{smallest.second:.1f}"}
    message = (
        f"The face is only {values['pixels']} pixels wide (at second {values['second']} it is smallest); "
        f"at least {least} are needed. Come closer or record at a higher resolution."
    )
    return RecordingError("face-too-small", message, values)


def _size_warnings(width: float, soft_below: int) -> list[RecordingError]:
    if width >= soft_below:
        return []
    pixels = str(int(width))
    message = f"The face is {pixels} pixels wide; the avatar would be sharper with {soft_below} or more."
    return [RecordingError("small-face", message, {"pixels": pixels})]


def _moment_warnings(sights: list[Sight], seen: list[Sight], duration_s: float) -> list[RecordingError]:
    """What is wrong only now and then, and left out."""
    warnings = []
    if missing := _missing(sights):
        second, seconds = f"{missing[0].second:.1f}", f"{duration_s * len(missing) / len(sights):.0f}"
        message = f"No face can be seen near second {second}; about {seconds} seconds like that are left out."
        warnings.append(RecordingError("face-away", message, {"second": second, "seconds": seconds}))
    if crowded := [sight for sight in seen if sight.others]:
        second = f"{crowded[0].second:.1f}"
        message = f"Somebody else can be seen near second {second}; moments like that are left out."
        warnings.append(RecordingError("others-seen", message, {"second": second}))
    if cut := _cut(seen):
        message = f"The picture seems to jump near second {cut}. Parts without cuts follow the person better."
        warnings.append(RecordingError("cuts", message, {"second": cut}))
    return warnings


def _cut(seen: list[Sight]) -> str:
    """The second after which the face is suddenly elsewhere, or nothing."""
    for before, after in zip(seen, seen[1:], strict=False):
        a, b = before.faces[0], after.faces[0]
        moved = np.hypot(a.x + a.width / 2 - b.x - b.width / 2, a.y + a.height / 2 - b.y - b.height / 2)
        if moved > JUMP * max(a.width, b.width):
            return f"{before.second:.1f}"
    return ""


def _face(picture: Frame) -> Face:
    """The one face of a photo, looking at the camera."""
    with Tracker() as tracker:
        faces = tracker.faces(picture)
        if not faces:
            message = "No face can be seen in this photo. Choose one of a person facing the camera."
            raise RecordingError("no-face", message)
        if others := rivals(faces[0], faces[1:]):
            count = str(1 + len(others))
            message = f"{count} faces can be seen in this photo. Crop it to one person."
            raise RecordingError("several-faces", message, {"count": count})
        _check_turn(tracker, picture, faces[0])
        return faces[0]


def _check_turn(tracker: Tracker, picture: Frame, face: Face) -> None:
    """Refuse a profile: half of its mouth cannot be seen, and nobody could know how it moves."""
    margin = max(face.width, face.height) / 2
    rows = slice(max(0, round(face.y - margin)), round(face.y + face.height + margin))
    columns = slice(max(0, round(face.x - margin)), round(face.x + face.width + margin))
    points = tracker.landmarks(np.ascontiguousarray(picture[rows, columns]))
    if points is None:
        message = "No face can be seen well in this photo. Choose one of a person facing the camera."
        raise RecordingError("no-face", message)
    left, right = points[list(CHEEKS), :2]
    across = float((points[NOSE, :2] - left) @ (right - left) / ((right - left) @ (right - left) + 1e-9))
    if abs(2 * across - 1) > MOST_TURN:
        message = "The face is turned too far to the side. Choose a photo in which the person looks at the camera."
        raise RecordingError("turned-away", message)
