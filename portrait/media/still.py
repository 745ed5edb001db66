"""Reading still pictures: upright, without transparency, and never larger than a machine can hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from portrait.arrays import Frame
from portrait.errors import RecordingError

MOST_MEGAPIXELS = 64
BACKGROUND = (200, 204, 208)
"""Behind what is transparent."""
SIGNATURES = {b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n\x1a\n": "PNG", b"RIFF": "WEBP"}

TURNS = dict(zip(range(2, 9), (
    Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_180, Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.TRANSPOSE, Image.Transpose.ROTATE_270, Image.Transpose.TRANSVERSE, Image.Transpose.ROTATE_90,
), strict=True))  # fmt: skip
"""What puts a picture upright, by EXIF's orientation."""


def is_photo(path: Path) -> bool:
    """Whether a file begins as a JPEG, PNG or WebP picture does; it may still be damaged."""
    with path.open("rb") as file:
        head = file.read(12)
    kind = next((kind for signature, kind in SIGNATURES.items() if head.startswith(signature)), "")
    return bool(kind) and (kind != "WEBP" or head[8:12] == b"WEBP")


def read(path: Path) -> Frame:
    """A JPEG, PNG or WebP picture as RGB (H, W, 3), turned as its EXIF says, transparency filled with light grey.

    Raises:
        RecordingError: it has too many pixels ("photo-too-large"), or cannot be decoded ("photo-damaged").
    """
    try:
        with Image.open(path, formats=tuple(SIGNATURES.values())) as image:
            if image.width * image.height > MOST_MEGAPIXELS * 10**6:
                raise _too_large(image.width * image.height)
            return np.ascontiguousarray(_solid(_upright(image)))
    except Image.DecompressionBombError as error:
        raise _too_large() from error
    except (UnidentifiedImageError, OSError, SyntaxError, EOFError, OverflowError) as error:
        message = "This picture is damaged or cut off. Copy or export it again, as JPEG or PNG."
        raise RecordingError("photo-damaged", message) from error


def _upright(image: Image.Image) -> Image.Image:
    # Not ImageOps.exif_transpose: it writes the other tags anew, and fails on those that cameras wrote wrong.
    turn = TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    return image if turn is None else image.transpose(turn)


def _solid(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits of grey, which `convert` would cut off at 255
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if not image.has_transparency_data:
        return image.convert("RGB")
    ground = Image.new("RGBA", image.size, (*BACKGROUND, 255))
    return Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")


def _too_large(pixels: int = 0) -> RecordingError:
    has = f"has {pixels / 1e6:.0f} megapixels" if pixels else "is too large"
    return RecordingError("photo-too-large", f"This picture {has}; scale it down to at most {MOST_MEGAPIXELS}.")
