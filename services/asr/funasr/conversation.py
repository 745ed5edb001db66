"""One utterance, told to the runtime while it is spoken."""

from __future__ import annotations

import json
import math
import socket
import ssl
import struct
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, cast

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidURI, WebSocketException
from websockets.frames import CloseCode
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from basics.languages import primary
from services.asr.engine import SAMPLE_RATE, Hypothesis, Recognition
from services.asr.funasr.transcript import Transcript
from services.asr.remote.settings import PIECES, RecogniserFailures
from services.common.bounds import ANSWER_BYTES, AnswerTooLarge
from services.common.line import Line
from services.common.provider import MISSHAPEN

if TYPE_CHECKING:
    from services.asr.engines.funasr import Settings

_STEP_MS = 60
_INTERVAL = 10  # pieces in a step of the streaming model
_SETTLES_S = 0.8  # silence after which a text is the last of a server that does not mark it


class Conversation(Recognition):
    """What was said is cut into the pieces by which the runtime counts; its text is read in between."""

    def __init__(
        self,
        settings: Settings,
        failures: RecogniserFailures,
        tls: ssl.SSLContext | None,
        language: str,
        hotwords: Sequence[str],
    ) -> None:
        self._settings, self._failures, self._tls = settings, failures, tls
        self._language, self._hotwords = language, hotwords
        self._line = Line()
        self._open = ExitStack()
        self._connection: ClientConnection | None = None
        self._transcript = Transcript()
        self._rest = b""
        self._left = ANSWER_BYTES
        self._piece_bytes = 2 * SAMPLE_RATE * _STEP_MS * settings.chunk_size[1] // _INTERVAL // 1000

    def feed(self, pcm: bytes) -> str:
        if self._line.hung_up or not pcm:
            return self._transcript.text
        with self._translated():
            connection = self._connection or self._connected()
            self._rest += pcm
            whole = len(self._rest) - len(self._rest) % self._piece_bytes
            for start in range(0, whole, self._piece_bytes):
                connection.send(self._rest[start : start + self._piece_bytes])
                self._read_what_is_there(connection)
            self._rest = self._rest[whole:]
            self._read_what_is_there(connection)
        return self._transcript.text

    def finish(self) -> Hypothesis:
        if self._connection and not self._line.hung_up:
            with self._translated():
                if self._rest:
                    self._connection.send(self._rest)
                self._connection.send(json.dumps({"is_speaking": False, "is_end": True}))
                self._read_to_the_end(self._connection)
        return self._transcript.hypothesis(self._language)

    def interrupt(self) -> None:
        self._line.hang_up()

    def close(self) -> None:
        self._connection = None
        self._open.close()

    def _connected(self) -> ClientConnection:
        settings = self._settings
        connection = connect(
            settings.url,
            ssl=self._tls,
            subprotocols=[Subprotocol("binary")],
            open_timeout=settings.connect_seconds,
            ping_interval=None,  # the runtime computes in the thread that would answer
            close_timeout=0,  # nobody waits until the runtime confirms the end
            compression=None,
            create_connection=cast("type[ClientConnection]", self._begun),  # whose documentation takes a function too
        )
        self._connection = self._open.enter_context(connection)
        patience = struct.pack("ll", math.ceil(settings.read_seconds), 0)  # a runtime that hangs takes no more sound
        self._connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, patience)
        self._connection.send(json.dumps(self._opening(), ensure_ascii=False))
        return self._connection

    def _begun(self, sock: socket.socket, *arguments: Any, **named: Any) -> ClientConnection:
        """Who leaves does not wait until the runtime greets."""
        self._line.stands(sock)
        return ClientConnection(sock, *arguments, **named)

    def _opening(self) -> dict[str, Any]:
        settings = self._settings
        return {
            "mode": settings.mode,
            "chunk_size": settings.chunk_size,
            "chunk_interval": _INTERVAL,
            "wav_name": "speech",
            "wav_format": "pcm",
            "audio_fs": SAMPLE_RATE,
            "is_speaking": True,
            "itn": settings.itn,
            "svs_itn": settings.itn,
            "svs_lang": primary(self._language) or "auto",
            "hotwords": json.dumps({word: settings.hotword_weight for word in self._hotwords}, ensure_ascii=False)
            if self._hotwords
            else "",
        }

    def _read_what_is_there(self, connection: ClientConnection) -> None:
        try:
            while True:
                self._transcript.add(self._message(connection.recv(timeout=0)), is_over=False)
        except TimeoutError:
            return

    def _read_to_the_end(self, connection: ClientConnection) -> None:
        is_last: bool | None = False
        end = time.monotonic() + PIECES * self._settings.read_seconds
        while not is_last:
            if time.monotonic() > end:
                raise TimeoutError
            try:
                wait_s = self._settings.read_seconds if is_last is False else _SETTLES_S
                is_last = self._transcript.add(self._message(connection.recv(timeout=wait_s)), is_over=True)
            except TimeoutError:
                if is_last is False:
                    raise
                return

    def _message(self, received: str | bytes) -> dict[str, Any]:
        self._left -= len(received)
        if self._left < 0:
            raise AnswerTooLarge
        message: dict[str, Any] = json.loads(received)
        return message

    @contextmanager
    def _translated(self) -> Generator[None, None, None]:
        """One table from what can go wrong with a WebSocket to our errors, unless nobody listens any more."""
        failures, is_new = self._failures, self._connection is None
        try:
            yield
        except (WebSocketException, OSError, AnswerTooLarge, *MISSHAPEN) as error:
            if self._line.hung_up:
                return
            if isinstance(error, AnswerTooLarge) or _is_message_too_large(error):
                raise failures.endless() from error
            if isinstance(error, ssl.SSLCertVerificationError):
                raise failures.distrusted() from error
            if isinstance(error, ConnectionClosed):
                raise failures.broken_off() from error
            if isinstance(error, (InvalidHandshake, InvalidMessage, InvalidURI, *MISSHAPEN)):
                raise failures.garbled() from error
            if isinstance(error, TimeoutError) and self._connection:
                raise failures.timed_out() from error
            raise (failures.unreachable() if is_new else failures.broken_off()) from error


def _is_message_too_large(error: Exception) -> bool:
    """Whether we closed the connection because one message of the runtime exceeds a megabyte."""
    return (
        isinstance(error, ConnectionClosed) and error.sent is not None and error.sent.code == CloseCode.MESSAGE_TOO_BIG
    )
