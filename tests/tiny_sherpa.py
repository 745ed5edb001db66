"""Models for sherpa-onnx that say what they are told to, whatever they hear, in the true formats: their graphs are
written here, not learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save_model

_FEATURES, _STACKED = 80, 7  # of a frame; frames that SenseVoice and Paraformer look at together
_SURE, _MOST_FRAMES = 20.0, 2000
_FLOAT, _INT32, _INT64 = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64
_OPSET = [helper.make_opsetid("", 17)]
_LFR = {
    "vocab_size": "0",
    "lfr_window_size": str(_STACKED),
    "lfr_window_shift": "6",
    "neg_mean": ",".join(["0.0"] * _FEATURES * _STACKED),
    "inv_stddev": ",".join(["1.0"] * _FEATURES * _STACKED),
}


def sense_voice(folder: Path, tokens: Sequence[str], language: str = "en") -> Path:
    """One token every third frame of 60 ms, after those that tell language, feeling, event and form."""
    told = [f"<|{language}|>", "<|NEUTRAL|>", "<|Speech|>", "<|withitn|>"]
    symbols = ["<blank>", "<s>", "</s>", *dict.fromkeys([*told, *tokens])]
    said = [*told, *(one for token in tokens for one in (token, "<blank>", "<blank>"))]
    logits = _one_hot([symbols.index(one) for one in said], len(symbols), _MOST_FRAMES)
    count, four = _constant("four", np.array([4], np.int64)), "four"
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "one"], ["frames"]),
        helper.make_node("Add", ["frames", four], ["end"]),
        helper.make_node("Slice", ["table", "zero", "end", "one"], ["logits"]),
    ]
    keys = {
        **_LFR, "vocab_size": str(len(symbols)), "normalize_samples": "0", "with_itn": "14", "without_itn": "15",
        **{f"lang_{tag}": str(at) for at, tag in enumerate(("auto", "zh", "en", "ja", "ko", "yue"))},
    }  # fmt: skip
    inputs = [
        _value("x", _FLOAT, ["N", "T", _FEATURES * _STACKED]),
        _value("x_length", _INT32, ["N"]), _value("language", _INT32, ["N"]), _value("text_norm", _INT32, ["N"]),
    ]  # fmt: skip
    constants = [count, _constant("table", logits[None]), _constant("one", _ints(1)), _constant("zero", _ints(0))]
    _save(folder / "model.int8.onnx", nodes, inputs, [_value("logits", _FLOAT, ["N", "L", "V"])], constants, keys)
    return _with_tokens(folder, symbols)


def paraformer(folder: Path, tokens: Sequence[str]) -> Path:
    """All tokens at once."""
    symbols = ["<blank>", "<s>", "</s>", *dict.fromkeys(tokens), "<unk>"]
    logits = _one_hot([*map(symbols.index, tokens), 2], len(symbols), len(tokens) + 1)
    nodes = [
        helper.make_node("Identity", ["table"], ["logits"]),
        helper.make_node("Identity", ["count"], ["token_num"]),
    ]
    inputs = [_value("speech", _FLOAT, ["N", "T", _FEATURES * _STACKED]), _value("speech_lengths", _INT32, ["N"])]
    outputs = [_value("logits", _FLOAT, ["N", "L", "V"]), _value("token_num", _INT64, ["N"])]
    constants = [_constant("table", logits[None]), _constant("count", _ints(len(tokens) + 1))]
    keys = {**_LFR, "vocab_size": str(len(symbols))}
    _save(folder / "model.onnx", nodes, inputs, outputs, constants, keys)
    return _with_tokens(folder, symbols)


def transducer(folder: Path, tokens: Sequence[str], rivals: dict[str, str] | None = None) -> Path:
    """One token in each chunk of 320 ms. A token with a rival is only a little likelier than that."""
    rivals = rivals or {}
    symbols = ["<blk>", "<sos/eos>", "<unk>", *dict.fromkeys([*tokens, *rivals.values()])]
    width, chunks = len(symbols), len(tokens)
    table = np.zeros((chunks + 1, 2, width), np.float32)  # by chunk: two frames, of which the second says nothing
    table[:, 1, 0] = table[chunks:, 0, 0] = _SURE
    for at, token in enumerate(tokens):
        table[at, 0, symbols.index(token)] = _SURE
        if rival := rivals.get(token):
            table[at, 0, symbols.index(rival)] = _SURE - 0.5
    _encoder(folder / "encoder.onnx", table)
    _save(
        folder / "decoder.onnx",
        [
            helper.make_node("Shape", ["y"], ["shape"]),
            helper.make_node("Gather", ["shape", "zero"], ["count"]),
            helper.make_node("Concat", ["count", "width"], ["size"], axis=0),
            helper.make_node("ConstantOfShape", ["size"], ["decoder_out"]),
        ],
        [_value("y", _INT64, ["N", 2])],
        [_value("decoder_out", _FLOAT, ["N", width])],
        [_constant("zero", _ints(0)), _constant("width", _ints(width))],
        {"vocab_size": str(width), "context_size": "2"},
    )
    _save(
        folder / "joiner.onnx",
        [helper.make_node("Add", ["encoder_out", "decoder_out"], ["logit"])],
        [_value("encoder_out", _FLOAT, ["N", width]), _value("decoder_out", _FLOAT, ["N", width])],
        [_value("logit", _FLOAT, ["N", width])],
        [],
        {"joiner_dim": str(width)},
    )
    return _with_tokens(folder, symbols)


def moonshine(folder: Path, tokens: Sequence[str]) -> Path:
    """A token in each step, then the end."""
    symbols = ["<unk>", "<s>", "</s>", *dict.fromkeys(tokens)]
    steps = _one_hot([*map(symbols.index, tokens), 2], len(symbols), len(tokens) + 1)
    feature, length = _value("feature", _FLOAT, ["N", "T", 4]), _value("length", _INT32, ["N"])
    frames = [
        helper.make_node("Shape", ["audio"], ["shape"]),
        helper.make_node("Gather", ["shape", "one"], ["samples"]),
        helper.make_node("Div", ["samples", "hop"], ["frames"]),
        helper.make_node("Concat", ["one", "frames", "four"], ["size"], axis=0),
        helper.make_node("ConstantOfShape", ["size"], ["feature"]),
    ]
    sizes = [_constant("one", _ints(1)), _constant("hop", _ints(384)), _constant("four", _ints(4))]
    _save(folder / "preprocess.onnx", frames, [_value("audio", _FLOAT, ["N", "S"])], [feature], sizes, {})
    encoded = _value("encoded", _FLOAT, ["N", "T", 4])
    same = [helper.make_node("Identity", ["feature"], ["encoded"])]
    _save(folder / "encode.int8.onnx", same, [feature, length], [encoded], [], {})
    inputs = [_value("token", _INT32, ["N", 1]), encoded, _value("seq_len", _INT32, ["N"])]
    step = [
        helper.make_node("Sub", ["seq_len", "one"], ["at"]),
        helper.make_node("Min", ["at", "last"], ["place"]),
        helper.make_node("Gather", ["steps", "place"], ["logit"], axis=1),
    ]
    table = [
        _constant("steps", steps[None]), _constant("one", np.array([1], np.int32)),
        _constant("last", np.array([len(tokens)], np.int32)),
    ]  # fmt: skip
    logit = _value("logit", _FLOAT, [1, 1, len(symbols)])
    state_in, state_out = _value("state", _FLOAT, [1]), _value("next", _FLOAT, [1])
    fresh = [*step, helper.make_node("Identity", ["nothing"], ["next"])]
    nothing = _constant("nothing", np.zeros(1, np.float32))
    _save(folder / "uncached_decode.onnx", fresh, inputs, [logit, state_out], [*table, nothing], {})
    more = [*step, helper.make_node("Identity", ["state"], ["next"])]
    _save(folder / "cached_decode.onnx", more, [*inputs, state_in], [logit, state_out], table, {})
    return _with_tokens(folder, symbols)


def streaming_paraformer(folder: Path, token: str) -> Path:
    """The same token about three times a second."""
    symbols, width = ["<blank>", "<s>", "</s>", token], 4
    size = str(width)
    keys = {
        **_LFR, "vocab_size": str(len(symbols)), "encoder_output_size": size, "decoder_num_blocks": "1",
        "decoder_kernel_size": "2",
    }  # fmt: skip
    encoder = [
        helper.make_node("Shape", ["speech"], ["shape"]),
        helper.make_node("Gather", ["shape", "one"], ["frames"]),
        helper.make_node("Concat", ["one", "frames", "width"], ["size"], axis=0),
        helper.make_node("ConstantOfShape", ["size"], ["enc"]),
        helper.make_node("Identity", ["speech_lengths"], ["enc_len"]),
        helper.make_node("Concat", ["one", "frames"], ["flat"], axis=0),
        helper.make_node(
            "ConstantOfShape", ["flat"], ["alphas"], value=_constant("value", np.array([0.2], np.float32))
        ),
    ]
    speech = [_value("speech", _FLOAT, ["N", "T", _FEATURES * _STACKED]), _value("speech_lengths", _INT32, ["N"])]
    heard = [
        _value("enc", _FLOAT, ["N", "T", width]), _value("enc_len", _INT32, ["N"]),
        _value("alphas", _FLOAT, ["N", "T"]),
    ]  # fmt: skip
    sizes = [_constant("one", _ints(1)), _constant("width", _ints(width))]
    _save(folder / "encoder.onnx", encoder, speech, heard, sizes, keys)
    decoder = [
        helper.make_node("Shape", ["embeds"], ["shape"]),
        helper.make_node("Slice", ["shape", "zero", "two"], ["count"]),
        helper.make_node("ConstantOfShape", ["count"], ["ids"], value=_constant("value", _ints(3))),
        helper.make_node("Cast", ["ids"], ["logits"], to=_FLOAT),
        helper.make_node("Identity", ["state"], ["next"]),
    ]
    inputs = [
        *heard[:2], _value("embeds", _FLOAT, ["N", "L", width]), _value("embeds_len", _INT32, ["N"]),
        _value("state", _FLOAT, ["N", width, 1]),
    ]  # fmt: skip
    outputs = [
        _value("logits", _FLOAT, ["N", "L"]), _value("ids", _INT64, ["N", "L"]),
        _value("next", _FLOAT, ["N", width, 1]),
    ]  # fmt: skip
    _save(
        folder / "decoder.onnx", decoder, inputs, outputs, [_constant("zero", _ints(0)), _constant("two", _ints(2))], {}
    )
    return _with_tokens(folder, symbols)


def _encoder(path: Path, table: np.ndarray) -> None:
    """Its last state counts the chunks, of which each says its own row of the table."""
    shapes: dict[str, list[int | str]] = {
        "cached_key": [4, "N", 2], "cached_nonlin_attn": [1, "N", 4, 3], "cached_val1": [4, "N", 2],
        "cached_val2": [4, "N", 2], "cached_conv1": ["N", 4, 1], "cached_conv2": ["N", 4, 1],
        "embed_states": ["N", 128, 3, 19],
    }  # fmt: skip
    states = [_value(name, _FLOAT, shape) for name, shape in shapes.items()]
    counted = _value("processed", _INT64, ["N"])
    nodes = [
        helper.make_node("Min", ["processed", "last"], ["row"]),
        helper.make_node("Gather", ["table", "row"], ["encoder_out"], axis=0),
        helper.make_node("Add", ["processed", "one"], ["new_processed"]),
        *(helper.make_node("Identity", [name], [f"new_{name}"]) for name in shapes),
    ]
    outputs = [
        _value("encoder_out", _FLOAT, ["N", table.shape[1], table.shape[2]]),
        *(_value(f"new_{name}", _FLOAT, shape) for name, shape in shapes.items()),
        _value("new_processed", _INT64, ["N"]),
    ]
    constants = [
        _constant("table", table), _constant("last", _ints(len(table) - 1)), _constant("one", _ints(1)),
    ]  # fmt: skip
    keys = {
        "model_type": "zipformer2", "encoder_dims": "4", "query_head_dims": "2", "value_head_dims": "2",
        "num_heads": "1", "num_encoder_layers": "1", "cnn_module_kernels": "3", "left_context_len": "4", "T": "45",
        "decode_chunk_len": "32",
    }  # fmt: skip
    inputs = [_value("x", _FLOAT, ["N", "T", _FEATURES]), *states, counted]
    _save(path, nodes, inputs, outputs, constants, keys)


def _one_hot(ids: Sequence[int], width: int, length: int) -> np.ndarray:
    """Logits that say these symbols, then blanks."""
    logits = np.zeros((length, width), np.float32)
    logits[np.arange(length), [*ids, *[0] * (length - len(ids))]] = _SURE
    return logits


def _ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def _constant(name: str, value: np.ndarray) -> TensorProto:
    return numpy_helper.from_array(value, name)


def _value(name: str, kind: int, shape: list) -> object:
    return helper.make_tensor_value_info(name, kind, shape)


def _save(path: Path, nodes: list, inputs: list, outputs: list, constants: list, keys: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    graph = helper.make_graph(nodes, path.stem, inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=_OPSET, ir_version=9)
    helper.set_model_props(model, keys)
    save_model(model, path)


def _with_tokens(folder: Path, symbols: Sequence[str]) -> Path:
    lines = (f"{symbol} {at}\n" for at, symbol in enumerate(symbols))
    (folder / "tokens.txt").write_text("".join(lines), encoding="utf-8")
    return folder
