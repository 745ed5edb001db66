"""Sound waits for one reader, and not without bound."""

from __future__ import annotations

import threading
import time

import pytest

from client.microphone import BYTES_PER_S, MAX_WAITING_S, Microphone, TooFast

WAIT_S = 30


def test_what_is_pushed_is_read_in_order_and_counted() -> None:
    microphone = Microphone()
    reader = microphone.read()
    for piece in (b"ab", b"cd"):
        microphone.push(piece)
    assert [next(reader), next(reader)] == [b"ab", b"cd"]
    assert microphone.taken_s == 4 / BYTES_PER_S


def test_it_knows_when_a_sound_had_come() -> None:
    microphone, tick = Microphone(), bytes(BYTES_PER_S // 10)
    reader, times = microphone.read(), []
    for _ in range(3):
        times.append(time.monotonic())
        microphone.push(tick)
        next(reader)
        time.sleep(0.01)
    times.append(time.monotonic())
    assert times[1] <= microphone.arrived_at(0.15) <= microphone.arrived_at(0.2) < times[2]
    assert times[0] <= microphone.arrived_at(0.0) < times[1]
    assert microphone.arrived_at(0.9) >= times[3], "what has not come yet"


def test_more_than_a_few_seconds_are_refused_and_the_rest_is_kept() -> None:
    microphone = Microphone()
    second = bytes(BYTES_PER_S)
    for _ in range(int(MAX_WAITING_S)):
        microphone.push(second)
    with pytest.raises(TooFast):
        microphone.push(b"ab")
    next(microphone.read())
    microphone.push(second)


def test_a_new_reader_ends_the_old_one_and_takes_nothing_from_it() -> None:
    microphone = Microphone()
    old, ended = microphone.read(), threading.Event()
    threading.Thread(target=lambda: (list(old), ended.set()), daemon=True).start()
    new = microphone.read()
    taken: list[bytes] = []
    thread = threading.Thread(target=lambda: taken.append(next(new)), daemon=True)
    thread.start()
    assert ended.wait(WAIT_S)
    microphone.push(b"ab")
    thread.join(WAIT_S)
    assert taken == [b"ab"]


def test_closing_ends_the_reader() -> None:
    microphone = Microphone()
    microphone.push(b"ab")
    microphone.close()
    assert list(microphone.read()) == []
