"""What lies in a folder or an archive, one after the other. Nothing is unpacked under a name that an archive tells."""

from __future__ import annotations

import contextlib
import errno
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from models.errors import BadArchive

_BROKEN = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, IndexError, NotImplementedError,
    RuntimeError, ValueError,
)  # fmt: skip
_BLOCK = 2**20
_SUFFIXES = (".zip", ".whl", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


class Stream(Protocol):
    """Bytes that come one after the other."""

    def read(self, size: int, /) -> bytes:
        """The next ones, none at the end."""


@dataclass(frozen=True)
class Entry:
    """One file in a folder or an archive; `stream` can be read until the next entry is asked for.

    Reading it, too, raises BadArchive where that is damaged.
    """

    name: str
    size: int
    stream: Stream


def entries(path: Path) -> Iterator[Entry]:
    """The files of a folder (and of the archives that lie in it), of an archive, or the file itself.

    Raises:
        BadArchive: it is damaged, or holds links or names that lead out of it.
        OSError: it cannot be read.
    """
    if path.is_dir():
        for inner in sorted(path.rglob("*")):
            if inner.is_file():
                yield from _of_file(inner, str(inner.relative_to(path)))
    else:
        yield from _of_file(path, path.name)


def copy(stream: Stream, target: Path, most: int) -> None:
    """Write a stream to a file, but no more than one byte beyond `most`: that is enough to see that it is too long."""
    left = most + 1
    with target.open("wb") as file:
        while left and (block := stream.read(min(_BLOCK, left))):
            left -= file.write(block)


def _of_file(path: Path, name: str) -> Iterator[Entry]:
    if path.name.endswith(_SUFFIXES):
        with _readable(path):
            for entry in _zipped(path) if zipfile.is_zipfile(path) else _tarred(path):
                yield Entry(entry.name, entry.size, _Inner(path, entry.stream))
    else:
        with path.open("rb") as stream:
            yield Entry(name, path.stat().st_size, stream)


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (*_BROKEN, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):  # the disk's, not the archive's
            raise
        raise BadArchive(f"The archive {path.name} is damaged: {error}", archive=path.name) from error


class _Inner:
    """A file inside an archive."""

    def __init__(self, path: Path, stream: Stream) -> None:
        self._path, self._stream = path, stream

    def read(self, size: int, /) -> bytes:
        with _readable(self._path):
            return self._stream.read(size)


def _zipped(path: Path) -> Iterator[Entry]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            _refuse_escape(path, info.filename, stat.S_ISLNK(info.external_attr >> 16))
        for info in archive.infolist():
            if not info.is_dir():
                with archive.open(info) as stream:
                    yield Entry(info.filename, info.file_size, stream)


def _tarred(path: Path) -> Iterator[Entry]:
    with tarfile.open(path, "r|*") as archive:  # as a stream: going back would mean to decompress again
        for info in archive:
            _refuse_escape(path, info.name, not (info.isfile() or info.isdir()))
            if info.isfile() and (stream := archive.extractfile(info)):
                yield Entry(str(PurePosixPath(info.name)), info.size, stream)


def _refuse_escape(path: Path, name: str, is_link: bool) -> None:
    inner = PurePosixPath(name.replace("\\", "/"))
    if is_link or inner.is_absolute() or ".." in inner.parts:
        message = f"The archive {path.name} holds links or paths that lead out of it ({name}). It is not used."
        raise BadArchive(message, archive=path.name)
