"""sherpa-onnx: the true loading path of each kind with a model made here, live and of a recording; and its faults."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest

from services.asr.engine import SAMPLE_RATE as RATE
from services.asr.engines.sherpa import Engine, Settings
from services.asr.sherpa.files import WrongModel, find, metadata
from services.asr.turns import Urgency
from services.common.engine import Capability
from services.common.errors import Unavailable, Unsupported
from tests import tiny_sherpa

PIECE = RATE // 10 * 2
WAIT_S = 60.0  # only ends what hangs
MODELS: dict[str, Callable[[Path], Path]] = {
    "sense_voice": lambda folder: tiny_sherpa.sense_voice(folder, ["▁hello", ",", "▁dear", "▁world", "."]),
    "paraformer": lambda folder: tiny_sherpa.paraformer(folder, ["你", "好", "wo@@", "rld"]),
    "transducer": lambda folder: tiny_sherpa.transducer(folder, ["▁HE", "LLO", "▁WORLD", "谌", "龙"], {"谌": "陈"}),
    "moonshine": lambda folder: tiny_sherpa.moonshine(folder, ["▁Hello", ",", "▁dear", "▁world", "."]),
    "streaming_paraformer": lambda folder: tiny_sherpa.streaming_paraformer(folder, "好"),
}
TEXTS = {
    "sense_voice": "hello, dear world.",
    "paraformer": "你好 world",
    "transducer": "hello world谌龙",
    "moonshine": "Hello, dear world.",
    "streaming_paraformer": "好" * 12,
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sherpa")
    for name, make in MODELS.items():
        make(root / name)
    return root


@pytest.fixture(params=MODELS)
def kind(request) -> str:
    return request.param


@pytest.fixture
def engine(folders, kind) -> Iterator[Engine]:
    yield from loaded(folders / kind)


@pytest.fixture
def transducer(folders) -> Iterator[Engine]:
    yield from loaded(folders / "transducer")


def loaded(folder: Path) -> Iterator[Engine]:
    engine = Engine(Settings(model=str(folder), threads=1))
    engine.load()
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def sound() -> bytes:
    return (np.random.default_rng(1).standard_normal(3 * RATE) * 3000).astype(np.int16).tobytes()


def test_a_recording_is_heard(engine, kind, sound):
    told = engine.recognise(sound, "")
    assert told.text == TEXTS[kind]
    assert engine.recognise(b"", "").text in ("", TEXTS["streaming_paraformer"][:4])
    able = engine.info().capabilities
    assert bool(told.words) == (Capability.WORD_TIMES in able)
    assert all(0 <= word.start_s <= word.end_s <= 3.0 for word in told.words)


def test_speech_is_heard_while_it_comes(engine, kind, sound):
    recognition = engine.open("")
    shown = [recognition.feed(sound[at : at + PIECE]) for at in range(0, len(sound), PIECE)]
    end = time.monotonic() + WAIT_S
    while not shown[-1] and time.monotonic() < end:  # models that hear the whole utterance take turns in a thread
        shown.append(recognition.feed(b""))
        time.sleep(0.01)
    assert TEXTS[kind].startswith(shown[-1].rstrip(".,")) and shown[-1]
    recognition.pause(bytes(PIECE))
    assert recognition.finish().text.startswith(TEXTS[kind])
    recognition.close()


def test_who_has_stopped_speaking_waits_for_nobody_else(folders, sound):
    (engine,) = [next(loaded(folders / "moonshine"))]
    may_go_on = threading.Event()
    engine._turns.submit(Urgency.PARTIAL, lambda: may_go_on.wait(WAIT_S))  # a guess, or a recording
    recognition = engine.open("en")
    recognition.feed(sound)
    assert recognition.finish().text == "Hello, dear world."
    may_go_on.set()
    engine.close()


def test_words_have_their_times(folders, sound):
    (engine,) = [next(loaded(folders / "sense_voice"))]
    words = engine.recognise(sound, "").words
    assert [word.text for word in words] == ["hello,", "dear", "world."]
    assert [round(word.start_s, 2) for word in words] == [0.0, 0.36, 0.54]  # a token every 180 ms, the comma one, too
    assert [round(word.end_s, 2) for word in words[:2]] == [0.36, 0.54]
    engine.close()


def test_the_language_is_told(folders, tmp_path, sound):
    (engine,) = [next(loaded(tiny_sherpa.sense_voice(tmp_path / "zh", ["你", "好", "。"], "zh")))]
    assert (engine.recognise(sound, "").text, engine.recognise(sound, "").language) == ("你好。", "zh")
    assert engine.recognise(sound, "zh-CN").language == "zh-CN"
    assert engine.recognise(sound, "en-US").language == "zh"  # what was asked for is not what was heard
    engine.close()


@pytest.mark.parametrize("language", ["de", "fr-FR", "xx"])
def test_a_language_that_the_model_does_not_know_is_refused(engine, language):
    with pytest.raises(Unsupported, match="ASR_SHERPA_MODEL") as caught:
        engine.open(language)
    assert caught.value.reason == "LANGUAGE_NOT_SUPPORTED"


def test_the_settings_may_name_the_languages(folders):
    info = Engine(Settings(model=str(folders / "moonshine"), languages=("es",))).info()
    assert (info.languages, Capability.LANGUAGE_DETECTION in info.capabilities) == (("es",), False)


def test_a_hot_word_is_heard_that_sounds_like_another(transducer, sound):
    assert Capability.HOTWORDS in transducer.info().capabilities
    assert "谌龙" in transducer.recognise(sound, "zh").text
    assert "陈龙" in transducer.recognise(sound, "zh", ["陈龙"]).text


def test_hot_words_that_the_model_cannot_spell_are_left_out_and_not_logged(transducer, sound, capfd):
    names = ["Maxine", "陈龙:x", "龘", "/", "#3", "@", ""]
    assert "谌龙" in transducer.recognise(sound, "zh", names).text
    assert capfd.readouterr() == ("", "")


def test_latin_hot_words_are_spelled_as_the_model_does_and_foreign_letters_not_logged(tmp_path, sound, capfd):
    folder = tiny_sherpa.transducer(tmp_path / "words", ["▁HE", "LLO"], {"▁HE": "▁SHE"})
    pieces = ("<unk>", "<s>", "</s>", "▁HE", "LLO", "▁SHE", *"HELOS")
    (folder / "bpe.vocab").write_text("".join(f"{piece}\t{-at}\n" for at, piece in enumerate(pieces)))
    engine = Engine(Settings(model=str(folder), threads=1))
    engine.load()
    assert "shello" not in engine.recognise(sound, "en").text
    assert "shello" in engine.recognise(sound, "en", ["Иван", "アリス", "She"]).text
    assert capfd.readouterr() == ("", "")
    engine.close()


# Faults: sherpa-onnx itself would end the process at most of them


def broken(folders: Path, tmp_path: Path, name: str, change: Callable[[Path], object]) -> Engine:
    shutil.copytree(folders / name, tmp_path / name)
    change(tmp_path / name)
    return Engine(Settings(model=str(tmp_path / name), threads=1))


def without(key: str, file: str) -> Callable[[Path], None]:
    """Takes a key out of a file's metadata."""

    def change(folder: Path) -> None:
        model = onnx.load(folder / file)
        kept = {pair.key: pair.value for pair in model.metadata_props if pair.key != key}
        onnx.helper.set_model_props(model, kept)
        onnx.save_model(model, folder / file)

    return change


@pytest.mark.parametrize(
    ("name", "change", "code", "told"),
    [
        ("sense_voice", lambda folder: (folder / "tokens.txt").unlink(), "MODEL_FILE_MISSING", "tokens.txt"),
        ("transducer", lambda folder: (folder / "joiner.onnx").unlink(), "MODEL_FILE_MISSING", r"joiner\*.onnx"),
        ("moonshine", lambda folder: (folder / "cached_decode.onnx").unlink(), "MODEL_FILE_MISSING", "cached_decode"),
        ("sense_voice", lambda folder: (folder / "model.int8.onnx").unlink(), "MODEL_KIND_UNKNOWN", "SenseVoice"),
        ("sense_voice", shutil.rmtree, "MODEL_KIND_UNKNOWN", "SenseVoice"),
        ("paraformer", lambda folder: (folder / "model.onnx").write_bytes(b"no model"), "MODEL_KIND_UNKNOWN", "Parafo"),
        ("sense_voice", without("lang_ko", "model.int8.onnx"), "MODEL_METADATA_WRONG", "lang_ko"),
        ("paraformer", without("neg_mean", "model.onnx"), "MODEL_METADATA_WRONG", "neg_mean"),
        ("transducer", without("model_type", "encoder.onnx"), "MODEL_METADATA_WRONG", "model_type"),
        ("transducer", without("T", "encoder.onnx"), "MODEL_METADATA_WRONG", "lack T"),
        ("transducer", without("context_size", "decoder.onnx"), "MODEL_METADATA_WRONG", "context_size"),
        ("moonshine", lambda folder: (folder / "tokens.txt").write_text("hello\n"), "MODEL_FILE_UNREADABLE", "tokens"),
    ],
)
def test_a_model_that_is_not_whole_is_missing_and_says_why(folders, tmp_path, name, change, code, told):
    engine = broken(folders, tmp_path, name, change)
    lack = engine.lack()
    assert lack.code == code
    assert "ASR_SHERPA_MODEL" in lack.remedy
    with pytest.raises(WrongModel, match=told):
        find(tmp_path / name)


@pytest.mark.parametrize("name", ["sense_voice", "moonshine", "transducer"])
def test_a_file_that_cannot_be_read_is_an_error_and_not_the_end(folders, tmp_path, name):
    """The metadata are right, the graph is not."""

    def change(folder: Path) -> None:
        for file in folder.glob("*.onnx"):
            model = onnx.load(file)
            model.graph.node[0].op_type = "Nonsense"
            onnx.save_model(model, file)

    with pytest.raises(Unavailable) as caught:
        broken(folders, tmp_path, name, change).load()
    assert caught.value.reason == "MODEL_FILE_UNREADABLE"


def test_a_model_that_is_mended_is_found_again(folders, tmp_path):
    engine = broken(folders, tmp_path, "sense_voice", lambda folder: (folder / "tokens.txt").unlink())
    assert engine.lack()
    shutil.copy(folders / "sense_voice" / "tokens.txt", tmp_path / "sense_voice")
    assert engine.lack() is None


def test_the_metadata_are_those_that_onnx_reads(folders):
    for file in folders.glob("*/*.onnx"):
        assert metadata(file) == {pair.key: pair.value for pair in onnx.load(file).metadata_props}


def test_without_a_check_a_wrong_model_would_end_the_process(folders, tmp_path):
    """Why the metadata are read first."""
    shutil.copytree(folders / "sense_voice", tmp_path / "wrong")
    without("lang_ko", "model.int8.onnx")(tmp_path / "wrong")
    model, tokens = (str(tmp_path / "wrong" / name) for name in ("model.int8.onnx", "tokens.txt"))
    source = f"import sherpa_onnx as s; s.OfflineRecognizer.from_sense_voice(model={model!r}, tokens={tokens!r})"
    ended = subprocess.run(
        [sys.executable, "-c", f"try:\n {source}\nexcept BaseException:\n pass"], capture_output=True
    )
    assert ended.returncode == 255


def test_it_says_what_it_lacks():
    assert (Engine(Settings()).models(), Engine(Settings()).lack()) == (("sense-voice",), None)
    assert "zh" in Engine(Settings()).info().languages
    assert Engine(Settings(model="/no/such/folder")).models() == ()
