"""The catalogue: what is shipped is right, and what somebody writes wrong is told by file and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from models import catalogue
from models.errors import CatalogueWrong, UnknownModel
from models.settings import ModelSettings

GOOD = f"""
[mine]
purpose = {{ en = "Mine." }}
licence = "MIT"

[[mine.files]]
path = "a/model.bin"
size = 3
sha256 = "{"0" * 64}"

[[mine.sources]]
kind = "huggingface"
repository = "owner/name"
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A catalogue of the user's."""
    file = tmp_path / "own.toml"
    file.write_text(GOOD)
    return file


IN_PIECES = {"kokoro"}
"""Models of which no source has all."""


def test_what_is_shipped_can_be_read() -> None:
    shipped = catalogue.load(ModelSettings(catalogue=None))
    assert {"whisper-base", "whisper-tiny.en", "smart-turn", "silero-vad"} <= set(shipped)
    for model in shipped.values():
        assert model.licence and set(model.purpose) == {"en", "zh"} and model.memory_mb
        for source in model.sources:
            paths = {file.path for file in model.files}
            assert not source.files or source.files.keys() == paths or model.name in IN_PIECES
    assert {name for name, model in shipped.items() if model.recommended} == {
        "whisper-base",
        "smart-turn",
        "silero-vad",
        "piper-en-us-joe",
    }
    assert {"en", "zh"} <= set(shipped["whisper-base"].languages)


def test_a_catalogue_that_is_changed_is_read_again(own: Path) -> None:
    settings = ModelSettings(catalogue=own)
    for name in ("first", "second"):
        own.write_text(GOOD.replace("mine", name))
        assert name in catalogue.load(settings)
    own.write_text("[")
    with pytest.raises(CatalogueWrong):
        catalogue.load(settings)


def test_a_catalogue_of_ones_own_adds_and_replaces(own: Path) -> None:
    own.write_text(GOOD + GOOD.replace("mine", "silero-vad"))
    models = catalogue.load(ModelSettings(catalogue=own))
    assert models["mine"].size == 3 and models["silero-vad"].purpose == {"en": "Mine."}
    assert "whisper-base" in models


def test_a_purpose_is_told_in_the_readers_language() -> None:
    model = catalogue.load()["smart-turn"]
    assert model.purpose_in("zh-CN") == model.purpose["zh"]
    assert model.purpose_in("fr") == model.purpose["en"]


def test_an_unknown_name_is_answered_with_those_there_are() -> None:
    with pytest.raises(UnknownModel, match="no model 'whisper'.*whisper-base"):
        catalogue.load()["whisper"]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("size = 3", "size = 0", "mine.files[0].size: Input should be greater than 0"),
        ("size = 3", "", "mine.files[0].size: Field required"),
        ('"' + "0" * 64, '"' + "0" * 63, "mine.files[0].sha256"),
        ('"a/model.bin"', '"../model.bin"', "mine.files[0].path: must be a relative path"),
        ('"a/model.bin"', '"/model.bin"', "mine.files[0].path: must be a relative path"),
        ('"a/model.bin"', '".sums.json"', "mine.files[0].path: must be a relative path"),
        ('"huggingface"', '"ftp"', "mine.sources[0]"),
        ('"owner/name"', '"name"', "mine.sources[0].repository"),
        ('repository = "owner/name"', 'repository = "owner/name"\nrevison = "x"', "mine.sources[0].revison: Extra"),
        ('en = "Mine."', 'zh = "我的"', "mine: purpose.en"),
        ("licence", "license", "mine.licence: Field required"),
        ("[mine]", "[Mine]", "Mine"),
        ("[mine]", "yours = 3\n[mine]", "yours: must be a table"),
        ("size = 3", "size = ", "line 8"),
        (
            'kind = "huggingface"\nrepository = "owner/name"',
            'kind = "url"\nurl = "file:///etc/"',
            "url: must begin with",
        ),
        ('repository = "owner/name"', 'repository = "o/n"\nfiles = { "b" = "c" }', "the model has no file b"),
        (
            'kind = "huggingface"\nrepository = "owner/name"',
            'kind = "packages"\npackages = ["name>=1"]\nsize = 3',
            "mine.sources[0].packages[0]",
        ),
    ],
)
def test_what_is_wrong_is_told_by_file_and_key(own: Path, before: str, after: str, told: str) -> None:
    assert before in GOOD
    own.write_text(GOOD.replace(before, after))
    with pytest.raises(CatalogueWrong) as failure:
        catalogue.load(ModelSettings(catalogue=own))
    assert "own.toml" in str(failure.value) and told in str(failure.value)


def test_a_catalogue_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(CatalogueWrong, match="none.toml is wrong: No such file"):
        catalogue.load(ModelSettings(catalogue=tmp_path / "none.toml"))
