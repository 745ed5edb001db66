"""How much farther open lips must be drawn than they shall look: the image network closes them a little."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np

from portrait.arrays import Frame
from portrait.avatar.synthesis import BATCH
from portrait.face.renderer import Renderer
from portrait.measuring.metrics import aperture
from portrait.media.video import stretch
from portrait.tracking.faces import Tracker
from portrait.tracking.segments import runs
from portrait.training.preparing import FRAMES, LANDMARKS, load_shapes
from portrait.workspace import Workspace

LENGTH = 240
"""Consecutive training frames that are drawn again."""
MOST = 1.3


def measure_overdraw(work: Workspace, renderer: Renderer) -> float:
    """Spread of the lips' opening in training frames over that in the same frames drawn from their true shapes."""
    _, shape, arrays = load_shapes(work)
    training = arrays["training"].astype(bool)
    start, end = max(runs(training), key=lambda run: run[1] - run[0])
    end = min(end, start + LENGTH)
    pictures = stretch(work.path(FRAMES), start, end)

    def drawn() -> Iterator[Frame]:
        for first in range(start, end, BATCH):
            span = slice(first, min(first + BATCH, end))
            batch = list(islice(pictures, BATCH))
            mouths = shape.expand(arrays["coefficients"][span], arrays["base"][span])
            yield from renderer.render(batch, arrays["matrices"][span], mouths, mouths)

    with Tracker() as tracker:
        seen = tracker.track(drawn()).points
    true = aperture(work.load(LANDMARKS)["points"][start:end])
    return float(np.clip(true.std() / max(aperture(seen).std(), 1e-6), 1.0, MOST))
