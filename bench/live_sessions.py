"""How many may talk at once: `python -m bench.live_sessions speech.wav … [--sessions 2] [--size 512] [--minutes 2]`.

Drives a running stack (`make run`) with several users at once. Each speaks a recording, hears the whole reply, played
by the clock, waits a moment and speaks the next one. A fragment is late when a player that never waits for more than
it needs would have run out: at the start buffers given, counted from the first fragment. `--typed` writes the questions
instead of speaking them. Prints also what each process of the stack worked meanwhile.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import random
import statistics
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

from bench.live_client import Played, User
from bench.live_sound import spoken

BUFFERS_S = (0.0, 0.2, 0.5)
WAIT_S = 60.0
QUESTIONS = ("How do I make my own avatar?", "What can you do for me?", "How does it work, and what do I need for it?")


@dataclass
class Tally:
    """What all sessions met; threads only append."""

    replies: list[Played] = field(default_factory=list)
    first_s: list[float] = field(default_factory=list)
    unanswered: int = 0
    errors: list[str] = field(default_factory=list)


def main() -> None:
    """Print late fragments by start buffer, and frames a second."""
    options = _options()
    recordings = [spoken(path) for path in options.recordings]
    tally, users = (
        Tally(),
        [User(options.url, avatar=options.avatar, size=options.size) for _ in range(options.sessions)],
    )
    before, began = busy_s(options.url), time.monotonic()
    threads = [
        threading.Thread(target=_talk, args=(options, user, number, recordings, began + 60 * options.minutes, tally))
        for number, user in enumerate(users)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - began
    for user in users:
        user.close()
    _tell(options, tally, took)
    for name, seconds in busy_s(options.url).items():
        print(f"{name:8} {100 * (seconds - before.get(name, 0.0)) / took:5.0f} % of a processor")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.live_sessions", description=__doc__.splitlines()[0])
    parser.add_argument("recordings", nargs="*", type=Path, help="what the users say, in English")
    parser.add_argument("--url", default="http://127.0.0.1:5001", help="of the gateway")
    parser.add_argument("--avatar", default="Vera")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--sessions", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--pause", type=float, default=1.0, help="longest silence after a reply, seconds")
    parser.add_argument("--typed", action="store_true", help="write the questions: nothing is recognised")
    options = parser.parse_args()
    if not options.recordings and not options.typed:
        parser.error("say which recordings to speak, or --typed")
    return options


def _talk(
    options: argparse.Namespace, user: User, number: int, recordings: list[np.ndarray], end: float, tally: Tally
) -> None:
    chance = random.Random(number)
    for turn in itertools.count(number):
        if time.monotonic() > end or not user.is_connected:
            break
        asked = time.monotonic()
        if options.typed:
            user.socket.say(QUESTIONS[turn % len(QUESTIONS)])
        else:
            _, asked = user.speak(recordings[turn % len(recordings)], silence_s=1.5)
        if user.wait(("media", "error"), asked - 1.0, WAIT_S) is None or not user.wait_until_answered(WAIT_S):
            tally.unanswered += 1
        for reply in user.forget():
            tally.replies.append(reply)
            if reply.came_s:
                tally.first_s.append(reply.came_s[0] - asked)
        time.sleep(chance.uniform(0, options.pause))
    tally.errors += [code for _, code in user.errors]


def _tell(options: argparse.Namespace, tally: Tally, took: float) -> None:
    replies = [reply for reply in tally.replies if reply.came_s]
    if not replies:
        sys.exit("nothing came")
    fragments = sum(len(reply.came_s) for reply in replies)
    video_s = sum(reply.start_s[-1] for reply in replies)
    print(
        f"{options.sessions} sessions at {options.size} px for {took / 60:.1f} min: {len(replies)} replies, "
        f"{tally.unanswered} unanswered, {len(tally.errors)} errors {sorted(set(tally.errors))}, "
        f"{video_s / took:.2f} s of video a second"
    )
    print(f"asked to first fragment: p50 {1000 * statistics.median(tally.first_s):.0f} ms")
    for buffer_s in BUFFERS_S:
        late = [seconds for reply in replies for seconds in reply.late(buffer_s)]
        worst = f", the worst by {1000 * max(late):.0f} ms" if late else ""
        print(f"start buffer {1000 * buffer_s:3.0f} ms: {len(late)} of {fragments} fragments late{worst}")
    speeds = [reply.start_s[-1] / (reply.came_s[-1] - reply.came_s[0]) for reply in replies if len(reply.came_s) > 3]
    if speeds:
        print(f"a reply comes {statistics.median(speeds):.2f} times as fast as it plays, at worst {min(speeds):.2f}")


def busy_s(url: str) -> dict[str, float]:
    """Seconds that each process of a stack on this machine has worked, by its module; empty for one elsewhere."""
    port = int(url.rpartition(":")[2])
    return {
        name: sum(sum(one.cpu_times()[:2]) for one in (process, *process.children(recursive=True)))
        for name, process in processes(port).items()
    }


def processes(port: int) -> dict[str, psutil.Process]:
    """The programs of the stack whose gateway listens on a port: gateway and services, as `visavis up` started them."""
    for one in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if _module(one) == "gateway" and any(c.laddr and c.laddr.port == port for c in one.net_connections("tcp")):
                supervisor = one.parent()
                supervised = {_module(child): child for child in supervisor.children()} if supervisor else {}
                return {name: child for name, child in supervised.items() if name}
    return {}


def _module(process: psutil.Process) -> str:
    """What a process was started as, without `services.`; empty for one that has ended or is another program."""
    with contextlib.suppress(psutil.Error):
        words = process.cmdline()
        if len(words) > 1 and words[-2] == "-m":
            return words[-1].removeprefix("services.")
    return ""


if __name__ == "__main__":
    main()
