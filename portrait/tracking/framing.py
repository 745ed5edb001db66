"""Which stretches of a recording show one whole face with its voice, and the square that is cut out of each.

A square is fixed for as long as it holds the face: footage of a camera that stands still is what replies look natural
on. Where the face leaves it, because the person walks, the camera moves or the film is cut, another take begins with a
square of its own; takes are joined as an editor would, with a cut. So a wide shot and a close-up come out with faces of
one size, and one rule serves cuts, walks, and people who go away and come back.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from portrait.arrays import Frame
from portrait.errors import RecordingError
from portrait.media import cadence, video
from portrait.media.cadence import Cadence
from portrait.media.decoding import Still
from portrait.media.video import FRAME_RATE
from portrait.tracking.faces import Face, Tracker

LOOKS_PER_S = 3.0
LOOKS_AHEAD = 4
"""Frames that may wait for the detector."""
LOOK_SIZE = 640
"""Longer side of the pictures that faces are looked for in."""
BLINK_S = 0.8
"""A face not seen for so long was only missed."""
FACE_SHARE = 0.5
"""Width of the detector's face box in the square."""
LEAST_SHARE = 0.33
"""The same where the square is made larger for a person who moves about."""
WHOLE_SHARE = 0.4
"""A frame whose shorter side the face fills to this share is kept whole."""
ZOOM = 1.5
"""Most change of the face's size in one take."""
INSIDE = 0.85
"""Share of a face's box that must be in the picture."""
MARGIN = 0.05
"""Least distance of a face's box from the square's edge, in sides."""
RIVAL, SURE = 0.4, 0.6
"""Least size beside the first face, and confidence, of a second one that could be mistaken for it."""
LEAST_TAKE_S, LEAST_SECONDS = 1.0, 5.0
SOUND_SLACK_S = 0.2
Step = Callable[[int, int], None]


@dataclass(frozen=True)
class Look:
    """The one face seen at a second, its box in pixels of the picture as shown."""

    second: float
    face: Face


@dataclass(frozen=True)
class Take:
    """A stretch in seconds and its square (left, top, side) in pixels of the picture as shown."""

    start_s: float
    end_s: float
    x: int
    y: int
    side: int

    @property
    def ticks(self) -> range:
        """The frames at 25 a second that it consists of."""
        return range(math.ceil(self.start_s * FRAME_RATE - 1e-6), math.ceil(self.end_s * FRAME_RATE - 1e-6))

    def cut(self, picture: Frame, scale: float) -> Frame:
        """The square out of a picture shown at `scale`."""
        height, width = picture.shape[:2]
        side = min(round(self.side * scale), height, width)
        x, y = min(round(self.x * scale), width - side), min(round(self.y * scale), height - side)
        return picture[y : y + side, x : x + side]


@dataclass(frozen=True)
class Survey:
    """What of a recording serves, and the copies of frames in it."""

    takes: tuple[Take, ...]
    cadence: Cadence | None

    @property
    def frames(self) -> int:
        """How many frames the takes have together."""
        return sum(len(take.ticks) for take in self.takes)


def survey(recording: Path, length: float, on_step: Step, *, least_s: float = LEAST_SECONDS) -> Survey:
    """Watch the first `length` seconds once; RecordingError if there are not `least_s` seconds of face and sound."""
    looks, size, copies, watched = _watch(recording, length, on_step)
    if not looks:
        raise RecordingError("no-face", "No face was found in this recording.")
    heard = video.heard(recording)
    first = heard[0] if heard[0] > SOUND_SLACK_S else 0.0
    last = heard[1] if heard[1] < min(length, watched) - SOUND_SLACK_S else min(length, watched)
    found = tuple(takes(looks, size, first, last))
    result = Survey(found, copies)
    if result.frames < least_s * FRAME_RATE:
        raise _too_little(result.frames / FRAME_RATE, watched)
    return result


def _too_little(seconds: float, watched: float) -> RecordingError:
    least = f"{LEAST_SECONDS:.0f}"
    if watched < LEAST_SECONDS:
        return RecordingError("too-short", f"This recording is too short: {least} seconds at least are needed.")
    return RecordingError(
        "little-face",
        f"One whole face and its voice are there together for only {seconds:.0f} seconds; at least {least} are needed. "
        "Keep one face in view while it speaks.",
        {"seconds": f"{seconds:.0f}", "min": least},
    )


def _watch(recording: Path, length: float, on_step: Step) -> tuple[list[Look], tuple[int, int], Cadence | None, float]:
    """Faces now and then, the picture's size, the copies, and the seconds that were there."""
    looks: list[Look] = []
    seen: deque[tuple[float, tuple[int, int], Future[list[Face]]]] = deque()
    changes: list[float] = []
    times: list[float] = []
    before, size, due = None, (0, 0), 0.0
    # One frame is looked at while the next ones are decoded.
    with Tracker() as tracker, ThreadPoolExecutor(1, "survey") as eye:
        for second, still in video.stills(recording):
            if second >= length:
                break
            thumbnail = still.thumbnail()
            changes.append(0.0 if before is None else float(np.abs(thumbnail - before).mean()))
            times.append(second)
            before = thumbnail
            if second >= due:
                size, due = still.size, second + 1 / LOOKS_PER_S
                seen.append((second, size, eye.submit(_faces, tracker, still)))
                on_step(round(second), round(length))
            if len(seen) > LOOKS_AHEAD:
                looks += _look(*seen.popleft(), looks[-1] if looks else None)
        while seen:
            looks += _look(*seen.popleft(), looks[-1] if looks else None)
    copies = cadence.find(np.array(changes, np.float32), np.array(times))
    return looks, size, copies, 2 * times[-1] - times[-2] if len(times) > 1 else 0.0


def _faces(tracker: Tracker, still: Still) -> list[Face]:
    scale = min(1.0, LOOK_SIZE / max(still.size))
    return [face.scaled(1 / scale) for face in tracker.faces(still.rgb(scale))]


def _look(second: float, size: tuple[int, int], found: Future[list[Face]], last: Look | None) -> Iterator[Look]:
    """The face that was followed so far, or the largest; nothing if it is cut off or not alone."""
    width, height = size
    faces = found.result()
    if not faces:
        return
    if last is not None and second - last.second < BLINK_S:
        faces.sort(key=lambda face: face.distance(last.face) > last.face.width)  # a stable sort: large ones first
    main, *others = faces
    if not rivals(main, others) and main.share_inside(width, height) >= INSIDE:
        yield Look(second, main)


def rivals(main: Face, others: list[Face]) -> list[Face]:
    """Those of other faces that could be mistaken for the main one, or are talked with."""
    return [face for face in others if face.score >= SURE and face.width >= RIVAL * main.width]


def takes(looks: list[Look], size: tuple[int, int], start_s: float, end_s: float) -> Iterator[Take]:
    """The stretches between `start_s` and `end_s` in which one square holds the face; `size` is (width, height)."""
    step = 1.5 / LOOKS_PER_S
    for group in _groups(looks, size):
        first, last = group[0].second, group[-1].second
        first = start_s if first < start_s + step else first
        last = end_s if last > end_s - step else last
        if last - first >= LEAST_TAKE_S:
            yield Take(first, last, *_square(group, size)[:3])


def _groups(looks: list[Look], size: tuple[int, int]) -> Iterator[list[Look]]:
    group: list[Look] = []
    for look in looks:
        if group and (look.second - group[-1].second > BLINK_S or not _holds([*group, look], size)):
            yield group
            group = []
        group.append(look)
    if group:
        yield group


def _holds(group: list[Look], size: tuple[int, int]) -> bool:
    widths = [look.face.width for look in group]
    return max(widths) <= ZOOM * min(widths) and _square(group, size)[3]


def _square(group: list[Look], size: tuple[int, int]) -> tuple[int, int, int, bool]:
    """Left, top and side of a group's square, and whether it holds every face."""
    boxes = np.array([(f.x, f.y, f.x + f.width, f.y + f.height) for f in (look.face for look in group)])
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    low, high = np.maximum(low, 0), np.minimum(high, size)
    middle = np.median(boxes, axis=0)
    face, shorter = float(max(middle[2] - middle[0], middle[3] - middle[1])), min(size)
    wanted = shorter if face > WHOLE_SHARE * shorter else face / FACE_SHARE
    roomy = max(wanted, float((high - low).max()) / (1 - 2 * MARGIN))
    side = min(shorter, round(min(roomy, max(wanted, face / LEAST_SHARE))))
    side -= side % 2
    ideal = np.array([(middle[0] + middle[2]) / 2 - side / 2, (middle[1] + middle[3]) / 2 - 0.54 * side])
    margin = MARGIN * side
    corner = np.clip(ideal, np.minimum(high + margin - side, low), np.maximum(low - margin, high - side))
    x, y = (round(float(v)) for v in np.clip(corner, 0, np.array(size) - side))
    holds = x <= low[0] and y <= low[1] and high[0] <= x + side and high[1] <= y + side
    return x, y, side, bool(holds or len(group) == 1)
