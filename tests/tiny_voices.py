"""Models for sherpa-onnx that speak in tones, whatever they are given to say, in the true formats: their graphs are
written here, not learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper

from tests.tiny_sherpa import _constant, _ints, _save, _value

HERTZ = 468.75  # of every tone: whole waves in the hop of a vocoder at 24 kHz
TOKEN_SAMPLES = 2000  # of each token, at a speed of 1
_FLOAT, _INT64 = TensorProto.FLOAT, TensorProto.INT64
_LETTERS = "abcdefghijklmnopqrstuvwxyz ,.!?'"
_FFT, _HOP, _FRAMES = 1024, 256, 8  # frames of each token


def vits(folder: Path, rate: int = 16_000, speakers: int = 1) -> Path:
    """Letters are its tokens; each sounds as long as the others, the second speaker half as loud."""
    scales = [_value(name, _FLOAT, [1]) for name in ("noise_scale", "length_scale", "noise_scale_w")]
    inputs = [_value("x", _INT64, ["N", "T"]), _value("x_length", _INT64, ["N"]), *scales, _value("sid", _INT64, [1])]
    nodes = [
        helper.make_node("Mul", ["samples_each", "length_scale"], ["each"]),
        helper.make_node("Cast", ["x_length"], ["tokens"], to=_FLOAT),
        helper.make_node("Mul", ["each", "tokens"], ["long"]),
        *_tone("long", rate),
        helper.make_node("Cast", ["sid"], ["number"], to=_FLOAT),
        helper.make_node("Add", ["number", "one_f"], ["part"]),
        helper.make_node("Div", ["tone", "part"], ["quieter"]),
        helper.make_node("Unsqueeze", ["quieter", "axes"], ["y"]),
    ]
    constants = [
        _constant("samples_each", np.array([TOKEN_SAMPLES], np.float32)),
        _constant("one_f", np.ones(1, np.float32)), _constant("axes", _ints(0, 1)), *_tone_constants(rate),
    ]  # fmt: skip
    keys = {
        "sample_rate": str(rate), "n_speakers": str(speakers), "language": "English", "comment": "tiny",
        "frontend": "characters", "add_blank": "0", "punctuation": ", . ! ?", "blank_id": "0", "use_eos_bos": "0",
    }  # fmt: skip
    _save(folder / "model.onnx", nodes, inputs, [_value("y", _FLOAT, ["N", 1, "S"])], constants, keys)
    return _with_tokens(folder, _LETTERS)


def kokoro(folder: Path, rate: int = 24_000, speakers: int = 2) -> Path:
    """Two voices, told apart by a file of styles."""
    inputs = [_value("tokens", _INT64, ["N", "T"]), _value("style", _FLOAT, [1, 4]), _value("speed", _FLOAT, [1])]
    nodes = [
        helper.make_node("Shape", ["tokens"], ["shape"]),
        helper.make_node("Gather", ["shape", "one"], ["count"]),
        helper.make_node("Cast", ["count"], ["count_f"], to=_FLOAT),
        helper.make_node("Mul", ["samples_each", "count_f"], ["whole"]),
        helper.make_node("Div", ["whole", "speed"], ["long"]),
        *_tone("long", rate),
        helper.make_node("Identity", ["tone"], ["audio"]),
    ]
    constants = [
        _constant("samples_each", np.array([TOKEN_SAMPLES], np.float32)), _constant("one", _ints(1)),
        *_tone_constants(rate),
    ]  # fmt: skip
    keys = {
        "sample_rate": str(rate), "n_speakers": str(speakers), "has_espeak": "1", "style_dim": "510,1,4",
        "model_type": "kokoro", "language": "English", "version": "1", "voice": "en-us", "speaker_names": "ada,bob",
    }  # fmt: skip
    _save(folder / "model.onnx", nodes, inputs, [_value("audio", _FLOAT, ["S"])], constants, keys)
    np.zeros((speakers, 510, 1, 4), np.float32).tofile(folder / "voices.bin")
    return _with_lexicon(_with_tokens(folder, _LETTERS))


def matcha(folder: Path, rate: int = 22_050) -> Path:
    """Spoken by a vocoder."""
    inputs = [
        _value("x", _INT64, ["N", "T"]), _value("x_length", _INT64, ["N"]), _value("noise_scale", _FLOAT, [1]),
        _value("length_scale", _FLOAT, [1]),
    ]  # fmt: skip
    nodes = [
        helper.make_node("Cast", ["x_length"], ["tokens"], to=_FLOAT),
        helper.make_node("Mul", ["tokens", "frames_each"], ["whole"]),
        helper.make_node("Mul", ["whole", "length_scale"], ["long"]),
        helper.make_node("Cast", ["long"], ["frames"], to=_INT64),
        helper.make_node("Concat", ["one", "mels", "frames"], ["size"], axis=0),
        helper.make_node("ConstantOfShape", ["size"], ["mel"]),
    ]
    constants = [
        _constant("frames_each", np.array([_FRAMES], np.float32)), _constant("one", _ints(1)),
        _constant("mels", _ints(80)),
    ]  # fmt: skip
    keys = {
        "sample_rate": str(rate), "n_speakers": "1", "version": "1", "use_eos_bos": "0", "has_espeak": "1",
        "language": "English", "voice": "en-us", "pad_id": "0", "jieba": "0", "model_type": "matcha-tts",
    }  # fmt: skip
    _save(folder / "model-steps-3.onnx", nodes, inputs, [_value("mel", _FLOAT, ["N", 80, "F"])], constants, keys)
    _vocos(folder / "vocos-22khz-univ.onnx", 80, rate)
    return _with_lexicon(_with_tokens(folder, _LETTERS))


def zipvoice(folder: Path) -> Path:
    """Goes on where a recording ends, for so many frames as it has tokens."""
    inputs = [
        _value("tokens", _INT64, ["N", "T"]), _value("prompt_tokens", _INT64, ["N", "P"]),
        _value("prompt_features_len", _INT64, [1]), _value("speed", _FLOAT, [1]),
    ]  # fmt: skip
    encoder = [
        helper.make_node("Shape", ["tokens"], ["shape"]),
        helper.make_node("Gather", ["shape", "one"], ["count"]),
        helper.make_node("Mul", ["count", "frames_each"], ["fresh"]),
        helper.make_node("Cast", ["fresh"], ["fresh_f"], to=_FLOAT),
        helper.make_node("Div", ["fresh_f", "speed"], ["timed_f"]),
        helper.make_node("Cast", ["timed_f"], ["timed"], to=_INT64),
        helper.make_node("Add", ["timed", "prompt_features_len"], ["frames"]),
        helper.make_node("Concat", ["one", "frames", "mels"], ["size"], axis=0),
        helper.make_node("ConstantOfShape", ["size"], ["text_condition"]),
    ]
    sizes = [_constant("one", _ints(1)), _constant("frames_each", _ints(_FRAMES)), _constant("mels", _ints(100))]
    condition = _value("text_condition", _FLOAT, ["N", "F", 100])
    _save(folder / "encoder.int8.onnx", encoder, inputs, [condition], sizes, {"use_espeak": "1", "version": "1"})
    frames = [_value(name, _FLOAT, ["N", "F", 100]) for name in ("x", "text_condition", "speech_condition")]
    steps = [_value("t", _FLOAT, [1]), *frames, _value("guidance_scale", _FLOAT, [1])]
    keys = {"feat_dim": "100", "sample_rate": "24000", "n_fft": "1024", "hop_length": "256", "num_mels": "100"}
    decoder = [helper.make_node("Identity", ["speech_condition"], ["v"])]
    _save(folder / "decoder.int8.onnx", decoder, steps, [_value("v", _FLOAT, ["N", "F", 100])], [], keys)
    _vocos(folder / "vocos_24khz.onnx", 100, 24_000)
    return _with_lexicon(_with_tokens(folder, _LETTERS))


def _tone(length: str, rate: int) -> list[helper.NodeProto]:
    """A tone of so many samples."""
    return [
        helper.make_node("Squeeze", [length], ["length"]),
        helper.make_node("Range", ["zero_f", "length", "step_f"], ["places"]),
        helper.make_node("Mul", ["places", "turn"], ["turns"]),
        helper.make_node("Sin", ["turns"], ["wave"]),
        helper.make_node("Mul", ["wave", "half"], ["tone"]),
    ]


def _tone_constants(rate: int) -> list[TensorProto]:
    return [
        _constant("zero_f", np.array(0, np.float32)), _constant("step_f", np.array(1, np.float32)),
        _constant("turn", np.array(2 * np.pi * HERTZ / rate, np.float32)),
        _constant("half", np.array(0.5, np.float32)),
    ]  # fmt: skip


def _vocos(path: Path, mels: int, rate: int) -> None:
    """The same tone in every frame, as the size and the sides of its Fourier transform."""
    bins = _FFT // 2 + 1
    size = np.zeros((1, bins, 1), np.float32)
    size[0, 20] = 100.0
    nodes = [
        helper.make_node("Shape", ["mel"], ["shape"]),
        helper.make_node("Gather", ["shape", "two"], ["frames"]),
        helper.make_node("Concat", ["one", "one", "frames"], ["times"], axis=0),
        helper.make_node("Tile", ["size", "times"], ["mag"]),
        helper.make_node("Tile", ["ones", "times"], ["x"]),
        helper.make_node("Tile", ["zeros", "times"], ["y"]),
    ]
    constants = [
        _constant("two", _ints(2)), _constant("one", _ints(1)), _constant("size", size),
        _constant("ones", np.ones((1, bins, 1), np.float32)), _constant("zeros", np.zeros((1, bins, 1), np.float32)),
    ]  # fmt: skip
    keys = {
        "model_type": "vocos", "n_fft": str(_FFT), "hop_length": str(_HOP), "win_length": str(_FFT), "center": "1",
        "normalized": "0", "sample_rate": str(rate), "window_type": "hann", "pad_mode": "reflect",
    }  # fmt: skip
    outputs = [_value(name, _FLOAT, ["N", bins, "F"]) for name in ("mag", "x", "y")]
    _save(path, nodes, [_value("mel", _FLOAT, ["N", mels, "F"])], outputs, constants, keys)


def _with_tokens(folder: Path, symbols: Sequence[str]) -> Path:
    lines = [f"{symbol} {number}" for number, symbol in enumerate(["_", "^", *symbols])]
    (folder / "tokens.txt").write_text("\n".join(lines) + "\n", "utf-8")
    return folder


def _with_lexicon(folder: Path) -> Path:
    words = ("hello", "there", "one", "two", "three", "good", "morning", "how", "are", "you")
    (folder / "lexicon.txt").write_text("".join(f"{word} {' '.join(word)}\n" for word in words), "utf-8")
    return folder
