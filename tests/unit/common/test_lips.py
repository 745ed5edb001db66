"""Lips are moved by an encoder where there is one; where there is none, somebody says how to get it."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from services.common import lips


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of models, empty."""
    monkeypatch.setenv("VISAVIS_MODELS_FOLDER", str(tmp_path / "models"))
    return tmp_path / "models"


def test_a_model_that_is_not_here_is_wished_for(here: Path) -> None:
    wish = lips.wish("whisper-tiny.en", "render")
    assert wish and wish.code == "BETTER_WITH_MODEL"
    assert wish.remedy == wish.values["remedy"] == "visavis models pull whisper-tiny.en"
    assert lips.encoder("whisper-tiny.en") is None


@pytest.mark.parametrize("service", ["render", "train"])
def test_the_talking_head_tells_what_it_would_be_better_with(here: Path, service: str) -> None:
    engine = import_module(f"services.{service}.engines.portrait")
    wish = engine.Engine(engine.Settings()).wish()
    assert wish and wish.code == "BETTER_WITH_MODEL"


def test_whoever_wants_none_has_none(here: Path) -> None:
    assert lips.wish("", "render") is None
    assert lips.encoder("") is None


def test_a_folder_serves_as_well(tmp_path: Path) -> None:
    wish = lips.wish(str(tmp_path), "train")
    assert wish and wish.code == "ENCODER_FOLDER_WRONG"
    (tmp_path / "model.bin").touch()
    assert lips.encoder(str(tmp_path)) == tmp_path
    assert lips.wish(str(tmp_path), "train") is None


def test_without_its_package_it_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.bin").touch()
    monkeypatch.setattr(lips, "PACKAGE", "no_such_package")
    wish = lips.wish(str(tmp_path), "render")
    assert wish and (wish.code, wish.remedy) == ("PACKAGE_MISSING", "pip install 'visavis[render]'")
    assert lips.encoder(str(tmp_path)) is None
