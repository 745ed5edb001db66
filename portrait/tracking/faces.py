"""Faces in frames: how many, where, and the 478 points of MediaPipe's face mesh on one of them."""

from __future__ import annotations

import contextlib
import math
import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from portrait.arrays import Frame

POINTS = 478
PART, OVERLAP = 0.6, 0.25
"""Side of the parts that small faces are looked for in, of the longer side, and how much of it they share."""
PART_SCORE = 0.6
"""Least confidence for a face found only there."""
_BLANK = np.zeros((64, 64, 3), np.uint8)

# Indices into the mesh, from MediaPipe's canonical face model.
OUTER_LIP = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
INNER_LIP = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
JAW = (58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 132, 361)
CHIN = (176, 148, 152, 377, 400)
STABLE = (33, 133, 362, 263, 168, 6, 197, 195)
EYES = ((33, 133), (362, 263))
UPPER_FACE = (10, 338, 297, 332, 284, 251, 109, 67, 103, 54, 21, 70, 63, 105, 66, 107, 336, 296, 334, 293, 300,
              33, 133, 362, 263, 168, 6, 197, 195, 5, 127, 356, 234, 454)  # fmt: skip


@dataclass(frozen=True)
class Face:
    """A face's box in pixels and the detector's confidence."""

    x: float
    y: float
    width: float
    height: float
    score: float

    def scaled(self, factor: float) -> Face:
        """The same face in a picture `factor` times as large."""
        return Face(self.x * factor, self.y * factor, self.width * factor, self.height * factor, self.score)

    def moved(self, x: float, y: float) -> Face:
        """The same face with the picture's corner elsewhere."""
        return Face(self.x + x, self.y + y, self.width, self.height, self.score)

    def distance(self, other: Face) -> float:
        """Pixels from centre to centre."""
        dx = self.x + self.width / 2 - other.x - other.width / 2
        return math.hypot(dx, self.y + self.height / 2 - other.y - other.height / 2)

    def share_inside(self, width: int, height: int) -> float:
        """How much of the box lies in a picture."""
        wide = min(self.x + self.width, width) - max(self.x, 0)
        high = min(self.y + self.height, height) - max(self.y, 0)
        return max(0.0, wide) * max(0.0, high) / max(self.width * self.height, 1e-6)


@dataclass(frozen=True)
class Track:
    """Mesh points per frame: (T, 478, 3) float32 in pixels, and which frames really showed a face."""

    points: NDArray[np.float32]
    found: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.found)


class Tracker:
    """Finds and follows faces; a context manager, one per thread.

    `faces` looks at each frame on its own with the full-range detector (small faces too); `track` follows the
    largest face through consecutive frames.
    """

    def __init__(self, *, confidence: float = 0.5) -> None:
        self._confidence = confidence
        self._detector: Any = None
        self._mesh: Any = None
        self._spoken = False  # the native code complains once, at the first face

    def faces(self, picture: Frame) -> list[Face]:
        """Every face in one RGB frame, largest first; where there seems to be none, parts are looked at enlarged."""
        found = self._faces(picture)
        for x, y, side in () if found else _parts(*picture.shape[:2]):
            part = np.ascontiguousarray(picture[y : y + side, x : x + side])
            seen = [face.moved(x, y) for face in self._faces(part) if face.score >= PART_SCORE]
            found += [face for face in seen if all(face.distance(other) > face.width / 2 for other in found)]
        return sorted(found, key=lambda face: -face.width * face.height)

    def _faces(self, picture: Frame) -> list[Face]:
        if self._detector is None:
            with _quiet():
                self._detector = solutions().face_detection.FaceDetection(
                    model_selection=1, min_detection_confidence=self._confidence
                )
                self._detector.process(_BLANK)
        height, width = picture.shape[:2]
        found = self._detector.process(picture).detections or []
        boxes = [(d.location_data.relative_bounding_box, float(d.score[0])) for d in found]
        return [Face(b.xmin * width, b.ymin * height, b.width * width, b.height * height, s) for b, s in boxes]

    def landmarks(self, picture: Frame) -> NDArray[np.float32] | None:
        """Mesh points (478, 3) in pixels of the face followed since the last frame, or None."""
        if self._mesh is None:
            with _quiet():
                self._mesh = solutions().face_mesh.FaceMesh(
                    max_num_faces=1, refine_landmarks=True, min_detection_confidence=0.4, min_tracking_confidence=0.4
                )
        with contextlib.nullcontext() if self._spoken else _quiet():
            found = self._mesh.process(picture).multi_face_landmarks
        if not found:
            return None
        self._spoken = True
        height, width = picture.shape[:2]
        points = np.array([(p.x, p.y, p.z) for p in found[0].landmark], np.float32)
        return points * np.array([width, height, width], np.float32)

    def track(self, pictures: Iterable[Frame]) -> Track:
        """Follow the face through consecutive frames; misses are filled from their neighbours and marked."""
        seen = [self.landmarks(picture) for picture in pictures]
        return fill(seen)

    def close(self) -> None:
        """Free the native graphs."""
        for graph in (self._detector, self._mesh):
            if graph is not None:
                graph.close()
        self._detector = self._mesh = None

    def __enter__(self) -> Tracker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _parts(height: int, width: int) -> Iterator[tuple[int, int, int]]:
    """Overlapping squares (left, top, side) that cover a picture: the detector sees any picture at 192 pixels."""
    side = round(min(height, width, PART * max(height, width)))
    columns, rows = (max(1, math.ceil((length - side) / (side * (1 - OVERLAP))) + 1) for length in (width, height))
    for row in range(rows):
        for column in range(columns):
            x, y = ((k * (n - side)) // max(1, m - 1) for k, n, m in ((column, width, columns), (row, height, rows)))
            yield x, y, side


def fill(seen: list[NDArray[np.float32] | None]) -> Track:
    """A Track from per-frame results; missing frames are interpolated linearly (held at the ends)."""
    found = np.array([points is not None for points in seen], bool)
    flat = np.zeros((len(seen), POINTS * 3), np.float32)
    known = np.flatnonzero(found)
    for index, points in enumerate(seen):
        if points is not None:
            flat[index] = points.reshape(-1)
    if len(known) and len(known) < len(seen):
        missing = np.flatnonzero(~found)
        right = np.searchsorted(known, missing).clip(0, len(known) - 1)
        left = (right - (known[right] > missing)).clip(0)
        a, b = known[left], known[right]
        weight = np.where(b > a, (missing - a) / np.maximum(b - a, 1), 0.0).clip(0, 1)[:, None]
        flat[missing] = (1 - weight) * flat[a] + weight * flat[b]
    return Track(flat.reshape(-1, POINTS, 3), found)


def person(picture: Frame) -> NDArray[np.float32]:
    """Where the person is in one RGB frame (H, W): 0 to 1, by MediaPipe's selfie segmentation."""
    with _quiet(), solutions().selfie_segmentation.SelfieSegmentation(model_selection=0) as graph:
        return np.asarray(np.clip(graph.process(picture).segmentation_mask, 0, 1), np.float32)


def interocular(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Distance between the eyes' centres in pixels, for points (…, 478, ≥2)."""
    left, right = (points[..., list(eye), :2].mean(axis=-2) for eye in EYES)
    return np.asarray(np.linalg.norm(right - left, axis=-1), np.float32)


def solutions() -> Any:
    """MediaPipe's graphs; it takes a second to import, so whoever needs none goes without."""
    with _quiet():
        import mediapipe

        return mediapipe.solutions


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the native library's start-up chatter off stderr: it is written past Python, to descriptor 2."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            saved = os.dup(2)
        except OSError:
            yield
            return
        try:
            sys.stderr.flush()
            with open(os.devnull, "wb") as sink:
                os.dup2(sink.fileno(), 2)
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
