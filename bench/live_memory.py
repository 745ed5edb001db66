"""Whether memory comes back after a live talk: `python -m bench.live_memory`.

Drives a running stack (`make run`, on this machine) through many chats, one after another: each is begun and spoken
to, the answer is cut off by something written, which is answered to the end, then the chat is hung up and deleted. What
each program holds after the first few is compared with what it holds at the end.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from typing import Any

import numpy as np
import psutil

from client.remote.live_socket import LiveSocket, Piece
from services.common.audio import decode, to_pcm

ROOMS = ("asr", "llm", "tts", "render")
RATE = 16_000
TICK = RATE // 20
WAIT_S = 120
SPOKEN, WRITTEN = "Hello, who are you?", "Thank you."
"""What is written has a short answer."""
AVERAGED = 10
LIMIT_PERCENT = 5.0


def main() -> None:
    """Print what each program holds, early and late; exit 1 if one has grown by more than the limit."""
    options = _options()
    programs = _programs(urllib.parse.urlsplit(options.url).port or 80)
    speech = _spoken(options.url, SPOKEN)
    held: dict[str, list[float]] = {name: [] for name in programs}
    for number in range(1, options.sessions + 1):
        _talk(options, speech)
        for name, program in programs.items():
            held[name].append(_megabytes(program))
        if number % AVERAGED == 0:
            print(number, {name: round(values[-1], 1) for name, values in held.items()}, flush=True)
    sys.exit(_tell(held, options.warm_up))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.live_memory", description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:5001", help="of the gateway, on this machine")
    parser.add_argument("--avatar", default="Vera")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--sessions", type=int, default=110)
    parser.add_argument("--warm-up", type=int, default=10, help="sessions before the first measurement")
    options = parser.parse_args()
    if options.sessions < options.warm_up + 2 * AVERAGED:
        parser.error(f"--sessions: at least {2 * AVERAGED} more than the warm-up are compared")
    return options


def _programs(port: int) -> dict[str, psutil.Process]:
    """The programs of the stack whose gateway listens on `port`; of the gateway, the worker."""
    there = [one for one in psutil.net_connections("tcp") if one.status == psutil.CONN_LISTEN and one.laddr]
    listeners = [one.pid for one in there if one.laddr and one.laddr.port == port]
    if not listeners:
        sys.exit(f"no gateway listens on port {port} of this machine: start one with `make run`")
    stack = next(one for one in psutil.Process(listeners[0]).parents() if "up" in one.cmdline())
    programs = {one.cmdline()[-1].removeprefix("services."): one for one in stack.children()}
    return {"gateway": programs["gateway"].children()[0]} | {name: programs[name] for name in ROOMS}


def _megabytes(program: psutil.Process) -> float:
    """Resident memory of a program and of what it started."""
    return sum(one.memory_info().rss for one in (program, *program.children(recursive=True))) / 2**20


def _spoken(url: str, words: str) -> bytes:
    """Words as PCM at 16 kHz, from the stack's own synthesiser, and the silence that ends an utterance."""
    with _call(f"{url}/api/v1/speech", "POST", {"text": words}) as answer:
        pcm = to_pcm(decode(io.BytesIO(answer.read()), RATE))
    return pcm + np.zeros(RATE, "<i2").tobytes()


def _call(url: str, method: str, body: dict[str, object] | None = None) -> HTTPResponse:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    answer: HTTPResponse = urllib.request.urlopen(request)
    return answer


@contextmanager
def _chat(options: argparse.Namespace) -> Iterator[str]:
    chats = f"{options.url}/api/v1/chats"
    body = {"avatar": options.avatar, "language": "en", "size": options.size}
    with _call(chats, "POST", body) as answer:
        chat = json.load(answer)["id"]
    try:
        yield chat
    finally:
        _call(f"{chats}/{chat}", "DELETE").close()


def _talk(options: argparse.Namespace, speech: bytes) -> None:
    """One chat, from its beginning to its deletion."""
    with _chat(options) as chat:
        socket = LiveSocket(options.url, chat)
        hang_up = threading.Timer(WAIT_S, socket.close)
        hang_up.start()
        threading.Thread(target=_speak, args=(socket, speech), daemon=True).start()
        is_done = any(_follow(socket, one) for one in socket)
        hang_up.cancel()
        socket.close()
        if not is_done:
            sys.exit("a talk ended before its answer was complete")


def _follow(socket: LiveSocket, message: dict[str, Any] | Piece) -> bool:
    """Write once the speech has been understood; returns whether what was written has been answered."""
    match message:
        case {"type": "transcript", "end_s": float()}:
            socket.say(WRITTEN)
        case {"type": "done", "reply": 2}:
            return True
    return False


def _speak(socket: LiveSocket, pcm: bytes) -> None:
    for start in range(0, len(pcm), 2 * TICK):
        socket.hear(pcm[start : start + 2 * TICK])
        time.sleep(TICK / RATE)


def _tell(held: dict[str, list[float]], warm_up: int) -> int:
    """The comparison as a table; 1 if anything has grown by more than the limit."""
    worst = 0.0
    for name, values in held.items():
        early, late = (float(np.median(part)) for part in (values[warm_up : warm_up + AVERAGED], values[-AVERAGED:]))
        percent = 100 * (late / early - 1)
        worst = max(worst, percent)
        print(f"{name:8} {early:8.1f} MiB after {warm_up} talks, {late:8.1f} after {len(values)}: {percent:+.1f} %")
    return int(worst > LIMIT_PERCENT)


if __name__ == "__main__":
    main()
