"""The check of photos: each refusal names what is wrong; good photos pass, whatever their format."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from services.common.errors import InvalidInput
from services.train import ingest
from services.train.engines.portrait import Engine, Settings
from services.train.settings import TrainSettings

SETTINGS, ENGINE = TrainSettings(), Engine(Settings())


def refusal(path: Path, settings: TrainSettings = SETTINGS) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        ingest.check(path, settings, ENGINE)
    assert caught.value.field == "video"
    assert str(path) not in caught.value.message
    return caught.value


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_good_photo_passes(demo_photo: Path, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "recording"
    Image.open(demo_photo).save(path, format=kind)
    facts = ingest.check(path, SETTINGS, ENGINE)
    assert (facts["kind"], facts["width"], facts["height"]) == ("photo", 400, 480)
    assert facts["warnings"] == []


def test_a_turned_photo_is_looked_at_upright(demo_photo: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(demo_photo).rotate(90, expand=True).save(tmp_path / "turned.jpg", exif=exif)
    facts = ingest.check(tmp_path / "turned.jpg", SETTINGS, ENGINE)
    assert (facts["width"], facts["height"]) == (400, 480)


def test_photos_without_one_near_face_are_refused(demo_photo: Path, tmp_path: Path) -> None:
    one = Image.open(demo_photo)
    empty = Image.new("RGB", (400, 400), (150, 160, 170))
    empty.save(tmp_path / "wall.png")
    assert refusal(tmp_path / "wall.png").reason == "NO_FACE"
    two = Image.new("RGB", (800, 480))
    two.paste(one, (0, 0))
    two.paste(one, (400, 0))
    two.save(tmp_path / "two.png")
    error = refusal(tmp_path / "two.png")
    assert (error.reason, error.values["count"]) == ("SEVERAL_FACES", "2")
    far = Image.new("RGB", (600, 600), (196, 214, 222))
    far.paste(one.resize((100, 120)), (250, 240))
    far.save(tmp_path / "far.png")
    assert refusal(tmp_path / "far.png").reason == "FACE_TOO_SMALL"
    one.resize((200, 240)).save(tmp_path / "small.png")
    assert refusal(tmp_path / "small.png").reason == "RESOLUTION_TOO_LOW"


def test_a_face_turned_away_is_refused(demo_photo: Path, tmp_path: Path) -> None:
    one = Image.open(demo_photo)
    turned = Image.new("RGB", (400, 480))
    turned.paste(one.crop((0, 0, 200, 480)).resize((330, 480)), (-60, 0))
    turned.paste(one.crop((200, 0, 400, 480)).resize((130, 480)), (270, 0))
    turned.save(tmp_path / "turned.png")
    assert refusal(tmp_path / "turned.png").reason == "TURNED_AWAY"


def test_damaged_and_huge_photos_are_refused(demo_photo: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.png").write_bytes(demo_photo.read_bytes()[:5000])
    assert refusal(tmp_path / "cut.png").reason == "PHOTO_DAMAGED"
    Image.new("1", (9000, 9000)).save(tmp_path / "huge.png")
    assert refusal(tmp_path / "huge.png").reason == "PHOTO_TOO_LARGE"


def test_a_small_face_is_told(demo_photo: Path, tmp_path: Path) -> None:
    Image.open(demo_photo).resize((260, 312)).save(tmp_path / "small.png")
    assert [warning["reason"] for warning in ingest.check(tmp_path / "small.png", SETTINGS, ENGINE)["warnings"]] == [
        "SMALL_FACE"
    ]


@pytest.mark.parametrize(
    ("name", "reason"), [("NEG_two_people.jpg", "SEVERAL_FACES"), ("NEG_no_face_cat.png", "NO_FACE")]
)
def test_real_photos_that_cannot_serve(shared_data: Path, name: str, reason: str) -> None:
    assert refusal(shared_data / "photos" / name).reason == reason


@pytest.mark.parametrize("name", ["obama.jpg", "biden.jpg", "astronaut.png", "sun_woman_ai.png"])
def test_real_photos_that_can(shared_data: Path, name: str) -> None:
    assert ingest.check(shared_data / "photos" / name, SETTINGS, ENGINE)["kind"] == "photo"
