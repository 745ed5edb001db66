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
import sys
import time
from datetime import datetime
from pathlib import Path

import numpy as np

from bench.live_client import RATE, User
from bench.live_sound import in_a_room, loudness, spoken
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
QUIET_S = 0.5
INTO_S = (0.5, 1.5, 2.5, 3.5)
"""So far into a reply it is interrupted, in turn."""


PARTS = ("answer", "stop", "echo")
Stop = tuple[float, float, float | None]


def main() -> None:
    """Print medians and 95th percentiles."""
    options = _options()
    recordings = [spoken(path) for path in options.recordings]
    answers: list[float | None] = []
    stages: list[dict[str, float]] = []
    stops: list[Stop | None] = []
    echoes: list[tuple[int, float] | None] = []
    for _, recording in itertools.product(range(options.rounds), recordings):
        if "answer" in options.parts:
            answers.append(_answer(options, recording, stages))
        if "stop" in options.parts:
            stops.append(_stop(options, recording, INTO_S[len(stops) % len(INTO_S)]))
        if "echo" in options.parts:
            echoes.append(_echo(options, recording))
    _tell("end of speech to first sound and picture, ms", answers)
    _tell_stages(stages)
    names = ("speech onset to pause, ms", "speech onset to cancelled, ms", "speech onset to last call ended, ms")
    for index, name in enumerate(names if options.logs else names[:2]):
        _tell(name, [one and one[index] for one in stops])
    _tell("with echo: speech onset to pause, ms", [one and one[1] for one in echoes])
    came = [one[0] for one in echoes if one]
    if came:
        print(f"with echo: false pauses a minute: {sum(came) / len(came) * 60 / ALONE_S:.2f} ({sum(came)})")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.live", description=__doc__.splitlines()[0])
    parser.add_argument("recordings", nargs="+", type=Path, help="what the user says, in English")
    parser.add_argument("--url", default="http://127.0.0.1:5001", help="of the gateway")
    parser.add_argument("--avatar", default="Vera")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS, help="what is measured")
    parser.add_argument("--logs", type=Path, help="of the services, DATA/logs: tells when their calls ended")
    return parser.parse_args()


def _user(options: argparse.Namespace, *, plays_at_once: bool = True) -> User:
    size = options.size
    user = User(options.url, avatar=options.avatar, size=size, keeps_media=True, plays_at_once=plays_at_once)
    time.sleep(QUIET_S)  # nobody speaks the moment a microphone opens
    return user


def _answer(options: argparse.Namespace, recording: np.ndarray, stages: list[dict[str, float]]) -> float | None:
    """Milliseconds from the true end of the speech to the first fragment, the recogniser's hangover included.

    A recording with a long pause is answered twice; what counts is the answer to its last utterance, whose stages are
    added to `stages`.
    """
    with contextlib.closing(_user(options)) as user:
        begin, end = user.speak(recording)
        last_s = user.spoken_s(end) - LAST_S
        heard = user.wait(("transcript",), begin, WAIT_S, lambda event: event["end_s"] > last_s)
        came = heard and user.wait_for_piece(heard[0], WAIT_S)
        if came is None:
            return None
        if done := user.wait(("done",), came, WAIT_S):
            stages.append(done[1]["latency"])
        return 1000 * (came - end)


def _stop(options: argparse.Namespace, recording: np.ndarray, into_s: float) -> Stop | None:
    """Milliseconds from the onset of speech into a reply until it is paused, is cancelled, and its calls have ended.

    The reply has been played for `into_s` seconds by then, and is longer than that.
    """
    with contextlib.closing(_user(options)) as user:
        asked = time.monotonic()
        user.socket.say(LONG_QUESTION)
        if user.wait_for_piece(asked, WAIT_S) is None:
            return None
        time.sleep(into_s)
        begin, _ = user.speak(recording)
        begun = time.time() + begin - time.monotonic()
        paused = user.wait(("hearing",), begin, WAIT_S)
        cancelled = user.wait(("interrupted",), begin, WAIT_S)
        if paused is None or cancelled is None:
            return None
        return 1000 * (paused[0] - begin), 1000 * (cancelled[0] - begin), _calls_ended(options.logs, begun)


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
    with contextlib.closing(_user(options, plays_at_once=False)) as user:
        asked = time.monotonic()
        user.socket.say(LONG_QUESTION)
        if (done := user.wait(("done",), asked, WAIT_S)) is None:
            return None
        number = done[1]["reply"]
        began = user.play(number, _heard_of(user.replies[number].data, recording).astype(np.int32))
        time.sleep(ALONE_S)
        false = sum(at > began and event["type"] == "hearing" for at, event in list(user.events))
        begin, _ = user.speak(recording)
        paused = user.wait(("hearing",), begin, WAIT_S)
        return paused and (false, 1000 * (paused[0] - begin))


def _heard_of(pieces: list[bytes], speech: np.ndarray) -> np.ndarray:
    """What a microphone in a small room hears of a reply, against the level of the speech."""
    played = np.frombuffer(to_pcm(decode(io.BytesIO(b"".join(pieces)), RATE)), "<i2")
    return in_a_room(played, ECHO_DELAY_S, loudness(speech) * 10 ** (ECHO_DB / 20))


def _tell_stages(latencies: list[dict[str, float]]) -> None:
    """Where the time went, as the replies tell."""
    for stage in latencies[0] if latencies else ():
        _tell(f"  {stage}, ms", [1000 * one[stage] for one in latencies if stage in one])


def _tell(name: str, values: list[float | None]) -> None:
    """What never came is counted, not left out in silence."""
    if not values:  # not measured
        return
    came = [value for value in values if value is not None]
    if not came:
        sys.exit(f"{name}: nothing came")
    missed = f", {len(values) - len(came)} never came" if len(came) < len(values) else ""
    print(f"{name}: p50 {np.median(came):.0f}, p95 {np.quantile(came, 0.95):.0f} ({len(came)} times{missed})")


if __name__ == "__main__":
    main()
