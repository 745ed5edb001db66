"""Where models are kept, and where they are fetched from."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ModelSettings(BaseSettings):
    """Read wherever a model is asked for."""

    model_config = SettingsConfigDict(env_prefix="VISAVIS_MODELS_", use_attribute_docstrings=True, extra="ignore")

    folder: Path = Field(default_factory=lambda: Path("data").resolve() / "models")
    """Folder in which models lie, each in one of its name; the same for all services; only `train` writes there."""

    catalogue: Path | None = None
    """A catalogue of your own, a TOML file like `models/catalogue.toml`; it adds models, or replaces some."""

    huggingface_url: str = "https://huggingface.co"
    """Hugging Face, or a mirror of it."""

    modelscope_url: str = "https://modelscope.cn"
    """ModelScope, or a mirror of it."""

    stall_seconds: float = Field(30.0, gt=0)
    """A download that brings nothing for so long is begun again where it was."""


def environment(**changes: str) -> dict[str, str]:
    """This process's environment with changes: what a program that we start sees."""
    return {**os.environ, **changes}  # noqa: TID251 - handed on whole, not read
