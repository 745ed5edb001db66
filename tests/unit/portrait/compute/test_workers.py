"""Pieces of work come back in order from however many processes, and no process outlives who started it."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool

import psutil
import pytest
import torch

from portrait.compute import workers
from portrait.compute.workers import Workers, most_workers
from portrait.errors import RecordingError

LONGEST_S = 60
ORPHANS = """
import os, time
from portrait.compute.workers import Workers
if __name__ == "__main__":
    with Workers(2) as workers:
        print(workers.submit(os.getpid).result(), flush=True)
        workers.submit(time.sleep, 600).result()
"""


@pytest.mark.parametrize("count", [1, 3])
def test_results_come_in_order(count: int) -> None:
    with Workers(count) as some:
        assert list(some.map(pow, range(20), [2] * 20)) == [n * n for n in range(20)]
        assert list(some.map(pow, range(20), [2] * 20, ahead=1)) == [n * n for n in range(20)]
        assert (some.submit(os.getpid).result() == os.getpid()) == (count == 1)


@pytest.mark.parametrize("count", [1, 2])
def test_what_goes_wrong_is_raised_where_the_result_is_asked_for(count: int) -> None:
    with Workers(count) as some:
        wrong = some.submit(int, "x")
        assert some.submit(int, "7").result() == 7
        with pytest.raises(ValueError, match="invalid literal"):
            wrong.result()


def test_a_process_that_dies_is_no_endless_wait() -> None:
    with Workers(2) as some, pytest.raises(BrokenProcessPool):
        some.submit(os._exit, 3).result()


def test_closing_ends_what_is_under_way() -> None:
    with Workers(2) as some:
        process = some.submit(os.getpid).result()
        sleeping = some.submit(time.sleep, 600)
    assert sleeping.done()
    assert not _alive(process)


def test_closing_does_not_wait_for_the_rest_of_large_results() -> None:
    for _ in range(4):
        with Workers(2) as some:
            some.submit(bytes, 1).result()
            for _ in range(4):
                some.submit(bytes, 60_000_000)
            time.sleep(0.1)  # until some of them are on their way


def test_errors_about_recordings_keep_their_words_between_processes() -> None:
    error = pickle.loads(pickle.dumps(RecordingError("TOO_SHORT", "It is too short.", {"seconds": "3"})))
    assert (error.reason, str(error), error.values) == ("TOO_SHORT", "It is too short.", {"seconds": "3"})


def test_no_process_outlives_one_that_was_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", ORPHANS], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        assert _alive(worker)
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + LONGEST_S
    while _alive(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _alive(worker)


def _alive(process: int) -> bool:
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_as_many_as_memory_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    for memory, count in ((2**40, 8), (workers.MEMORY_KEPT + 3 * workers.MEMORY_EACH + 5, 3), (2**20, 1)):
        monkeypatch.setattr(workers, "_memory", lambda memory=memory: memory)
        assert most_workers(torch.device("cpu")) == count
