"""Waiting for a stream only so long, and for a service that is away."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import grpc

from client.wire.errors import CallError

T = TypeVar("T")

LOOK_S = 0.1
RESTART_PAUSES_S = (1.0, 2.0, 4.0, 8.0, 15.0)
"""Pauses for who waits for the answer: a killed service is back in seconds, on a busy machine in half a minute."""


class TookTooLong(Exception):  # noqa: N818 - it says what happened
    """The next item did not come in time; the call has been ended."""


def in_time(items: Iterable[T], end: Callable[[], object], *, first_s: float, next_s: float) -> Iterator[T]:
    """The items of a call. Only the waiting for them counts, not what the reader does with them.

    Args:
        end: ends the call, so that whoever waits for its next item gets an exception.
        first_s: how long the first item may take.
        next_s: how long each other one may take.

    Raises:
        TookTooLong: an item did not come in time.
    """
    due, is_late, is_over = math.inf, False, threading.Event()

    def watch() -> None:
        nonlocal is_late
        while not is_over.wait(LOOK_S):
            if time.monotonic() > due:
                is_late = True
                end()
                return

    threading.Thread(target=watch, daemon=True).start()
    try:
        due = time.monotonic() + first_s
        for item in items:
            due = math.inf
            yield item
            due = time.monotonic() + next_s
    except Exception as error:
        if is_late:
            raise TookTooLong from error
        raise
    finally:
        is_over.set()


AWAY = ("UNAVAILABLE", "LOADING")
"""Reasons of a service that is away. With any other, an `UNAVAILABLE` call is a refusal: an engine without its key."""


def through_restarts(attempt: Callable[[], T], pauses_s: Iterable[float]) -> T:
    """What an attempt returns; while the service is away, it is made again after each pause.

    Raises:
        CallError: the attempt was refused, or the service stayed away.
    """
    for pause_s in pauses_s:
        try:
            return attempt()
        except CallError as error:
            if error.code is not grpc.StatusCode.UNAVAILABLE or error.reason not in AWAY:
                raise
        time.sleep(pause_s)
    return attempt()
