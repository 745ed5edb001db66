"""A user of the live protocol for benchmarks: an open microphone, and replies played by the clock, as a page would."""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from websockets.exceptions import ConnectionClosed

from client.remote.live_socket import LiveSocket, Piece

RATE = 16_000
TICK = RATE // 50
REPORT_S = 0.2
"""How often a playing client tells how far it is."""


@dataclass
class Played:
    """One reply as it came: pieces with the seconds at which they begin and at which they were there."""

    reply: int
    fps: float = 25.0
    start_s: list[float] = field(default_factory=list)
    came_s: list[float] = field(default_factory=list)
    """Without the time for which the reply was paused."""
    data: list[bytes] = field(default_factory=list)
    is_done: bool = False
    is_interrupted: bool = False
    error: str = ""

    def late(self, buffer_s: float) -> list[float]:
        """By how much pieces came too late, in seconds, for who begins to play `buffer_s` after the first one came.

        A piece that is late stops the playing until it is there, so the ones after it have more time.
        """
        late: list[float] = []
        shift = self.came_s[0] + buffer_s if self.came_s else 0.0
        for start, came in zip(self.start_s, self.came_s, strict=True):
            if came > shift + start:
                late.append(came - shift - start)
                shift = came - start
        return late


class User:
    """A connection to a new chat, its microphone open from the beginning.

    Replies are played in real time: what was played is told, `hearing` pauses it. With `plays_at_once` false they wait
    for `play`.
    """

    def __init__(
        self, url: str, *, avatar: str, size: int, keeps_media: bool = False, plays_at_once: bool = True
    ) -> None:
        body = json.dumps({"avatar": avatar, "language": "en", "size": size}).encode()
        request = urllib.request.Request(f"{url}/api/v1/chats", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            self._chat = f"{url}/api/v1/chats/{json.load(answer)['id']}"
        self._url, self._keeps_media, self._plays_at_once = url, keeps_media, plays_at_once
        self._changed = threading.Condition()
        self.replies: dict[int, Played] = {}
        self.errors: list[tuple[float, str]] = []
        """When, and the code."""
        self.events: list[tuple[float, dict[str, Any]]] = []
        self._playing: _Playing | None = None
        self._is_closed = False
        self._speech = self._room = np.zeros(0, np.int16)
        self._connect()
        threading.Thread(target=self._report, daemon=True).start()

    def _connect(self) -> None:
        self.socket = LiveSocket(self._url, self._chat.rpartition("/")[2])
        self._opened = time.monotonic()
        """When the first sample of the microphone was heard."""
        self._ticks = 0
        self._follower = threading.Thread(target=self._follow, args=(self.socket,), daemon=True)
        self._follower.start()
        threading.Thread(target=self._hear, args=(self.socket,), daemon=True).start()

    def reconnect(self) -> None:
        """Take up the same chat over a new connection."""
        self.socket.close()
        self._follower.join()
        self._playing = None
        self.replies.clear()  # they are counted from 1 again
        self._connect()

    @property
    def is_connected(self) -> bool:
        """Whether anything can still come."""
        return self._follower.is_alive()

    def _follow(self, socket: LiveSocket) -> None:
        for message in socket:
            now = time.monotonic()
            with self._changed:
                if isinstance(message, Piece):
                    self._take(message, now)
                else:
                    self._obey(message, now)
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def _take(self, piece: Piece, now: float) -> None:
        played = self.replies[piece.reply]
        if self._keeps_media:
            played.data.append(piece.data)
        if not piece.number:
            return
        if self._plays_at_once and (self._playing is None or self._playing.reply is not played):
            self._playing = _Playing(played, now)
        played.start_s.append(piece.frame_index / played.fps)
        played.came_s.append(now - (self._playing.paused_until(now) if self._playing else 0.0))

    def _obey(self, event: dict[str, Any], now: float) -> None:
        self.events.append((now, event))
        kind, played = event["type"], self.replies.get(event.get("reply") or 0)
        if kind == "media":
            self.replies[event["reply"]] = Played(event["reply"], event["fps"])
        elif kind == "hearing" and self._playing:
            self._playing.pause(now)
        elif kind == "resumed" and self._playing:
            self._playing.resume(now)
        elif kind == "interrupted":
            self._playing = None
            if played:
                played.is_interrupted = True
        elif kind == "done":
            self.replies.setdefault(event["reply"], Played(event["reply"])).is_done = True
        elif kind == "error":
            self.errors.append((now, event["error"]["code"]))
            if played:
                played.error = event["error"]["code"]

    def _report(self) -> None:
        while not self._is_closed:
            time.sleep(REPORT_S)
            with self._changed:
                told = self._playing.progress(time.monotonic()) if self._playing else None
                if told and told[2]:
                    self._playing = None
                    self._changed.notify_all()
            if told:
                with contextlib.suppress(ConnectionClosed):
                    self.socket.played(told[0], told[1], is_over=told[2])

    def wait(
        self,
        kinds: Iterable[str],
        since: float,
        seconds: float,
        like: Callable[[dict[str, Any]], bool] = lambda event: True,
    ) -> tuple[float, dict[str, Any]] | None:
        """The latest event of these kinds that came after a moment, and when; None if none comes in time."""
        deadline, kinds = time.monotonic() + seconds, frozenset(kinds)

        def found() -> tuple[float, dict[str, Any]] | None:
            after = itertools.takewhile(lambda one: one[0] >= since, reversed(self.events))
            return next((one for one in after if one[1]["type"] in kinds and like(one[1])), None)

        with self._changed:
            self._changed.wait_for(lambda: found() or not self.is_connected, max(0.0, deadline - time.monotonic()))
            return found()

    def wait_for_piece(self, since: float, seconds: float) -> float | None:
        """When the first fragment came of a reply that began after a moment; None if none comes in time."""

        def found() -> float | None:
            first = (one.came_s[0] for one in self.replies.values() if one.came_s)
            return min((at for at in first if at >= since), default=None)

        with self._changed:
            self._changed.wait_for(lambda: found() or not self.is_connected, seconds)
            return found()

    def wait_until_answered(self, seconds: float) -> bool:
        """Whether everything was said, and every reply to it played to its end or ended otherwise, in time.

        A recording with a pause in it is heard as several utterances, each of which ends the reply to the one before.
        """
        with self._changed:
            return self._changed.wait_for(lambda: not len(self._speech) and self._is_answered(), seconds)

    def _is_answered(self) -> bool:
        return self._playing is None and all(_is_over(reply) for reply in self.replies.values())

    @property
    def is_playing(self) -> bool:
        """Whether a reply is being played."""
        return self._playing is not None

    def forget(self) -> list[Played]:
        """Every reply that has ended, and no longer: long runs would keep them all."""
        with self._changed:
            playing = self._playing.reply if self._playing else None
            over = [one for one in self.replies.values() if one is not playing and _is_over(one)]
            for one in over:
                del self.replies[one.reply]
            del self.events[:-50]
            return over

    def speak(self, samples: np.ndarray, silence_s: float = 0.0) -> tuple[float, float]:
        """Say something as fast as a person does, then nothing; when its first and last sample are spoken.

        `silence_s` of the silence after it belong to what is said. Whatever was being said before is finished first.
        """
        whole = np.pad(samples, (0, -len(samples) % TICK + round(silence_s * RATE / TICK) * TICK))
        with self._changed:
            begin = self._opened + self._ticks * TICK / RATE + len(self._speech) / RATE
            self._speech = np.concatenate([self._speech, whole])
        return begin, begin + len(samples) / RATE

    def play(self, reply: int, room: np.ndarray) -> float:
        """Begin to play a reply that was held back; the microphone hears `room` of it. When that began."""
        with self._changed:
            now = time.monotonic()
            self._playing, self._room = _Playing(self.replies[reply], now), room
        self.socket.played(reply, 0.0)
        return now

    def spoken_s(self, moment: float) -> float:
        """A moment on the microphone's clock, as the server counts."""
        return moment - self._opened

    def _hear(self, socket: LiveSocket) -> None:
        """Send what the microphone hears, tick by tick, for as long as this connection lasts."""
        with contextlib.suppress(ConnectionClosed):
            while not self._is_closed and socket is self.socket:
                time.sleep(max(0.0, self._opened + (self._ticks + 1) * TICK / RATE - time.monotonic()))
                with self._changed:
                    tick = self._next_tick()
                    self._changed.notify_all()
                socket.hear(tick.astype("<i2").tobytes())

    def _next_tick(self) -> np.ndarray:
        self._ticks += 1
        tick = np.zeros(TICK, np.int32)
        said, self._speech = self._speech[:TICK], self._speech[TICK:]
        tick[: len(said)] += said
        if self._playing and not self._playing.is_paused:
            echo, self._room = self._room[:TICK], self._room[TICK:]
            tick[: len(echo)] += echo
        return tick.clip(-32768, 32767)

    def close(self) -> None:
        """Hang up and end the chat."""
        self._is_closed = True
        self.socket.close()
        with contextlib.suppress(OSError):
            urllib.request.urlopen(urllib.request.Request(self._chat, method="DELETE")).close()


class _Playing:
    """Where the clock of a player stands that began with the first piece."""

    def __init__(self, reply: Played, began: float) -> None:
        self.reply, self._began = reply, began
        self._paused_s = 0.0
        self._paused_at: float | None = None

    def pause(self, now: float) -> None:
        self._paused_at = self._paused_at or now

    def resume(self, now: float) -> None:
        if self._paused_at is not None:
            self._paused_s += now - self._paused_at
            self._paused_at = None

    @property
    def is_paused(self) -> bool:
        return self._paused_at is not None

    def paused_until(self, now: float) -> float:
        """Seconds for which it has been paused."""
        return self._paused_s + (now - self._paused_at if self._paused_at is not None else 0.0)

    def position(self, now: float) -> float:
        """Seconds played, were nothing late; never past what is there."""
        return min(now - self._began - self.paused_until(now), self.reply.start_s[-1] if self.reply.start_s else 0.0)

    def progress(self, now: float) -> tuple[int, float, bool]:
        """Reply, seconds played, and whether that is all of it, as the client tells it."""
        position = self.position(now)
        is_over = _is_over(self.reply) and bool(self.reply.start_s) and position >= self.reply.start_s[-1]
        return self.reply.reply, max(0.0, position), is_over


def _is_over(reply: Played) -> bool:
    return reply.is_done or reply.is_interrupted or bool(reply.error)
