"""The models of the catalogue themselves, where they can be had."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from models import catalogue
from models.folder import ModelFolder


def test_whisper_base_is_what_was_published(whisper_base: Path) -> None:
    model = catalogue.load()["whisper-base"]
    assert ModelFolder(whisper_base.parent).verify(model) == []
    assert len(json.loads((whisper_base / "config.json").read_text())["lang_ids"]) == len(model.languages)


@pytest.mark.parametrize("name", ["smart-turn", "silero-vad", "piper-en-us-joe"])
def test_the_small_ones_are_what_was_published(real_model: Callable[[str], Path], name: str) -> None:
    folder = real_model(name)
    assert ModelFolder(folder.parent).verify(catalogue.load()[name]) == []
