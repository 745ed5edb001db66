"""RVC's process, run by a true Python, with a stand-in for its two lines that has their calls and their failures."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.common.engine import Capability
from services.common.errors import Internal, Unavailable, Unsupported
from services.tts.engines.espeak import Engine as Espeak
from services.tts.engines.espeak import Settings as EspeakSettings
from services.tts.engines.rvc import Engine, Settings

RATE = 40_000
TEXT = "Good morning, Bob. How are you?"
LINES = ("classic", "main")
CALLS = {
    "classic": "sid, input_audio_path, f0_up_key, f0_file, f0_method, file_index, file_index2, index_rate, "
    "filter_radius, resample_sr, rms_mix_rate, protect",
    "main": "sid, input_audio_path, f0_up_key, f0_method, file_index, index_rate, resample_sr, rms_mix_rate, protect",
}
PLACES = {"classic": "infer/modules/vc", "main": "infer/vc"}
HUBERTS = {"classic": "assets/hubert/hubert_base.pt", "main": "assets/hubert_base/config.json"}
MODULES = """
import json, os, wave
import numpy as np
import torch
{importing}


class Net(torch.nn.Module):
    pass


class VC:
    def __init__(self, config):
        self.config, self.tgt_sr = config, None

    def get_vc(self, sid):
        print("Loading", sid)
        told = json.load(open(os.environ["weight_root"] + "/" + sid))
        self.version, self.tgt_sr = told["version"], told["rate"]
        Net().load_state_dict(told["weight"], strict=False)

    def vc_single(self, {call}):
        try:
            assert os.path.isfile("{hubert}") and os.environ["CUDA_VISIBLE_DEVICES"] == "" and resample_sr == 0
            with wave.open(input_audio_path) as file:
                samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
            assert file.getframerate() == self.tgt_sr
            file_index = file_index.replace("trained", "added")
            used = os.path.exists(file_index) and open(file_index).read()
            {converting}
            loud = 8000 if used else 4000
            asked = [sid, f0_up_key, f0_method, index_rate, rms_mix_rate, protect]
            open("asked.json", "a").write(json.dumps(asked) + "\\n")
            return "Success.", (self.tgt_sr, (loud * np.sign(samples)).astype("int16")[: len(samples) // 400 * 400])
        except Exception as error:
            return f"Traceback:\\n  x\\nsomewhere.{type(error).__name__}: {error}\\nno more", (None, None)
"""
TORCH = """
from types import SimpleNamespace


class _Module:
    def load_state_dict(self, weights, strict):
        return SimpleNamespace(missing_keys=[name for name in ("enc", "dec") if name not in weights])


nn = SimpleNamespace(Module=_Module)
cuda = SimpleNamespace(is_available=lambda: False)
"""
CONFIG = """
import argparse

class Config:
    def __init__(self):
        argparse.ArgumentParser().parse_args()
"""
FAISS = """
import json
from types import SimpleNamespace

def read_index(path):
    return SimpleNamespace(d=json.load(open(path))["d"])
"""


def installed(
    folder: Path, line: str = "main", importing: str = "", converting: str = "", **model: Any
) -> dict[str, Any]:
    """The settings of an RVC that lies in a folder, whose name is one that RVC would change."""
    source, models = folder / "source", folder / "pretrained"
    for name in (f"{PLACES[line]}/modules.py", "configs/config.py", HUBERTS[line], "assets/rmvpe/rmvpe.pt"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).touch()
    code = MODULES.replace("{call}", CALLS[line]).replace("{hubert}", HUBERTS[line])
    code = code.replace("{importing}", importing).replace("{converting}", converting)
    (source / PLACES[line] / "modules.py").write_text(code)
    (source / "configs" / "config.py").write_text(CONFIG)
    (source / "torch.py").write_text(TORCH)
    (source / "faiss.py").write_text(FAISS)
    models.mkdir()
    told = {"version": "v2", "rate": RATE, "weight": ["enc", "dec"]} | model
    (models / "Ann.pth").write_text(json.dumps(told))
    (models / "added_Ann.index").write_text('{"d": 768}')
    return {
        "python": sys.executable,
        "source": str(source),
        "model": str(models / "Ann.pth"),
        "index": str(models / "added_Ann.index"),
    }


@pytest.fixture
def loaded(tmp_path: Path) -> Iterator[Callable[..., Engine]]:
    """Loads an RVC as `installed` makes it, with settings; what was loaded is let go of at the end."""
    engines: list[Engine] = []

    def load(settings: dict[str, Any] | None = None, **faults: Any) -> Engine:
        engine = Engine(Settings(**installed(tmp_path / str(len(engines)), **faults) | (settings or {})))
        engines.append(engine)
        assert engine.lack() is None
        engine.load()
        return engine

    yield load
    for engine in engines:
        engine.close()


@pytest.mark.parametrize("line", LINES)
def test_sentences_of_the_base_are_converted_in_their_times(loaded: Callable[..., Engine], speak, line: str) -> None:
    engine = loaded(line=line)
    own, base = speak(engine, TEXT, None), speak(Espeak(EspeakSettings()), TEXT, None)
    assert [piece.sentence for piece in own] == ["Good morning, Bob.", "How are you?"]
    assert [[word.text for word in piece.words] for piece in own] == [[w.text for w in p.words] for p in base]
    for ours, theirs in zip(own, base, strict=True):
        assert ours.sample_rate == RATE
        assert len(ours.samples) / RATE == pytest.approx(len(theirs.samples) / theirs.sample_rate, abs=0.01)
        assert not ours.samples[-RATE // 20 :].any(), "its pause is silent"
        loud = np.abs(ours.samples[np.abs(ours.samples) > 1e-3])
        assert np.percentile(loud, 90) < 1.2 * np.median(loud), "what comes is RVC's, a square wave here"


@pytest.mark.parametrize("line", LINES)
def test_it_is_asked_as_it_is_set(loaded: Callable[..., Engine], speak, line: str) -> None:
    settings = {
        "speaker": 2,
        "semitones": 12,
        "f0_method": "pm",
        "index_rate": 0.5,
        "protect": 0.2,
        "rms_mix_rate": 0.25,
    }
    engine = loaded(settings, line=line)
    speak(engine, TEXT, None)
    asked = Path(engine._settings.source, "asked.json").read_text().splitlines()
    assert {json.dumps([2, 12, "pm", 0.5, 0.25, 0.2])} == set(asked)
    assert len(asked) == 3, "once to be warm, and two sentences"


def test_the_index_is_found_wherever_it_lies(loaded: Callable[..., Engine]) -> None:
    """RVC writes `added` for `trained` in any path, and goes on without what it does not find then."""
    sound = np.ones(RATE, np.float32)
    heard = []
    for engine in (loaded(), loaded({"index": ""})):
        assert "pretrained" in engine._settings.model
        assert engine._converter
        heard.append(np.abs(engine._converter.convert(threading.Event(), sound, {})).max())
    assert heard[0] == pytest.approx(2 * heard[1])


def test_it_speaks_in_no_voice_but_the_models(loaded: Callable[..., Engine], speak, tmp_path: Path) -> None:
    engine = loaded()
    able = engine.info().capabilities
    assert Capability.CLONING not in able
    assert {Capability.WORD_TIMES, Capability.OFFLINE} <= able
    with pytest.raises(Unsupported) as caught:
        speak(engine, TEXT, tmp_path)
    assert caught.value.reason == "NO_CLONING"


@pytest.mark.parametrize(
    ("setting", "value", "code", "told"),
    [
        ("model", "", "MODEL_PATH_UNNAMED", "TTS_RVC_MODEL"),
        ("model", "/nowhere.pth", "MODEL_FILE_MISSING", "TTS_RVC_MODEL"),
        ("index", "/nowhere.index", "MODEL_FILE_MISSING", "TTS_RVC_INDEX"),
        ("source", "/nowhere", "PROGRAM_MISSING", "TTS_RVC_SOURCE"),
        ("python", "/nowhere/python", "PROGRAM_MISSING", "TTS_RVC_PYTHON"),
        ("f0_method", "harvest", "SETTINGS_WRONG", "pm, rmvpe, fcpe"),
    ],
)
def test_what_is_missing_is_told_before_it_is_loaded(
    tmp_path: Path, setting: str, value: str, code: str, told: str
) -> None:
    lack = Engine(Settings(**{**installed(tmp_path), setting: value})).lack()
    assert lack
    assert lack.code == code
    assert told in lack.remedy
    assert "/nowhere" not in lack.reason + lack.remedy


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("which", ["hubert", "rmvpe"])
def test_networks_that_are_not_in_the_checkout_are_told(tmp_path: Path, line: str, which: str) -> None:
    given = installed(tmp_path, line)
    missing = HUBERTS[line] if which == "hubert" else "assets/rmvpe/rmvpe.pt"
    (Path(given["source"]) / missing).unlink()
    lack = Engine(Settings(**given)).lack()
    assert lack and lack.code == "MODEL_FILE_MISSING"
    assert missing in lack.reason
    assert "TTS_RVC_SOURCE" in lack.remedy
    assert (Engine(Settings(**given, f0_method="pm")).lack() is None) is (which == "rmvpe")


@pytest.mark.parametrize(
    ("faults", "reason", "told"),
    [
        ({"importing": "import parselmouth_that_is_not_here"}, "PACKAGE_MISSING", "parselmouth_that_is_not_here"),
        ({"importing": "raise AttributeError"}, "PROGRAM_FAILED", "AttributeError"),
        ({"importing": "os._exit(3)"}, "PROGRAM_FAILED", "ended at once"),
        ({"weight": ["enc"]}, "MODEL_FILE_UNREADABLE", "dec"),
        ({"rate": None, "weight": None}, "MODEL_FILE_UNREADABLE", "TypeError"),
        ({"version": "v1"}, "MODEL_FILE_UNREADABLE", "768 numbers each, where the model has 256"),
        ({"converting": "raise FileNotFoundError('ffmpeg')"}, "PROGRAM_FAILED", "FileNotFoundError"),
    ],
)
def test_what_keeps_it_from_being_loaded_is_told(
    loaded: Callable[..., Engine], faults: dict[str, Any], reason: str, told: str
) -> None:
    with pytest.raises(Unavailable) as caught:
        loaded(**faults)
    assert caught.value.reason == reason
    assert told in caught.value.message
    assert "TTS_RVC_" in caught.value.message


def test_a_checkout_may_be_named_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    engine = Engine(Settings(**installed(tmp_path) | {"source": "source"}))
    assert engine.lack() is None
    engine.load()
    engine.close()


def test_nothing_that_was_written_down_is_left(loaded: Callable[..., Engine], speak) -> None:
    engine = loaded(converting="if os.path.exists('fail'): os._exit(3)")
    assert engine._converter
    folder = Path(engine._converter._folder.name)
    mark = Path(engine._settings.source, "fail")
    mark.touch()
    with pytest.raises(Internal):
        speak(engine, TEXT, None)
    assert list(folder.iterdir()) == []
    engine.close()
    assert not folder.exists()


def test_an_index_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    given = installed(tmp_path)
    Path(given["index"]).write_text("no index")
    with pytest.raises(Unavailable, match="TTS_RVC_INDEX") as caught:
        Engine(Settings(**given)).load()
    assert caught.value.reason == "MODEL_FILE_UNREADABLE"


def test_no_graphics_card_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no device cuda:1"):
        Engine(Settings(**installed(tmp_path), device="cuda:1")).load()


@pytest.mark.parametrize("fault", ["raise ValueError('no')", "os._exit(3)", "samples = samples[:400]"])
def test_a_sentence_over_which_it_fails_is_no_silence(loaded: Callable[..., Engine], speak, fault: str) -> None:
    engine = loaded(converting=f"if os.path.exists('fail'): {fault}")
    mark = Path(engine._settings.source, "fail")
    mark.touch()
    with pytest.raises(Internal) as caught:
        speak(engine, TEXT, None)
    assert caught.value.reason == "PART_CRASHED"
    mark.unlink()
    assert len(speak(engine, TEXT, None)) == 2, "the next one is converted again"
