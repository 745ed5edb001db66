"""Live equals offline, timing is exact, and replies start and end at rest."""

from __future__ import annotations

import json
import pickle
import shutil
import tracemalloc
from dataclasses import replace
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import pytest

from portrait import Avatar, AvatarError, Expression, Synthesizer
from portrait.avatar.stored import Ear
from portrait.avatar.synthesis import Passage
from portrait.footage.reel import Reel
from portrait.footage.walk import Mix
from portrait.media.video import FrameReader
from portrait.mouth.expression import NEUTRAL
from portrait.sound.encoder import Encoder
from tests.tiny_whisper import make


def _speech(seconds: float) -> np.ndarray:
    time = np.arange(round(seconds * 16000)) / 16000
    wobble = 0.5 + 0.5 * np.sin(2 * np.pi * 3 * time)
    return (0.3 * wobble * np.sign(np.sin(2 * np.pi * 140 * time))).astype(np.float32)


def _perform(
    synthesizer: Synthesizer, pieces: list[np.ndarray], start: int = 0, expression: Expression = NEUTRAL
) -> list[np.ndarray]:
    performance = synthesizer.stream(start, expression)
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


class _Watched(Synthesizer):
    """Remembers the mouths it was asked for."""

    def frames(self, reel: Reel, mix: Mix, coefficients: np.ndarray, then: Mix) -> list[np.ndarray]:
        self.mouths = [*getattr(self, "mouths", []), *coefficients]
        return super().frames(reel, mix, coefficients, then)


def _gaps(avatar: Avatar, amplitude: float, *closures: tuple[float, float]) -> np.ndarray:
    """How far the lips are drawn open in each frame of two seconds."""
    synthesizer = _Watched(avatar, device="cpu")
    performance = synthesizer.stream(0, Expression(mouth_amplitude=amplitude))
    for span in closures:
        performance.shut(*span)
    assert len([*performance.push(_speech(2.0)), *performance.flush()]) == 50
    mouths = avatar.shape.overdrawn(np.array(synthesizer.mouths), avatar.rest, avatar.face.overdraw)
    return mouths @ avatar.shape.aperture


@pytest.mark.parametrize("amplitude", [0.5, 1.0, 1.5])
def test_lips_that_are_told_to_be_shut_are_drawn_shut(avatar: Avatar, amplitude: float) -> None:
    heard = _gaps(avatar, amplitude)
    at = 10 + int(heard[10:40].argmax())
    told = _gaps(avatar, amplitude, ((at + 0.2) / 25, (at + 0.8) / 25))
    assert heard[at] > 0
    assert told[at] <= max(avatar.motion.state["closed"][0], avatar.rest @ avatar.shape.aperture) + 1e-4
    assert (told <= heard + 1e-5).all()
    beside = [at - 1, at, at + 1]
    assert np.delete(told, beside) == pytest.approx(np.delete(heard, beside), abs=1e-5)


def _apart(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(int) - b).mean())


def test_replies_begin_and_end_on_the_idle_frames(avatar: Avatar) -> None:
    synthesizer = _Watched(avatar, device="cpu")
    idle = list(synthesizer.idle(70))
    synthesizer.mouths = []
    performance = synthesizer.stream(4)
    said = list(performance.push(_speech(3.0))) + list(performance.flush())
    step = _apart(idle[30], idle[31])
    assert _apart(said[0], idle[4]) < 0.05 * step
    assert _apart(said[-1], idle[performance.frame_index - 1]) < 0.05 * step
    spoken = np.abs(np.array(synthesizer.mouths) - avatar.rest).max(axis=1)
    assert max(spoken[0], spoken[-1]) < 0.2 * spoken.max()


def test_the_next_reply_goes_on_in_the_idle_loop(synthesizer: Synthesizer, avatar: Avatar) -> None:
    for start in (3, 50, 69):
        performance = synthesizer.stream(start)
        said = list(performance.push(_speech(7.0))) + list(performance.flush())
        assert len(said) == 175
        assert 0 <= performance.frame_index < avatar.footage.idle_length


def test_a_reply_that_is_broken_off_leads_into_a_frame_like_its_own(synthesizer: Synthesizer, avatar: Avatar) -> None:
    performance = synthesizer.stream(4)
    idle = list(synthesizer.idle(avatar.footage.idle_length))
    said = list(performance.push(_speech(3.0)))
    alike = [performance.idle_frame(index) for index in range(len(said))]
    said += performance.flush()
    assert performance.idle_frame(74) + 1 == performance.frame_index
    half = avatar.footage.idle_length // 2
    chosen, others = (
        [_apart(frame[:40], idle[(index + on) % len(idle)][:40]) for frame, index in zip(said, alike, strict=False)]
        for on in (0, half)
    )
    assert np.mean(chosen) < 0.7 * np.mean(others)


def test_a_loop_that_has_gone_round_begins_replies_where_it_stands(synthesizer: Synthesizer, avatar: Avatar) -> None:
    once, again = (synthesizer.stream(4 + rounds * avatar.footage.idle_length) for rounds in (0, 3))
    for performance in (once, again):
        performance.close()
    assert once.frame_index == again.frame_index


def test_a_still_head_stays_in_the_idle_loop(synthesizer: Synthesizer) -> None:
    still = _perform(synthesizer, [_speech(1.0)], 60, Expression(head_motion=0))
    outside = [np.s_[:40], np.s_[:, :20]]
    for at, (frame, idle) in enumerate(zip(still, synthesizer.idle(25, start_frame=60), strict=True)):
        assert all(np.array_equal(frame[part], idle[part]) for part in outside), at


def test_a_wider_mouth_moves_more(avatar: Avatar) -> None:
    moved = []
    for amplitude in (0.5, 1.0, 1.5):
        synthesizer = _Watched(avatar, device="cpu")
        _perform(synthesizer, [_speech(1.0)], 0, Expression(amplitude))
        moved.append(float(np.abs(np.array(synthesizer.mouths) - avatar.rest).mean()))
    assert 0.4 < moved[0] / moved[1] < 0.8 and 1.2 < moved[2] / moved[1] < 1.6


def test_memory_is_bounded(synthesizer: Synthesizer) -> None:
    performance = synthesizer.stream()
    peaks = []
    tracemalloc.start()
    try:
        for _ in range(8):
            tracemalloc.reset_peak()
            for _ in performance.push(_speech(1.0)):
                pass
            peaks.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()
        performance.close()
    assert max(peaks[4:]) < 1.1 * max(peaks[1:4])
    assert len(performance._features) < 200


def test_smaller_output(avatar: Avatar) -> None:
    (frame,) = Synthesizer(avatar, size=64, device="cpu").idle(1)
    assert frame.shape == (64, 64, 3)
    assert frame.dtype == np.uint8


def test_only_the_masked_region_changes(synthesizer: Synthesizer, avatar: Avatar) -> None:
    from portrait.avatar.stored import BASE

    (frame,) = synthesizer.idle(1, start_frame=9)
    reader = FrameReader(avatar.folder / BASE)
    changed = np.abs(frame.astype(int) - reader[29]).max(axis=2) > 0
    rows, columns = np.nonzero(changed)
    reader.close()
    assert rows.min() >= 40 and columns.min() >= 20 and columns.max() < 68
    assert not changed[:40].any()


def test_an_avatar_survives_the_disk(avatar: Avatar) -> None:
    again = Avatar.load(avatar.folder)
    assert again.metrics == {"psnr": 30.0}
    assert np.array_equal(again.matrices, avatar.matrices)
    assert all(np.array_equal(a, avatar.footage.arrays[k]) for k, a in again.footage.arrays.items())
    assert {p.suffix for p in avatar.folder.iterdir()} <= {".json", ".safetensors", ".mp4", ".jpg"}


@pytest.fixture(scope="module")
def keen(avatar: Avatar, ear: Ear, tmp_path_factory: pytest.TempPathFactory) -> Avatar:
    """The avatar with both motion models, from the disk."""
    folder: Path = shutil.copytree(avatar.folder, tmp_path_factory.mktemp("keen") / "nobody")
    replace(avatar, folder=folder, ear=ear).save()
    return Avatar.load(folder)


def _passages(synthesizer: Synthesizer, speech: np.ndarray, cuts: list[int]) -> list[Passage]:
    performance = synthesizer.stream()
    pieces = [speech[a:b] for a, b in pairwise(cuts)]
    return [*chain.from_iterable(map(performance.hear, pieces)), *performance.end()]


def test_with_its_encoder_live_equals_offline(keen: Avatar, encoder: Path) -> None:
    synthesizer, speech = Synthesizer(keen, device="cpu", encoder=encoder), _speech(1.7)
    assert keen.ear is not None
    told = []
    for cuts in ([0, len(speech)], [0, 7, 300, 301, 5000, 9000, 21000, len(speech)]):
        passages = _passages(synthesizer, speech, cuts)
        assert sum(map(len, passages)) == 43
        assert all(passage.directions is not None for passage in passages)
        told.append(np.concatenate([keen.ear.motion.coefficients(p.features, p.told, p.directions) for p in passages]))
    assert told[0] == pytest.approx(told[1], abs=1e-4)


def test_the_first_frame_does_not_wait_for_the_windows_of_the_last(
    keen: Avatar, encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows, tokens = [], Encoder.tokens
    monkeypatch.setattr(Encoder, "tokens", lambda self, mel: windows.append(mel) or tokens(self, mel))
    performance = Synthesizer(keen, device="cpu", encoder=encoder).stream()
    first = next(performance.hear(_speech(8.0)))
    assert (first.first, len(first)) == (0, 8)
    assert len(windows) <= 3
    performance.close()


def test_an_encoder_changes_what_is_drawn_whoever_draws_it(keen: Avatar, encoder: Path) -> None:
    speech = _speech(1.0)
    hearing, drawing = (Synthesizer(keen, device="cpu", encoder=encoder) for _ in range(2))
    passages = _passages(hearing, speech, [0, len(speech)])
    mouths = [_Watched(keen, device="cpu", encoder=each) for each in (encoder, None)]
    for watched in mouths:
        assert len(_perform(watched, [speech])) == 25
    assert np.abs(np.array(mouths[0].mouths) - mouths[1].mouths).max() > 0.1
    performance = drawing.stream()
    drawn = [frame for p in pickle.loads(pickle.dumps(passages)) for frame in performance.draw(p)]
    assert max(_apart(a, b) for a, b in zip(drawn, _perform(hearing, [speech]), strict=True)) < 0.1


@pytest.mark.parametrize("wanted", [True, False])
def test_the_service_hears_by_the_encoder_that_its_settings_name(keen: Avatar, encoder: Path, wanted: bool) -> None:
    from services.render.engine import Expression as Manner
    from services.render.engines.portrait import Engine, Settings

    engine = Engine(Settings(encoder=str(encoder) if wanted else ""))
    performer = engine.open(keen.folder, size=0, device="cpu")
    performer.warm()
    passages = list(performer.perform(0, Manner()).hear(_speech(1.0)))
    assert [getattr(passage, "directions", None) is not None for passage in passages] == [wanted] * len(passages)
    assert passages and engine.wish() is None


def test_without_its_encoder_an_avatar_speaks_as_before(
    keen: Avatar, avatar: Avatar, encoder: Path, tmp_path: Path
) -> None:
    other, speech = make(tmp_path / "other", [" word"], seed=1), _speech(1.0)
    broken = shutil.copytree(encoder, tmp_path / "broken")
    (broken / "vocabulary.json").unlink()
    before = _Watched(avatar, device="cpu")
    _perform(before, [speech])
    for trained, weights in ((keen, None), (keen, other), (keen, broken), (avatar, encoder)):
        synthesizer = _Watched(trained, device="cpu", encoder=weights)
        assert len(_perform(synthesizer, [speech])) == 25
        assert np.array_equal(synthesizer.mouths, before.mouths)
    assert (keen.folder / "motion.safetensors").read_bytes() == (avatar.folder / "motion.safetensors").read_bytes()


def test_an_incomplete_avatar_is_refused(avatar: Avatar, tmp_path: Path) -> None:
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "avatar.json").write_bytes((avatar.folder / "avatar.json").read_bytes())
    with pytest.raises(AvatarError, match="half: not a complete avatar"):
        Avatar.load(tmp_path / "half")
    with pytest.raises(AvatarError):
        Avatar.load(tmp_path / "nothing")


@pytest.mark.parametrize("file", ["face.safetensors", "motion.safetensors", "person.safetensors", "mouths.jpg"])
def test_a_damaged_avatar_is_refused(avatar: Avatar, tmp_path: Path, file: str) -> None:
    folder = shutil.copytree(avatar.folder, tmp_path / "cut")
    (folder / file).write_bytes((folder / file).read_bytes()[:20])
    with pytest.raises(AvatarError, match="cut: not a complete avatar"):
        Avatar.load(folder)


def test_another_format_is_named(avatar: Avatar, tmp_path: Path) -> None:
    card = json.loads((avatar.folder / "avatar.json").read_text(encoding="utf-8"))
    (tmp_path / "avatar.json").write_text(json.dumps(card | {"format": 1}), encoding="utf-8")
    with pytest.raises(AvatarError, match="avatar format 1 is not 2"):
        Avatar.load(tmp_path)
