"""Encoding: one clock for picture and sound, fragments that add up, types read from the stream."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import pytest

from services.common.provenance import metadata
from services.render.video.encoding import SOUND_RATE, Format, LiveMovie, MovieFile, Splice, init_segment, media_type

SMALL = Format(128, 96, 25.0)
PER_FRAME = SOUND_RATE // 25
FLASHES = (25, 50, 60)


def scene(count: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Pictures that flash and sound that clicks, at the same moments."""
    pictures = [np.full((96, 128, 3), 255 if index in FLASHES else 40, np.uint8) for index in range(count)]
    sound = np.zeros(count * PER_FRAME, np.float32)
    for index in FLASHES:
        sound[index * PER_FRAME : index * PER_FRAME + 300] = 0.9 * np.sign(np.sin(np.arange(300)))
    return pictures, sound


def skews(data: bytes | Path) -> list[float]:
    """Seconds by which each click comes after its flash, decoded."""
    source = io.BytesIO(data) if isinstance(data, bytes) else str(data)
    with av.open(source) as container:
        shown = [(frame.time, frame.to_ndarray(format="gray").mean()) for frame in container.decode(video=0)]
    source = io.BytesIO(data) if isinstance(data, bytes) else str(data)
    with av.open(source) as container:
        frames = [(frame.time, frame.to_ndarray()[0]) for frame in container.decode(audio=0)]
    flashes = [time for time, light in shown if light > 200]
    loud = np.concatenate([time + np.flatnonzero(np.abs(samples) > 0.4) / SOUND_RATE for time, samples in frames])
    clicks = [at for at, before in zip(loud, [-1, *loud], strict=False) if at - before > 0.2]
    assert len(flashes) == len(clicks) == len(FLASHES)
    return [click - flash for click, flash in zip(clicks, flashes, strict=True)]


def film(movie: LiveMovie, count: int, ahead: int = 3) -> list:
    """Feed a movie as rendering does: sound runs a few frames ahead of the pictures."""
    pictures, sound = scene(count)
    movie.hear(sound[: ahead * PER_FRAME])
    fragments = []
    for index, picture in enumerate(pictures):
        movie.hear(sound[(index + ahead) * PER_FRAME : (index + ahead + 1) * PER_FRAME])
        fragments += movie.show(picture)
    return fragments + movie.close()


def test_live_fragments_add_up_and_keep_picture_and_sound_together() -> None:
    movie = LiveMovie(SMALL, metadata("x"))
    fragments = film(movie, 83)
    assert [(f.frame_index, f.frame_count) for f in fragments[:4]] == [(0, 3), (3, 5), (8, 10), (18, 10)]
    assert sum(fragment.frame_count for fragment in fragments) == movie.frame_count == 83
    assert all(0 < fragment.encoding_s < 60 for fragment in fragments)
    whole = movie.init_segment + b"".join(fragment.data for fragment in fragments)
    assert max(abs(skew) for skew in skews(whole)) < 0.001
    for fragment in fragments:  # each can be shown on its own: it begins with a keyframe
        with av.open(io.BytesIO(movie.init_segment + fragment.data)) as container:
            packets = [packet for packet in container.demux(video=0) if packet.size]
        assert packets[0].is_keyframe
        assert len(packets) == fragment.frame_count


def test_a_fragment_comes_with_the_first_frame_after_it() -> None:
    movie = LiveMovie(SMALL, {})
    pictures, sound = scene(83)
    movie.hear(sound[: 20 * PER_FRAME])
    arrived = [index for index in range(20) if movie.show(pictures[index])]
    assert arrived == [3, 8, 18]


def test_the_init_segment_is_known_before_anything_is_shown() -> None:
    movie = LiveMovie(SMALL, metadata("x"))
    film(movie, 80)
    assert init_segment(SMALL, metadata("x")) == movie.init_segment


def test_the_media_type_is_read_from_the_stream() -> None:
    kind = media_type(init_segment(SMALL, {}))
    assert kind.startswith('video/mp4; codecs="avc1.4d40')  # H.264 Main
    assert kind.endswith(', mp4a.40.2"')  # AAC-LC


def test_a_movie_without_pictures_ends_quietly() -> None:
    assert LiveMovie(SMALL, {}).close() == []


@pytest.mark.parametrize("fps", [25.0, 30.0, 29.97])
def test_a_file_has_its_index_in_front_and_says_what_it_is(tmp_path: Path, fps: float) -> None:
    path = tmp_path / "movie.mp4"
    movie = MovieFile(path, Format(128, 96, fps), metadata("job-1"))
    pictures, sound = scene(80)
    movie.hear(sound)
    for picture in pictures:
        movie.show(picture)
    movie.close()
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(str(path)) as container:
        assert "job-1" in container.metadata["AIGC"]
        assert container.metadata["comment"] == container.metadata["description"]
        assert float(container.streams.video[0].average_rate) == pytest.approx(fps, abs=0.01)
    if fps == 25:
        assert max(abs(skew) for skew in skews(path)) < 0.001


def test_pieces_that_were_encoded_apart_are_one_movie(tmp_path: Path) -> None:
    pictures, sound = scene(83)
    splice = Splice(tmp_path / "movie.mp4", metadata("job-1"))
    for first in range(0, 83, 20):
        piece = MovieFile(tmp_path / "piece.mp4", SMALL, {}, has_sound=False)
        for picture in pictures[first : first + 20]:
            piece.show(picture)
        piece.close()
        splice.append(tmp_path / "piece.mp4", sound[first * PER_FRAME : (first + 20) * PER_FRAME])
    splice.close()
    assert splice.frame_count == 83
    data = (tmp_path / "movie.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    assert max(abs(skew) for skew in skews(data)) < 0.001
    with av.open(io.BytesIO(data)) as container:
        assert "job-1" in container.metadata["AIGC"]
        shown = [(frame.time, frame.to_ndarray(format="gray").mean()) for frame in container.decode(video=0)]
    assert [time for time, _ in shown] == pytest.approx([index / 25 for index in range(83)], abs=1e-4)
    assert [index for index, (_, light) in enumerate(shown) if light > 200] == list(FLASHES)


def test_what_goes_wrong_in_the_encoder_is_told(tmp_path: Path) -> None:
    movie = MovieFile(tmp_path / "m.mp4", SMALL, {})
    with pytest.raises(ValueError):
        for _ in range(20):
            movie.show(np.zeros((96, 128), np.uint8))  # no colours
        movie.close()
    movie.discard()


def test_colours_survive() -> None:
    movie = LiveMovie(SMALL, {})
    red = np.zeros((96, 128, 3), np.uint8)
    red[:] = (200, 40, 60)
    for _ in range(12):
        movie.show(red)
    data = movie.close()
    whole = movie.init_segment + data[0].data
    with av.open(io.BytesIO(whole)) as container:
        shown = next(container.decode(video=0)).to_ndarray(format="rgb24")[48, 64]
        assert container.streams.video[0].codec_context.colorspace == 1  # BT.709, as players assume
    assert np.abs(shown.astype(int) - (200, 40, 60)).max() <= 6
