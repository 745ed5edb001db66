"""Keeps the programs running: starts them, sees when they are ready, restarts one that dies, stops all in order."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from basics.startup import WRONG_SETTINGS
from cli.local.process import Log, RunningProgram, in_words
from cli.local.programs import Program

QUICK_S = 60.0  # a program that dies sooner than this after its start is not given the benefit of the doubt
MAX_QUICK_DEATHS = 4
LONGEST_PAUSE_S = 30.0
CHECK_EVERY_S = 0.5
RECHECK_EVERY_S = 30.0  # once it is ready
DRAIN_S = 25.0  # services let calls finish for 20 s
PAGE_DRAIN_S = 8.0


class State(StrEnum):
    """Where a program stands."""

    STARTING = "starting"
    LOADING = "loading"
    READY = "ready"
    PAUSING = "restarting"
    GIVEN_UP = "given up"


@dataclass
class Watched:
    """A program under our eyes. Times are seconds of the monotonic clock; one that has served is never given up."""

    program: Program
    state: State = State.STARTING
    note: str = ""
    started_at: float = 0.0
    check_at: float = 0.0
    start_at: float = 0.0
    quick_deaths: int = 0
    has_served: bool = False
    running: RunningProgram | None = field(default=None, repr=False)

    @property
    def pid(self) -> int | None:
        """Its process."""
        return self.running.pid if self.running else None


class Supervisor:
    """Runs programs. Call `step` often, from the thread that made this.

    Args:
        logs: folder of one log per program.
        tell: is called with a sentence when something happens that a person should know.
    """

    def __init__(self, programs: list[Program], logs: Path, log_bytes: int, tell: Callable[[str], None]) -> None:
        self.watched = [Watched(program) for program in programs]
        self._logs = {one.name: Log(logs / f"{one.name}.log", log_bytes) for one in programs if one.is_here}
        self._tell = tell

    @property
    def is_ready(self) -> bool:
        """Whether everything answers."""
        return all(one.state is State.READY for one in self.watched)

    @property
    def is_settled(self) -> bool:
        """Whether everything answers or has been given up."""
        return all(one.state in (State.READY, State.GIVEN_UP) for one in self.watched)

    def step(self) -> None:
        """Look after each program once."""
        for one in self.watched:
            if one.state is not State.GIVEN_UP:
                self._look_after(one, time.monotonic())

    def stop(self) -> None:
        """End everything: the page first, then the services together, each finishing the calls it serves."""
        page = [one for one in self._running() if one.program.name == "gateway"]
        self._end(page, PAGE_DRAIN_S)
        self._end(self._running(), DRAIN_S)
        for log in self._logs.values():
            log.close()

    def kill(self) -> None:
        """End everything now."""
        self._end(self._running(), 0)

    def _running(self) -> list[Watched]:
        return [one for one in self.watched if one.running]

    @staticmethod
    def _end(some: list[Watched], seconds: float) -> None:
        running = [(one, one.running) for one in some if one.running]
        for _, process in running:
            process.terminate()
        until = time.monotonic() + seconds
        for one, process in running:
            process.wait(max(until - time.monotonic(), 0))
            process.kill()  # takes along what it may have left behind
            one.running = None

    def _look_after(self, one: Watched, now: float) -> None:
        if one.program.is_here:
            if one.running is None:
                if now >= one.start_at:
                    self._start(one, now)
                return
            if (status := one.running.exit_status) is not None:
                self._bury(one, one.running, status, now)
                return
        if now >= one.check_at:
            self._check(one)
            pause = RECHECK_EVERY_S if one.state is State.READY else CHECK_EVERY_S
            one.check_at = time.monotonic() + pause

    def _start(self, one: Watched, now: float) -> None:
        one.running = RunningProgram(one.program, self._logs[one.program.name])
        one.state, one.note, one.started_at, one.check_at = State.STARTING, "", now, now + CHECK_EVERY_S

    def _check(self, one: Watched) -> None:
        answer = one.program.state()
        if answer == "serving":
            one.state, one.note, one.has_served = State.READY, "", True
        elif answer == "loading":
            one.state = State.LOADING
        elif not one.program.is_here:
            one.state, one.note = State.STARTING, f"cannot be reached at {one.program.address}"
        elif one.state is State.READY:
            one.note = "does not answer"  # busy or hanging; only the user can tell

    def _bury(self, one: Watched, process: RunningProgram, status: int, now: float) -> None:
        words, how = process.last_words(), in_words(status)
        process.kill()
        one.running = None
        one.quick_deaths = one.quick_deaths + 1 if now - one.started_at < QUICK_S else 1
        log = self._logs[one.program.name].path
        if status == WRONG_SETTINGS:
            one.state, one.note = State.GIVEN_UP, words
            self._tell(f"{one.program.name} cannot begin. {words}")
            return
        if one.quick_deaths >= MAX_QUICK_DEATHS and not one.has_served:
            one.state, one.note = State.GIVEN_UP, words or f"see {log}"
            self._tell(f"{one.program.name} {how}, again and again; given up. {words} (log: {log})")
            return
        pause = min(2.0 ** min(one.quick_deaths - 1, 10), LONGEST_PAUSE_S)
        one.state, one.note, one.start_at = State.PAUSING, how, now + pause
        self._tell(f"{one.program.name} {how}; starting it again in {pause:.0f} s. {words}".rstrip())
