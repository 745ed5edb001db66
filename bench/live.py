"""How soon an avatar answers who speaks, and how soon it stops for them: `python -m bench.live speech.wav …`.

Drives a running stack (`make run`) as a client of the live protocol would: each recording is sent as a microphone would
send it, silence goes on after it, and the clock is read when things arrive. Needs avatars and an English recogniser.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import queue
import sys
import threading
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from websockets.exceptions import ConnectionClosed

from client.live_socket import LiveSocket, Piece
from services.common.audio import decode, to_pcm

RATE = 16_000
TICK = RATE // 50
QUIET_DB = -35.0
"""Speech ends with the last 20 ms that are louder than this, seen from its loudest."""
WAIT_S = 30.0
LONG_QUESTION = "How do I make my own avatar?"


def main() -> None:
    """Print medians and 95th percentiles."""
    options = _options()
    recordings = [_speech(path) for path in options.recordings]
    answers, stops = [], []
    for _, recording in itertools.product(range(options.rounds), recordings):
        answers.append(_answer(options, recording))
        stops.append(_stop(options, recording))
    _tell("end of speech to first sound and picture, ms", answers)
    for index, name in enumerate(("speech onset to pause, ms", "speech onset to cancelled, ms")):
        _tell(name, [one and one[index] for one in stops])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.live", description=__doc__.splitlines()[0])
    parser.add_argument("recordings", nargs="+", type=Path, help="what the user says, in English")
    parser.add_argument("--url", default="http://127.0.0.1:5001", help="of the gateway")
    parser.add_argument("--avatar", default="Vera")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def _speech(path: Path) -> np.ndarray:
    """A recording as int16 at 16 kHz, without the silence around its speech."""
    samples = np.frombuffer(to_pcm(decode(path, RATE)), "<i2")
    blocks = samples[: len(samples) // TICK * TICK].reshape(-1, TICK).astype(np.float64)
    level = np.sqrt((blocks**2).mean(axis=1))
    loud = np.flatnonzero(level > level.max() * 10 ** (QUIET_DB / 20))
    return samples[loud[0] * TICK : (loud[-1] + 1) * TICK]


@dataclass
class _Arrival:
    at: float
    what: dict[str, Any] | Piece


class _Client:
    """A connection to a new chat; arrivals are timed in a thread of their own."""

    def __init__(self, options: argparse.Namespace) -> None:
        body = json.dumps({"avatar": options.avatar, "language": "en", "size": options.size}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{options.url}/api/v1/chats", body, headers)
        with urllib.request.urlopen(request) as answer:
            self._chat = f"{options.url}/api/v1/chats/{json.load(answer)['id']}"
        self.socket = LiveSocket(options.url, self._chat.rpartition("/")[2])
        self._arrivals: queue.Queue[_Arrival] = queue.Queue()
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        for message in self.socket:
            self._arrivals.put(_Arrival(time.monotonic(), message))

    def until(self, kind: str) -> float | None:
        """When the first such event arrived (`piece` is video); None if it does not come."""
        deadline = time.monotonic() + WAIT_S
        while (left := deadline - time.monotonic()) > 0:
            try:
                arrival = self._arrivals.get(timeout=left)
            except queue.Empty:
                break
            if kind == _kind(arrival.what):
                return arrival.at
        return None

    def speak(self, samples: np.ndarray, silence_s: float = 3.0) -> tuple[float, float]:
        """Say something as fast as a person does, then nothing; when its first and last sample were spoken."""
        sound = np.concatenate([samples, np.zeros(int(silence_s * RATE), np.int16)])
        begin = time.monotonic()
        threading.Thread(target=self._send, args=(sound, begin), daemon=True).start()
        return begin, begin + len(samples) / RATE

    def _send(self, sound: np.ndarray, begin: float) -> None:
        with contextlib.suppress(ConnectionClosed):  # what was waited for has come
            for start in range(0, len(sound), TICK):
                piece = sound[start : start + TICK]
                time.sleep(max(0.0, begin + (start + len(piece)) / RATE - time.monotonic()))
                self.socket.hear(piece.astype("<i2").tobytes())

    def close(self) -> None:
        self.socket.close()
        urllib.request.urlopen(urllib.request.Request(self._chat, method="DELETE")).close()


def _kind(what: dict[str, Any] | Piece) -> str:
    if isinstance(what, Piece):
        return "piece" if what.number else "initialisation segment"
    return what["type"]


def _answer(options: argparse.Namespace, recording: np.ndarray) -> float | None:
    """Milliseconds from the true end of the speech to the first fragment, the recogniser's hangover included."""
    client = _Client(options)
    try:
        _, end = client.speak(recording)
        came = client.until("piece")
        return None if came is None else 1000 * (came - end)
    finally:
        client.close()


def _stop(options: argparse.Namespace, recording: np.ndarray) -> tuple[float, float] | None:
    """Milliseconds from the onset of speech into a reply until the client pauses, and until the reply is cancelled."""
    client = _Client(options)
    try:
        client.socket.say(LONG_QUESTION)
        if client.until("piece") is None:
            return None
        begin, _ = client.speak(recording)
        paused, cancelled = client.until("hearing"), client.until("interrupted")
        return None if paused is None or cancelled is None else (1000 * (paused - begin), 1000 * (cancelled - begin))
    finally:
        client.close()


def _tell(name: str, values: list[float | None]) -> None:
    """What never came is counted, not left out in silence."""
    came = [value for value in values if value is not None]
    if not came:
        sys.exit(f"{name}: nothing came")
    missed = f", {len(values) - len(came)} never came" if len(came) < len(values) else ""
    print(f"{name}: p50 {np.median(came):.0f}, p95 {np.quantile(came, 0.95):.0f} ({len(came)} times{missed})")


if __name__ == "__main__":
    main()
