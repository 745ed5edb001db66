"""Pieces of work done by several processes at once. What comes out does not depend on how many there are.

Threads would wait for each other: between the calls that let go of the interpreter, a picture costs it milliseconds.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import ParamSpec, TypeVar

import cv2
import torch

MEMORY_EACH, DEVICE_MEMORY_EACH = 3 * 2**28, 2**30
"""Bytes that a process is expected to need at most, libraries included; and of a GPU's."""
MEMORY_KEPT = 2**31
"""Bytes left to the program itself, and to what runs beside it."""
AHEAD = 2
"""Pieces for each process that are under way or done and not yet asked for: bounds the memory."""
_MEMORY_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))

P = ParamSpec("P")
R = TypeVar("R")


def most_workers(device: torch.device) -> int:
    """As many as there are threads to compute with, and memory for them, on the device too."""
    most = min(torch.get_num_threads(), (_memory() - MEMORY_KEPT) // MEMORY_EACH)
    if device.type == "cuda":
        most = min(most, torch.cuda.mem_get_info(device)[0] // DEVICE_MEMORY_EACH)
    return max(1, most)


def wake(device: torch.device) -> None:
    """Begin to use a device: a GPU takes seconds for it in every process."""
    torch.zeros(1, device=device)


def _memory() -> int:
    """Bytes that this machine or container has."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in _MEMORY_LIMITS:
        with contextlib.suppress(OSError, ValueError):  # not there, or "max"
            memory = min(memory, int(path.read_text()))
    return memory


class Workers:
    """A pool of processes that ends with the one that opened it, however that ends; a context manager.

    With a count of 1 there is no pool: work is done where it is asked for. Functions must be importable, arguments
    and results are pickled. A process that dies makes whatever is asked for then raise BrokenProcessPool.
    """

    def __init__(self, count: int, preloaded: str = "", begin: Callable[[], object] = int) -> None:
        """`preloaded` is a module that imports what all processes share; `begin` is what each does first, at once."""
        self.count = count
        self._pool: ProcessPoolExecutor | None = None
        if count > 1:
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload([preloaded] if preloaded else [])
            end, self._line = context.Pipe(duplex=False)
            threads = max(1, torch.get_num_threads() // count)
            self._pool = ProcessPoolExecutor(count, context, initializer=_begin, initargs=(end, threads, begin))
            self._starter = threading.Thread(target=self._start, args=(self._pool,), daemon=True)
            self._starter.start()

    def _start(self, pool: ProcessPoolExecutor) -> None:
        """Have all processes begin while we go on: the pool starts one only when something is asked for."""
        with contextlib.suppress(BrokenProcessPool):  # whoever asks for something is told
            for _ in range(self.count):
                pool.submit(int)

    def submit(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Have something done; it has been, when this returns, where there is no pool."""
        if self._pool is not None:
            return self._pool.submit(work, *args, **kwargs)
        done: Future[R] = Future()
        try:
            done.set_result(work(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - raised again by whoever asks for the result
            done.set_exception(error)
        return done

    def map(self, work: Callable[..., R], *arguments: Iterable[object], ahead: int = 0) -> Iterator[R]:
        """Results in the order of the arguments, each as soon as it is there.

        `ahead` bounds the pieces that are under way or wait to be asked for, where results are large.
        """
        most = min(ahead or AHEAD * self.count, AHEAD * self.count) if self._pool else 1
        pending: deque[Future[R]] = deque()
        for each in zip(*arguments, strict=True):
            pending.append(self.submit(work, *each))
            while len(pending) >= most:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()

    def close(self) -> None:
        """End the processes, whatever they do."""
        if self._pool is not None:
            self._starter.join()
            self._line.close()
            # A process that ends in the middle of a large result leaves half of it. Whoever reads on would wait for the
            # rest for ever, for as long as we hold the writing end ourselves.
            self._pool._result_queue._writer.close()  # type: ignore[attr-defined]  # no public way
            self._pool.shutdown(cancel_futures=True)

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


NO_WORKERS = Workers(1)
"""Whoever asks does the work."""


def _begin(end: Connection, threads: int, begin: Callable[[], object]) -> None:
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    threading.Thread(target=_end_with, args=(end,), daemon=True).start()
    begin()


def _end_with(end: Connection) -> None:
    """Nothing is ever sent: this returns when the other end is closed, if only because its process is gone."""
    end.poll(None)
    os._exit(0)
