"""Live equals offline, timing is exact, and replies start and end at rest."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from portrait import Avatar, AvatarError, Synthesizer


def _speech(seconds: float) -> np.ndarray:
    time = np.arange(round(seconds * 16000)) / 16000
    wobble = 0.5 + 0.5 * np.sin(2 * np.pi * 3 * time)
    return (0.3 * wobble * np.sign(np.sin(2 * np.pi * 140 * time))).astype(np.float32)


def _perform(synthesizer: Synthesizer, pieces: list[np.ndarray], start: int = 0) -> list[np.ndarray]:
    performance = synthesizer.stream(start)
    frames = [frame for piece in pieces for frame in performance.push(piece)]
    return frames + list(performance.flush())


@pytest.fixture(scope="module")
def synthesizer(avatar: Avatar) -> Synthesizer:
    return Synthesizer(avatar, device="cpu")


def test_live_equals_offline(synthesizer: Synthesizer) -> None:
    speech = _speech(1.7)
    cuts = [0, 7, 300, 301, 5000, 9000, 21000, len(speech)]
    whole = _perform(synthesizer, [speech])
    pieces = _perform(synthesizer, [speech[a:b] for a, b in pairwise(cuts)])
    assert len(whole) == len(pieces)
    # Batches differ, and bfloat16 rounds differently in them: at most a grey level or two.
    assert max(int(np.abs(a.astype(int) - b).max()) for a, b in zip(whole, pieces, strict=True)) <= 3


@pytest.mark.parametrize(("samples", "frames"), [(0, 0), (1, 1), (640, 1), (641, 2), (16000, 25), (16001, 26)])
def test_twenty_five_frames_for_every_second(synthesizer: Synthesizer, samples: int, frames: int) -> None:
    assert len(_perform(synthesizer, [_speech(2)[:samples]])) == frames


def test_frames_come_before_the_speech_ends(synthesizer: Synthesizer) -> None:
    performance = synthesizer.stream()
    early = list(performance.push(_speech(1.0)))
    assert 17 <= len(early) < 25


def test_replies_begin_and_end_on_the_idle_frames(synthesizer: Synthesizer) -> None:
    said = _perform(synthesizer, [_speech(1.0)], start=4)
    idle = list(synthesizer.idle(25, start_frame=4))
    difference = [float(np.abs(a.astype(int) - b).mean()) for a, b in zip(said, idle, strict=True)]
    assert max(difference[0], difference[-1]) < 0.35 * max(difference[8:16])


def test_the_next_reply_goes_on_where_the_last_ended(synthesizer: Synthesizer, avatar: Avatar) -> None:
    performance = synthesizer.stream(50)
    made = list(performance.push(_speech(1.0))) + list(performance.flush())
    assert performance.frame_index == (50 + len(made)) % avatar.loop_length


def test_memory_is_bounded(synthesizer: Synthesizer) -> None:
    performance = synthesizer.stream()
    kept = set()
    for _ in range(5):
        for _ in performance.push(_speech(1.0)):
            pass
        kept.add(len(performance._features))
    assert max(kept) < 200


def test_smaller_output(avatar: Avatar) -> None:
    (frame,) = Synthesizer(avatar, size=64, device="cpu").idle(1)
    assert frame.shape == (64, 64, 3)
    assert frame.dtype == np.uint8


def test_only_the_masked_region_changes(synthesizer: Synthesizer, avatar: Avatar) -> None:
    from portrait.avatar import BASE
    from portrait.video import FrameReader

    (frame,) = synthesizer.idle(1)
    reader = FrameReader(avatar.folder / BASE)
    changed = np.abs(frame.astype(int) - reader[0]).max(axis=2) > 0
    rows, columns = np.nonzero(changed)
    reader.close()
    assert rows.min() >= 40 and columns.min() >= 20 and columns.max() < 68
    assert not changed[:40].any()


def test_base_sequence_goes_there_and_back(avatar: Avatar) -> None:
    last = len(avatar.matrices) - 1
    walk = [avatar.base_index(p) for p in range(3 * avatar.loop_length)]
    assert all(abs(a - b) == 1 for a, b in pairwise(walk))
    assert set(walk) == set(range(last + 1))


def test_an_avatar_survives_the_disk(avatar: Avatar) -> None:
    again = Avatar.load(avatar.folder)
    assert again.metrics == {"psnr": 30.0}
    assert np.array_equal(again.matrices, avatar.matrices)
    assert {p.suffix for p in avatar.folder.iterdir()} <= {".json", ".safetensors", ".mp4", ".jpg"}


def test_an_incomplete_avatar_is_refused(avatar: Avatar, tmp_path) -> None:
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "avatar.json").write_bytes((avatar.folder / "avatar.json").read_bytes())
    with pytest.raises(AvatarError, match="half: not a complete avatar"):
        Avatar.load(tmp_path / "half")
    with pytest.raises(AvatarError):
        Avatar.load(tmp_path / "nothing")
