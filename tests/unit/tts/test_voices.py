"""Voices in storage: what an engine gets to learn from, and what a killed process leaves."""

from __future__ import annotations

import os
import time
import tracemalloc
import wave
from pathlib import Path

import numpy as np
import pytest

from services.common.audio import to_pcm
from services.common.errors import AlreadyExists, NotFound
from services.common.storage import Storage
from services.tts import voices as voices_module
from services.tts.engines.espeak import Engine, Settings
from services.tts.voices import LEARNT_S, REFERENCE, REFERENCE_RATE, Voice, Voices

HALF_HOUR_S = 29 * 60


class Listener(Engine):
    """Keeps what it was given to learn from."""

    def enrol(self, reference: np.ndarray, sample_rate: int, transcript: str, folder: Path) -> None:
        self.reference = reference


@pytest.fixture
def engine() -> Listener:
    return Listener(Settings())


@pytest.fixture
def voices(tmp_path: Path) -> Voices:
    return Voices(Storage((tmp_path / "storage").as_uri(), tmp_path / "cache"), tmp_path / "work")


def recording(folder: Path, silent_s: int, loud_s: int) -> Path:
    folder.mkdir()
    noise = to_pcm(np.random.default_rng(0).normal(0, 0.1, REFERENCE_RATE).astype(np.float32))
    with wave.open(str(folder / REFERENCE), "wb") as file:
        file.setparams((1, 2, REFERENCE_RATE, 0, "NONE", ""))
        for second in range(silent_s + loud_s):
            file.writeframes(bytes(len(noise)) if second < silent_s else noise)
    return folder


def test_half_an_hour_is_learnt_from_in_little_memory(voices: Voices, engine: Listener, tmp_path: Path) -> None:
    """Its first ten minutes are silent: what is heard after them counts."""
    folder = recording(tmp_path / "voice", 600, HALF_HOUR_S - 600)
    tracemalloc.start()
    try:
        made = voices.learn(
            engine, folder, name="Ada", seconds=HALF_HOUR_S, transcript="", consent_by="Ada L.", digest="0"
        )  # fmt: skip
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 250e6  # the whole of it would be 170 MB as samples alone, and three times that on its way
    assert len(engine.reference) == pytest.approx(LEARNT_S * REFERENCE_RATE, rel=0.01)
    assert made.duration_s == HALF_HOUR_S
    assert not list(voices.list())
    assert voices.keep(made, folder) == made
    assert list(voices.list()) == [made]


def made(voices: Voices, engine: Listener, folder: Path, consent_by: str, consent_at: float = 0.0) -> Voice:
    learnt = voices.learn(
        engine, recording(folder, 0, 4), name="Ada", seconds=4, transcript="one", consent_by=consent_by, digest="0",
        consent_at=consent_at,
    )  # fmt: skip
    return voices.keep(learnt, folder)


def test_what_an_older_archive_tells_does_not_undo_a_later_consent(
    voices: Voices, engine: Listener, tmp_path: Path
) -> None:
    now = made(voices, engine, tmp_path / "voice", "Bob")
    assert voices.told_again("Ada", "0", "old words", "Ada L.", 1e9) == now
    assert voices.get("Ada") == now
    newer = voices.told_again("Ada", "0", "", "Ada L.")
    assert (newer.consent_by, newer.transcript) == ("Ada L.", "one")
    assert newer.consent_at > now.consent_at


def test_consent_from_an_archive_keeps_its_date(voices: Voices, engine: Listener, tmp_path: Path) -> None:
    made(voices, engine, tmp_path / "voice", "Ada L.", 1e9)
    told = voices.told_again("Ada", "0", "new", "Bob", 1.5e9)
    assert (told.consent_by, told.consent_at, told.transcript) == ("Bob", 1.5e9, "new")
    assert voices.told_again("Ada", "0", "new", "Bob") == told, "the same told twice changes nothing"


def test_nothing_is_told_of_another_recording_or_of_none(voices: Voices, engine: Listener, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        voices.told_again("Ada", "0", "", "Bob")
    kept = made(voices, engine, tmp_path / "voice", "Ada L.")
    with pytest.raises(AlreadyExists):
        voices.told_again("Ada", "1", "", "Bob")
    assert voices.get("Ada") == kept


@pytest.fixture
def half(voices: Voices, tmp_path: Path) -> Path:
    """A voice of which all is there but the manifest, which comes last; beside a whole one."""
    storage = Storage((tmp_path / "storage").as_uri(), tmp_path / "cache")
    storage.write("voices/Ada/voice.json", b"{}")
    storage.write("voices/Bob/reference.wav", b"RIFF")
    assert voices.expire() == 0
    return tmp_path / "storage" / "voices" / "Bob"


def test_a_half_voice_goes_once_nobody_can_be_making_it(
    voices: Voices, half: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voices_module, "_HALF_FOR_S", 0.0)
    assert voices.expire() == 1
    assert [path.name for path in half.parent.iterdir()] == ["Ada"]


def test_a_voice_that_becomes_whole_stays(voices: Voices, half: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (half / "voice.json").write_text("{}")
    monkeypatch.setattr(voices_module, "_HALF_FOR_S", 0.0)
    assert voices.expire() == 0


def test_recordings_that_a_killed_process_left_go_after_a_day(voices: Voices, tmp_path: Path) -> None:
    work = tmp_path / "work"
    for name, age_s in {"upload-old": 25 * 3600, "upload-new": 3600}.items():
        (work / name).mkdir(parents=True)
        os.utime(work / name, (time.time() - age_s,) * 2)
    assert voices.expire() == 1
    assert [path.name for path in work.iterdir()] == ["upload-new"]


def test_what_was_learnt_over_another_base_voice_is_learnt_anew(voices: Voices, tmp_path: Path) -> None:
    """Voices from before there was anything to tell bases apart, too."""
    engine = Listener(Settings())
    folder = recording(tmp_path / "voice", 0, 4)
    engine.enrolment = ""
    made = voices.learn(engine, folder, name="Ada", seconds=4, transcript="", consent_by="Ada L.", digest="0")
    voices.keep(made, folder)
    assert voices.analysed(engine, "Ada")
    for enrolment in ("one", "other"):
        engine.enrolment = enrolment
        assert voices.analysed(engine, "Ada") is None
        voices.analyse(engine, "Ada")
        assert voices.analysed(engine, "Ada")


def test_a_voice_that_is_forgotten_while_an_engine_learns_it_stays_forgotten(voices: Voices, tmp_path: Path) -> None:
    class Slow(Listener):
        def enrol(self, reference: np.ndarray, sample_rate: int, transcript: str, folder: Path) -> None:
            voices.delete("Ada")

    folder = recording(tmp_path / "voice", 0, 4)
    made = voices.learn(
        Listener(Settings()), folder, name="Ada", seconds=4, transcript="", consent_by="Ada L.", digest="0"
    )
    voices.keep(made, folder)
    slow = Slow(Settings())
    slow.enrolment = "another"
    with pytest.raises(NotFound):
        voices.analyse(slow, "Ada")
    assert not (tmp_path / "storage" / "voices" / "Ada").exists()


def test_what_is_left_of_a_forgotten_voice_is_not_taken_for_a_new_one(
    voices: Voices, engine: Listener, tmp_path: Path
) -> None:
    left = tmp_path / "storage" / "voices" / "Ada" / "other" / "analysed.json"
    left.parent.mkdir(parents=True)
    left.write_text("{}")
    folder = recording(tmp_path / "voice", 0, 4)
    made = voices.learn(engine, folder, name="Ada", seconds=4, transcript="", consent_by="Ada L.", digest="0")
    voices.keep(made, folder)
    assert list(voices.list()) == [made]
    assert not left.exists()
