"""A head-and-shoulders presenter drawn by our own code: free for anyone to use, and alive enough to train on.

The static parts (skin, hair, clothes, wall) are painted once as lit reliefs; each frame moves the jaw's skin, paints
eyes, brows and mouth, and turns the head by its own depth map, so that features shift by parallax as in a real head.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from demo import face, hair, studio
from demo.expression import Expression, Pose
from demo.eyes import Brow, Eye
from demo.mouth import Mouth
from demo.relief import SCALE, SIDE, Array, Box, blur, bump, crop, grid, step

Rgb = tuple[int, int, int]

_HEAD = (116, 28, 396, 424)
_BACK = (104, 60, 408, 440)
_BODY = (0, 292, 512, 512)
_EYES = (164, 168, 348, 254)
_STEP = 4
_PIVOT = (256.0, 345.0)


@dataclass(frozen=True)
class Look:
    """The presenter's colours, display RGB 0…255."""

    skin: Rgb = (236, 188, 160)
    hair: Rgb = (112, 66, 42)
    iris: Rgb = (140, 102, 58)
    lips: Rgb = (206, 98, 98)
    blouse: Rgb = (244, 238, 228)
    jacket: Rgb = (38, 84, 98)
    wall: Rgb = (196, 214, 222)


def _rotation(pose: Pose) -> Array:
    yaw, pitch, roll = np.radians((pose.yaw, pose.pitch, pose.roll))
    turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    nod = np.array([[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]])
    tilt = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    return np.asarray(tilt @ nod @ turn, np.float32)


def _depth(height: Array) -> Array:
    """The coarse depth map that the head is turned by: the face's relief, and the round of the hair about it."""
    x, y = grid()
    skull = 88 * np.sqrt(np.clip(1 - ((x - 256) / 112) ** 2 - ((y - 190) / 140) ** 2, 0, 1))
    depth = blur(np.maximum(height, skull.astype(np.float32) - 8), 4)
    size = (SIDE // _STEP, SIDE // _STEP)
    return np.asarray(cv2.resize(depth, size, interpolation=cv2.INTER_AREA), np.float32)


@functools.lru_cache(maxsize=4)
def layers(look: Look) -> tuple[Array, Array, Array, Array]:
    """What stands still and is painted once: head, hair behind it, body (side, side, 4), and the head's depth map."""
    head, height = face.paint_face(look.skin)
    front = hair.paint(hair.FRONT, look.hair, seed=1)
    front *= step(grid()[1], 300, 228)[..., None]  # below the ears it melts into the hair behind
    shadow = np.roll(blur(front[..., 3], 5), (7 * SCALE, 2 * SCALE), (0, 1)) * (1 - front[..., 3])
    head[..., :3] *= 1 - shadow[..., None] * np.array([0.38, 0.58, 0.62], np.float32)
    head *= 1 - front[..., 3:]
    head += front
    face.paint_ears(head, look.skin)
    back = hair.paint(hair.BACK, look.hair, seed=2)
    return head, back, studio.body(look.skin, look.blouse, look.jacket), _depth(height)


class Presenter:
    """One drawn person. Painting the layers takes a few seconds; `draw` then takes tens of milliseconds."""

    def __init__(self, look: Look | None = None) -> None:
        look = look or Look()
        self._still, self._back, self._body, self._depth = layers(look)
        self._head = self._still.copy()
        self._shallow = np.full_like(self._depth, -30)
        self._mouth = Mouth(look.lips)
        self._eyes = [Eye(side, look.iris) for side in (-1, 1)]
        self._brows = [Brow(side, look.hair) for side in (-1, 1)]
        self._body_follow = self._following()

    @staticmethod
    def _following() -> Array:
        """How much each height of the body follows the head: the neck's top all the way, the shoulders not."""
        ys = np.linspace(0, SIDE, SIDE // _STEP, dtype=np.float32)
        return np.repeat(np.clip((452 - ys) / 110, 0, 1)[:, None] ** 1.6, SIDE // _STEP, 1).astype(np.float32)

    def draw(self, expression: Expression, pose: Pose, canvas: Array) -> None:
        """Paint one frame over `canvas`: (1024, 1024, 3) display RGB in 0…1, in place."""
        head = self._head
        crop(head, _EYES)[:] = crop(self._still, _EYES)
        self._mouth.stretch_skin(head, self._still, expression)
        self._mouth.paint(head, expression)
        for eye in self._eyes:
            eye.paint(head, expression)
        for brow in self._brows:
            brow.paint(head, expression)
        self._lay(canvas, self._back, _BACK, self._turned(self._shallow, pose))
        self._lay(canvas, self._body, _BODY, self._swayed(pose))
        self._lay(canvas, head, _HEAD, self._turned(self._depth, pose))

    @staticmethod
    def _coarse() -> tuple[Array, Array]:
        at = (np.arange(SIDE // _STEP, dtype=np.float32) + 0.5) * _STEP
        x, y = np.meshgrid(at, at)
        return x, y

    def _turned(self, depth: Array, pose: Pose) -> tuple[Array, Array]:
        """For each coarse target point, where on the unturned head it comes from (fixed-point inverse)."""
        x, y = self._coarse()
        r = _rotation(pose) * pose.scale
        sx, sy = x, y
        for _ in range(4):
            z = cv2.remap(depth, sx / _STEP - 0.5, sy / _STEP - 0.5, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            px, py = sx - _PIVOT[0], sy - _PIVOT[1]
            fx = r[0, 0] * px + r[0, 1] * py + r[0, 2] * z + _PIVOT[0] + pose.x
            fy = r[1, 0] * px + r[1, 1] * py + r[1, 2] * z + _PIVOT[1] + pose.y - pose.breath
            sx, sy = sx + (x - fx), sy + (y - fy)
        return sx, sy

    def _swayed(self, pose: Pose) -> tuple[Array, Array]:
        """The body's own small motion: breathing lifts the shoulders, the neck follows the head."""
        x, y = self._coarse()
        follow = self._body_follow
        shift = pose.x + 40 * math.sin(math.radians(pose.roll)) + 14 * math.sin(math.radians(pose.yaw))
        chest = np.clip((y - 380) / 60, 0, 1)
        lift = pose.breath * (1 + chest * (0.6 + 0.6 * bump(x, y, 256, 470, 120, 60)))
        return x - shift * follow - 0.12 * pose.x, y - pose.y * follow + lift

    @staticmethod
    def _lay(canvas: Array, layer: Array, box: Box, at: tuple[Array, Array]) -> None:
        x0, y0, x1, y1 = box
        cells = [c[y0 // _STEP : y1 // _STEP, x0 // _STEP : x1 // _STEP] for c in at]
        size = ((x1 - x0) * SCALE, (y1 - y0) * SCALE)
        maps = [cv2.resize(c, size, interpolation=cv2.INTER_LINEAR) * SCALE - 0.5 for c in cells]
        moved = cv2.remap(layer, maps[0], maps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        target = crop(canvas, box)
        red, green, blue, alpha = cv2.split(moved)
        target *= cv2.merge([1 - alpha] * 3)
        target += cv2.merge([red, green, blue])


def to_frame(canvas: Array, width: int, height: int) -> NDArray[np.uint8]:
    """Supersampled canvas to an RGB frame (height, width, 3)."""
    small = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(np.clip(small * 255 + 0.5, 0, 255), np.uint8)
