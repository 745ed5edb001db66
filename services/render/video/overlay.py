"""What is drawn over the pictures: the label that tells synthetic media, and subtitles."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from services.common.arrays import Floats, Frame
from services.common.errors import Unsupported
from services.common.phrases import is_wide, joined, lines
from services.render.video.webvtt import Cue

FONT_FOLDERS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), Path("/Library/Fonts"))
LATIN_FONTS = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "Arial.ttf")
CJK_FONTS = ("NotoSansCJK-Regular.ttc", "wqy-microhei.ttc", "wqy-zenhei.ttc", "DroidSansFallbackFull.ttf")
LABEL_SHARE = 0.05  # of the shorter side: the least height of letters that GB 45438-2025 asks for
CAPITAL_SHARE = 0.7  # of a font's size that a capital is tall
SUBTITLE_SHARE, SUBTITLE_WIDTH = 0.05, 0.9  # of the shorter side: the letters; of the width: the lines
SMALLEST = 9  # pixels of letters that can still be read
LINES = 3
Draw = Callable[[Frame, float], Frame]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class Patch:
    """Something to lay over a picture at (x, y): colours (H, W, 3) in 0..255 and opacity (H, W, 1) in 0..1."""

    x: int
    y: int
    colour: Floats
    opacity: Floats

    def onto(self, picture: Frame) -> Frame:
        """A picture (H, W, 3) with this over it; the given one is not touched."""
        result = picture.copy()
        height, width = self.opacity.shape[:2]
        area = result[self.y : self.y + height, self.x : self.x + width]
        height, width = area.shape[:2]  # what sticks out is cut off
        area[:] = (area + (self.colour[:height, :width] - area) * self.opacity[:height, :width]).astype(np.uint8)
        return result


def label(text: str, width: int, height: int) -> Patch:
    """The visible label, in the upper left corner."""
    letters = max(10, math.ceil(LABEL_SHARE / CAPITAL_SHARE * min(width, height)))
    font = _font(text, letters, "")
    margin = letters // 2
    return _text_patch([text], font, letters, lambda w, h: (margin, margin))


def subtitle(text: str, width: int, height: int, font_file: str = "") -> Patch:
    """A subtitle, centred at the bottom: in its own lines if they fit, else broken anew, if need be in smaller letters.

    Raises:
        Unsupported: no installed font has its letters.
    """
    for letters in range(max(SMALLEST, round(SUBTITLE_SHARE * min(width, height))), SMALLEST - 1, -1):
        font = _font(text, letters, font_file)
        if found := _fitted(text, font, SUBTITLE_WIDTH * width):
            break
    shown = found or text.split("\n")
    return _text_patch(shown, font, letters, lambda w, h: ((width - w) // 2, max(0, height - h - letters // 2)))


def _fitted(text: str, font: Font, width: float) -> list[str] | None:
    def fits(line: str) -> bool:
        return font.getlength(line) <= width

    told = text.split("\n")
    return told if all(map(fits, told)) else lines(joined(told), fits, LINES)


def drawing(cues: list[Cue], width: int, height: int, *, label_text: str, font_file: str = "") -> Draw:
    """A function that lays over a frame at some second what belongs there; each text is set only once."""
    mark = label(label_text, width, height) if label_text else None
    patch = functools.lru_cache(maxsize=2)(lambda text: subtitle(text, width, height, font_file))

    def draw(picture: Frame, second: float) -> Frame:
        shown = next((cue.text for cue in cues if cue.start_s <= second < cue.end_s), "")
        if shown:
            picture = patch(shown).onto(picture)
        return mark.onto(picture) if mark else picture

    return draw


def check_font(cues: list[Cue], font_file: str = "") -> None:
    """Raises:
    Unsupported: no installed font has the letters of these subtitles.
    """
    _font("".join(cue.text for cue in cues), 12, font_file)


def _text_patch(lines: list[str], font: Font, letters: int, place: Callable[[int, int], tuple[int, int]]) -> Patch:
    text = "\n".join(lines)
    edge = max(1, letters // 12)
    probe = ImageDraw.Draw(Image.new("L", (1, 1)))
    left, top, right, bottom = probe.multiline_textbbox((0, 0), text, font=font, align="center", stroke_width=edge)
    size = (int(right - left) + 2, int(bottom - top) + 2)
    canvas = Image.new("RGBA", size, (0, 0, 0, 0))
    ImageDraw.Draw(canvas).multiline_text(
        (1 - left, 1 - top), text, font=font, align="center", fill="white", stroke_width=edge, stroke_fill="black"
    )
    pixels = np.asarray(canvas, np.float32)
    x, y = place(*size)
    return Patch(max(0, x), y, pixels[..., :3], pixels[..., 3:] / np.float32(255))


def _font(text: str, size: int, font_file: str) -> Font:
    if font_file:
        return ImageFont.truetype(font_file, size)
    is_cjk = any(is_wide(letter) and letter.isalpha() for letter in text)
    for name in (*(() if is_cjk else LATIN_FONTS), *CJK_FONTS):
        if path := _find_font(name):
            return ImageFont.truetype(str(path), size)
    if is_cjk:
        message = "No font with Chinese, Japanese or Korean letters is installed. Install fonts-noto-cjk and try again."
        raise Unsupported(message, reason="NO_FONT", field="subtitles")
    return ImageFont.load_default(size)


@functools.cache
def _find_font(name: str) -> Path | None:
    return next((path for folder in FONT_FOLDERS if folder.is_dir() for path in folder.rglob(name)), None)
