"""An avatar of one photo: an avatar like any other, alive, and before a background that stands still."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from portrait import Avatar, RecordingError, Synthesizer, from_photo
from portrait.avatar.stored import BASE, IDLE, THUMBNAIL
from portrait.face.still_face import LOWER_INNER, LOWER_OUTER, UPPER_INNER, UPPER_OUTER
from portrait.footage.liveliness import blinks, sway
from portrait.footage.reel import Reel
from portrait.measuring.metrics import aperture
from portrait.media.video import probe
from portrait.mouth.shape import inner_gap
from portrait.sound.audio import PHONES
from portrait.tracking.faces import Tracker
from portrait.training.photo import closed, square


@pytest.fixture(scope="module")
def synthesizer(photo_avatar: Path) -> Synthesizer:
    return Synthesizer(Avatar.load(photo_avatar))


def said(synthesizer: Synthesizer, phone: str, gain: float = 1.0) -> np.ndarray:
    """The first frame of the footage with the mouth of a phone."""
    avatar = synthesizer.avatar
    row = avatar.motion.state["rows"][PHONES.index(phone)] - avatar.motion.state["rows"][PHONES.index("SIL")]
    reel = Reel(avatar.folder / BASE)
    first = avatar.walk(0).at(range(1))
    return synthesizer.frames(reel, first, (gain * row)[None].astype(np.float32), first)[0]


def test_its_folder_is_that_of_any_avatar(photo_avatar: Path) -> None:
    avatar = Avatar.load(photo_avatar)
    assert (avatar.kind, avatar.size, avatar.metrics) == ("photo", 192, {})
    assert avatar.card["engine"] == "portrait" and avatar.card["fps"] == 25
    files = {file.name for file in photo_avatar.iterdir()}
    assert {BASE, IDLE, THUMBNAIL, "avatar.json"} < files
    assert not [name for name in files if name.endswith((".pkl", ".pt", ".pth", ".npy"))]
    assert sum(file.stat().st_size for file in photo_avatar.iterdir()) < 5e6
    assert round(probe(photo_avatar / IDLE).duration_s * 25) == avatar.footage.idle_length


def test_lips_open_on_vowels_and_meet_in_silence(synthesizer: Synthesizer) -> None:
    with Tracker() as tracker:
        points = [tracker.landmarks(said(synthesizer, phone)) for phone in ("SIL", "SIL", "AE")]
    silent, _, open_wide = aperture(np.stack(points))
    assert silent < 0.03
    assert open_wide > silent + 0.12


def test_what_is_said_does_not_move_the_rest(synthesizer: Synthesizer) -> None:
    silent, loud = (said(synthesizer, phone).astype(int) for phone in ("SIL", "AE"))
    assert np.array_equal(silent[:60], loud[:60])  # eyes and up
    assert np.abs(silent - loud).max() > 60


def test_live_speech_draws_what_speech_at_once_does(synthesizer: Synthesizer) -> None:
    speech = (0.3 * np.sin(np.arange(16_000) * 0.05) * np.sin(np.arange(16_000) * 0.002)).astype(np.float32)
    live, whole = synthesizer.stream(40), synthesizer.stream(40)
    pieces = [frame for at in range(0, 16_000, 1111) for frame in live.push(speech[at : at + 1111])]
    pieces += list(live.flush())
    at_once = [*whole.push(speech), *whole.flush()]
    assert len(pieces) == len(at_once) == 25
    apart = [np.abs(a.astype(int) - b).max() for a, b in zip(pieces, at_once, strict=True)]
    assert max(apart) <= 1  # sums of other lengths round otherwise
    assert live.frame_index == (40 + 25) % synthesizer.avatar.footage.idle_length


def test_it_breathes_in_a_loop_without_a_seam_before_a_background_that_stands(synthesizer: Synthesizer) -> None:
    total = synthesizer.avatar.footage.idle_length
    picked = [0, total // 4, total // 2, total - 2, total - 1]
    frames = [next(iter(synthesizer.idle(1, start_frame=index))).astype(int) for index in picked]
    face, corner = (slice(40, 150), slice(50, 140)), (slice(0, 24), slice(0, 24))
    seam, step = (float(np.abs(a - b)[face].mean()) for a, b in ((frames[-1], frames[0]), (frames[-2], frames[-1])))
    assert seam < 2 * step + 0.3
    assert max(float(np.abs(frame - frames[0])[face].mean()) for frame in frames[1:3]) > 1.0
    assert max(float(np.abs(frame - frames[0])[corner].mean()) for frame in frames) < 1.5  # the wall


def test_courses_close_and_eyes_are_open_at_both_ends() -> None:
    rng = np.random.default_rng(3)
    courses = np.array([[at.roll, at.yaw, at.pitch, at.x, at.y] for at in sway(250, 100, rng)])
    steps = np.abs(np.diff(courses, axis=0))
    assert (np.abs(courses[0] - courses[-1]) <= 1.1 * steps.max(axis=0)).all()
    assert (np.abs(courses).max(axis=0) > 0).all()
    shown = blinks(250, rng)
    assert 2 <= shown.count(1) // 2 <= 4
    assert not any(shown[:5] + shown[-3:])


def test_a_smile_closes() -> None:
    mouth = np.zeros((57, 2), np.float32)
    x = np.linspace(0, 1, 11)
    arch = np.sin(np.pi * x)
    for rows, height in ((UPPER_OUTER, -0.2), (UPPER_INNER, -0.1), (LOWER_INNER, 0.1), (LOWER_OUTER, 0.2)):
        mouth[list(rows)] = np.stack([x, height * arch], 1)
    rest = closed(mouth)
    assert inner_gap(mouth) > 0.15
    assert inner_gap(rest) == pytest.approx(0, abs=1e-6)
    assert rest[LOWER_OUTER[5], 1] - rest[UPPER_OUTER[5], 1] > 0.15  # lips stay lips


@pytest.mark.parametrize(
    ("face", "expected"),
    [((100, 100, 50, 50), (75, 71, 100)), ((0, 0, 50, 50), (0, 0, 100)), ((50, 50, 280, 280), (0, 0, 400))],
)
def test_the_square_holds_the_face_and_stays_inside(face: tuple[float, ...], expected: tuple[int, ...]) -> None:
    assert square(face, 400, 600) == expected


def test_a_photo_without_a_face_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (300, 300), (90, 90, 90)).save(tmp_path / "wall.png")
    with pytest.raises(RecordingError) as caught:
        from_photo(tmp_path / "wall.png", tmp_path / "nobody")
    assert caught.value.reason == "no-face"
    assert not (tmp_path / "nobody").exists()


def test_smiles_with_teeth_make_avatars_too(shared_data: Path, tmp_path: Path) -> None:
    from_photo(shared_data / "photos" / "astronaut.png", tmp_path / "a", size=128, loop_seconds=1.0)
    synthesizer = Synthesizer(Avatar.load(tmp_path / "a"))
    gaps = []
    with Tracker() as tracker:
        for phone in ("SIL", "SIL", "AE"):
            gaps.append(float(aperture(tracker.landmarks(said(synthesizer, phone))[None])[0]))
    assert gaps[1] < 0.04 < 0.14 < gaps[2]
