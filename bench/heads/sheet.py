"""What an avatar makes of the end of its own clip, beside the truth, as one picture:

    python -m demo.clip vera.mp4 && python -m bench.heads.sheet demo/avatar/Vera vera.mp4 docs/images/held-out.jpg

The clip must be the one that the avatar was trained on; its last 15 % were held out. *Network alone* is drawn with the
same weights, without the jaw, the real detail and the wider lips (steps 4 to 6 of docs/portrait.md).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from portrait import Avatar, TrainingParameters
from portrait.arrays import Floats, Frame
from portrait.face.trained_face import TrainedFace
from portrait.measuring.metrics import LIPS, aperture
from portrait.mouth.motion import Motion
from portrait.tracking.faces import interocular
from portrait.training.evaluation import HeldOut
from portrait.training.preparing import load_shapes
from portrait.training.stages import prepare

COLUMNS, WIDE, STRIP, NARROW = 5, 224, 12, 92
LEFT, GAP, CAPTION, QUALITY = 96, 4, 22, 84
ROWS = "true", "network alone", "generated"


@dataclass(frozen=True)
class _Off:
    """Stands where jaw and detail do, and does nothing."""

    def follow(self, crop: Frame, shown: Floats, wanted: Floats) -> tuple[Frame, Floats]:
        return crop, np.zeros(crop.shape[:2], np.float32)

    def restore(self, drawn: Frame, mouth: Floats) -> Frame:
        return drawn


class _Shown(HeldOut):
    """The held-out part, frame by frame."""

    @property
    def points(self) -> Floats:
        return self._points

    def true(self) -> Iterator[Frame]:
        return self._true()

    def made(self, avatar: Avatar) -> Iterator[Frame]:
        self.drawn_by(avatar.face)
        return self._drawn(self._heard)

    def bare(self, avatar: Avatar) -> Iterator[Frame]:
        assert isinstance(avatar.face, TrainedFace)
        self.drawn_by(replace(avatar.face, overdraw=1.0))
        for part in ("_jaw", "_detail"):
            setattr(self._renderer, part, _Off())
        return self._drawn(self._heard)


def main() -> None:
    """Read the command line, draw, write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("clip", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=float, default=300.0, help="how much of the clip was used")
    parser.add_argument("--work", type=Path, help="the training's working files, if they were kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        avatar, work = Avatar.load(options.avatar), options.work or Path(scratch)
        films, points = _films(avatar, options.clip, work, options.seconds)
    _sheet(films, points).save(options.out, quality=QUALITY, optimize=True)
    print(f"{options.out}: {options.out.stat().st_size / 1000:.0f} kB")


def _films(avatar: Avatar, clip: Path, work: Path, seconds: float) -> tuple[list[list[Frame]], Floats]:
    """The held-out frames: true, of the network alone, and as the avatar is; and the true mesh."""
    workspace, offset_ms = prepare(clip, work, TrainingParameters(size=avatar.size, seconds=seconds))
    canon, _, _ = load_shapes(workspace)
    if not np.allclose(canon.template, avatar.canon.template, atol=0.01):
        raise SystemExit(f"{avatar.name} was not trained on {clip.name}")
    assert isinstance(avatar.motion, Motion)  # it was trained on a video
    held_out = _Shown(workspace, avatar.motion, round(offset_ms / 10))
    return [list(held_out.true()), list(held_out.bare(avatar)), list(held_out.made(avatar))], held_out.points


def _sheet(films: list[list[Frame]], points: Floats) -> Image.Image:
    count = min(map(len, films))
    columns = np.linspace(0, count - 1, COLUMNS + 2)[1:-1].round().astype(int).tolist()
    spans = np.lib.stride_tricks.sliding_window_view(aperture(points[:count]), STRIP)
    first = int(spans.std(axis=1).argmax())
    wide = [(name, [_frame(film[i], WIDE) for i in columns]) for name, film in zip(ROWS, films, strict=True)]
    near = [(name, [_mouth(film[i], points[i], WIDE) for i in columns]) for name, film in zip(ROWS, films, strict=True)]
    strips = [
        (name, [_mouth(film[i], points[i], NARROW) for i in range(first, first + STRIP)])
        for name, film in zip(ROWS, films, strict=True)
    ]
    return _laid_out([
        (f"The held-out {count / 25:.1f} s, at equal distances", [wide[0], wide[2]]),
        ("The same moments' mouths", near),
        ("Twelve consecutive frames, where the true lips move most", strips),
    ])  # fmt: skip


def _frame(picture: Frame, side: int) -> Frame:
    return np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def _mouth(picture: Frame, points: Floats, side: int) -> Frame:
    """A square about the true lips, so that all rows show the same place."""
    centre, reach = points[list(LIPS), :2].mean(axis=0), 0.75 * float(interocular(points))
    scale = side / (2 * reach)
    matrix = np.array([[scale, 0, (reach - centre[0]) * scale], [0, scale, (reach - centre[1]) * scale]])
    mouth = cv2.warpAffine(picture, matrix, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(mouth, np.uint8)


def _laid_out(parts: list[tuple[str, list[tuple[str, list[Frame]]]]]) -> Image.Image:
    heights = [CAPTION + sum(row[0].shape[0] + GAP for _, row in rows) for _, rows in parts]
    widths = [LEFT + sum(tile.shape[1] + GAP for tile in row) for _, rows in parts for _, row in rows]
    sheet = Image.new("RGB", (max(widths), sum(heights)), "white")
    draw, font, y = ImageDraw.Draw(sheet), ImageFont.load_default(13), 0
    for caption, rows in parts:
        draw.text((LEFT, y + 4), caption, fill="#333333", font=font)
        y += CAPTION
        for name, row in rows:
            draw.text((4, y + row[0].shape[0] / 2 - 8), name, fill="#333333", font=font)
            for index, tile in enumerate(row):
                sheet.paste(Image.fromarray(tile), (LEFT + index * (tile.shape[1] + GAP), y))
            y += row[0].shape[0] + GAP
    return sheet


if __name__ == "__main__":
    main()
