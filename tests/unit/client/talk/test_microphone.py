"""Sound waits for one reader, and not without bound."""

from __future__ import annotations

import threading
import time

import pytest

from client.talk.microphone import BYTES_PER_S, MAX_AHEAD_S, MAX_WAITING_S, Microphone, TooFast

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


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


SECOND = bytes(BYTES_PER_S)


def test_sound_that_the_network_held_back_is_heard_however_much_it_is() -> None:
    clock = Clock()
    microphone = Microphone(clock)
    microphone.push(SECOND)
    clock.now += 20
    for _ in range(19):
        microphone.push(SECOND)
    reader = microphone.read()
    assert sum(len(next(reader)) for _ in range(20)) == 20 * BYTES_PER_S


def test_sound_that_keeps_coming_faster_than_time_passes_is_refused() -> None:
    clock = Clock()
    microphone = Microphone(clock)
    reader = microphone.read()
    with pytest.raises(TooFast):
        for _ in range(int(2 * MAX_AHEAD_S) + 2):  # two seconds in each, all of them taken at once
            microphone.push(SECOND)
            microphone.push(SECOND)
            clock.now += 1.5
            next(reader), next(reader)
    assert clock.now == 125.5, "neither at once nor never"


def test_of_what_nobody_takes_the_oldest_is_dropped_and_does_not_count() -> None:
    clock = Clock()
    microphone = Microphone(clock)
    for number in range(int(MAX_WAITING_S) + 3):
        microphone.push(bytes([number]) * BYTES_PER_S)
        clock.now += 1
    assert next(microphone.read())[0] == 3
    assert microphone.taken_s == 1


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
