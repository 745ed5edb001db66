"""The whole picture: the studio wall and no, one or two presenters in front of it, at any size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from demo import studio
from demo.expression import Expression, Pose
from demo.presenter import Look, Presenter, to_frame
from demo.relief import SCALE, SIDE

_LOOKS = (
    Look(),
    Look(
        skin=(214, 160, 124),
        hair=(52, 38, 36),
        iris=(84, 56, 38),
        lips=(188, 88, 84),
        blouse=(226, 232, 240),
        jacket=(120, 52, 62),
    ),
)


class Scene:
    """Draws frames of `size` (width, height); presenters stand side by side, each over its share of the wall."""

    def __init__(self, size: tuple[int, int], faces: int = 1) -> None:
        self._size = size
        width, height = size
        side = SIDE * SCALE
        unit = side / min(width, height)
        self._wall = studio.wall(round(width * unit), round(height * unit), _LOOKS[0].wall)
        self._cast = [Presenter(look) for look in _LOOKS[:faces]]

    def draw(self, courses: Sequence[tuple[Expression, Pose]]) -> NDArray[np.uint8]:
        """One frame from each presenter's expression and pose: RGB (height, width, 3)."""
        canvas = self._wall.copy()
        side = SIDE * SCALE
        share = canvas.shape[1] // max(len(self._cast), 1)
        for i, (presenter, (expression, pose)) in enumerate(zip(self._cast, courses, strict=True)):
            seen = min(share, side)
            left, inner = i * share + (share - seen) // 2, (side - seen) // 2
            view = canvas[-side:, left : left + seen]
            if seen == side:
                presenter.draw(expression, pose, view)
                continue
            stage = np.zeros((side, side, 3), np.float32)
            stage[:, inner : inner + seen] = view
            presenter.draw(expression, pose, stage)
            view[:] = stage[:, inner : inner + seen]
        return to_frame(canvas, *self._size)
