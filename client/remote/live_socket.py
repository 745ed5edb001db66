"""A client of the live protocol (docs/live-protocol.md): for the command line, benchmarks and tests."""

from __future__ import annotations

import contextlib
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

VERSION = 1
_UP = struct.Struct("<I")
_DOWN = struct.Struct("<III")


@dataclass(frozen=True)
class Piece:
    """A piece of a reply's video; number 0 is the initialisation segment."""

    reply: int
    number: int
    frame_index: int
    data: bytes


class LiveSocket:
    """One connection. Any thread may send; iterate over it for what comes, until it is closed.

    That a reply's first fragment has come is told by itself.
    """

    def __init__(self, gateway_url: str, chat: str, *, token: str = "", version: int = VERSION) -> None:
        """`gateway_url` is that of the page, e.g. http://127.0.0.1:5001."""
        address = gateway_url.replace("http", "ws", 1).rstrip("/")
        headers = {"Authorization": f"Bearer {token}"} if token else None
        address += f"/api/v1/chats/{chat}/live?version={version}"
        self._open = contextlib.ExitStack()
        connection = connect(address, additional_headers=headers, compression=None, max_size=None)
        self._ws = self._open.enter_context(connection)
        self._sent = 0

    def __iter__(self) -> Iterator[dict[str, Any] | Piece]:
        with contextlib.suppress(ConnectionClosed):
            for message in self._ws:
                yield json.loads(message) if isinstance(message, str) else self._piece(message)

    def hear(self, pcm: bytes) -> None:
        """Send what the microphone heard: signed 16-bit little-endian mono PCM at 16 kHz."""
        self._ws.send(_UP.pack(self._sent) + pcm)
        self._sent += 1

    def say(self, text: str) -> None:
        """Send what the user wrote."""
        self.send({"type": "text", "text": text})

    def use(self, **chosen: str | float) -> None:
        """Go on with another `avatar`, `voice`, `persona` or `language`, `rate` or `pitch_semitones`."""
        self.send({"type": "use", **chosen})

    def stop(self) -> None:
        """End the reply."""
        self.send({"type": "stop"})

    def played(self, reply: int, seconds: float, *, is_over: bool = False) -> None:
        """Tell how much of a reply has been played."""
        self.send({"type": "played", "reply": reply, "seconds": seconds, "is_over": is_over})

    def rests_on(self, frame_index: int) -> None:
        """Tell which frame of the idle loop is shown."""
        self.send({"type": "resting", "frame_index": frame_index})

    def send(self, message: dict[str, Any] | bytes) -> None:
        """Send a message as it is."""
        self._ws.send(message if isinstance(message, bytes) else json.dumps(message))

    @property
    def close_code(self) -> int | None:
        """With what code the connection was closed, once it is."""
        return self._ws.close_code

    def _piece(self, message: bytes) -> Piece:
        reply, number, frame_index = _DOWN.unpack_from(message)
        piece = Piece(reply, number, frame_index, message[_DOWN.size :])
        if piece.number == 1:
            with contextlib.suppress(ConnectionClosed):  # what was sent before the goodbye is still read
                self.send({"type": "received", "reply": piece.reply})
        return piece

    def close(self) -> None:
        """Hang up."""
        self._open.close()
