"""Which hardware to compute on, and in which precision it is quick."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)


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


def channels_last(net: M) -> M:
    """The network itself, its weights laid out as convolutions are quickest."""
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's own types forget it
    return net


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Compute small things on one thread: on a busy machine, threads that wait for each other cost fifty times more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Recorded:
    """A step of many small calculations. A GPU repeats it from a recording: to start them one by one takes longer.

    The first calls, which are steps like any other, let libraries settle on what they use; then it is recorded. The
    step must do the same with each input, which is always of the same shapes, and read what changes from tensors.
    """

    SETTLING = 3

    def __init__(self, step: Callable[..., Tensor], device: torch.device) -> None:
        self._step, self._device = step, device
        self._inputs: list[Tensor] = []
        self._graph: torch.cuda.CUDAGraph | None = None
        self._calls = 0

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Do the step; what it returns is overwritten by the next one."""
        if self._device.type != "cuda":
            return self._step(*inputs)
        self._calls += 1
        self._inputs = self._inputs or [torch.empty_like(each, device=self._device) for each in inputs]
        for kept, given in zip(self._inputs, inputs, strict=True):
            kept.copy_(given)
        if self._calls <= self.SETTLING:
            return self._settle()
        if self._graph is None:
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._result = self._step(*self._inputs)
        self._graph.replay()
        return self._result

    def _settle(self) -> Tensor:
        aside = torch.cuda.Stream(self._device)
        aside.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(aside):
            result = self._step(*self._inputs)
        torch.cuda.current_stream(self._device).wait_stream(aside)
        return result


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
