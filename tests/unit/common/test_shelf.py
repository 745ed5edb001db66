"""What is whole, what is damaged, and what is only being made."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from services.common.shelf import UNFINISHED_S, Shelf
from services.common.storage import Storage


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(Storage(tmp_path.as_uri(), tmp_path / "cache"), "voices", "voice.json")


def put(folder: Path, file: str, content: str, age_s: float = 0) -> None:
    path = folder / "voices" / "ann" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    os.utime(path, (time.time() - age_s,) * 2)


def nested(depth: int) -> str:
    return '{"a": ' + "[" * depth + "]" * depth + "}"


@pytest.mark.parametrize(
    "content",
    ["", "{", '{"a": 1', "[]", "3", "null", '"text"', "\x00", nested(30), nested(100_000), '{"a": 1} more'],
)
def test_a_manifest_that_is_none_is_damage(shelf: Shelf, tmp_path: Path, content: str) -> None:
    put(tmp_path, "voice.json", content)
    with pytest.raises(ValueError, match=r"."):
        shelf.read("ann")


def test_bytes_that_are_no_text_are_damage(shelf: Shelf, tmp_path: Path) -> None:
    put(tmp_path, "voice.json", "")
    (tmp_path / "voices/ann/voice.json").write_bytes(b'{"a": "\xff\xfe"}')
    with pytest.raises(ValueError, match="decode"):
        shelf.read("ann")


def test_numbers_that_are_none_are_null(shelf: Shelf, tmp_path: Path) -> None:
    put(tmp_path, "voice.json", json.dumps({"psnr": float("nan"), "lag": float("inf"), "deep": [[1.5]]}))
    assert shelf.read("ann") == {"psnr": None, "lag": None, "deep": [[1.5]]}


def test_a_folder_without_manifest_is_being_made_until_it_has_rested(shelf: Shelf, tmp_path: Path) -> None:
    put(tmp_path, "reference.wav", "RIFF")
    with pytest.raises(FileNotFoundError):
        shelf.read("ann")
    put(tmp_path, "reference.wav", "RIFF", age_s=UNFINISHED_S + 60)
    assert shelf.is_left_over("ann")
    with pytest.raises(ValueError, match="missing"):
        shelf.read("ann")


def test_nothing_is_not_damaged(shelf: Shelf) -> None:
    assert shelf.names() == []
    assert not shelf.is_left_over("ann")
    with pytest.raises(FileNotFoundError):
        shelf.read("ann")


def test_folders_that_no_request_can_name_are_left_out(shelf: Shelf, tmp_path: Path) -> None:
    for name in (".hidden", "a#b", "ann", "é"):
        (tmp_path / "voices" / name).mkdir(parents=True)
    assert shelf.names() == ["ann", "é"]
