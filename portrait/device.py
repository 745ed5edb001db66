"""Which hardware to compute on, and in which precision it is quick."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import torch


def choose(name: str = "auto") -> torch.device:
    """`auto` takes a CUDA device when there is one; otherwise any torch device name."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


@cache
def bfloat16_is_quick(device: torch.device) -> bool:
    """Whether convolutions gain from bfloat16: on GPUs, and on processors with AMX or AVX-512 BF16 instructions."""
    if device.type != "cpu":
        return True
    try:
        flags = Path("/proc/cpuinfo").read_text().split("flags", 2)[1].split("\n", 1)[0].split()
    except (OSError, IndexError):
        return False
    return bool({"amx_bf16", "avx512_bf16"} & set(flags))


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Compute small things on one thread: on a busy machine, threads that wait for each other cost fifty times more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Crew:
    """Chooses between all threads and one for a long loop of equal steps, by trying both now and then.

    On an idle machine all are quicker; on a busy one each step waits for the thread that got no processor.
    """

    TRIAL = 3
    """Steps by which a choice is judged."""
    RETRY_S = 60.0

    def __init__(self) -> None:
        self._all = torch.get_num_threads()
        self._begin_trial()

    def _begin_trial(self) -> None:
        self._trials: dict[int, list[float]] = {count: [] for count in sorted({self._all, 1}, reverse=True)}
        self._chosen_at: float | None = None

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        """Run one step with the threads that are on trial, or that have won."""
        if self._chosen_at is not None and time.monotonic() - self._chosen_at > self.RETRY_S:
            self._begin_trial()
        if self._chosen_at is None:
            torch.set_num_threads(next(c for c, times in self._trials.items() if len(times) < self.TRIAL))
        began = time.monotonic()
        yield
        if self._chosen_at is None:
            self._trials[torch.get_num_threads()].append(time.monotonic() - began)
            if all(len(times) >= self.TRIAL for times in self._trials.values()):
                torch.set_num_threads(min(self._trials, key=lambda c: min(self._trials[c])))
                self._chosen_at = time.monotonic()

    def dismiss(self) -> None:
        """Put the number of threads back."""
        torch.set_num_threads(self._all)
