"""What model lies in a folder: its kind, its files, and what is missing.

sherpa-onnx ends the whole process when a model lacks a key of its metadata, so these are read before it sees the model:
they stand in the ONNX file beside the graph, which is skipped.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from services.common.engine import Lack

TOKENS = "tokens.txt"
_METADATA_FIELD = 14  # of ModelProto: pairs of a key (field 1) and a value (field 2)
_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5
_MOST_PAIR_BYTES = 2**20

_LFR = ("vocab_size", "lfr_window_size", "lfr_window_shift", "neg_mean", "inv_stddev")
_ZIPFORMER = ("encoder_dims", "num_encoder_layers", "cnn_module_kernels", "left_context_len", "T", "decode_chunk_len")


class Kind(Enum):
    """A kind of model."""

    SENSE_VOICE = "SenseVoice"
    PARAFORMER = "Paraformer"
    STREAMING_PARAFORMER = "streaming Paraformer"
    TRANSDUCER = "streaming Zipformer transducer"
    MOONSHINE = "Moonshine"


_PARTS: Mapping[Kind, tuple[str, ...]] = {
    Kind.SENSE_VOICE: ("model",),
    Kind.PARAFORMER: ("model",),
    Kind.STREAMING_PARAFORMER: ("encoder", "decoder"),
    Kind.TRANSDUCER: ("encoder", "decoder", "joiner"),
    Kind.MOONSHINE: ("preprocess", "encode", "uncached_decode", "cached_decode"),
}
_KEYS: Mapping[tuple[Kind, str], tuple[str, ...]] = {
    (Kind.SENSE_VOICE, "model"): (
        *_LFR, "normalize_samples", "with_itn", "without_itn",
        "lang_auto", "lang_zh", "lang_en", "lang_ja", "lang_ko", "lang_yue",
    ),
    (Kind.PARAFORMER, "model"): _LFR,
    (Kind.STREAMING_PARAFORMER, "encoder"): (
        *_LFR, "encoder_output_size", "decoder_num_blocks", "decoder_kernel_size",
    ),
    (Kind.TRANSDUCER, "decoder"): ("vocab_size", "context_size"),
}  # fmt: skip
_ENCODER_KEYS = {
    "zipformer": (*_ZIPFORMER, "attention_dims"),
    "zipformer2": (*_ZIPFORMER, "query_head_dims", "value_head_dims", "num_heads"),
}
"""By the `model_type` of a transducer's encoder."""


SETTING = "ASR_SHERPA_MODEL"
_REMEDY = f"Set {SETTING} to a model of the catalogue, or to a whole folder; docs/models.md says where it is had."


class WrongModel(Exception):
    """A folder holds no model that can be used; `lack` says what is wrong with which file."""

    def __init__(self, lack: Lack) -> None:
        super().__init__(lack.reason)
        self.lack = lack


def unreadable(file: str) -> WrongModel:
    """A file is none of its kind."""
    return WrongModel(
        Lack(
            "MODEL_FILE_UNREADABLE", f"{file} of its model cannot be read.", _REMEDY, {"file": file, "setting": SETTING}
        )
    )


def _no_part(kind: Kind, file: str) -> WrongModel:
    message = f"It is a {kind.value}, but {file} is missing."
    return WrongModel(
        Lack("MODEL_FILE_MISSING", message, _REMEDY, {"kind": kind.value, "file": file, "setting": SETTING})
    )


def _no_kind() -> WrongModel:
    kinds = ", ".join(kind.value for kind in Kind)
    message = f"In the folder of its model there is none of a kind that is known: {kinds}."
    return WrongModel(Lack("MODEL_KIND_UNKNOWN", message, _REMEDY, {"kinds": kinds, "setting": SETTING}))


def _no_keys(kind: Kind, file: str, keys: list[str]) -> WrongModel:
    message = f"{file} is no {kind.value} for sherpa-onnx: its metadata lack {', '.join(keys)}."
    values = {"file": file, "kind": kind.value, "keys": ", ".join(keys), "setting": SETTING}
    return WrongModel(Lack("MODEL_METADATA_WRONG", message, _REMEDY, values))


@dataclass(frozen=True)
class Files:
    """A model that is whole."""

    kind: Kind
    parts: Mapping[str, Path]
    """Its ONNX files by what they are, e.g. `encoder`."""
    tokens: Path
    bpe_vocabulary: Path | None
    """How words are cut into tokens; without it, only Chinese hot words can be."""


def find(folder: Path) -> Files:
    """The model in a folder. Cheap: what was found is known until a file changes.

    Raises:
        WrongModel: there is none, or a part of it is missing.
    """
    return _found(folder, _state(folder))


def symbols(tokens: Path) -> list[str]:
    """The symbols of a `tokens.txt`, in its order.

    Raises:
        WrongModel: a line is not a symbol and its number.
    """
    try:
        lines = tokens.read_text("utf-8").splitlines()
    except UnicodeDecodeError:
        raise unreadable(tokens.name) from None
    found = [line.rsplit(maxsplit=1) for line in lines if line.strip()]
    if not found or any(len(line) > 2 or not line[-1].isdecimal() for line in found):
        raise unreadable(tokens.name)
    return [line[0] if len(line) == 2 else " " for line in found]


def metadata(model: Path) -> dict[str, str]:
    """What an ONNX file says about its model; nothing of a file that is none."""
    pairs: dict[str, str] = {}
    with model.open("rb") as file:
        try:
            for data in _fields(file, model.stat().st_size):
                pair = dict(_texts(data))
                pairs[pair.get(1, "")] = pair.get(2, "")
        except (EOFError, UnicodeDecodeError, ValueError):
            return {}
    return pairs


def _state(folder: Path) -> tuple[tuple[str, int, int], ...]:
    if not folder.is_dir():
        return ()
    with os.scandir(folder) as entries:
        found = [(entry.name, entry.stat().st_size, entry.stat().st_mtime_ns) for entry in entries if entry.is_file()]
    return tuple(sorted(found))


@lru_cache(maxsize=8)
def _found(folder: Path, state: tuple[tuple[str, int, int], ...]) -> Files:
    names = [name for name, _, _ in state]
    kind = _kind(folder, names)
    parts = {part: folder / _named(names, part, kind) for part in _PARTS[kind]}
    if TOKENS not in names:
        raise _no_part(kind, TOKENS)
    for part, path in parts.items():
        _check(kind, part, path)
    symbols(folder / TOKENS)
    vocabulary = folder / "bpe.vocab"
    return Files(kind, parts, folder / TOKENS, vocabulary if vocabulary.name in names else None)


def _kind(folder: Path, names: list[str]) -> Kind:
    """By the names of the files, and where several kinds have the same by what the model says of itself."""
    if _first(names, "preprocess"):
        return Kind.MOONSHINE
    if encoder := _first(names, "encoder"):
        is_paraformer = "decoder_num_blocks" in metadata(folder / encoder)
        return Kind.STREAMING_PARAFORMER if is_paraformer else Kind.TRANSDUCER
    if model := _first(names, "model"):
        told = metadata(folder / model)
        if "lang_auto" in told or "with_itn" in told:
            return Kind.SENSE_VOICE
        if "lfr_window_size" in told:
            return Kind.PARAFORMER
        raise _no_kind()
    raise _no_kind()


def _first(names: list[str], part: str) -> str | None:
    """The file of a part, of several the one with weights of eight bits."""
    found = [name for name in names if name.startswith(part) and name.endswith(".onnx") and name[len(part)] in ".-_"]
    return min(found, key=lambda name: (".int8." not in name, name), default=None)


def _named(names: list[str], part: str, kind: Kind) -> str:
    name = _first(names, part)
    if name is None:
        raise _no_part(kind, f"{part}*.onnx")
    return name


def _check(kind: Kind, part: str, path: Path) -> None:
    """Raises:
    WrongModel: the file lacks a key that sherpa-onnx needs.
    """
    keys = _KEYS.get((kind, part), ())
    is_encoder = (kind, part) == (Kind.TRANSDUCER, "encoder")
    if not keys and not is_encoder:
        return
    told = metadata(path)
    if is_encoder:
        keys = _ENCODER_KEYS.get(told.get("model_type", ""), ())
        if not keys:
            raise _no_keys(kind, path.name, [f"model_type ({', '.join(_ENCODER_KEYS)})"])
    if lacking := [key for key in keys if not told.get(key)]:
        raise _no_keys(kind, path.name, lacking)


# The wire format of Protocol Buffers, as much as is needed to skip a graph


def _fields(file: BinaryIO, size: int) -> Iterator[bytes]:
    """The pairs of the metadata in a file of so many bytes."""
    while file.tell() < size:
        field, wire = divmod(_varint(file), 8)
        if wire == _BYTES:
            length = _varint(file)
            if field == _METADATA_FIELD and length <= _MOST_PAIR_BYTES:
                yield _exactly(file, length)
            else:
                file.seek(length, os.SEEK_CUR)
        elif wire == _VARINT:
            _varint(file)
        elif wire in (_FIXED_32, _FIXED_64):
            file.seek(4 if wire == _FIXED_32 else 8, os.SEEK_CUR)
        else:
            raise ValueError("no protocol buffer")


def _texts(data: bytes) -> Iterator[tuple[int, str]]:
    """The numbers and texts of a message of texts."""
    file = io.BytesIO(data)
    while file.tell() < len(data):
        field, wire = divmod(_varint(file), 8)
        if wire != _BYTES:
            raise ValueError("no pair of texts")
        yield field, _exactly(file, _varint(file)).decode()


def _varint(file: BinaryIO) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = _exactly(file, 1)[0]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value
    raise ValueError("no number")


def _exactly(file: BinaryIO, count: int) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise EOFError
    return data
