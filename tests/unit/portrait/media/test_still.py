"""Reading photos: upright, opaque, whole, and not too large."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from portrait.errors import RecordingError
from portrait.media.still import BACKGROUND, is_photo, read


def halves() -> Image.Image:
    """Red on the left, blue on the right."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, :30, 0], pixels[:, 30:, 2] = 255, 255
    return Image.fromarray(pixels)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_every_kind_is_known_by_its_beginning(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "recording"  # uploads have no ending
    halves().save(path, format=kind, quality=95)
    assert is_photo(path)
    assert read(path)[20, [5, 55]] == pytest.approx(np.array([[255, 0, 0], [0, 0, 255]]), abs=12)


def test_other_files_are_no_photos(tmp_path: Path) -> None:
    path = tmp_path / "recording"
    for content in (b"", b"RIFF\0\0\0\0AVI LIST", b"\0\0\0\x18ftypmp42", b"GIF89a"):
        path.write_bytes(content)
        assert not is_photo(path)


def test_a_turned_photo_comes_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by a quarter, clockwise
    halves().save(tmp_path / "turned.jpg", exif=exif, quality=95)
    picture = read(tmp_path / "turned.jpg")
    assert picture.shape == (60, 40, 3)
    assert picture[[5, 55], 20] == pytest.approx(np.array([[255, 0, 0], [0, 0, 255]]), abs=12)


def test_a_wrong_tag_beside_the_orientation_does_no_harm(tmp_path: Path) -> None:
    width_as_text = struct.pack(">HHI4s", 0x100, 2, 1, b"ab")
    tags = b"MM\0*" + struct.pack(">IHHHIHH", 8, 2, 0x112, 3, 1, 6, 0) + width_as_text + bytes(4)
    halves().save(tmp_path / "turned.jpg", exif=b"Exif\0\0" + tags)
    assert read(tmp_path / "turned.jpg").shape == (60, 40, 3)


def test_sixteen_bits_of_grey_keep_their_shades(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 32768, 65535]], np.uint16)).save(tmp_path / "deep.png")
    assert read(tmp_path / "deep.png")[0, :, 1].tolist() == [0, 128, 255]


def test_transparency_is_filled(tmp_path: Path) -> None:
    picture = halves().convert("RGBA")
    picture.putalpha(Image.fromarray(np.repeat(np.array([[0], [255]], np.uint8), 20, axis=0).repeat(60, axis=1)))
    picture.save(tmp_path / "clear.png")
    assert read(tmp_path / "clear.png")[[5, 35], 5].tolist() == [[*BACKGROUND], [255, 0, 0]]


def test_damaged_and_huge_photos_are_named(tmp_path: Path) -> None:
    halves().resize((600, 400)).save(tmp_path / "cut.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "cut.jpg").read_bytes()[:1500])
    Image.new("1", (9000, 9000)).save(tmp_path / "huge.png")
    for name, reason in (("cut.jpg", "photo-damaged"), ("huge.png", "photo-too-large")):
        with pytest.raises(RecordingError) as caught:
            read(tmp_path / name)
        assert caught.value.reason == reason


@pytest.mark.parametrize("side", [9000, 60_000, 2**31 - 1])
def test_absurd_pictures_are_refused_by_their_header(tmp_path: Path, side: int) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))  # nothing like so many: whoever decoded them would call the picture damaged
    (tmp_path / "huge.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels))
    with pytest.raises(RecordingError) as caught:
        read(tmp_path / "huge.png")
    assert caught.value.reason == "photo-too-large"
