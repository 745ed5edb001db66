"""A head-and-shoulders presenter drawn by our own code: free for anyone to use, and alive enough to train on.

The static parts (skin, hair, clothes, wall) are painted once as lit reliefs; each frame moves the jaw's skin, paints
eyes, brows and mouth, and turns the head by its own depth map, so that features shift by parallax as in a real head.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from demo import face, hair, studio
from demo.expression import Expression, Pose
from demo.eyes import Brow, Eye
from demo.mouth import Mouth
from demo.relief import SCALE, SIDE, Array, blur, bump, grid, over

Rgb = tuple[int, int, int]

_HEAD = (128, 36, 384, 420)
_BACK = (112, 60, 400, 432)
_BODY = (0, 292, 512, 512)
_STEP = 4
_PIVOT = (256.0, 345.0, -15.0)


@dataclass(frozen=True)
class Look:
    """The presenter's colours, display RGB 0…255."""

    skin: Rgb = (236, 188, 160)
    hair: Rgb = (112, 66, 42)
    iris: Rgb = (96, 128, 92)
    lips: Rgb = (206, 98, 98)
    blouse: Rgb = (244, 238, 228)
    jacket: Rgb = (38, 84, 98)
    wall: Rgb = (214, 222, 226)


def _crop(layer: Array, box: tuple[int, int, int, int]) -> Array:
    x0, y0, x1, y1 = (v * SCALE for v in box)
    return layer[y0:y1, x0:x1]


def _rotation(pose: Pose) -> Array:
    yaw, pitch, roll = np.radians((pose.yaw, pose.pitch, pose.roll))
    turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    nod = np.array([[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]])
    tilt = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    return np.asarray(tilt @ nod @ turn, np.float32)


class Presenter:
    """One drawn person. Painting the layers takes a few seconds; `draw` then takes tens of milliseconds."""

    def __init__(self, look: Look | None = None, seed: int = 0) -> None:
        look = look or Look()
        self.look = look
        self._still, height = face.paint_face(look.skin)
        front = hair.paint(hair.FRONT, look.hair, seed + 1)
        self._still *= 1 - front[..., 3:]
        self._still += front
        face.paint_ears(self._still, look.skin)
        self._back = hair.paint(hair.BACK, look.hair, seed + 2)
        self._body = studio.body(look.skin, look.blouse, look.jacket)
        self._mouth = Mouth(look.lips)
        self._eyes = [Eye(side, look.iris) for side in (-1, 1)]
        self._brows = [Brow(side, look.hair) for side in (-1, 1)]
        self._depth, self._shallow = self._depths(height)
        self._body_follow = self._following()

    @staticmethod
    def _depths(height: Array) -> tuple[Array, Array]:
        """Coarse depth maps that the head and the hair behind it are turned by."""
        x, y = grid()
        skull = 88 * np.sqrt(np.clip(1 - ((x - 256) / 112) ** 2 - ((y - 190) / 140) ** 2, 0, 1))
        depth = blur(np.maximum(height, skull.astype(np.float32) - 8), 4)
        size = (SIDE // _STEP, SIDE // _STEP)
        coarse = cv2.resize(depth, size, interpolation=cv2.INTER_AREA)
        return np.asarray(coarse, np.float32), np.full(size, -30, np.float32)

    @staticmethod
    def _following() -> Array:
        """How much each height of the body follows the head: the neck's top all the way, the shoulders not."""
        ys = np.linspace(0, SIDE, SIDE // _STEP, dtype=np.float32)
        return np.repeat(np.clip((452 - ys) / 110, 0, 1)[:, None] ** 1.6, SIDE // _STEP, 1).astype(np.float32)

    def draw(self, expression: Expression, pose: Pose, canvas: Array) -> None:
        """Paint one frame over `canvas`: (1024, 1024, 3) display RGB in 0…1, in place."""
        head = self._still.copy()
        self._mouth.stretch_skin(head, self._still, expression)
        self._mouth.paint(head, expression)
        for part in (*self._eyes, *self._brows):
            part.paint(head, expression)
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
            px, py, pz = sx - _PIVOT[0], sy - _PIVOT[1], z - _PIVOT[2]
            fx = r[0, 0] * px + r[0, 1] * py + r[0, 2] * pz - r[0, 2] * -_PIVOT[2] + _PIVOT[0] + pose.x
            fy = r[1, 0] * px + r[1, 1] * py + r[1, 2] * pz - r[1, 2] * -_PIVOT[2] + _PIVOT[1] + pose.y - pose.breath
            sx, sy = sx + (x - fx), sy + (y - fy)
        return sx, sy

    def _swayed(self, pose: Pose) -> tuple[Array, Array]:
        """The body's own small motion: breathing lifts the shoulders, the neck follows the head."""
        x, y = self._coarse()
        follow = self._body_follow
        shift = pose.x + 40 * math.sin(math.radians(pose.roll)) + 14 * math.sin(math.radians(pose.yaw))
        lift = 1.6 * pose.breath * np.clip((y - 380) / 60, 0, 1) * (1 + 0.4 * bump(x, y, 256, 470, 120, 60))
        return x - shift * follow - 0.12 * pose.x, y - pose.y * follow + lift + pose.breath * (1 - np.clip((y - 380) / 60, 0, 1))

    @staticmethod
    def _lay(canvas: Array, layer: Array, box: tuple[int, int, int, int], at: tuple[Array, Array]) -> None:
        x0, y0, x1, y1 = box
        cells = [c[y0 // _STEP : y1 // _STEP, x0 // _STEP : x1 // _STEP] for c in at]
        size = ((x1 - x0) * SCALE, (y1 - y0) * SCALE)
        maps = [cv2.resize(c, size, interpolation=cv2.INTER_LINEAR) * SCALE - 0.5 for c in cells]
        moved = cv2.remap(layer, maps[0], maps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        target = _crop(canvas, box)
        target *= 1 - moved[..., 3:]
        target += moved[..., :3]


def to_frame(canvas: Array, width: int, height: int) -> NDArray[np.uint8]:
    """Supersampled canvas to an RGB frame (height, width, 3)."""
    small = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(np.clip(small * 255 + 0.5, 0, 255), np.uint8)


__all__ = ["Expression", "Look", "Pose", "Presenter", "over", "to_frame"]
