"""The check of recordings: each refusal names what is wrong and where, and good recordings of every kind pass."""

from __future__ import annotations

import resource
import wave
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from portrait.tracking.checking import glances
from services.common.audio import to_pcm
from services.common.errors import InvalidInput
from services.train import footage, ingest
from services.train.engines.portrait import Engine, Settings
from services.train.settings import TrainSettings

SETTINGS, ENGINE = TrainSettings(), Engine(Settings())
BLANK = np.full((256, 256, 3), 90, np.uint8)


def refusal(path: Path, settings: TrainSettings = SETTINGS) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        ingest.check(path, settings, ENGINE)
    assert caught.value.field == "video"
    assert str(path) not in caught.value.message
    return caught.value


def test_a_good_recording_passes(demo_clip: Path) -> None:
    facts = ingest.check(demo_clip, SETTINGS, ENGINE)
    assert (facts["width"], facts["height"], facts["fps"]) == (256, 256, pytest.approx(25))
    assert facts["duration_s"] == pytest.approx(12, abs=0.05)
    assert "CUTS" not in [warning["reason"] for warning in facts["warnings"]]


def test_files_that_are_no_video(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"")
    assert refusal(path).reason == "FILE_EMPTY"
    path.write_bytes(b"Dear diary, " * 1000)
    assert refusal(path).reason == "NOT_A_VIDEO"
    path.write_bytes(np.random.default_rng(0).bytes(50_000))
    assert refusal(path).reason == "NOT_A_VIDEO"
    assert refusal(still(tmp_path)).reason == "NO_FACE"  # a photo may serve, but this one shows nobody


def still(folder: Path) -> Path:
    path = folder / "still.png"
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as container:
        stream = container.add_stream("png", rate=1)
        stream.width = stream.height = 256
        stream.pix_fmt = "rgb24"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(BLANK, "rgb24")))
        container.mux(stream.encode(None))
    return path


def test_sound_without_a_picture_is_no_video(tmp_path: Path, speech: np.ndarray) -> None:
    path = tmp_path / "speech.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(to_pcm(speech))
    assert refusal(path).reason == "NOT_A_VIDEO"


def test_a_truncated_file_is_named_as_such(film: Any, pictures: Any, speech: Any, tmp_path: Path) -> None:
    whole = film(pictures, speech)  # the index is at the end: without it nothing can be read
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert refusal(cut).reason == "TRUNCATED"
    whole = film(pictures, None, movflags="faststart")  # the index is at the front: the half can be read
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    error = refusal(cut)
    assert error.reason == "TRUNCATED"
    assert 3 < float(error.values["second"]) < 9


def test_too_short_and_too_long(film: Any, pictures: Any, speech: Any, demo_clip: Path) -> None:
    error = refusal(film(pictures[:125], speech[: 5 * 16_000]))
    assert (error.reason, error.values) == ("TOO_SHORT", {"second": "5.0", "min": "10"})
    assert refusal(demo_clip, TrainSettings(max_seconds=6)).reason == "TOO_LONG"


def test_sound_that_cannot_serve(film: Any, pictures: Any) -> None:
    assert refusal(film(pictures, None)).reason == "NO_AUDIO"
    assert refusal(film(pictures, np.zeros(12 * 16_000, np.float32))).reason == "SILENT"
    noise = np.random.default_rng(0).normal(0, 0.1, 12 * 16_000).astype(np.float32)
    assert refusal(film(pictures, noise)).reason == "NO_SPEECH"
    hum = (0.3 * np.sin(2 * np.pi * 120 * np.arange(12 * 16_000) / 16_000)).astype(np.float32)
    assert refusal(film(pictures, hum)).reason == "NO_SPEECH"


def test_no_face_names_the_second(film: Any, pictures: Any, speech: Any) -> None:
    error = refusal(film([BLANK] * 300, speech))
    assert (error.reason, float(error.values["second"])) == ("NO_FACE", pytest.approx(0.4, abs=0.4))
    gone = [*pictures[:150], *[BLANK] * 150]
    error = refusal(film(gone, speech))
    assert error.reason == "NO_FACE"
    assert 5.5 < float(error.values["second"]) < 7.5


def test_a_face_that_leaves_for_a_moment_passes(film: Any, pictures: Any, speech: Any) -> None:
    briefly = [*pictures[:150], *[BLANK] * 15, *pictures[165:]]
    assert ingest.check(film(briefly, speech), SETTINGS, ENGINE)["duration_s"] == pytest.approx(12, abs=0.1)


def test_a_face_that_is_away_for_a_while_is_a_warning(film: Any, pictures: Any, speech: Any) -> None:
    away = [*pictures[:125], *[BLANK] * 50, *pictures[125:]]
    facts = ingest.check(film(away, np.concatenate([speech, speech])[: 14 * 16_000]), SETTINGS, ENGINE)
    (warning,) = [warning for warning in facts["warnings"] if warning["reason"] == "FACE_AWAY"]
    assert 5 <= float(warning["values"]["second"]) <= 6.5
    assert 1 <= float(warning["values"]["seconds"]) <= 3


def test_somebody_else_for_a_moment_is_a_warning(film: Any, pictures: Any, speech: Any) -> None:
    pairs = [np.concatenate([picture, BLANK], axis=1) for picture in pictures]
    for index in range(100, 140):
        pairs[index][:, 256:] = pictures[-index]
    settings = TrainSettings(min_seconds=8)
    (warning,) = [
        w for w in ingest.check(film(pairs, speech), settings, ENGINE)["warnings"] if w["reason"] == "OTHERS_SEEN"
    ]
    assert 3.9 <= float(warning["values"]["second"]) <= 5.7


def test_sound_for_only_a_part(film: Any, pictures: Any, speech: Any) -> None:
    error = refusal(film(pictures, speech[: 6 * 16_000]))
    assert error.reason == "SOUND_TOO_SHORT"
    assert float(error.values["end"]) == pytest.approx(6, abs=0.1)
    facts = ingest.check(film(pictures, speech[: 10 * 16_000]), SETTINGS, ENGINE)
    assert "SOUND_PARTLY" in reasons(facts)


def test_two_faces_are_too_many(film: Any, pictures: Any, speech: Any) -> None:
    pairs = [np.concatenate([left, right], axis=1) for left, right in zip(pictures, pictures[::-1], strict=True)]
    error = refusal(film(pairs, speech))
    assert (error.reason, error.values["count"]) == ("SEVERAL_FACES", "2")
    assert float(error.values["second"]) < 2


def test_small_pictures_and_small_faces(film: Any, pictures: Any, speech: Any) -> None:
    assert refusal(film([picture[::2, ::2] for picture in pictures], speech)).reason == "RESOLUTION_TOO_LOW"
    far = np.full((360, 640, 3), 90, np.uint8)
    frames = []
    for picture in pictures:
        frames.append(far.copy())
        frames[-1][100:228, 250:378] = picture[::2, ::2]
    error = refusal(film(frames, speech))
    assert error.reason == "FACE_TOO_SMALL"
    assert float(error.values["pixels"]) < 64


def test_faults_that_can_be_lived_with_are_warnings(film: Any, pictures: Any, speech: Any) -> None:
    loud = np.clip(speech * 12, -1, 1)
    facts = ingest.check(film(pictures, loud, name="loud.mkv", audio_codec="pcm_s16le"), SETTINGS, ENGINE)
    assert "CLIPPING" in reasons(facts)
    facts = ingest.check(film(pictures[::2], speech * 0.05, fps=12.5), SETTINGS, ENGINE)
    assert {"QUIET", "LOW_FPS"} <= reasons(facts)
    left = [np.concatenate([picture, BLANK], axis=1) for picture in pictures[:150]]
    right = [np.concatenate([BLANK, picture], axis=1) for picture in pictures[150:]]
    assert "CUTS" in reasons(ingest.check(film([*left, *right], speech), SETTINGS, ENGINE))


def reasons(facts: dict[str, Any]) -> set[str]:
    return {warning["reason"] for warning in facts["warnings"]}


@pytest.mark.parametrize(
    ("name", "codec", "audio_codec"),
    [
        ("video.mkv", "libx265", "aac"),
        ("video.avi", "mpeg4", "libmp3lame"),
        ("video.webm", "libvpx", "libopus"),
        ("video.mov", "mjpeg", "pcm_s16le"),
    ],
)
def test_codecs_and_containers(film: Any, pictures: Any, speech: Any, name: str, codec: str, audio_codec: str) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"this build of PyAV does not write {codec}")
    facts = ingest.check(film(pictures, speech, name=name, codec=codec, audio_codec=audio_codec), SETTINGS, ENGINE)
    assert facts["duration_s"] == pytest.approx(12, abs=0.2)
    assert facts["fps"] == pytest.approx(25, abs=0.5)


def test_variable_frame_rates_are_measured_not_believed(film: Any, pictures: Any, speech: Any) -> None:
    times = [tick for tick in range(600) if tick % 4 in (0, 1)]  # two close, then a gap: 25 a second of 50
    facts = ingest.check(film(pictures, speech, fps=50, times=times), SETTINGS, ENGINE)
    assert facts["fps"] == pytest.approx(25, abs=0.3)
    assert facts["duration_s"] == pytest.approx(12, abs=0.2)


def test_a_phone_held_upright(film: Any, pictures: Any, speech: Any, tmp_path: Path) -> None:
    lying = [np.rot90(np.concatenate([p, p[:64]], axis=0)) for p in pictures]
    path = film([np.ascontiguousarray(p) for p in lying], speech)
    rotate(path, 90)
    facts = ingest.check(path, SETTINGS, ENGINE)
    assert (facts["width"], facts["height"]) == (256, 320)


def rotate(path: Path, degrees: int) -> None:
    """Set the display matrix of an MP4's video track, as phones do."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd")
    while True:  # the video track is the one with a size
        matrix = at + 4 + 4 + 4 * 5 + 8 + 8
        if int.from_bytes(data[matrix + 36 : matrix + 40], "big"):
            break
        at = data.index(b"tkhd", at + 4)
    cos, sin = ((1, 0), (0, 1), (-1, 0), (0, -1))[degrees // 90]
    values = [cos << 16, sin << 16, 0, -sin << 16, cos << 16, 0, 0, 0, 1 << 30]
    data[matrix : matrix + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in values)
    path.write_bytes(bytes(data))


def test_pixels_that_are_not_square_and_high_dynamic_range(tmp_path: Path) -> None:
    path = tmp_path / "wide.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        stream.codec_context.color_trc = 18  # HLG, as phones film
        for _ in range(30):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((240, 320, 3), np.uint8), "rgb24")))
        container.mux(stream.encode(None))
    about = footage.outline(path)
    assert (about.width, about.height, about.is_hdr, about.is_interlaced) == (427, 240, True, False)
    assert next(glances(path, about.duration_s, about.keyframes_s)).picture.shape == (240, 427, 3)


def test_a_video_larger_than_8k_is_refused_by_its_header(film: Any, pictures: Any, speech: Any) -> None:
    path = film(pictures[:3], speech[:48_000], name="video.webm", codec="libvpx", audio_codec="libopus", fps=0.2)
    data = bytearray(path.read_bytes())
    side = (15_000).to_bytes(2)
    for mark in (b"\xb0\x82\x01\x00", b"\xba\x82\x01\x00"):  # Matroska's PixelWidth and PixelHeight, 256
        at = data.index(mark)
        data[at + 2 : at + 4] = side
    for at in find_all(data, b"\x9d\x01\x2a"):  # VP8's key frames
        data[at + 3 : at + 7] = 2 * side[::-1]
    path.write_bytes(data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    error = refusal(path)
    assert (error.reason, error.values) == ("RESOLUTION_TOO_HIGH", {"size": "15000×15000"})
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB; a picture has 340 MB


def find_all(data: bytes, mark: bytes) -> Iterator[int]:
    at = -1
    while (at := data.find(mark, at + 1)) >= 0:
        yield at


def test_real_recordings_pass(shared_data: Path) -> None:
    for name in ("dfrf_cnn2_en_71s.mp4", "icable_anchor_cantonese_12s.mp4", "latentsync_demo1_woman_10s.mp4"):
        assert ingest.check(shared_data / "videos" / name, SETTINGS, ENGINE)["duration_s"] > 9.9
