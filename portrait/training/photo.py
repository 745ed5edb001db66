"""From one photo to an avatar that speaks, without training."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from portrait.arrays import Floats, Frame
from portrait.avatar.idle import film_idle
from portrait.avatar.stored import BASE, Avatar
from portrait.errors import RecordingError
from portrait.face.inner_mouth import InnerMouth
from portrait.face.still_face import (
    JAW,
    LOWER_INNER,
    LOWER_OUTER,
    STILL,
    UPPER_INNER,
    UPPER_OUTER,
    StillFace,
    slit_of,
)
from portrait.footage import liveliness
from portrait.media.still import read
from portrait.media.video import FRAME_RATE, Movie
from portrait.mouth import visemes
from portrait.mouth.shape import inner_gap, mouths_of
from portrait.progress import Progress
from portrait.tracking.faces import OUTER_LIP, STABLE, Tracker, interocular, person
from portrait.tracking.framing import FACE_SHARE, WHOLE_SHARE
from portrait.tracking.geometry import Canon, cut_out, move, similarities
from portrait.training.preparing import fit

CROP_IODS = 2.4
"""Side of the canonical crop: from the eyes to the throat."""
LOOP_S = 14.0
"""Footage that is made unless asked otherwise: one round of the idle loop."""
UPPER_SHARE = 0.4
"""Of an open photo mouth's gap that the upper lip closes; the jaw does the rest."""
NOBODY = "No face was found in this picture. Choose one of a person facing the camera, lit."


@dataclass(frozen=True)
class PhotoReport:
    """What came out: the avatar, and the seconds that it took. A photo says nothing about how well it speaks."""

    avatar: Path
    seconds: float


Step = Callable[[str, float], None]


def from_photo(
    photo: Path,
    out: Path,
    *,
    size: int = 512,
    seed: int = 0,
    loop_seconds: float = LOOP_S,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> PhotoReport:
    """Make an avatar of kind "photo" in the folder `out`, replacing it.

    `on_progress` hears of the stages `track`, `align` and `package`, as in a training.

    Raises:
        RecordingError: no face is seen in the photo, or as `portrait.media.still.read`.
    """
    began = time.monotonic()

    def tell(stage: str, fraction: float) -> None:
        elapsed = time.monotonic() - began
        left = elapsed * (1 - fraction) / fraction if fraction > 0.15 else None
        on_progress(Progress(stage, fraction, 0, 1, eta_s=left))

    tell("track", 0.0)
    picture, points, mask = _looked_at(read(photo), size)
    tell("align", 0.05)
    folder = out.with_name(f".{out.name}.part")
    shutil.rmtree(folder, ignore_errors=True)
    avatar = _avatar(folder, picture, points, seed)
    folder.mkdir(parents=True)
    made = _film(avatar, picture, points, mask, round(loop_seconds * FRAME_RATE), tell)
    made.save()
    film_idle(made, lambda step, steps: tell("package", 0.5 + 0.5 * step / steps))
    shutil.rmtree(out, ignore_errors=True)
    shutil.move(folder, out)
    return PhotoReport(out, time.monotonic() - began)


def _looked_at(picture: Frame, size: int) -> tuple[Frame, Floats, Floats]:
    """The square about the face scaled to `size`, its mesh points (478, 3), and where the person is (size, size)."""
    with Tracker() as tracker:
        faces = tracker.faces(picture)
        if not faces:
            raise RecordingError("no-face", NOBODY)
        face = faces[0]
        x, y, side = square((face.x, face.y, face.width, face.height), picture.shape[1], picture.shape[0])
        cut = fit(picture[y : y + side, x : x + side], size)
        points = tracker.landmarks(cut)
    if points is None:
        raise RecordingError("no-face", NOBODY)
    return cut, points, person(cut)


def square(face: tuple[float, float, float, float], width: int, height: int) -> tuple[int, int, int]:
    """Left, top and side of the square to show of a picture with a face at (x, y, width, height)."""
    x, y, wide, high = face
    longer, shorter = max(wide, high), min(height, width)
    side = shorter if longer > WHOLE_SHARE * shorter else min(shorter, round(longer / FACE_SHARE))
    left = np.clip(x + wide / 2 - side / 2, 0, width - side)
    top = np.clip(y + high / 2 - 0.54 * side, 0, height - side)
    return round(left), round(top), side


def _avatar(folder: Path, picture: Frame, points: Floats, seed: int) -> Avatar:
    """Everything but the footage."""
    canon, matrix = _canon(points)
    crop = cut_out(picture, matrix, canon.side)
    mouth = mouths_of(points[None], matrix[None], canon)[0].astype(np.float32)
    rest = closed(mouth)
    lips = mouth[: len(OUTER_LIP)] * canon.iod
    inner = InnerMouth.look_into(crop, slit_of(mouth * canon.iod), slit_of(rest * canon.iod), lips, canon.iod)
    still = (move(points[None, list(STILL)], matrix[None])[0] / canon.iod).astype(np.float32)
    table = visemes.table()
    rested = np.zeros(len(table.shape.deviation), np.float32)
    return Avatar(
        folder, len(picture), canon, table.shape, visemes.Visemes.of(table), StillFace(mouth, still, inner),
        rested, matrix[None], rest[None], rested[None], liveliness.loop(1), card={"kind": "photo", "seed": seed},
    )  # fmt: skip


def _canon(points: Floats) -> tuple[Canon, Floats]:
    """An upright crop about the mouth at the photo's own scale, and the photo's (2, 3) matrix into it."""
    iod = float(interocular(points[None])[0])
    side = int(np.ceil(CROP_IODS * iod / 16) * 16)
    eyes = points[[33, 133, 362, 263], :2]
    along = eyes[2:].mean(axis=0) - eyes[:2].mean(axis=0)
    cos, sin = along / np.linalg.norm(along)
    turn = np.array([[cos, sin], [-sin, cos]])
    middle = points[list(OUTER_LIP), :2].mean(axis=0)
    template = ((points[list(STABLE), :2] - middle) @ turn.T + side / 2).astype(np.float32)
    matrix = similarities(points[None, list(STABLE)], template)[0]
    return Canon(template, iod, side, np.full((side, side), 255, np.uint8)), matrix


def closed(mouth: Floats) -> Floats:
    """The photo's mouth (57, 2) with the lips together: most smiles show teeth, and replies begin with a shut mouth."""
    rest = mouth.copy()
    gap = np.maximum(mouth[list(LOWER_INNER), 1] - mouth[list(UPPER_INNER), 1], 0)
    middle = max(float(inner_gap(mouth)), 0.0)
    rest[list(UPPER_INNER), 1] += UPPER_SHARE * gap
    rest[list(LOWER_INNER), 1] -= (1 - UPPER_SHARE) * gap
    rest[list(UPPER_OUTER), 1] += UPPER_SHARE * 0.8 * gap
    rest[list(LOWER_OUTER), 1] -= (1 - UPPER_SHARE) * 0.9 * gap
    chin = np.clip(np.sin(np.linspace(0, np.pi, len(JAW))), 0, 1)
    rest[list(JAW), 1] -= 0.4 * middle * chin
    return rest.astype(np.float32)


def _film(avatar: Avatar, picture: Frame, points: Floats, mask: Floats, count: int, tell: Step) -> Avatar:
    """Write the footage; returns the avatar with its frames' matrices."""
    matrices = []
    frames = liveliness.film(picture, points, mask, avatar.canon.template, count, avatar.card["seed"])
    with Movie(avatar.folder / BASE, size=(avatar.size, avatar.size), crf=12, seekable=True) as movie:
        for index, (frame, matrix) in enumerate(frames):
            movie.push(frame)
            matrices.append(matrix)
            tell("package", 0.1 + 0.4 * index / count)
    poses, shown = (np.repeat(each, len(matrices), axis=0) for each in (avatar.poses, avatar.shown))
    return replace(avatar, matrices=np.stack(matrices), poses=poses, shown=shown, footage=liveliness.loop(count))
