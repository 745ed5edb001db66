"""Clips are real files with the tracks, size and length that were asked for, and speech moves the lips."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from demo import clip
from demo.motion import perform
from demo.script import SENTENCES
from demo.speech import Phoneme, Speech, recite
from demo.visemes import articulate


@pytest.fixture(scope="module")
def speech() -> Speech:
    return recite(SENTENCES, 6.0)


def test_a_clip_has_the_tracks_and_length_asked_for(tmp_path: Path) -> None:
    clip.make(tmp_path / "a.mp4", seconds=1.2, size=(160, 128), fps=25)
    with av.open(str(tmp_path / "a.mp4")) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, video.width, video.height, video.average_rate) == ("h264", 160, 128, 25)
        assert (audio.codec_context.name, audio.rate) == ("aac", 48_000)
        assert sum(1 for _ in container.decode(video)) == 30
        container.seek(0)
        heard = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio)])
    assert abs(len(heard) / 48_000 - 1.2) < 0.05
    assert np.abs(heard).max() > 0.05


def test_bad_input_variants(tmp_path: Path) -> None:
    clip.make(tmp_path / "mute.mp4", seconds=0.4, size=64, faces=0, audio=False)
    clip.make(tmp_path / "silent.mp4", seconds=0.4, size=64, faces=0, silent=True)
    with av.open(str(tmp_path / "mute.mp4")) as mute, av.open(str(tmp_path / "silent.mp4")) as silent:
        assert not mute.streams.audio
        assert max(np.abs(f.to_ndarray()).max() for f in silent.decode(audio=0)) < 1e-4


def test_the_same_arguments_make_the_same_pictures(speech: Speech) -> None:
    short = Speech(speech.samples[: speech.rate // 5], speech.rate, speech.phonemes)
    first, again, other = (list(clip.frames(short, size=(96, 96), seed=s)) for s in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_lips_meet_on_b_m_p_and_open_on_vowels() -> None:
    speech = recite(SENTENCES, 20.0)
    courses = perform(speech, 500, 25, seed=0)

    def during(symbols: str) -> list[int]:
        middles = [(p.start + p.end) / 2 for p in speech.phonemes if p.symbol.strip("ˈˌː") in symbols.split()]
        return [int(t * 25) for t in middles]

    closed, opened = during("b m p"), during("ɑ ɔ æ ʌ oʊ aɪ aʊ")
    assert len(closed) >= 4
    assert np.mean([courses[i][0].jaw for i in closed]) < 0.10 < 0.25 < np.mean([courses[i][0].jaw for i in opened])
    assert np.mean([courses[i][0].press for i in closed]) > 0.45


def test_neighbouring_sounds_colour_each_other() -> None:
    """The s of "soo" is already rounder than the s of "see"."""
    at = np.array([0.25])
    soo, see = ([Phoneme("s", 0.2, 0.3), Phoneme(vowel, 0.3, 0.45)] for vowel in ("uː", "iː"))
    assert articulate(soo, at, 0.6)["width"][0] < articulate(see, at, 0.6)["width"][0] - 0.1


def test_phonemes_stay_in_order_inside_the_recording(speech: Speech) -> None:
    starts = [p.start for p in speech.phonemes]
    assert starts == sorted(starts)
    assert speech.phonemes[-1].end <= speech.seconds == 6.0


def test_every_process_speaks_the_same_samples() -> None:
    code = (
        "import hashlib; from demo.speech import recite; from demo.script import SENTENCES;"
        "print(hashlib.md5(recite(SENTENCES, 9.0).samples.tobytes()).hexdigest())"
    )
    root = Path(clip.__file__).parents[1]
    told = subprocess.run([sys.executable, "-c", code], cwd=root, check=True, capture_output=True, text=True).stdout
    recite(SENTENCES, 4.0)
    assert told.strip() == hashlib.md5(recite(SENTENCES, 9.0).samples.tobytes()).hexdigest()


def test_blinks_come_every_few_seconds() -> None:
    silence = Speech(np.zeros(60 * 22_050, np.float32), 22_050, ())
    shut = np.array([e.blink for e, _ in perform(silence, 1500, 25, seed=1)]) > 0.8
    blinks = np.flatnonzero(np.diff(shut.astype(int)) == 1) / 25
    assert np.diff(blinks).min() > 1.5
    assert np.diff(blinks).max() < 6.5


def test_importing_the_clip_module_is_light() -> None:
    code = "import sys, demo.clip; sys.exit(any(m in sys.modules for m in ('numpy', 'cv2', 'av', 'scipy')))"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(clip.__file__).parents[1], check=False).returncode == 0
