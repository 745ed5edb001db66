"""The model in a folder: Kokoro's network in ONNX's format, and the styles of its voices, 510 by 256 numbers each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from services.tts import phonemic
from services.tts.phonemic import WrongVoice, missing

STYLES, STYLE = 510, 256  # one style for each length of a text, in symbols
_STYLE_BYTES = STYLES * STYLE * 4
_SETTING = "TTS_KOKORO_MODEL"
_ESPEAK = {"a": "en-us", "b": "en-gb"}
"""What the first letter of a voice's name says that it speaks, and we can read."""


@dataclass(frozen=True)
class Files:
    """A voice that is whole."""

    network: Path
    styles: Path
    language: str  # espeak's name


def wrong(file: str, what: str) -> WrongVoice:
    """A file of the model cannot be used."""
    return phonemic.wrong(file, what, _SETTING)


def find(folder: Path, voice: str) -> Files:
    """The model in a folder, with one of its voices, e.g. `af_heart`. Cheap.

    Raises:
        WrongVoice: a file is missing or wrong, or the voice speaks what cannot be read here.
    """
    network = next(iter(sorted(folder.glob("kokoro*.onnx"))), None)
    if not network:
        raise missing("kokoro*.onnx", _SETTING)
    language = _ESPEAK.get(voice[:1])
    if not language:
        raise wrong(f"{voice}.bin", "only English voices can be read to, those whose names begin with a or b")
    styles = folder / "voices" / f"{voice}.bin"
    if Path(voice).name != voice or not styles.is_file():
        raise missing(f"voices/{voice}.bin", _SETTING)
    if styles.stat().st_size != _STYLE_BYTES:
        raise wrong(f"voices/{voice}.bin", f"it has not {_STYLE_BYTES} bytes")
    return Files(network, styles, language)
