"""What lies in the folders of MOSS-TTS-Nano for ONNX: the speaking model, and beside it the codec.

A manifest tells where the rest lies, which voices come with it, and the numbers of its prompts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.common.engine import Lack

SETTING = "TTS_MOSS_MODEL"
_KIND = "MOSS-TTS-Nano"
_REMEDY = f"Set {SETTING} to the folder with both parts of MOSS-TTS-Nano for ONNX, whole."
_MANIFEST = "browser_poc_manifest.json"
_FOLDERS = ("MOSS-TTS-Nano-100M-ONNX", "MOSS-TTS-Nano-ONNX-CPU", ".")
_RENAMED = (("TTS-Nano-ONNX-CPU/", "TTS-Nano-100M-ONNX/"), ("Tokenizer-Nano-ONNX-CPU/", "Tokenizer-Nano-ONNX/"))
"""Folders that a manifest still calls by their former names."""
_SPEAKING = ("prefill", "decode_step", "local_fixed_sampled_frame")
_CODEC = ("encode", "decode_step")


class WrongModel(Exception):
    """The folders hold no model that can be used; `lack` says what is wrong with which file."""

    def __init__(self, lack: Lack) -> None:
        super().__init__(lack.reason)
        self.lack = lack


@dataclass(frozen=True)
class Files:
    """A model that is whole: what its descriptions say, and its files."""

    manifest: dict[str, Any]
    speaking: dict[str, Any]
    codec: dict[str, Any]
    tokenizer: Path
    networks: dict[str, Path]  # by their names here; the codec's begin with "codec_"


def find(folder: Path) -> Files:
    """The model in a folder. Only descriptions are read.

    Raises:
        WrongModel: there is none, or a part of it is missing or no description.
    """
    paths = [folder / name / _MANIFEST for name in _FOLDERS]
    path = next((path for path in paths if path.is_file()), paths[0])
    manifest = _description(path)
    try:
        named = manifest["model_files"]
        at = {name: _place(path.parent, named[name]) for name in ("tts_meta", "codec_meta")}
        tokenizer = _place(path.parent, named.get("tokenizer_model", "tokenizer.model"))
        speaking, codec = (_description(at[name]) for name in at)
        networks = {name: at["tts_meta"].parent / speaking["files"][name] for name in _SPEAKING}
        networks |= {f"codec_{name}": at["codec_meta"].parent / codec["files"][name] for name in _CODEC}
    except (LookupError, TypeError, AttributeError) as error:
        raise unreadable(path) from error
    for each in (tokenizer, *networks.values()):
        if not each.is_file():
            raise _missing(each)
    return Files(manifest, speaking, codec, tokenizer, networks)


def unreadable(path: Path) -> WrongModel:
    """A file is not what it should be."""
    message = f"{path.name} of its model cannot be read."
    return WrongModel(Lack("MODEL_FILE_UNREADABLE", message, _REMEDY, {"file": path.name, "setting": SETTING}))


def _missing(path: Path) -> WrongModel:
    values = {"kind": _KIND, "file": path.name, "setting": SETTING}
    return WrongModel(Lack("MODEL_FILE_MISSING", f"It is a {_KIND}, but {path.name} is missing.", _REMEDY, values))


def _description(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise _missing(path)
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise unreadable(path) from error
    if not isinstance(told, dict):
        raise unreadable(path)
    return told


def _place(folder: Path, name: str) -> Path:
    renamed = name
    for former, now in _RENAMED:
        renamed = renamed.replace(former, now)
    return next((path for path in (folder / name, folder / renamed) if path.is_file()), folder / name)
