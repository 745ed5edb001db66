"""Files through gRPC streams: receiving uploads, and sending a file as a header and its bytes."""

from __future__ import annotations

import asyncio
import contextlib
import mimetypes
import tempfile
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path
from typing import IO, Any

from visavis.common.v1 import media_pb2

from services.common.errors import InvalidInput
from services.common.storage import Storage
from services.common.streams import in_thread

UPLOADS = "upload-*"
"""Folders of uploads; those that a killed service left behind are told by it."""
_PIECE_BYTES = 256 * 1024


async def send_file(
    storage: Storage, key: str, request: Any, reply: Callable[..., Any], file_name: str
) -> AsyncIterator[Any]:
    """Answer a Read… call: `reply(header=…)`, then `reply(data=…)` from `offset_bytes`, `limit_bytes` long."""
    content_type = mimetypes.guess_type(key)[0] or "application/octet-stream"
    header = media_pb2.FileHeader(content_type=content_type, size_bytes=storage.size(key), file_name=file_name)
    yield reply(header=header)
    offset, limit = getattr(request, "offset_bytes", 0), getattr(request, "limit_bytes", 0)
    async for data in in_thread(storage.chunks(key, offset, limit)):
        yield reply(data=data)


async def send_local(path: Path, reply: Callable[..., Any], content_type: str, file_name: str) -> AsyncIterator[Any]:
    """Answer a call with a whole file of this machine, as `send_file` does."""
    size = (await asyncio.to_thread(path.stat)).st_size
    yield reply(header=media_pb2.FileHeader(content_type=content_type, size_bytes=size, file_name=file_name))
    async for data in in_thread(_pieces(path)):
        yield reply(data=data)


def _pieces(path: Path) -> Generator[bytes, None, None]:
    with path.open("rb") as file:
        while data := file.read(_PIECE_BYTES):
            yield data


@contextlib.contextmanager
def upload_folder(work_folder: Path) -> Iterator[Path]:
    """A folder for an upload and what is made of it, which vanishes with the call."""
    work_folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=work_folder, prefix=UPLOADS.rstrip("*")) as folder:
        yield Path(folder)


async def receive_file(
    messages: AsyncIterator[Any], target: IO[bytes], max_bytes: int, field: str, size_bytes: int = 0
) -> int:
    """Write the `data` of an upload into `target`; returns its size in bytes.

    Args:
        size_bytes: how much will come, if the caller told: an upload whose caller dies just ends.

    Raises:
        InvalidInput: nothing came, not all of it, or more than `max_bytes`.
    """
    size = 0
    async for message in messages:
        size += len(message.data)
        if size > max_bytes:
            raise too_large(max_bytes, field)
        target.write(message.data)
    if not size:
        raise InvalidInput("This file is empty. Choose another.", reason="FILE_EMPTY", field=field)
    if size_bytes and size != size_bytes:
        message = "Only a part of this file has come. Send it again."
        raise InvalidInput(message, reason="FILE_INCOMPLETE", field=field)
    target.flush()
    return size


def too_large(max_bytes: int, field: str) -> InvalidInput:
    """The error for an upload that exceeds the limit."""
    limit = f"{max_bytes / 2**20:g} MB"
    message = f"This file is larger than {limit}. Cut or compress it."
    return InvalidInput(message, reason="FILE_TOO_LARGE", field=field, values={"max": limit})
