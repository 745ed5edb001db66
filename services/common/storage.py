"""Files that outlive a process, under one fsspec URL: `file:///…`, `s3://…`, `memory://…`.

Keys are relative, with forward slashes. A folder that holds something whole (an avatar, a voice) is written with its
manifest last and forgotten with its manifest first, so that whoever finds the manifest finds the rest.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import IO

import fsspec

from services.common.disk import require_space
from services.common.errors import NotFound

CHUNK_BYTES = 256 * 1024


class Storage:
    """Reads and writes keys below a URL."""

    def __init__(self, url: str, cache: Path) -> None:
        self._fs, self._root = fsspec.core.url_to_fs(url)
        self._cache = cache

    def _path(self, key: str) -> str:
        return f"{self._root.rstrip('/')}/{key}"

    @property
    def _is_local(self) -> bool:
        return "file" in self._fs.protocol

    def exists(self, key: str) -> bool:
        """Whether there is such a file."""
        return bool(self._fs.exists(self._path(key)))

    def size(self, key: str) -> int:
        """Size of a file in bytes."""
        return int(self._fs.size(self._path(key)))

    def open(self, key: str, mode: str = "rb") -> IO[bytes]:
        """Open a file; its folders are made."""
        if "w" in mode:
            self._fs.makedirs(self._fs._parent(self._path(key)), exist_ok=True)
        file: IO[bytes] = self._fs.open(self._path(key), mode)
        return file

    def read(self, key: str) -> bytes:
        """A whole small file."""
        with self.open(key) as file:
            return file.read()

    def write(self, key: str, data: bytes) -> None:
        """A whole small file; readers see the old one or the new one, never half."""
        if not self._is_local:
            with self.open(key, "wb") as file:
                file.write(data)
            return
        partial = Path(self._path(f"{key}.partial"))
        partial.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_bytes(data)
            partial.replace(self._path(key))
        finally:
            partial.unlink(missing_ok=True)

    def folders(self, key: str) -> list[str]:
        """Names of the folders directly below a folder."""
        if not self._fs.isdir(self._path(key)):
            return []
        self._fs.invalidate_cache()
        entries = self._fs.ls(self._path(key), detail=True)
        return sorted(Path(entry["name"]).name for entry in entries if entry["type"] == "directory")

    def changed_at(self, key: str) -> float | None:
        """When a file below a folder last changed, in seconds since the epoch; None when there is no such folder."""
        path = self._path(key)
        if not self._fs.isdir(path):
            return None
        self._fs.invalidate_cache()
        files = self._fs.find(path) or ([path] if self._is_local else [])
        return max((self._fs.modified(file).timestamp() for file in files), default=None)

    def put_file(self, local: Path, key: str) -> None:
        """Copy a local file in; when that fails (a full disk), nothing of it stays."""
        self._fs.makedirs(self._fs._parent(self._path(key)), exist_ok=True)
        try:
            self._fs.put_file(str(local), self._path(key))
        except BaseException:
            self.delete_file(key)
            raise

    def put_folder(self, local: Path, key: str, manifest: str) -> None:
        """Copy a local folder in, the file named `manifest` last; when that fails, nothing of it stays."""
        names = [path.relative_to(local) for path in sorted(local.rglob("*")) if path.is_file()]
        try:
            for name in sorted(names, key=lambda name: name.as_posix() == manifest):
                self.put_file(local / name, f"{key}/{name.as_posix()}")
        except BaseException:
            self.delete_folder(key, manifest)
            raise

    def local_folder(self, key: str, manifest: str) -> Path:
        """A folder as local files: in place when storage is local, else a copy that is fresh as of its manifest.

        Raises:
            NotFound: there is no such folder, or it is not whole.
        """
        if not self.exists(f"{key}/{manifest}"):
            raise NotFound(f"There is no {key}.")
        if self._is_local:
            return Path(self._path(key))
        copy = self._cache / key
        current = self.read(f"{key}/{manifest}")
        if not (copy / manifest).exists() or (copy / manifest).read_bytes() != current:
            shutil.rmtree(copy, ignore_errors=True)
            copy.parent.mkdir(parents=True, exist_ok=True)
            self._fs.get(self._path(key), str(copy), recursive=True)
        return copy

    def local_file(self, key: str) -> Path:
        """One file as a local file."""
        if self._is_local:
            return Path(self._path(key))
        copy = self._cache / key
        copy.parent.mkdir(parents=True, exist_ok=True)
        self._fs.get_file(self._path(key), str(copy))
        return copy

    def fetched(self, key: str, path: Path) -> Path:
        """One file as a local file: in place when storage is local, else a copy at `path`, which is the caller's."""
        if self._is_local:
            return Path(self._path(key))
        self._fs.get_file(self._path(key), str(path))
        return path

    def delete_file(self, key: str) -> None:
        """Forget a file, and the copy of it; one that is not there is no error."""
        if not self._is_local:
            (self._cache / key).unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):  # another replica may be forgetting it too
            self._fs.rm_file(self._path(key))

    def require_space(self, needed_bytes: int) -> None:
        """Raises:
        StorageFull: storage is a local disk with less room than that.
        """
        if self._is_local:
            require_space(Path(self._root), needed_bytes)

    def delete_folder(self, key: str, manifest: str = "") -> None:
        """Forget a folder, its manifest first, and the copy of it; one that is not there is no error."""
        if manifest:
            self.delete_file(f"{key}/{manifest}")
        if not self._is_local:
            shutil.rmtree(self._cache / key, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm(self._path(key), recursive=True)

    def chunks(self, key: str, offset: int = 0, limit: int = 0) -> Generator[bytes, None, None]:
        """A file's bytes from `offset`, at most `limit` of them (0: all), in pieces of at most 256 KiB."""
        remaining = limit or self.size(key)
        with self.open(key) as file:
            file.seek(offset)
            while remaining > 0 and (data := file.read(min(CHUNK_BYTES, remaining))):
                remaining -= len(data)
                yield data
