"""The live protocol on a WebSocket: docs/live-protocol.md in code."""

from __future__ import annotations

import json
import logging
import struct
import threading
import time
from typing import Any

from simple_websocket import ConnectionClosed, Server
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError

from client.talk import cast
from client.talk.conversation import Done, Event, Media, MediaType
from client.talk.live import Failed, LiveEvent, LiveTalk, Told
from client.talk.microphone import RATE, TooFast
from client.talk.speech import PROSODY
from client.wire.errors import CallError, from_failure
from gateway.metrics import Metrics
from gateway.refusal import Refusal
from gateway.web.events import described, failure

logger = logging.getLogger(__name__)

VERSION = 1
MAX_MESSAGE_BYTES = 64 * 1024
MAX_PCM_BYTES = 32 * 1024
CLOSE_CODES = {"TAKEN_OVER": CloseReason.NORMAL_CLOSURE, "CHAT_DELETED": CloseReason.NORMAL_CLOSURE}
"""Of endings that are nobody's fault."""
LOOK_S = 1.0
"""How often a reader looks whether the connection or the talk is over; the library does not always wake it."""
DAY_S = 24 * 3600
MOST_FRAMES = 10**9
GONE = (ConnectionClosed, LocalProtocolError, OSError)
UP = struct.Struct("<I")
"""Before each piece of the microphone: its number."""
DOWN = struct.Struct("<III")
"""Before each piece of media: reply, number of the piece within it (0 is the initialisation segment), first frame."""


class Live:
    """One connection: a thread reads what the client sends, and the connection's own thread writes what happens."""

    def __init__(
        self, ws: Server, talk: LiveTalk, chat_id: str, hangover_ms: int, max_text: int, metrics: Metrics
    ) -> None:
        self._ws, self._talk, self._max_text, self._metrics = ws, talk, max_text, metrics
        self._ready = {
            "type": "ready",
            "version": VERSION,
            "chat": chat_id,
            "microphone_rate_hertz": RATE,
            "hangover_ms": hangover_ms,
        }
        self._heard = 0  # pieces of the microphone
        self._refusal: CallError | Refusal | None = None
        self._is_leaving = False
        self._pieces: dict[int, int] = {}  # of media, by reply
        self._shown = (0, 0.0)  # the reply whose first fragment was sent last, and when
        self._transport: dict[int, float] = {}  # how long a reply's first fragment was on its way

    def run(self) -> None:
        """Talk until one side closes."""
        threading.Thread(target=self._read, daemon=True).start()
        try:
            self._send(self._ready)
            for event in self._talk.events():
                self._write(event)
            self._say_goodbye()
        except GONE:
            pass  # the client hung up while something was being sent
        finally:
            self._talk.close()

    def stop(self) -> None:
        """End the reply."""
        self._talk.stop()

    def end(self, why: Refusal | None = None) -> None:
        """End it from outside, telling the client why; without a reason the gateway goes, and it may come again."""
        self._refusal, self._is_leaving = self._refusal or why, why is None
        self._talk.close()

    def _say_goodbye(self) -> None:
        if self._refusal:
            refuse(self._ws, self._refusal)
        elif self._is_leaving:
            self._send({"type": "closing"})
            self._ws.close(CloseReason.GOING_AWAY)

    def _read(self) -> None:
        try:
            while not self._talk.is_closed:
                message = self._ws.receive(timeout=LOOK_S)
                if message is not None:
                    self._take(message)
        except GONE:
            pass
        except Refusal as refusal:
            self._refusal = refusal
        except Exception as error:  # noqa: BLE001 - whatever it was, the client must learn of it
            logger.exception("a live connection broke")
            self._refusal = from_failure(error)
        finally:
            self._talk.close()

    def _take(self, message: str | bytes) -> None:
        if isinstance(message, str):
            self._obey(_parsed(message))
        else:
            self._hear(message)

    def _hear(self, message: bytes) -> None:
        pcm = message[UP.size :]
        if not pcm or len(pcm) % 2 or len(pcm) > MAX_PCM_BYTES:
            text = "A binary message is a number of 4 bytes and then 16-bit PCM, 1 to 16384 samples."
            raise Refusal(text, reason="NOT_PCM", field="audio")
        (number,) = UP.unpack_from(message)
        if number != self._heard:
            text = (
                f"Piece {number} of the microphone came where {self._heard} was due. Number them from 0, without gaps."
            )
            values = {"number": str(number), "due": str(self._heard)}
            raise Refusal(text, reason="OUT_OF_ORDER", field="audio", values=values)
        self._heard += 1
        try:
            self._talk.hear(pcm)
        except TooFast:
            text = "The microphone's sound comes faster than it is spoken. Send it as it is recorded."
            raise Refusal(text, reason="TOO_FAST", field="audio") from None

    def _obey(self, message: dict[str, Any]) -> None:
        match message:
            case {"type": "text", "text": str(text)} if text.strip():
                if len(text) > self._max_text:
                    values = {"max": str(self._max_text)}
                    words = f"A message has at most {self._max_text} characters."
                    raise Refusal(words, reason="TEXT_TOO_LONG", field="text", values=values)
                self._talk.say(text.strip())
            case {"type": "stop"}:
                self._talk.stop()
            case {"type": "use"}:
                self._use({name: message[name] for name in (*cast.NAMES, *PROSODY) if name in message})
            case {"type": "received", "reply": int(reply)}:
                self._received(reply)
            case {"type": "played", "reply": int(reply), "seconds": float() | int() as seconds} if 0 <= seconds < DAY_S:
                self._talk.played(reply, seconds, is_over=message.get("is_over") is True)
            case {"type": "resting", "frame_index": int(frame)} if 0 <= frame < MOST_FRAMES:
                self._talk.rests_on(frame)
            case _:
                known = "text, stop, use, received, played or resting"
                text = f'A text message is JSON of "type" {known}; docs/live-protocol.md lists their fields.'
                raise Refusal(text, reason="NOT_UNDERSTOOD", field="type")

    def _use(self, chosen: dict[str, Any]) -> None:
        wrong = [name for name, value in chosen.items() if not _is_choice(name, value)]
        if wrong or not chosen:
            numbers = " and ".join(f"{name} from {low:g} to {high:g}" for name, (low, high) in PROSODY.items())
            text = f'A message of "type" use has one or more of {", ".join(cast.NAMES)} as texts, and {numbers}.'
            raise Refusal(text, reason="NOT_UNDERSTOOD", field=next(iter(wrong), "type"))
        self._talk.use(chosen)

    def _received(self, reply: int) -> None:
        """The client has a reply's first fragment; how long that took is told with the rest of it, and counted."""
        shown, at = self._shown
        if reply == shown and reply not in self._transport:
            self._transport = {reply: round(time.monotonic() - at, 4)}
            self._metrics.stage_over("transport", self._transport[reply])

    def _write(self, event: LiveEvent) -> None:
        match event:
            case Told(reply, told):
                self._tell(reply, told)
            case Failed(error, reply):
                self._send(_error(error, reply, is_final=False))
            case _:
                name, fields = described(event)
                self._send({"type": name, **fields})

    def _tell(self, reply: int, event: Event) -> None:
        if isinstance(event, Media):
            self._send_media(reply, event.data, event.frame_index)
            return
        name, fields = described(event)
        if isinstance(event, Done) and reply in self._transport:
            fields["latency"] = fields["latency"] | {"transport": self._transport[reply]}
        self._send({"type": name, "reply": reply, **fields})
        if isinstance(event, MediaType):
            self._send_media(reply, event.init_segment, 0)

    def _send_media(self, reply: int, data: bytes, frame_index: int) -> None:
        number = self._pieces.get(reply, 0)
        self._pieces = {reply: number + 1}  # no piece of an earlier reply follows
        if number == 1:
            self._shown = (reply, time.monotonic())
        self._ws.send(DOWN.pack(reply, number, frame_index) + data)

    def _send(self, event: dict[str, Any]) -> None:
        self._ws.send(json.dumps(event, ensure_ascii=False))


def refuse(ws: Server, refusal: CallError | Refusal) -> None:
    """Say why, and close."""
    ws.send(json.dumps(_error(refusal, None, is_final=True), ensure_ascii=False))
    ws.close(CLOSE_CODES.get(refusal.reason, CloseReason.POLICY_VIOLATION), refusal.reason)


def _error(error: CallError | Refusal, reply: int | None, *, is_final: bool) -> dict[str, Any]:
    return {"type": "error", "reply": reply, **failure(error), "is_final": is_final}


def _is_choice(name: str, value: Any) -> bool:
    """Whether a value is one that can be chosen under a name."""
    if name not in PROSODY:
        return isinstance(value, str)
    low, high = PROSODY[name]
    return type(value) in (int, float) and low <= value <= high


def _parsed(message: str) -> dict[str, Any]:
    try:
        message.encode()  # half a surrogate pair would break whoever speaks or stores it
        parsed = json.loads(message)
        json.dumps(parsed, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        raise Refusal("A text message is a JSON object.", reason="NOT_UNDERSTOOD", field="type")
    return parsed
