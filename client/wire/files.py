"""Files to and from the services."""

from __future__ import annotations

import io
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any

from visavis.render.v1 import render_pb2
from visavis.tts.v1 import tts_pb2

from client.wire.errors import translate
from client.wire.services import Services

CHUNK_BYTES = 512 * 1024
MOST_FILE_NAME = 200
"""Characters of a name that services are told; it only serves to tell files apart."""
READ_TIMEOUT_S = 600

_AVATAR_FILES = {
    "thumbnail": render_pb2.AVATAR_FILE_THUMBNAIL,
    "idle": render_pb2.AVATAR_FILE_IDLE,
    "comparison": render_pb2.AVATAR_FILE_COMPARISON,
    "transcript": render_pb2.AVATAR_FILE_TRANSCRIPT,
    "report": render_pb2.AVATAR_FILE_REPORT,
}
AVATAR_FILE_NAMES = {value: name for name, value in _AVATAR_FILES.items()}


@dataclass(frozen=True)
class Download:
    """A file on its way; `size` is that of the whole file, whatever part was asked for."""

    content_type: str
    size: int
    file_name: str
    blocks: Generator[bytes, None, None]


def chunks(file: IO[bytes]) -> Iterator[bytes]:
    """A file's bytes in pieces that fit a message."""
    while data := file.read(CHUNK_BYTES):
        yield data


def size_of(file: IO[bytes]) -> int:
    """How many bytes a seekable file has; it is left at its beginning."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    return size


def upload(config: Any, request: Callable[..., Any], file: IO[bytes]) -> Iterator[Any]:
    """The request stream of an upload: the config, then data."""
    yield request(config=config)
    for data in chunks(file):
        yield request(data=data)


def download(replies: Iterable[Any]) -> Download:
    """A Read… call's answer. Closing `blocks` cancels the call."""
    iterator = iter(replies)
    with translate():
        header = next(iterator).header
    return Download(header.content_type, header.size_bytes, header.file_name, _blocks(replies, iterator))


def _blocks(call: Any, iterator: Iterator[Any]) -> Generator[bytes, None, None]:
    try:
        with translate():
            for reply in iterator:
                yield reply.data
    finally:
        call.cancel()


def avatar_file(services: Services, name: str, kind: str, offset: int = 0, limit: int = 0) -> Download:
    """One of an avatar's files: "thumbnail", "idle", "comparison", "transcript" or "report"."""
    request = render_pb2.ReadAvatarFileRequest(
        name=name, file=_AVATAR_FILES[kind], offset_bytes=offset, limit_bytes=limit
    )
    return download(services.render.ReadAvatarFile(request, timeout=READ_TIMEOUT_S))


def voice_archive(services: Services, name: str) -> Download:
    """A voice as one file."""
    request = tts_pb2.ExportVoiceRequest(name=name)
    return download(services.tts.ExportVoice(request, timeout=READ_TIMEOUT_S))


def voice_file(services: Services, name: str, offset: int = 0, limit: int = 0) -> Download:
    """A voice's reference recording as WAV."""
    request = tts_pb2.ReadVoiceRequest(name=name, offset_bytes=offset, limit_bytes=limit)
    return download(services.tts.ReadVoice(request, timeout=READ_TIMEOUT_S))
