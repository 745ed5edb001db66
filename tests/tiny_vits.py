"""A voice in the format of Piper's that hums one tone per speaker, and one in that of Kokoro's: their graphs are
written here, not learned.

The former has what a VITS network is parted by: rounded-up durations, frames stretched by them, a vocoder.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save_model

RATE, HOP = 22_050, 256
LETTER_FRAMES, PAD_FRAMES, EDGE_FRAMES = 6, 2, 12
TONES_HZ = (3 * RATE / HOP, 6 * RATE / HOP)  # whole waves to a frame, or they would not join
_PAD, _BEGIN, _END = 0, 1, 2
_LETTERS = " !,.:;?abdefhijklmnopstuvwzæðŋɐɑɔəɚɛɡɪɹɾʃʊʌʒʔˈˌːθᵻ̩"
_FLOAT, _INT64 = TensorProto.FLOAT, TensorProto.INT64


def write(folder: Path, *, speakers: int = 1, **changes: Any) -> Path:
    """Write a voice into a folder; `changes` are made to its configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    letters = {"_": [_PAD], "^": [_BEGIN], "$": [_END]} | {letter: [at + 3] for at, letter in enumerate(_LETTERS)}
    config = {
        "audio": {"sample_rate": RATE, "quality": "tiny"},
        "espeak": {"voice": "en-us"},
        "inference": {"noise_scale": 0.667, "length_scale": 1, "noise_w": 0.8},
        "phoneme_type": "espeak",
        "phoneme_id_map": letters,
        "num_speakers": speakers,
        "speaker_id_map": {f"hum{at}": at for at in range(speakers)} if speakers > 1 else {},
    }
    (folder / "tiny.onnx.json").write_text(json.dumps(config | changes))
    _save(folder / "tiny.onnx", len(letters), speakers)
    return folder


def write_kokoro(folder: Path, voices: tuple[str, ...] = ("af_heart", "bf_emma")) -> Path:
    """A model in the format of Kokoro's that hums: a symbol lasts two frames of 600 samples."""
    (folder / "voices").mkdir(parents=True, exist_ok=True)
    for voice in voices:
        np.zeros((510, 1, 256), np.float32).tofile(folder / "voices" / f"{voice}.bin")
    constants = {
        "two": np.array([2], np.float32), "nothing": np.array([0], np.float32), "zero": _scalar(0),
        "step": _scalar(1), "hop": _scalar(600),
        "least": np.array(1, np.float32), "pitch": np.array(2 * np.pi * 240 / 24_000, np.float32),
    }  # fmt: skip
    nodes = [
        _node("Cast", ["tokens"], "floats", to=_FLOAT),
        _node("Mul", ["floats", "nothing"], "none"),
        _node("Add", ["none", "two"], "each"),
        _node("Div", ["each", "speed"], "faster"),
        _node("Round", ["faster"], "rounded"),
        _node("Clip", ["rounded", "least"], "lasts"),
        _node("ReduceSum", ["lasts"], "frames", keepdims=0),
        _node("Cast", ["frames"], "count", to=_INT64),
        _node("Mul", ["count", "hop"], "length"),
        _node("Range", ["zero", "length", "step"], "numbers"),
        _node("Cast", ["numbers"], "sample", to=_FLOAT),
        _node("Mul", ["sample", "pitch"], "phase"),
        _node("Sin", ["phase"], "audio"),
    ]
    inputs = [
        helper.make_tensor_value_info("tokens", _INT64, [1, "n"]),
        helper.make_tensor_value_info("style", _FLOAT, [1, 256]),
        helper.make_tensor_value_info("speed", _FLOAT, [1]),
    ]
    outputs = [helper.make_tensor_value_info("audio", _FLOAT, ["length"])]
    _write(folder / "kokoro-tiny.onnx", nodes, inputs, outputs, constants)
    return folder


def _save(path: Path, symbols: int, speakers: int) -> None:
    lasts = np.full(symbols, LETTER_FRAMES - 0.5, np.float32)  # rounded up
    lasts[[_PAD, _BEGIN, _END]] = PAD_FRAMES - 0.5, EDGE_FRAMES - 0.5, EDGE_FRAMES - 0.5
    loud = np.ones((symbols, 1), np.float32)
    loud[[_PAD, _BEGIN, _END]] = 0
    seconds = np.arange(2 * HOP) / RATE
    window = np.hanning(2 * HOP)
    tones = np.stack([window * np.sin(2 * np.pi * hertz * seconds) for hertz in TONES_HZ])[:, None].astype(np.float32)
    constants = {
        "lasts": lasts, "loud": loud, "tones": tones, "second": _ints(1), "axis": _ints(1), "one": _scalar(1),
        "silent": np.zeros(1, np.float32), "first": _scalar(0),
        "near": np.array([[[0.05, 0.05, 0.8, 0.05, 0.05]]], np.float32),
        "zero": _scalar(0), "step": _scalar(1), "length": _ints(1), "at": _scalar(1), "to": _ints(-1),
        "wide": np.tile(np.array([0.1, 0.1, 0.1, 0.4, 0.1, 0.1, 0.1], np.float32), (len(TONES_HZ), 1, 1)),
        "who": np.eye(len(TONES_HZ), dtype=np.float32)[:, :, None] - 1,
    }  # fmt: skip
    nodes = [
        # how many frames each symbol lasts
        _node("Gather", ["lasts", "input"], "each"),
        _node("Gather", ["scales", "at"], "slowness"),
        _node("Mul", ["each", "slowness"], "scaled"),
        _node("Unsqueeze", ["scaled", "axis"], "raised"),
        _node("Ceil", ["raised"], "durations"),
        # which symbol each frame belongs to
        _node("CumSum", ["durations", "to"], "ends"),
        _node("ReduceMax", ["ends"], "last", keepdims=0),
        _node("Cast", ["last"], "count", to=_INT64),
        _node("Range", ["zero", "count", "step"], "numbers"),
        _node("Cast", ["numbers"], "frame", to=_FLOAT),
        _node("Transpose", ["ends"], "column", perm=[0, 2, 1]),
        _node("LessOrEqual", ["column", "frame"], "over"),
        _node("Cast", ["over"], "passed", to=_INT64),
        _node("ReduceSum", ["passed", "axis"], "symbol", keepdims=0),
        _node("GatherElements", ["input", "symbol"], "said", axis=1),
        _node("Gather", ["loud", "said"], "rows"),
        _node("Transpose", ["rows"], "mean", perm=[0, 2, 1]),
        # noise about it, of which nothing is left here
        _node("RandomNormalLike", ["mean"], "noise"),
        _node("Mul", ["noise", "silent"], "about"),
        _node("Gather", ["scales", "first"], "scale"),
        _node("Mul", ["about", "scale"], "strayed"),
        _node("Add", ["mean", "strayed"], "latent"),
        # the flow, in which a frame depends on its neighbours
        _node("Equal", ["mean", "mean"], "same"),
        _node("Cast", ["same"], "mask", to=_FLOAT),
        _node("Conv", ["latent", "near"], "flowed", pads=[2, 2]),
        _node("Mul", ["flowed", "mask"], "z"),
        # the vocoder
        _node("Conv", ["z", "wide"], "pre", pads=[3, 3]),
        *_speaker(speakers),
        _node("LeakyRelu", ["chosen"], "bent", alpha=0.0),
        _node("ConvTranspose", ["bent", "tones"], "tone", strides=[HOP], pads=[HOP // 2, HOP // 2]),
        _node("Tanh", ["tone"], "sound"),
        _node("Unsqueeze", ["sound", "axis"], "output"),
    ]
    inputs = [
        helper.make_tensor_value_info("input", _INT64, ["batch", "phonemes"]),
        helper.make_tensor_value_info("input_lengths", _INT64, ["batch"]),
        helper.make_tensor_value_info("scales", _FLOAT, [3]),
        *([helper.make_tensor_value_info("sid", _INT64, ["batch"])] if speakers > 1 else []),
    ]
    outputs = [helper.make_tensor_value_info("output", _FLOAT, ["batch", 1, 1, "time"])]
    _write(path, nodes, inputs, outputs, constants)


def _write(path: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any], constants: dict[str, Any]) -> None:
    weights = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, weights)
    save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


def _speaker(speakers: int) -> list[Any]:
    """The speaker's tone is let through, the others' are held down; of a single one all sound."""
    if speakers == 1:
        return [_node("LeakyRelu", ["pre"], "chosen", alpha=0.0)]
    table = numpy_helper.from_array(np.eye(speakers, len(TONES_HZ), dtype=np.float32)[:, :, None], "table")
    return [
        helper.make_node("Constant", [], ["speakers"], value=table),
        _node("Gather", ["speakers", "sid"], "embedded"),
        _node("Conv", ["embedded", "who"], "condition"),
        _node("Add", ["pre", "condition"], "chosen"),
    ]


def _node(kind: str, inputs: list[str], output: str, **attributes: Any) -> Any:
    return helper.make_node(kind, inputs, [output], **attributes)


def _ints(*values: int) -> Any:
    return np.array(values, np.int64)


def _scalar(value: int) -> Any:
    return np.array(value, np.int64)
