"""How soon an avatar answers who speaks, and how soon it stops for them: `python -m bench.live speech.wav …`.

Drives a running stack (`make run`) as a client of the live protocol would: each recording is sent as a microphone would
send it, silence goes on after it, and the clock is read when things arrive. Then each is spoken over a reply that the
microphone hears too, 15 dB quieter than the speech. Needs avatars and an English recogniser.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import json
import queue
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from websockets.exceptions import ConnectionClosed

from bench.live_client import RATE, TICK
from bench.live_sound import QUIET_DB, spoken
from client.live_socket import LiveSocket, Piece
from services.common.audio import decode, to_pcm

WAIT_S = 60.0
LOGGED_S = 2.0
"""Until then a service has written that a call ended."""
LAST_S = 1.0
"""The recording's last utterance ends at most so long before the recording does."""
LONG_QUESTION = "How do I make my own avatar?"
ECHO_DB, ECHO_DELAY_S = -15.0, 0.2
ALONE_S = 8.0
"""So much of the reply is played before somebody speaks over it."""
REPORT_TICKS = 10


def main() -> None:
    """Print medians and 95th percentiles."""
    options = _options()
    recordings = [spoken(path) for path in options.recordings]
    answers, stops, echoes = [], [], []
    for _, recording in itertools.product(range(options.rounds), recordings):
        answers.append(_answer(options, recording))
        stops.append(_stop(options, recording))
        echoes.append(_echo(options, recording))
    _tell("end of speech to first sound and picture, ms", answers)
    names = ("speech onset to pause, ms", "speech onset to cancelled, ms", "speech onset to last call ended, ms")
    for index, name in enumerate(names if options.logs else names[:2]):
        _tell(name, [one and one[index] for one in stops])
    _tell("with echo: speech onset to pause, ms", [one and one[1] for one in echoes])
    came = [one[0] for one in echoes if one]
    print(f"with echo: false pauses a minute: {sum(came) / len(came) * 60 / ALONE_S:.2f} ({sum(came)})")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.live", description=__doc__.splitlines()[0])
    parser.add_argument("recordings", nargs="+", type=Path, help="what the user says, in English")
    parser.add_argument("--url", default="http://127.0.0.1:5001", help="of the gateway")
    parser.add_argument("--avatar", default="Vera")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--logs", type=Path, help="of the services, DATA/logs: tells when their calls ended")
    return parser.parse_args()


def _levels(sound: np.ndarray) -> np.ndarray:
    """Root mean square, tick by tick."""
    ticks = sound[: len(sound) // TICK * TICK].reshape(-1, TICK).astype(np.float64)
    return np.sqrt((ticks**2).mean(axis=1))


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
        self.pieces: list[Piece] = []
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        for message in self.socket:
            self._arrivals.put(_Arrival(time.monotonic(), message))

    def until(self, kind: str, like: Callable[[Any], bool] = lambda _: True) -> _Arrival | None:
        """The first such event to arrive (`piece` is video); None if it does not come."""
        deadline = time.monotonic() + WAIT_S
        while (left := deadline - time.monotonic()) > 0:
            try:
                arrival = self._arrivals.get(timeout=left)
            except queue.Empty:
                break
            if isinstance(arrival.what, Piece):
                self.pieces.append(arrival.what)
            if kind == _kind(arrival.what) and like(arrival.what):
                return arrival
        return None

    def speak(self, samples: np.ndarray, silence_s: float = 3.0, playing: int = 0) -> tuple[float, float]:
        """Say something as fast as a person does, then nothing; when its first and last sample were spoken.

        `playing` is the reply that is played meanwhile, from its beginning.
        """
        sound = np.concatenate([samples, np.zeros(int(silence_s * RATE), np.int16)])
        begin = time.monotonic()
        threading.Thread(target=self._send, args=(sound, begin, playing), daemon=True).start()
        return begin, begin + len(samples) / RATE

    def _send(self, sound: np.ndarray, begin: float, playing: int) -> None:
        with contextlib.suppress(ConnectionClosed):  # what was waited for has come
            for number, start in enumerate(range(0, len(sound), TICK)):
                piece = sound[start : start + TICK]
                time.sleep(max(0.0, begin + (start + len(piece)) / RATE - time.monotonic()))
                if playing and number % REPORT_TICKS == 0:
                    self.socket.played(playing, start / RATE)
                self.socket.hear(piece.astype("<i2").tobytes())

    def close(self) -> None:
        self.socket.close()
        urllib.request.urlopen(urllib.request.Request(self._chat, method="DELETE")).close()


def _kind(what: dict[str, Any] | Piece) -> str:
    if isinstance(what, Piece):
        return "piece" if what.number else "initialisation segment"
    return what["type"]


def _answer(options: argparse.Namespace, recording: np.ndarray) -> float | None:
    """Milliseconds from the true end of the speech to the first fragment, the recogniser's hangover included.

    A recording with a long pause is answered twice; what counts is the answer to its last utterance.
    """
    client = _Client(options)
    try:
        _, end = client.speak(recording)
        is_last: Callable[[Any], bool] = lambda event: event["end_s"] > len(recording) / RATE - LAST_S  # noqa: E731
        came = client.until("transcript", is_last) and client.until("piece")
        return came and 1000 * (came.at - end)
    finally:
        client.close()


def _stop(options: argparse.Namespace, recording: np.ndarray) -> tuple[float, float, float | None] | None:
    """Milliseconds from the onset of speech into a reply until it is paused, is cancelled, and its calls have ended."""
    client = _Client(options)
    try:
        client.socket.say(LONG_QUESTION)
        if client.until("piece") is None:
            return None
        begun, (begin, _) = time.time(), client.speak(recording)
        paused, cancelled = client.until("hearing"), client.until("interrupted")
        if paused is None or cancelled is None:
            return None
        return 1000 * (paused.at - begin), 1000 * (cancelled.at - begin), _calls_ended(options.logs, begun)
    finally:
        client.close()


def _calls_ended(logs: Path | None, begun: float) -> float | None:
    """Milliseconds until the last of the reply's calls was ended by its caller, as the services tell."""
    if not logs:
        return None
    time.sleep(LOGGED_S)
    lines = [line for name in ("llm", "tts", "render") for line in (logs / f"{name}.log").read_text().splitlines()]
    ended = [json.loads(line) for line in lines if '"CANCELLED"' in line]
    times = [datetime.fromisoformat(one["time"]).timestamp() for one in ended]
    return max((1000 * (at - begun) for at in times if at > begun), default=None)


def _echo(options: argparse.Namespace, recording: np.ndarray) -> tuple[int, float] | None:
    """How often a reply that the microphone hears pauses itself, and milliseconds from speech over it to the pause."""
    client = _Client(options)
    try:
        client.socket.say(LONG_QUESTION)
        if (done := client.until("done")) is None:
            return None
        echo = _heard_of(client.pieces, recording)[: int(ALONE_S * RATE) + len(recording)]
        mixed = np.pad(recording, (int(ALONE_S * RATE), 0)).astype(np.float64)
        mixed[: len(echo)] += echo
        begin, _ = client.speak(mixed.clip(-32768, 32767).astype(np.int16), playing=done.what["reply"])
        onset, false = begin + ALONE_S, 0
        while (paused := client.until("hearing")) and paused.at < onset:
            false += 1
        return paused and (false, 1000 * (paused.at - onset))
    finally:
        client.close()


def _heard_of(pieces: list[Piece], speech: np.ndarray) -> np.ndarray:
    """What a microphone in a small room hears of a reply, against the level of the speech."""
    played = np.frombuffer(to_pcm(decode(io.BytesIO(b"".join(piece.data for piece in pieces)), RATE)), "<i2")
    chance, length = np.random.default_rng(0), RATE // 4
    room = 0.3 * chance.standard_normal(length) * np.exp(-6.9 * np.arange(length) / length)
    room[0] = 1.0
    heard = np.convolve(np.pad(played, (int(ECHO_DELAY_S * RATE), 0)), room)
    return heard * 10 ** (ECHO_DB / 20) * _loudness(speech) / _loudness(heard)


def _loudness(sound: np.ndarray) -> float:
    """Root mean square of what is not a pause."""
    level = _levels(sound)
    return float(np.sqrt((level[level > level.max() * 10 ** (QUIET_DB / 20)] ** 2).mean()))


def _tell(name: str, values: list[float | None]) -> None:
    """What never came is counted, not left out in silence."""
    came = [value for value in values if value is not None]
    if not came:
        sys.exit(f"{name}: nothing came")
    missed = f", {len(values) - len(came)} never came" if len(came) < len(values) else ""
    print(f"{name}: p50 {np.median(came):.0f}, p95 {np.quantile(came, 0.95):.0f} ({len(came)} times{missed})")


if __name__ == "__main__":
    main()
