"""Whether a live talk lasts: `python -m bench.live_soak speech.wav … [--minutes 30] [--sessions 2] [--kill render]`.

Drives a stack that `visavis up` runs on this machine. Several users talk back and forth: they speak or write, hear the
reply to its end or interrupt it (by voice, with the stop button, or by writing), are silent for a while, and sometimes
reconnect. In the middle one service is killed; its supervisor starts it again. The choices are those of `--seed`.

Printed: replies that came and that never came, errors while the service was away and at any other time, interruptions
that were not obeyed, late fragments by start buffer, how far sound and pictures were apart in every reply's media, and
the resident memory of each process, after a tenth of the time and at the end.
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

from bench.live_client import Played, User
from bench.live_clock import Clocks, clocks
from bench.live_sessions import BUFFERS_S, QUESTIONS, processes
from bench.live_sound import spoken

WAIT_S = 40.0
OBEY_S = 15.0
AWAY_S = 45.0
"""For so long after the killing, errors and missing replies are expected."""
LOOK_S = 10.0
VOICE, STOP, TEXT = "voice", "stop", "text"


@dataclass
class Journal:
    """What happened, by all sessions; threads only append."""

    replies: list[Played] = field(default_factory=list)
    clocks: list[Clocks] = field(default_factory=list)
    asked: list[tuple[float, bool]] = field(default_factory=list)
    """When something was asked, and whether a reply began."""
    errors: list[tuple[float, str]] = field(default_factory=list)
    stops: list[tuple[float, str, bool]] = field(default_factory=list)
    """When a reply was interrupted, how, and whether it ended."""
    reconnections: int = 0
    memory: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    """Time and MB, by process: one that was started anew is another."""
    killed_at: float | None = None

    def is_expected(self, at: float) -> bool:
        """Whether the killed service may have been away."""
        return self.killed_at is not None and self.killed_at - WAIT_S < at < self.killed_at + AWAY_S


def main() -> None:
    """Talk, kill, count."""
    options = _options()
    recordings = [spoken(path) for path in options.recordings]
    port = int(options.url.rpartition(":")[2])
    if not processes(port):
        sys.exit(f"no stack of `visavis up` serves port {port} on this machine")
    journal, began = Journal(), time.monotonic()
    end = began + 60 * options.minutes
    threads = [
        threading.Thread(target=_Session(options, number, recordings, journal).talk, args=(end,))
        for number in range(options.sessions)
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if journal.killed_at is None and options.kill and time.monotonic() > (began + end) / 2:
            processes(port)[options.kill].kill()
            journal.killed_at = time.monotonic()
        _weigh(port, journal)
        time.sleep(LOOK_S)
    _weigh(port, journal)
    _tell(options, journal, began)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.live_soak", description=__doc__.splitlines()[0])
    parser.add_argument("recordings", nargs="+", type=Path, help="what the users say, in English")
    parser.add_argument("--url", default="http://127.0.0.1:5001", help="of the gateway")
    parser.add_argument("--avatar", default="Vera")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--sessions", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--kill", default="render", help="the service to kill in the middle; empty for none")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


class _Session:
    """One user's half an hour."""

    def __init__(
        self, options: argparse.Namespace, number: int, recordings: list[np.ndarray], journal: Journal
    ) -> None:
        self._recordings, self._journal = recordings, journal
        self._chance = random.Random(f"{options.seed} {number}")
        self._user = User(options.url, avatar=options.avatar, size=options.size, keeps_media=True)

    def talk(self, end: float) -> None:
        """Until the time is over."""
        while time.monotonic() < end:
            self._turn()
            self._note()
            time.sleep(self._chance.uniform(0, 4))
            if self._chance.random() < 0.04 or not self._user.is_connected:
                self._journal.reconnections += 1
                self._user.reconnect()
        self._note()
        self._user.close()

    def _turn(self) -> None:
        asked = time.monotonic()
        if self._chance.random() < 0.5:
            _, asked = self._user.speak(self._chance.choice(self._recordings), silence_s=1.5)
        else:
            self._user.socket.say(self._chance.choice(QUESTIONS))
        reply = self._reply(asked, asked - 2.0)
        if reply and self._chance.random() < 0.4:
            self._interrupt(reply)
        self._user.wait_until_answered(2 * WAIT_S)

    def _reply(self, asked: float, since: float) -> int | None:
        """The number of the reply to what was asked, if one comes; whether it does is written down."""
        began = self._user.wait(("media", "error"), since, WAIT_S)
        has_come = began is not None and began[1]["type"] == "media"
        self._journal.asked.append((asked, has_come))
        return int(began[1]["reply"]) if began and has_come else None

    def _interrupt(self, reply: int) -> None:
        how = self._chance.choice((VOICE, STOP, TEXT))
        time.sleep(self._chance.uniform(0.3, 5.0))
        if not self._user.is_playing:
            return  # it was shorter than that
        at = time.monotonic()
        if how == VOICE:
            self._user.speak(self._chance.choice(self._recordings), silence_s=1.5)
        elif how == STOP:
            self._user.socket.stop()
        else:
            self._user.socket.say(self._chance.choice(QUESTIONS))
        ended = self._user.wait(("interrupted",), at, OBEY_S)
        self._journal.stops.append((at, how, ended is not None and ended[1]["reply"] == reply))
        if how != STOP:  # that was a question, too
            self._reply(at, at)

    def _note(self) -> None:
        self._journal.errors += self._user.errors
        self._user.errors.clear()
        for reply in self._user.forget():
            if len(reply.data) > 1:
                self._journal.clocks.append(clocks(reply.data[0], reply.data[1:], reply.fps))
            reply.data.clear()
            self._journal.replies.append(reply)


def _weigh(port: int, journal: Journal) -> None:
    for name, process in processes(port).items():
        try:
            journal.memory[f"{name} {process.pid}"].append((time.monotonic(), process.memory_info().rss / 1e6))
        except psutil.NoSuchProcess:
            continue  # it was killed


def _tell(options: argparse.Namespace, journal: Journal, began: float) -> None:
    minutes = (time.monotonic() - began) / 60
    replies = [reply for reply in journal.replies if reply.came_s]
    interrupted = sum(reply.is_interrupted for reply in replies)
    print(f"{options.sessions} sessions at {options.size} px, {minutes:.1f} min, seed {options.seed}")
    print(f"replies: {len(replies)}, of which interrupted {interrupted}; reconnections {journal.reconnections}")
    never = [at for at, came in journal.asked if not came]
    away = sum(journal.is_expected(at) for at in never)
    killed = options.kill or "nothing"
    print(f"asked {len(journal.asked)}; never answered: {away} while {killed} was away, {len(never) - away} else")
    lasting = Counter(code for at, code in journal.errors if not journal.is_expected(at))
    print(f"errors: {len(journal.errors) - lasting.total()} while it was away, {lasting.total()} else {dict(lasting)}")
    refused = Counter(how for at, how, ended in journal.stops if not ended and not journal.is_expected(at))
    print(f"interruptions: {len(journal.stops)}, not obeyed {refused.total()} {dict(refused)}")
    fragments = sum(len(reply.came_s) for reply in replies)
    for buffer_s in BUFFERS_S:
        late = [seconds for reply in replies for seconds in reply.late(buffer_s)]
        worst = f", the worst by {1000 * max(late):.0f} ms" if late else ""
        print(f"start buffer {1000 * buffer_s:3.0f} ms: {len(late)} of {fragments} fragments late{worst}")
    if journal.clocks:
        seconds = sum(each.seconds for each in journal.clocks)
        apart, drift = (max(getattr(each, name) for each in journal.clocks) for name in ("apart_ms", "drift_ms"))
        print(
            f"sound and pictures, {seconds / 60:.1f} min: at most {apart:.1f} ms apart, {drift:.2f} ms off their counts"
        )
    _tell_memory(journal, began, minutes)


def _tell_memory(journal: Journal, began: float, minutes: float) -> None:
    print("| process | MB early | MB at the end | most | MB a minute over the second half |\n|---|---|---|---|---|")
    for name, seen in sorted(journal.memory.items()):
        early = next((mb for at, mb in seen if at - seen[0][0] >= 6 * minutes), seen[-1][1])
        half = [(at / 60, mb) for at, mb in seen if at >= (seen[0][0] + seen[-1][0]) / 2]
        minute, size = np.array(half).T
        slope = np.polyfit(minute, size, 1)[0] if len(half) > 2 else 0.0
        print(f"| {name} | {early:.0f} | {seen[-1][1]:.0f} | {max(mb for _, mb in seen):.0f} | {slope:+.2f} |")


if __name__ == "__main__":
    main()
