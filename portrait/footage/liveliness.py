"""Signs of life for a photo: blinks and slight motion of the head, written down as footage to speak over.

Courses are sums of waves that fit into the loop a whole number of times, so that its end leads into its beginning.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.interpolate import griddata

from portrait.arrays import Floats, Frame
from portrait.face.lids import shut
from portrait.face.warping import turned
from portrait.footage.jumps import MARGIN
from portrait.footage.walk import Footage
from portrait.media.video import FRAME_RATE
from portrait.tracking.faces import STABLE, interocular
from portrait.tracking.geometry import similarities

SHUT = (0.0, 0.45, 1.0)
"""How far the eyes are shut in each picture of a blink."""
BLINK = (1, 2, 2, 1)
"""Which of those a blink shows, a frame each: 160 ms, the same backwards."""
BLINK_EVERY_S = (2.4, 5.0)
ROLL, YAW, PITCH, SHIFT = 0.9, 2.2, 1.6, 0.012
"""Largest turns in degrees, and shift in inter-ocular distances: slight, because a photo has no other side."""
QUICKEST_S = 2.0
"""Of the waves in a course."""
STEP = 8


@dataclass(frozen=True)
class Sway:
    """Where the head is in one frame: roll, yaw and pitch in radians, shift in pixels."""

    roll: float
    yaw: float
    pitch: float
    x: float
    y: float


def sway(count: int, iod: float, rng: np.random.Generator) -> list[Sway]:
    """Courses of the head over a loop of `count` frames."""
    turns = np.radians([ROLL, YAW, PITCH])
    sizes = np.concatenate([turns, [SHIFT * iod, SHIFT * iod]])
    rates = np.arange(1, max(1, round(count / FRAME_RATE / QUICKEST_S)) + 1)
    phases = rng.uniform(0, 2 * np.pi, (len(sizes), len(rates), 1))
    waves = np.sin(2 * np.pi * rates[:, None] * np.arange(count) / count + phases)
    courses = np.einsum("sr,srt->st", rng.normal(size=(len(sizes), len(rates))) / rates**0.8, waves)
    courses *= sizes[:, None] / np.abs(courses).max(axis=1, keepdims=True)
    return [Sway(*frame) for frame in courses.T.tolist()]


def blinks(count: int, rng: np.random.Generator) -> list[int]:
    """Which picture of the blink each frame shows; eyes are open at both ends."""
    shown = [0] * count
    at = round(rng.uniform(1.0, 2.0) * FRAME_RATE)
    while at + len(BLINK) < count - 3:
        shown[at : at + len(BLINK)] = BLINK
        at += round(rng.uniform(*BLINK_EVERY_S) * FRAME_RATE)
    return shown


class Head:
    """Moves the head of a photo a little: whatever is not the person stays, and so do the shoulders."""

    def __init__(self, points: Floats, person: Floats, size: int) -> None:
        """`points` (478, 3) in pixels; `person` (size, size) is 1 where the person is."""
        self._size = size
        iod = float(interocular(points[None])[0])
        knots = np.arange(size // STEP + 2, dtype=np.float32) * STEP
        self._x, self._y = np.meshgrid(knots, knots)
        chin = points[152, :2]
        self._pivot = chin + np.array([0, 0.5 * iod])
        self._depth = _depth(points, self._x, self._y, iod)
        self._weight = _hold(person, points, self._x, self._y, iod, size)

    def forth(self, at: Sway) -> Floats:
        """(knots, knots, 2) displacement of every place when the head goes from the photo's pose to `at`."""
        x, y = self._x - self._pivot[0], self._y - self._pivot[1]
        dx = (np.cos(at.roll) - 1) * x - np.sin(at.roll) * y + at.x + at.yaw * self._depth
        dy = np.sin(at.roll) * x + (np.cos(at.roll) - 1) * y + at.y + at.pitch * self._depth
        return (np.stack([dx, dy], axis=-1) * self._weight[..., None]).astype(np.float32)

    def moved(self, picture: Frame, at: Sway) -> Frame:
        """The photo with the head at another place."""
        size = (self._size, self._size)
        back = cv2.resize(turned(self.forth(at), STEP), None, fx=STEP, fy=STEP, interpolation=cv2.INTER_LINEAR)
        # cv2.resize centres pixels; knots lie on them.
        lift = np.array([[1, 0, -(STEP - 1) / 2], [0, 1, -(STEP - 1) / 2]], np.float32)
        back = cv2.warpAffine(back, lift, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        x, y = (each.astype(np.float32) for each in np.meshgrid(*[np.arange(self._size)] * 2))
        return np.asarray(
            cv2.remap(picture, x + back[..., 0], y + back[..., 1], cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT),
            np.uint8,
        )

    def carried(self, points: Floats, at: Sway) -> Floats:
        """Where points (N, 2) of the photo go."""
        forth = self.forth(at)
        at_knots = (points[None, :, :2] / STEP).astype(np.float32)
        moved = cv2.remap(forth, at_knots, None, cv2.INTER_LINEAR)  # type: ignore[call-overload]  # no second map
        return np.asarray(points[:, :2] + moved[0], np.float32)


def _depth(points: Floats, x: Floats, y: Floats, iod: float) -> Floats:
    """How far each place lies before the ears, in pixels, none outside the face."""
    before = np.maximum(np.median(points[[234, 454], 2]) - points[:, 2], 0)
    inside = griddata(points[:, :2], before, (x, y), method="linear", fill_value=0.0)
    return np.asarray(cv2.GaussianBlur(inside.astype(np.float32), (0, 0), 0.12 * iod / STEP), np.float32)


def _hold(person: Floats, points: Floats, x: Floats, y: Floats, iod: float, size: int) -> Floats:
    """1 on the head, fading to 0 around the person, down the neck and at the picture's edge."""
    reach = 2 * round(0.10 * iod) + 1
    grown = cv2.dilate(person, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    soft = cv2.GaussianBlur(grown, (0, 0), 0.12 * iod)
    near = cv2.remap(soft, x.clip(0, size - 1), y.clip(0, size - 1), cv2.INTER_LINEAR)
    chin = points[152, 1]
    neck = _smooth(1 - (y - chin - 0.1 * iod) / (0.9 * iod))
    edge: Floats = np.minimum(np.minimum(x, size - 1 - x), y)
    return near * neck * _smooth(edge / np.float32(0.06 * size))


def _smooth(x: Floats) -> Floats:
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def loop(count: int) -> Footage:
    """A loop of `count` frames as `film` makes it, which is all the footage that there is."""
    whole = np.array([[0, count + 2 * MARGIN]], np.int32)
    back = np.array([[count + MARGIN - 1, MARGIN]], np.int32)
    landings = (np.arange(count + 2 * MARGIN) - MARGIN) % count
    return Footage(whole, back, np.zeros(count + 2 * MARGIN, np.float32), landings.astype(np.int32))


def film(
    picture: Frame, points: Floats, person: Floats, template: Floats, count: int, seed: int = 0
) -> Iterator[tuple[Frame, Floats]]:
    """The photo come alive, frame by frame, each with its (2, 3) matrix into the canonical crop.

    One loop of `count` frames, and before and after it the few that the cross-fade of its ends needs.
    """
    rng = np.random.default_rng(seed)
    iod = float(interocular(points[None])[0])
    lids = [shut(picture, points[:, :2], amount) for amount in SHUT]
    head = Head(points, person, len(picture))
    course = list(zip(sway(count, iod, rng), blinks(count, rng), strict=True))
    for index in range(-MARGIN, count + MARGIN):
        at, lid = course[index % count]
        stable = head.carried(points[list(STABLE), :2], at)
        yield head.moved(lids[lid], at), similarities(stable[None], template)[0]
