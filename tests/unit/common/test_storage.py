"""Storage: whole things or nothing, on a local disk and elsewhere."""

from __future__ import annotations

import errno
import shutil
import uuid
from pathlib import Path
from typing import Any

import pytest

from services.common import disk
from services.common.errors import NotFound, StorageFull
from services.common.storage import Storage


@pytest.fixture(params=["file", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    url = (tmp_path / "store").as_uri() if request.param == "file" else f"memory://{uuid.uuid4().hex}"
    return Storage(url, tmp_path / "cache")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "made"
    (made / "deep").mkdir(parents=True)
    (made / "a.json").write_text("1")
    (made / "weights").write_bytes(b"w" * 1000)
    (made / "deep" / "file").write_text("x")
    return made


def test_what_is_written_is_read(storage: Storage) -> None:
    storage.write("a/b 测试.txt", b"hello")
    assert storage.exists("a/b 测试.txt")
    assert storage.read("a/b 测试.txt") == b"hello"
    assert storage.size("a/b 测试.txt") == 5
    assert storage.folders("") == ["a"]
    assert storage.folders("nothing") == []
    storage.delete_file("a/b 测试.txt")
    storage.delete_file("a/b 测试.txt")
    assert not storage.exists("a/b 测试.txt")


@pytest.mark.parametrize(
    ("offset", "limit", "expected"), [(0, 0, b"0123456789"), (3, 4, b"3456"), (8, 9, b"89"), (20, 0, b"")]
)
def test_parts_of_a_file(storage: Storage, offset: int, limit: int, expected: bytes) -> None:
    storage.write("key", b"0123456789")
    assert b"".join(storage.chunks("key", offset, limit)) == expected


def test_a_folder_comes_and_goes_whole(storage: Storage, folder: Path) -> None:
    storage.put_folder(folder, "avatars/x", "a.json")
    local = storage.local_folder("avatars/x", "a.json")
    assert (local / "deep" / "file").read_text() == "x"
    storage.write("avatars/x/a.json", b"2")
    assert (storage.local_folder("avatars/x", "a.json") / "a.json").read_text() == "2"  # a changed manifest is noticed
    storage.delete_folder("avatars/x", "a.json")
    storage.delete_folder("avatars/x", "a.json")
    assert storage.folders("avatars") == []
    with pytest.raises(NotFound):
        storage.local_folder("avatars/x", "a.json")


def test_the_manifest_is_written_last(storage: Storage, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    put = Storage.put_file
    monkeypatch.setattr(Storage, "put_file", lambda self, local, key: (order.append(key), put(self, local, key)))
    storage.put_folder(folder, "k", "a.json")
    assert order[-1] == "k/a.json"
    assert len(order) == 3


def test_a_disk_that_fills_up_leaves_nothing_half_written(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = Storage((tmp_path / "store").as_uri(), tmp_path / "cache")

    def full(self: Any, source: str, target: str, **_: Any) -> None:
        Path(target).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(type(storage._fs), "put_file", full)
    with pytest.raises(OSError, match="No space"):
        storage.put_folder(folder, "avatars/x", "a.json")
    assert not [path for path in (tmp_path / "store").rglob("*") if path.is_file()]


def test_writing_is_atomic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = Storage((tmp_path / "store").as_uri(), tmp_path / "cache")
    storage.write("key", b"old")

    def fail(self: Path, data: bytes) -> None:
        with self.open("wb") as file:
            file.write(data[:1])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="No space"):
        storage.write("key", b"new")
    assert storage.read("key") == b"old"
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["key"]


def test_room_is_asked_for_in_advance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk.require_space(tmp_path / "not" / "there" / "yet", 1000)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10 * 2**20))
    with pytest.raises(StorageFull) as caught:
        disk.require_space(tmp_path, 500 * 2**20)
    assert caught.value.values["free"] == "10 MB"
    with pytest.raises(StorageFull):
        Storage(tmp_path.as_uri(), tmp_path).require_space(1)
    Storage("memory://x", tmp_path).require_space(10**15)  # elsewhere it cannot be known
