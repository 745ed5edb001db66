"""MOSS-TTS-Nano in its true format, with networks so small that they say nothing that means anything.

Everything that is given to a network has an effect on what comes out of it.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import onnx
import sentencepiece
from onnx import TensorProto, helper, numpy_helper

RATE, HOP, BOOKS, BOOK, HIDDEN, CHANNELS = 48_000, 3840, 4, 16, 8, 2
SPEAKING, CODEC = "MOSS-TTS-Nano-100M-ONNX", "MOSS-Audio-Tokenizer-Nano-ONNX"
_INT, _FLOAT = TensorProto.INT32, TensorProto.FLOAT
_PAST = {"past_key_0": (_FLOAT, [1, "past", 1, 2]), "past_value_0": (_FLOAT, [1, "past", 1, 2])}
_PRESENT = {"present_key_0": (_FLOAT, [1, "all", 1, 2]), "present_value_0": (_FLOAT, [1, "all", 1, 2])}
_CACHE = {"offset": (_INT, [1]), "cached_keys": (_FLOAT, [1, 1, 2, 2]), "cached_values": (_FLOAT, [1, 1, 2, 2])}
_CACHE |= {"cached_positions": (_INT, [1, 2])}
_MANIFEST = {
    "model_files": {
        "tts_meta": "tts_browser_onnx_meta.json",
        "codec_meta": "../MOSS-Audio-Tokenizer-Nano-ONNX-CPU/codec_browser_onnx_meta.json",  # by a former name
        "tokenizer_model": "tokenizer.model",
    },
    "tts_config": {
        "n_vq": BOOKS, "audio_pad_token_id": BOOK, "audio_start_token_id": 6, "audio_end_token_id": 7,
        "audio_user_slot_token_id": 8, "audio_assistant_slot_token_id": 9,
    },
    "prompt_templates": {
        "user_prompt_prefix_token_ids": [4, 5], "user_prompt_after_reference_token_ids": [3],
        "assistant_prompt_prefix_token_ids": [5, 4],
    },
    "generation_defaults": {"max_new_frames": 60, "do_sample": True, "sample_mode": "fixed"},
    "builtin_voices": [
        {"voice": "Ada", "prompt_audio_codes": [[1] * BOOKS] * 3},
        {"voice": "Bob", "prompt_audio_codes": [[9] * BOOKS] * 5},
    ],
    "text_samples": [],
}  # fmt: skip


def write(folder: Path, *, distinct: int = 8, level: float = 0.5) -> Path:
    """Write both parts into a folder.

    Args:
        distinct: a sentence ends when so many codes of the first book were drawn; never, if there are fewer.
        level: how loud it is.
    """
    speaking, codec = folder / SPEAKING, folder / CODEC
    for each in (speaking, codec):
        each.mkdir(parents=True)
    networks = {
        speaking / "prefill.onnx": _prefill(),
        speaking / "step.onnx": _step(),
        speaking / "frame.onnx": _frame(distinct),
        codec / "encode.onnx": _encode(),
        codec / "decode.onnx": _decode(level),
    }
    for path, network in networks.items():
        onnx.save(network, path)
    files = {"prefill": "prefill.onnx", "decode_step": "step.onnx", "local_fixed_sampled_frame": "frame.onnx"}
    names = {
        "prefill_output_names": ["global_hidden", *_PRESENT],
        "decode_input_names": ["input_ids", "past_valid_lengths", *_PAST],
        "decode_output_names": ["global_hidden", *_PRESENT],
    }
    tts = {"files": files, "model_config": {"audio_codebook_sizes": [BOOK] * BOOKS}, "onnx": names}
    (speaking / "tts_browser_onnx_meta.json").write_text(json.dumps(tts))
    shapes = {"offset_shape": [1], "cache_shape": [1, 1, 2, 2], "positions_shape": [1, 2]}
    caches = {f"{name}_{way}put_name": f"{name}_{way}" for name in _CACHE for way in ("in", "out")}
    stream = {
        "transformer_offsets": [{"input_name": "whole_in", "output_name": "whole_out", "shape": [1]}],
        "attention_caches": [caches | shapes],
    }
    config = {"sample_rate": RATE, "channels": CHANNELS, "num_quantizers": BOOKS}
    meta = {
        "files": {"encode": "encode.onnx", "decode_step": "decode.onnx"},
        "codec_config": config,
        "streaming_decode": stream,
    }
    (codec / "codec_browser_onnx_meta.json").write_text(json.dumps(meta))
    (speaking / "browser_poc_manifest.json").write_text(json.dumps(_MANIFEST))
    tokens = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["Hello there. Good morning!", "你好，早上好。"]), model_writer=tokens, vocab_size=40,
        model_type="char", hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    (speaking / "tokenizer.model").write_bytes(tokens.getvalue())
    return folder


class _Graph:
    """Nodes in the order in which they are added."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._values: list[onnx.TensorProto] = []

    def value(self, value: object, kind: type = np.float32) -> str:
        name = f"value{len(self._values)}"
        self._values.append(numpy_helper.from_array(np.array(value, kind), name))
        return name

    def add(self, operation: str, *inputs: str, into: str = "", **options: object) -> str:
        name = into or f"node{len(self._nodes)}"
        self._nodes.append(helper.make_node(operation, inputs, [name], **options))
        return name

    def floats(self, name: str) -> str:
        return self.add("Cast", name, to=_FLOAT)

    def made(self, inputs: dict, outputs: dict) -> onnx.ModelProto:
        told = [
            [helper.make_tensor_value_info(name, *each) for name, each in ends.items()] for ends in (inputs, outputs)
        ]
        graph = helper.make_graph(self._nodes, "tiny", *told, self._values)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def _weights(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape) / 8


def _rows(graph: _Graph, rows: str) -> tuple[str, str]:
    """What a row means, and what is remembered of it."""
    hidden = graph.add("MatMul", rows, graph.value(_weights(1, 1 + BOOKS, HIDDEN)))
    short = graph.add("MatMul", rows, graph.value(_weights(2, 1 + BOOKS, 2)))
    return hidden, graph.add("Unsqueeze", short, graph.value([2], np.int64))


def _prefill() -> onnx.ModelProto:
    graph = _Graph()
    mask = graph.add("Unsqueeze", graph.floats("attention_mask"), graph.value([2], np.int64))
    hidden, key = _rows(graph, graph.add("Mul", graph.floats("input_ids"), mask))
    graph.add(
        "Sin", graph.add("Add", hidden, graph.add("ReduceMean", key, axes=[1, 2, 3], keepdims=0)), into="global_hidden"
    )
    graph.add("Identity", key, into="present_key_0")
    graph.add("Neg", key, into="present_value_0")
    inputs = {"input_ids": (_INT, [1, "rows", 1 + BOOKS]), "attention_mask": (_INT, [1, "rows"])}
    return graph.made(inputs, {"global_hidden": (_FLOAT, [1, "rows", HIDDEN]), **_PRESENT})


def _step() -> onnx.ModelProto:
    graph = _Graph()
    hidden, key = _rows(graph, graph.floats("input_ids"))
    keys = graph.add("Concat", "past_key_0", key, axis=1, into="present_key_0")
    values = graph.add("Concat", "past_value_0", graph.add("Neg", key), axis=1, into="present_value_0")
    remembered = [graph.add("ReduceMean", each, axes=[1, 2, 3], keepdims=0) for each in (keys, values)]
    length = graph.add("Mul", graph.floats("past_valid_lengths"), graph.value(0.01))
    for each in (remembered[0], graph.add("Mul", remembered[1], graph.value(0.5)), length):
        hidden = graph.add("Add", hidden, each)
    graph.add("Sin", hidden, into="global_hidden")
    inputs = {"input_ids": (_INT, [1, 1, 1 + BOOKS]), "past_valid_lengths": (_INT, [1]), **_PAST}
    return graph.made(inputs, {"global_hidden": (_FLOAT, [1, 1, HIDDEN]), **_PRESENT})


def _frame(distinct: int) -> onnx.ModelProto:
    graph = _Graph()
    bias = graph.add("Abs", graph.add("MatMul", "global_hidden", graph.value(24 * _weights(3, HIDDEN, BOOKS))))
    chance = graph.add("Add", graph.add("Mul", "audio_random_u", graph.value(BOOK)), bias)
    whole = graph.add("Cast", graph.add("Floor", chance), to=_INT)
    graph.add("Mod", whole, graph.value(BOOK, np.int32), into="frame_token_ids")
    first = graph.add("Gather", graph.floats("repetition_seen_mask"), graph.value(0, np.int64), axis=1)
    count = graph.add(
        "Add", graph.add("ReduceSum", first, graph.value([1], np.int64), keepdims=0), "assistant_random_u"
    )
    graph.add("Cast", graph.add("Less", count, graph.value(distinct)), to=_INT, into="should_continue")
    inputs = {
        "global_hidden": (_FLOAT, [1, HIDDEN]), "repetition_seen_mask": (_INT, [1, BOOKS, BOOK]),
        "assistant_random_u": (_FLOAT, [1]), "audio_random_u": (_FLOAT, [1, BOOKS]),
    }  # fmt: skip
    return graph.made(inputs, {"should_continue": (_INT, [1]), "frame_token_ids": (_INT, [1, BOOKS])})


def _encode() -> onnx.ModelProto:
    graph = _Graph()
    loud = graph.add("AveragePool", graph.add("Abs", "waveform"), kernel_shape=[HOP], strides=[HOP])
    one = graph.add("Mul", graph.add("ReduceMean", loud, axes=[1], keepdims=1), graph.value(BOOK - 1))
    code = graph.add("Transpose", graph.add("Cast", one, to=_INT), perm=[0, 2, 1])
    graph.add("Concat", *[code] * BOOKS, axis=2, into="audio_codes")
    graph.add("Div", "input_lengths", graph.value(HOP, np.int32), into="audio_code_lengths")
    inputs = {"waveform": (_FLOAT, [1, CHANNELS, "samples"]), "input_lengths": (_INT, [1])}
    return graph.made(inputs, {"audio_codes": (_INT, [1, "frames", BOOKS]), "audio_code_lengths": (_INT, [1])})


def _decode(level: float) -> onnx.ModelProto:
    graph = _Graph()
    wave = level * np.sin(np.arange(HOP) * 2 * np.pi * 150 / RATE)
    code = graph.add("ReduceMean", graph.floats("audio_codes"), axes=[2], keepdims=1)
    loud = graph.add("Add", graph.add("Mul", code, graph.value(0.5 / BOOK)), graph.value(0.4))
    for name in ("whole", *_CACHE):
        memory = (
            f"{name}_in" if name.startswith("cached_k") or name.startswith("cached_v") else graph.floats(f"{name}_in")
        )
        mean = graph.add("ReduceMean", memory, keepdims=0)
        loud = graph.add("Add", loud, graph.add("Mul", mean, graph.value(0.002)))
        step = "audio_code_lengths" if memory != f"{name}_in" else graph.floats("audio_code_lengths")
        graph.add("Add", f"{name}_in", step, into=f"{name}_out")
    sound = graph.add(
        "Reshape", graph.add("Mul", loud, graph.value(wave[None, None])), graph.value([1, 1, -1], np.int64)
    )
    graph.add("Concat", *[sound] * CHANNELS, axis=1, into="audio")
    graph.add("Mul", "audio_code_lengths", graph.value(HOP, np.int32), into="audio_lengths")
    memory = {"whole": (_INT, [1]), **_CACHE}
    inputs = {"audio_codes": (_INT, [1, "frames", BOOKS]), "audio_code_lengths": (_INT, [1])}
    outputs = {"audio": (_FLOAT, [1, CHANNELS, "samples"]), "audio_lengths": (_INT, [1])}
    return graph.made(
        inputs | {f"{name}_in": each for name, each in memory.items()},
        outputs | {f"{name}_out": each for name, each in memory.items()},
    )
