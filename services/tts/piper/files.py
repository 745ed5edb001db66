"""The voice in a folder: a VITS network in ONNX's format, and what Piper writes beside it about its symbols.

The shape of `<voice>.onnx.json` is that of https://huggingface.co/rhasspy/piper-voices.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.tts import espeak_ng, phonemic
from services.tts.phonemic import WrongVoice, missing

_SETTING = "TTS_PIPER_VOICE"


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Audio(_Part):
    sample_rate: int = Field(ge=8000, le=48_000)


class _Espeak(_Part):
    voice: str


class _Inference(_Part):
    noise_scale: float = 0.667
    length_scale: float = Field(1.0, gt=0)
    noise_w: float = 0.8


class Config(_Part):
    """What is known of a voice."""

    audio: _Audio
    espeak: _Espeak
    inference: _Inference = _Inference()
    phoneme_type: str = "espeak"
    phoneme_id_map: dict[str, tuple[int, ...]] = Field(min_length=1)
    num_speakers: int = Field(1, ge=1)
    speaker_id_map: dict[str, int] = Field(default_factory=dict)


@dataclass(frozen=True)
class Files:
    """A voice that is whole."""

    network: Path
    config: Config


def wrong(file: str, what: str) -> WrongVoice:
    """A file of the voice cannot be used."""
    return phonemic.wrong(file, what, _SETTING)


def find(folder: Path) -> Files:
    """The voice in a folder, of several the first by name; or the one whose `.onnx` is named. Cheap.

    Raises:
        WrongVoice: there is none, or it cannot be used.
    """
    networks = [folder] if folder.suffix == ".onnx" else sorted(folder.glob("*.onnx")) if folder.is_dir() else []
    if not networks or not networks[0].is_file():
        raise missing(folder.name if folder.suffix == ".onnx" else "*.onnx", _SETTING)
    beside = networks[0].with_name(f"{networks[0].name}.json")
    if not beside.is_file():
        raise missing(beside.name, _SETTING)
    return Files(networks[0], _config(beside, beside.stat().st_mtime_ns))


def speaker_of(files: Files, speaker: str) -> int | None:
    """The number of a speaker that is given by name or number; None where a voice has but one.

    Raises:
        WrongVoice: there is no such speaker.
    """
    config = files.config
    if config.num_speakers == 1 and not speaker:
        return None
    if not speaker or speaker in config.speaker_id_map:
        return config.speaker_id_map.get(speaker, 0)
    if config.num_speakers > 1 and speaker.isdecimal() and int(speaker) < config.num_speakers:
        return int(speaker)
    names = ", ".join(config.speaker_id_map) or f"0 to {config.num_speakers - 1}"
    raise wrong(files.network.name, f"it has not the speaker that TTS_PIPER_SPEAKER names, but {names[:200]}")


@lru_cache(maxsize=8)
def _config(path: Path, changed: int) -> Config:
    try:
        config = Config.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise wrong(path.name, f"{where}: {first['msg']}" if where else str(first["msg"])) from None
    if config.phoneme_type != "espeak":
        raise wrong(path.name, f"phoneme_type is {config.phoneme_type}, and only espeak is known")
    if config.espeak.voice not in espeak_ng.voices():
        raise wrong(path.name, f"espeak-ng has no voice {config.espeak.voice}")
    return config
