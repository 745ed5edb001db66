"""The avatars that come with Visavis."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from services.common.storage import Storage
from services.render.avatars import starter


def shipped(folder: Path) -> Path:
    """A folder with one shipped avatar."""
    avatar = folder / "shipped" / "Vera"
    avatar.mkdir(parents=True)
    (avatar / "avatar.json").write_text("{}")
    (avatar / "face.safetensors").write_bytes(b"weights")
    return folder / "shipped"


def test_a_shipped_avatar_is_installed_once(tmp_path: Path) -> None:
    storage = Storage((tmp_path / "data").as_uri(), tmp_path / "cache")
    assert starter.install(storage, shipped(tmp_path)) == ["Vera"]
    assert storage.read("avatars/Vera/face.safetensors") == b"weights"
    storage.delete_folder("avatars/Vera")
    assert starter.install(storage, tmp_path / "shipped") == []
    assert not storage.exists("avatars/Vera/avatar.json")


def test_an_avatar_of_the_user_keeps_its_name(tmp_path: Path) -> None:
    storage = Storage((tmp_path / "data").as_uri(), tmp_path / "cache")
    storage.write("avatars/Vera/avatar.json", b"mine")
    assert starter.install(storage, shipped(tmp_path)) == []
    assert storage.read("avatars/Vera/avatar.json") == b"mine"


def test_nothing_shipped_is_no_error(tmp_path: Path) -> None:
    storage = Storage((tmp_path / "data").as_uri(), tmp_path / "cache")
    assert starter.install(storage, tmp_path / "nowhere") == []


def test_a_full_disk_leaves_the_starter_for_next_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "source" / "Nora").mkdir(parents=True)
    (tmp_path / "source" / "Nora" / "avatar.json").write_text("{}")
    storage = Storage((tmp_path / "store").as_uri(), tmp_path / "cache")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Storage, "put_file", full)
        assert starter.install(storage, tmp_path / "source") == []
    assert starter.install(storage, tmp_path / "source") == ["Nora"]
    assert starter.install(storage, tmp_path / "source") == []
