"""Talking live in a test: a connection that is followed, and something to say."""

from __future__ import annotations

import io
import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

import av
import httpx

from client.remote.live_socket import LiveSocket, Piece

RATE = 16_000
TICK = RATE // 20 * 2  # bytes of 50 ms
WAIT_S = 300  # only ends what would hang


def spoken(api: httpx.Client, text: str) -> bytes:
    """A text as PCM, spoken by the synthesiser."""
    return pcm_of(api.post("/speech", json={"text": text}).raise_for_status().content)


def pcm_of(file: bytes) -> bytes:
    """The sound of a file at the microphone's rate."""
    with av.open(io.BytesIO(file)) as opened:
        resampler = av.AudioResampler("s16", "mono", RATE)
        frames = [one for frame in itertools.chain(opened.decode(audio=0), [None]) for one in resampler.resample(frame)]
    return b"".join(bytes(frame.planes[0])[: 2 * frame.samples] for frame in frames)


class Talk:
    """A connection, followed in a thread; sound goes up in real time, silence where there is nothing to say."""

    def __init__(self, url: str, chat: str, **options: Any) -> None:
        self.socket = LiveSocket(url, chat, **options)
        self.seen: list[dict[str, Any] | Piece] = []
        self._changed = threading.Condition()
        self._is_over = False
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        for message in self.socket:
            with self._changed:
                self.seen.append(message)
                self._changed.notify_all()
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def until(self, what: Callable[[Any], bool], seconds: float = WAIT_S) -> Any:
        """The first message of that kind."""
        with self._changed:
            found = self._changed.wait_for(lambda: self._is_over or any(map(what, self.seen)), seconds)
            assert found, f"not within {seconds} s, but {self.kinds()}"
            assert any(map(what, self.seen)), f"closed after {self.kinds()}"
            return next(filter(what, self.seen))

    def until_a(self, kind: str) -> Any:
        return self.until(lambda one: isinstance(one, dict) and one["type"] == kind)

    def until_closed(self) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self._is_over, WAIT_S), self.kinds()

    def kinds(self) -> list[str]:
        return [one["type"] if isinstance(one, dict) else f"piece {one.number}" for one in self.seen]

    def told(self, kind: str) -> list[dict[str, Any]]:
        """All such events so far."""
        return [one for one in self.seen if isinstance(one, dict) and one["type"] == kind]

    def pieces(self, reply: int) -> list[Piece]:
        return [one for one in self.seen if isinstance(one, Piece) and one.reply == reply]

    def speak(self, pcm: bytes) -> None:
        """Send sound as fast as a microphone would."""
        begin = time.monotonic()
        for number, start in enumerate(range(0, len(pcm), TICK)):
            time.sleep(max(0.0, begin + number * 0.05 - time.monotonic()))
            self.socket.hear(pcm[start : start + TICK])

    def be_silent(self, seconds: float) -> None:
        self.speak(bytes(int(seconds * RATE) * 2))
