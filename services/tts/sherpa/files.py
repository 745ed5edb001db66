"""What model lies in a folder: its kind, its files, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatch
from pathlib import Path

from services.common.engine import Lack

SETTING = "TTS_SHERPA_MODEL"
_REMEDY = f"Set {SETTING} to a whole folder of sherpa-onnx's models that speak."


class Kind(Enum):
    """A kind of model."""

    ZIPVOICE = "ZipVoice"
    KOKORO = "Kokoro"
    MATCHA = "Matcha"
    VITS = "VITS"


@dataclass(frozen=True)
class Part:
    """One file of a model, by the names that are usual; of several that fit, the smallest weights."""

    name: str  # as sherpa-onnx calls it
    patterns: tuple[str, ...]
    are_several: bool = False  # all that fit, together
    is_optional: bool = False


_TOKENS, _VOCODER = Part("tokens", ("tokens.txt",)), ("*vocos*.onnx", "*hifigan*.onnx", "vocoder*.onnx")
_LEXICON = Part("lexicon", ("lexicon*.txt",), are_several=True)
_PARTS = {
    Kind.ZIPVOICE: (
        Part("encoder", ("encoder*.onnx", "text_encoder*.onnx")),
        Part("decoder", ("decoder*.onnx", "fm_decoder*.onnx")), Part("vocoder", _VOCODER), _TOKENS, _LEXICON,
    ),
    Kind.KOKORO: (Part("model", ("model*.onnx",)), Part("voices", ("voices.bin",)), _TOKENS, _LEXICON),
    Kind.MATCHA: (Part("acoustic_model", ("model-steps*.onnx",)), Part("vocoder", _VOCODER), _TOKENS, _LEXICON),
    Kind.VITS: (
        Part("model", ("*.onnx",)), _TOKENS, Part("lexicon", ("lexicon*.txt",), are_several=True, is_optional=True),
    ),
}  # fmt: skip
_SIGNS = {
    Kind.ZIPVOICE: _PARTS[Kind.ZIPVOICE][1].patterns,
    Kind.KOKORO: ("voices.bin",),
    Kind.MATCHA: ("model-steps*.onnx",),
    Kind.VITS: ("*.onnx",),
}
"""Names by which a kind is known, the first that fits."""


class WrongModel(Exception):
    """A folder holds no model that can be used; `lack` says what is wrong with which file."""

    def __init__(self, lack: Lack) -> None:
        super().__init__(lack.reason)
        self.lack = lack


@dataclass(frozen=True)
class Files:
    """A model that is whole: its files by what sherpa-onnx calls them, several with commas between."""

    kind: Kind
    paths: dict[str, str]


def find(folder: Path) -> Files:
    """The model in a folder. Cheap: only names are read.

    Raises:
        WrongModel: there is none, or a part of it is missing.
    """
    names = sorted(path.name for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
    kind = next((kind for kind, signs in _SIGNS.items() if _named(names, signs)), None)
    if not kind:
        kinds = ", ".join(kind.value for kind in Kind)
        message = f"In the folder of its model there is none of a kind that is known: {kinds}."
        raise WrongModel(Lack("MODEL_KIND_UNKNOWN", message, _REMEDY, {"kinds": kinds, "setting": SETTING}))
    paths = {}
    for part in _PARTS[kind]:
        found = _named(names, part.patterns)
        if not found and not part.is_optional:
            file = part.patterns[0]
            message = f"It is a {kind.value}, but {file} is missing."
            values = {"kind": kind.value, "file": file, "setting": SETTING}
            raise WrongModel(Lack("MODEL_FILE_MISSING", message, _REMEDY, values))
        chosen = found if part.are_several else found[:1]
        paths[part.name] = ",".join(str(folder / name) for name in chosen)
    return Files(kind, paths)


def unreadable(files: Files) -> Lack:
    """sherpa-onnx cannot make anything of them."""
    names = ", ".join(Path(path).name for path in ",".join(filter(None, files.paths.values())).split(","))
    values = {"file": names, "setting": SETTING}
    return Lack("MODEL_FILE_UNREADABLE", f"{names} of its model cannot be read.", _REMEDY, values)


def _named(names: Sequence[str], patterns: Sequence[str]) -> list[str]:
    found = [name for name in names if any(fnmatch(name, pattern) for pattern in patterns)]
    return sorted(found, key=lambda name: (".int8." not in name, name))
