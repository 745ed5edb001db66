"""No answer of somebody else's server is read without end: whatever it is, it is small, and it comes as it is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from types import ModuleType
from typing import Any

ANSWER_BYTES = 16 * 2**20
"""No true answer comes near it, streamed token by token and thought over at length."""
PLAIN = {"Accept-Encoding": "identity"}
"""Header of each request: a small answer that is packed may become any large one."""


class AnswerTooLarge(Exception):
    """An answer goes on beyond all measure, or is packed."""


class Bounded:
    """Hooks that bound the answers of one HTTP client, streamed or not.

    Args:
        http: the library of the client, `httpx` or `httpx2`.
        most: bytes of an answer.
    """

    def __init__(self, http: ModuleType, most: int = ANSWER_BYTES) -> None:
        self._most = most
        self._kind = type("BoundedStream", (_Stream, http.SyncByteStream, http.AsyncByteStream), {})

    def hook(self, response: Any) -> None:
        """An event hook of a client, for its answers."""
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise AnswerTooLarge
        response.stream = self._kind(response.stream, self._most)

    async def async_hook(self, response: Any) -> None:
        """The same for a client that does not block."""
        self.hook(response)


def is_too_large(error: BaseException) -> bool:
    """Whether that is what has gone wrong, under whatever an SDK makes of it."""
    causes: BaseException | None = error
    while causes and not isinstance(causes, AnswerTooLarge):
        causes = causes.__cause__ or causes.__context__
    return causes is not None


class _Stream:
    def __init__(self, stream: Any, most: int) -> None:
        self._stream, self._left = stream, most

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._stream:
            yield self._counted(piece)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            yield self._counted(piece)

    def close(self) -> None:
        self._stream.close()

    async def aclose(self) -> None:
        await self._stream.aclose()

    def _counted(self, piece: bytes) -> bytes:
        self._left -= len(piece)
        if self._left < 0:
            raise AnswerTooLarge
        return piece
