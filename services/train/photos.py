"""Can an avatar be made of this photo? Each refusal says what is wrong and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from portrait.errors import RecordingError
from portrait.framing import rivals
from portrait.still import read
from portrait.tracking import Face, Tracker
from services.common.errors import InvalidInput
from services.common.jobs import child
from services.train.settings import TrainSettings

FIELD = "video"  # photos come where recordings do
SMALL_FACE = 140  # pixels under which the avatar is soft
MOST_TURN = 0.45  # how far the nose may be off the middle of the face, as a share of half its width
WIDEST = 2000  # pictures are scaled down to this for looking at
NOSE, CHEEKS = 1, (234, 454)


def check(path: Path, settings: TrainSettings) -> dict[str, Any]:
    """What the photo is like: width, height, warnings.

    Raises:
        InvalidInput: it cannot serve.
    """
    try:
        picture = read(path)
    except RecordingError as error:
        raise refusal(error.reason.upper().replace("-", "_"), str(error)) from error
    height, width = picture.shape[:2]
    if min(width, height) < settings.min_side:
        size, least = f"{width}×{height}", str(settings.min_side)
        message = f"This photo is only {size} pixels; each side needs at least {least}. Choose a larger one."
        raise refusal("RESOLUTION_TOO_LOW", message, size=size, min=least)
    face = _face(picture)
    _check_size(face, settings)
    warnings = []
    if face.width < SMALL_FACE:
        pixels = str(int(face.width))
        message = f"The face is {pixels} pixels wide; the avatar would be sharper with {SMALL_FACE} or more."
        warnings.append(refusal("SMALL_FACE", message, pixels=pixels))
    return {
        "kind": "photo", "duration_s": 0.0, "width": width, "height": height, "fps": 0.0,
        "warnings": [child.error_dict(warning) for warning in warnings],
    }  # fmt: skip


def refusal(reason: str, message: str, **values: str) -> InvalidInput:
    """An error that the photo itself is the reason of."""
    return InvalidInput(message, reason=reason, field=FIELD, values=values)


def _face(picture: np.ndarray) -> Face:
    """The one face, looking at the camera."""
    step = -(-max(picture.shape[:2]) // WIDEST)
    small = np.ascontiguousarray(picture[::step, ::step])
    with Tracker() as tracker:
        faces = tracker.faces(small)
        if not faces:
            raise refusal("NO_FACE", "No face can be seen in this photo. Choose one of a person facing the camera.")
        if others := rivals(faces[0], faces[1:]):
            count = str(1 + len(others))
            message = f"{count} faces can be seen in this photo. Crop it to one person."
            raise refusal("SEVERAL_FACES", message, count=count)
        _check_turn(tracker, small, faces[0])
    x, y, width, height = (step * each for each in (faces[0].x, faces[0].y, faces[0].width, faces[0].height))
    return Face(x, y, width, height, faces[0].score)


def _check_turn(tracker: Tracker, picture: np.ndarray, face: Face) -> None:
    """Refuse a profile: half of its mouth cannot be seen, and nobody could know how it moves."""
    margin = max(face.width, face.height) / 2
    rows = slice(max(0, round(face.y - margin)), round(face.y + face.height + margin))
    columns = slice(max(0, round(face.x - margin)), round(face.x + face.width + margin))
    points = tracker.landmarks(np.ascontiguousarray(picture[rows, columns]))
    if points is None:
        raise refusal("NO_FACE", "No face can be seen well in this photo. Choose one of a person facing the camera.")
    left, right = points[list(CHEEKS), :2]
    across = float((points[NOSE, :2] - left) @ (right - left) / ((right - left) @ (right - left) + 1e-9))
    if abs(2 * across - 1) > MOST_TURN:
        message = "The face is turned too far to the side. Choose a photo in which the person looks at the camera."
        raise refusal("TURNED_AWAY", message)


def _check_size(face: Face, settings: TrainSettings) -> None:
    if face.width < settings.min_face_pixels:
        pixels, least = f"{face.width:.0f}", str(settings.min_face_pixels)
        message = f"The face is only {pixels} pixels wide; at least {least} are needed. Choose a larger photo."
        raise refusal("FACE_TOO_SMALL", message, pixels=pixels, min=least)
