"""A training run's folder: what each stage leaves behind, written so that a kill at any moment loses only a stage."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from portrait.arrays import Arrays


class Workspace:
    """Named artefacts and done-markers; a marker counts only under the key (inputs and parameters) it was made with."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder

    def path(self, name: str) -> Path:
        """Where an artefact lies."""
        return self.folder / name

    def note(self, stage: str, key: str) -> dict[str, Any] | None:
        """What `finish` stored for a stage, or None if it is not done under this key."""
        try:
            marker = json.loads(self.path(f"{stage}.done").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return marker["note"] if marker.get("key") == key else None

    def finish(self, stage: str, key: str, note: Mapping[str, Any]) -> None:
        """Mark a stage done."""
        self.write_text(f"{stage}.done", json.dumps({"key": key, "note": dict(note)}))

    def write_text(self, name: str, text: str) -> None:
        """Write a small file atomically."""
        part = self.path(f"{name}.part")
        part.write_text(text, encoding="utf-8")
        part.replace(self.path(name))

    def save(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Write arrays to a safetensors file atomically."""
        part = self.path(f"{name}.part")
        save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, part)
        part.replace(self.path(name))

    def load(self, name: str) -> Arrays:
        """Read what `save` wrote."""
        return load_file(self.path(name))


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def key(*parts: object) -> str:
    """A short name for a combination of inputs."""
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:16]
