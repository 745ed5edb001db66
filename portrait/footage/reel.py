"""Footage as it is shown: decoded a little ahead, in a thread of its own, while the last frames are being drawn."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from portrait.arrays import Floats, Frame, Indices
from portrait.footage.walk import Mix
from portrait.media.video import FrameReader

Shown = tuple[tuple[int, float], ...]


class Reel:
    """Pictures of a movie written with `seekable=True`, mixed; for one reader."""

    def __init__(self, path: Path) -> None:
        self._reader = FrameReader(path)
        self._thread = ThreadPoolExecutor(1, "reel")
        self._pending: dict[Shown, Future[Frame]] = {}

    def expect(self, mix: Mix) -> None:
        """Begin to decode what will probably be asked for next."""
        for row in _rows(mix):
            if row not in self._pending:
                self._pending[row] = self._thread.submit(self._mixed, row)

    def show(self, mix: Mix) -> list[Frame]:
        """Pictures (H, W, 3), not to be written to; whatever else was expected is forgotten."""
        rows = _rows(mix)
        for row in [row for row in self._pending if row not in rows]:
            self._pending.pop(row).cancel()
        self.expect(mix)
        pictures = [self._pending[row].result() for row in rows]
        self._pending.clear()
        return pictures

    def close(self) -> None:
        """Stop decoding and close the file."""
        self._thread.shutdown(cancel_futures=True)
        self._reader.close()

    def _mixed(self, row: Shown) -> Frame:
        picture, total = self._reader[row[0][0]], row[0][1]
        for frame, weight in row[1:]:
            total += weight
            mixed = cv2.addWeighted(picture, 1 - weight / total, self._reader[frame], weight / total, 0)
            picture = np.asarray(mixed, np.uint8)
        return picture


def _rows(mix: Mix) -> list[Shown]:
    return [_shown(*row) for row in zip(mix.frames, mix.weights, strict=True)]


def _shown(frames: Indices, weights: Floats) -> Shown:
    return tuple((int(f), float(w)) for f, w in zip(frames, weights, strict=True) if w > 0)
