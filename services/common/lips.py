"""The speech encoder by which talking heads hear what moves their lips, beside what they hear without any model."""

from __future__ import annotations

from pathlib import Path

from models.errors import ModelError
from models.folder import find
from services.common.engine import Lack, is_installed, missing_package

PACKAGE, WEIGHTS = "ctranslate2", "model.bin"


def encoder(model: str) -> Path | None:
    """The folder of an encoder, told by its name in the catalogue or by a path; None where there is none to be used."""
    return None if not model or wish(model, "render") else _folder(model)


def wish(model: str, service: str) -> Lack | None:
    """What keeps a service from using the encoder that is wanted."""
    if not model:
        return None
    if not is_installed(PACKAGE):
        return missing_package(PACKAGE, service, service)
    try:
        is_there = (_folder(model) / WEIGHTS).is_file()
    except ModelError as error:
        message = f"Lips follow speech better with the model {model}. {error.message}"
        return Lack("BETTER_WITH_MODEL", message, error.remedy, {"model": model, "remedy": error.remedy})
    if is_there:
        return None
    remedy = "Name a Whisper model of the catalogue, or a folder with one in CTranslate2's format."
    return Lack("ENCODER_FOLDER_WRONG", f"There is no {WEIGHTS} in the folder of the encoder that moves lips.", remedy)


def _folder(model: str) -> Path:
    return Path(model) if "/" in model else find(model)
