"""A model of four files, a server that has it, and a folder to pull it into."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from models.catalogue import Model
from models.folder import ModelFolder
from models.settings import ModelSettings
from models.sources import web
from tests.model_server import ModelServer, running_model_server

CONTENTS = {
    "model.bin": random.Random(1).randbytes(700_000),
    "config.json": b'{"layers": 2}',
    "words/vocabulary.txt": b"a\nb\n" * 5_000,
}
REPOSITORY = "/owner/name/resolve/main/"
LONGEST_S = 60  # only ends what would hang
Make = Callable[..., Model]


def until(is_so: Callable[[], object]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + LONGEST_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def write_catalogue(path: Path, recommended: bool = False) -> Path:
    """A catalogue with the model `little`, of those contents."""
    lines = ["[little]", 'purpose = { en = "Tests." }', 'licence = "MIT"', f"recommended = {str(recommended).lower()}"]
    for name, data in CONTENTS.items():
        lines += ["[[little.files]]", f'path = "{name}"', f"size = {len(data)}"]
        lines += [f'sha256 = "{hashlib.sha256(data).hexdigest()}"']
    lines += ["[[little.sources]]", 'kind = "huggingface"', 'repository = "owner/name"']
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def make_model() -> Make:
    """A model of those contents, from these sources."""

    def make(*sources: dict[str, Any], name: str = "little", contents: dict[str, bytes] = CONTENTS) -> Model:
        files = [
            {"path": path, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for path, data in contents.items()
        ]
        table = {"name": name, "purpose": {"en": "Tests."}, "licence": "MIT", "files": files}
        return Model.model_validate(
            {**table, "sources": sources or [{"kind": "huggingface", "repository": "owner/name"}]}
        )

    return make


@pytest.fixture
def model(make_model: Make) -> Model:
    """That model, on Hugging Face."""
    return make_model()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    """A server that has it, and whose failures are tried again without delay."""
    monkeypatch.setattr(web, "PAUSE_S", 0.01)
    with running_model_server() as says:
        says.files = {REPOSITORY + path: data for path, data in CONTENTS.items()}
        yield says


@pytest.fixture
def settings(server: ModelServer, tmp_path: Path) -> ModelSettings:
    """In which the server is Hugging Face and ModelScope."""
    return ModelSettings(folder=tmp_path / "models", huggingface_url=server.url, modelscope_url=server.url)


@pytest.fixture
def folder(tmp_path: Path) -> ModelFolder:
    """The folder of models."""
    return ModelFolder(tmp_path / "models")
