"""OpenVoice's process, run by a true Python, with a stand-in for its package that has its calls and its failures."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.common.engine import Capability
from services.common.errors import Internal, InvalidInput, Unavailable
from services.tts.converters import process
from services.tts.engine import Prosody, Speech
from services.tts.engines.espeak import Engine as Espeak
from services.tts.engines.espeak import Settings as EspeakSettings
from services.tts.engines.openvoice import Engine, Settings
from tests.speakers import tone

RATE = 22_050
API = """
import os, sys, wave
import numpy as np
import torch
{importing}


class OpenVoiceBaseClass:
    def __init__(self, config_path, device="cuda:0"):
        import json
        from types import SimpleNamespace
        told = json.load(open(config_path))
        self.hps = SimpleNamespace(_version_=told["_version_"], data=SimpleNamespace(**told["data"]))
        self.model, self.device = Model(), device

    def load_ckpt(self, path):
        keys = open(path).read().split()
        if "junk" in keys:
            raise RuntimeError("Invalid magic number")
        self.model.load_state_dict(keys, strict=False)
        print("Loaded checkpoint", path)


class Model:
    def load_state_dict(self, keys, strict):
        from types import SimpleNamespace
        return SimpleNamespace(missing_keys=[key for key in ("enc", "dec") if key not in keys])


class ToneColorConverter(OpenVoiceBaseClass):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        raise OSError("it downloads a network for watermarks")

    def extract_se(self, paths):
        print("extracting")
        return torch.tensor([np.mean([np.abs(heard(path)).max() for path in paths])] * 4, None)

    def convert(self, audio_src_path, src_se, tgt_se, output_path=None, tau=0.3, message="default"):
        assert src_se.array.shape == tgt_se.array.shape == (1, 4, 1) and self.watermark_model is None
        {converting}
        samples = heard(audio_src_path)
        return np.sign(samples)[: len(samples) // 256 * 256]


def heard(path):
    with wave.open(path) as file:
        assert file.getframerate() == 22050
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 2**15
"""
TORCH = """
import numpy as np
from types import SimpleNamespace

float32 = "float32"
cuda = SimpleNamespace(is_available=lambda: False)


class tensor:
    def __init__(self, values, dtype=None):
        self.array = np.asarray(values, "float32")

    def reshape(self, *shape):
        return tensor(self.array.reshape(shape))

    def to(self, device):
        return self

    def cpu(self):
        return self

    def numpy(self):
        return self.array
"""
PERSON = np.frombuffer(tone(6, RATE), "<i2").astype(np.float32) / 2**15
TEXT = "Good morning, Bob. How are you?"


def installed(folder: Path, importing: str = "", converting: str = "", weights: str = "enc dec") -> dict[str, str]:
    """The settings of an OpenVoice that lies in a folder."""
    package, model = folder / "source" / "openvoice", folder / "checkpoints_v2" / "converter"
    for made in (package, model):
        made.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "api.py").write_text(API.replace("{importing}", importing).replace("{converting}", converting))
    (package.parent / "torch.py").write_text(TORCH)
    (model / "config.json").write_text(json.dumps({"_version_": "v2", "data": {"sampling_rate": RATE}}))
    (model / "checkpoint.pth").write_text(weights)
    return {"python": sys.executable, "source": str(package.parent), "checkpoints": str(model.parent)}


@pytest.fixture
def loaded(tmp_path: Path) -> Iterator[Callable[..., Engine]]:
    """Loads an OpenVoice as `installed` makes it; what was loaded is let go of at the end."""
    engines: list[Engine] = []

    def load(**faults: str) -> Engine:
        engine = Engine(Settings(**installed(tmp_path / str(len(engines)), **faults)))
        engines.append(engine)
        assert engine.lack() is None
        engine.load()
        return engine

    yield load
    for engine in engines:
        engine.close()


def enrolled(engine: Engine, folder: Path, samples: np.ndarray = PERSON) -> Path:
    folder.mkdir()
    engine.enrol(samples, RATE, "", folder)
    return folder


def speak(engine: Any, voice: Path | None, text: str = TEXT, rate: float = 1.0) -> list[Speech]:
    async def collected() -> list[Speech]:
        speech = engine.synthesize(text, language="en", voice=voice, prosody=Prosody(rate=rate))
        return [piece async for piece in speech]

    return asyncio.run(collected())


def test_sentences_of_the_base_are_converted_in_their_times(loaded: Callable[..., Engine], tmp_path: Path) -> None:
    engine = loaded()
    assert engine.sample_rate == RATE
    assert {Capability.CLONING, Capability.WORD_TIMES, Capability.OFFLINE} <= engine.info().capabilities
    own, cloned = speak(engine, None), speak(engine, enrolled(engine, tmp_path / "voice"))
    assert [piece.sentence for piece in cloned] == ["Good morning, Bob.", "How are you?"]
    assert [word.text for word in cloned[0].words] == ["Good", "morning,", "Bob."]
    assert len(cloned[0].closures) >= 2, "m and b"
    for before, after in zip(own, cloned, strict=True):
        assert before.sample_rate == after.sample_rate == RATE
        assert after.words[-1].end_s < len(after.samples) / RATE
        assert not after.samples[-RATE // 20 :].any(), "its pause is silent"
        loud = np.abs(after.samples[np.abs(after.samples) > 1e-3])
        assert np.percentile(loud, 90) < 1.2 * np.median(loud), "what comes is the converter's, a square wave here"
        assert np.percentile(np.abs(before.samples), 90) > 1.2 * np.median(np.abs(before.samples))


def test_without_a_voice_it_is_the_bases(loaded: Callable[..., Engine]) -> None:
    base = Espeak(EspeakSettings())
    own, plain = speak(loaded(), None), speak(base, None)
    assert [piece.sentence for piece in own] == [piece.sentence for piece in plain]
    assert [[word.text for word in piece.words] for piece in own] == [[w.text for w in p.words] for p in plain]


def test_a_sentence_in_pieces_is_one(loaded: Callable[..., Engine], tmp_path: Path) -> None:
    engine = loaded()
    voice, text = enrolled(engine, tmp_path / "voice"), "The quick brown fox jumps over the lazy dog while Bob watches."
    slow = 0.5
    assert len(speak(Espeak(EspeakSettings()), None, text, slow)) > 1
    (piece,) = speak(engine, voice, text, slow)
    starts = [word.start_s for word in piece.words]
    assert starts == sorted(starts)
    assert len(starts) == len(text.split())
    assert piece.words[-1].end_s <= len(piece.samples) / RATE


def test_a_voice_is_learnt_anew_over_another_checkpoint(loaded: Callable[..., Engine]) -> None:
    first, same, other = loaded(), loaded(), loaded(weights="enc dec more")
    assert first.enrolment == same.enrolment != other.enrolment


@pytest.mark.parametrize(("samples", "reason"), [(PERSON[: 4 * RATE], "TOO_SHORT"), (PERSON * 0, "SILENT")])
def test_a_recording_that_will_not_do(
    loaded: Callable[..., Engine], tmp_path: Path, samples: np.ndarray, reason: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        enrolled(loaded(), tmp_path / "voice", samples)
    assert (caught.value.reason, caught.value.field) == (reason, "audio")


@pytest.mark.parametrize(
    ("setting", "value", "code", "told"),
    [
        ("checkpoints", "", "MODEL_FOLDER_UNNAMED", "TTS_OPENVOICE_CHECKPOINTS"),
        ("checkpoints", "/nowhere", "MODEL_FILE_MISSING", "TTS_OPENVOICE_CHECKPOINTS"),
        ("source", "", "PROGRAM_MISSING", "TTS_OPENVOICE_SOURCE"),
        ("source", "/nowhere", "PROGRAM_MISSING", "TTS_OPENVOICE_SOURCE"),
        ("python", "", "PROGRAM_MISSING", "TTS_OPENVOICE_PYTHON"),
        ("python", "/nowhere/python", "PROGRAM_MISSING", "TTS_OPENVOICE_PYTHON"),
    ],
)
def test_what_is_missing_is_told_before_it_is_loaded(
    tmp_path: Path, setting: str, value: str, code: str, told: str
) -> None:
    lack = Engine(Settings(**{**installed(tmp_path), setting: value})).lack()
    assert lack
    assert (lack.code, lack.values["setting"]) == (code, told)
    assert told in lack.remedy
    assert "/nowhere" not in lack.reason + lack.remedy


@pytest.mark.parametrize(
    ("faults", "reason", "told"),
    [
        ({"importing": "import eng_to_ipa_that_is_not_here.sub"}, "PACKAGE_MISSING", "eng_to_ipa_that_is_not_here"),
        ({"importing": "raise AttributeError"}, "PROGRAM_FAILED", "AttributeError"),
        ({"importing": "os._exit(3)"}, "PROGRAM_FAILED", "ended at once"),
        ({"weights": "junk"}, "MODEL_FILE_UNREADABLE", "RuntimeError"),
        ({"weights": "enc"}, "MODEL_FILE_UNREADABLE", "dec"),
    ],
)
def test_what_keeps_it_from_being_loaded_is_told(
    loaded: Callable[..., Engine], faults: dict[str, str], reason: str, told: str
) -> None:
    with pytest.raises(Unavailable) as caught:
        loaded(**faults)
    assert caught.value.reason == reason
    assert told in caught.value.message
    assert "TTS_OPENVOICE_" in caught.value.message


def test_no_graphics_card_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no device cuda:1") as caught:
        Engine(Settings(**installed(tmp_path), device="cuda:1")).load()
    assert caught.value.reason == "PROGRAM_FAILED"


@pytest.mark.parametrize(
    "fault",
    [
        "raise ValueError('no')",
        "os._exit(3)",
        "return np.zeros(7)",
        "return np.full(len(heard(audio_src_path)), np.nan)",
    ],
)
def test_a_sentence_over_which_it_fails_is_no_silence(
    loaded: Callable[..., Engine], tmp_path: Path, fault: str
) -> None:
    engine = loaded(converting=f"if tau == 0.9: {fault}")
    voice = enrolled(engine, tmp_path / "voice")
    engine._settings.tau = 0.9
    with pytest.raises(Internal) as caught:
        speak(engine, voice)
    assert caught.value.reason == "PART_CRASHED"
    engine._settings.tau = 0.3
    assert len(speak(engine, voice)) == 2, "the next one is converted again"


def test_one_that_hangs_is_ended(
    loaded: Callable[..., Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = loaded()
    voice = enrolled(engine, tmp_path / "voice")
    child = engine._converter._process._process  # type: ignore[union-attr]
    assert child
    child.send_signal(signal.SIGSTOP)
    monkeypatch.setattr(process, "LONGEST_S", 0.2)
    with pytest.raises(Internal):
        speak(engine, voice)
    assert child.returncode == -signal.SIGKILL


def test_nothing_is_converted_for_nobody(loaded: Callable[..., Engine]) -> None:
    engine = loaded(converting="os._exit(3)")
    gone = threading.Event()
    gone.set()
    samples = np.ones(RATE, np.float32)
    assert engine._converter
    assert engine._converter.convert(gone, samples, {}) is samples


def test_its_process_ends_with_it(loaded: Callable[..., Engine]) -> None:
    engine = loaded()
    child = engine._converter._process._process  # type: ignore[union-attr]
    assert child
    engine.close()
    assert child.returncode is not None
