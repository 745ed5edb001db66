from __future__ import annotations

import pytest

from gateway.door.guesses import FORGET_S, FREE, LONGEST_S, MANY, MOST_ADDRESSES, Guesses


class Clock:
    """Time as the test says."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def guesses(clock: Clock) -> Guesses:
    return Guesses(clock)


def test_each_wrong_one_makes_the_wait_longer_up_to_a_limit(guesses: Guesses, clock: Clock) -> None:
    assert [guesses.judge("192.0.2.1", is_right=False) for _ in range(FREE + 1)] == [0] * (FREE + 1)
    waits = []
    for _ in range(12):
        waits.append(guesses.judge("192.0.2.1", is_right=False))
        clock.now += waits[-1]
        assert guesses.judge("192.0.2.1", is_right=False) == 0
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, LONGEST_S, LONGEST_S, LONGEST_S]


def test_the_right_one_is_no_way_round_the_wait_and_ends_it_afterwards(guesses: Guesses, clock: Clock) -> None:
    for _ in range(FREE + 1):
        guesses.judge("192.0.2.1", is_right=False)
    assert guesses.judge("192.0.2.1", is_right=True) == 1
    clock.now += 1
    assert guesses.judge("192.0.2.1", is_right=True) == 0
    assert guesses.judge("192.0.2.1", is_right=False) == 0
    assert guesses.judge("192.0.2.1", is_right=False) == 0


def test_callers_by_ipv4_wait_for_themselves_on_a_socket_for_both_kinds(guesses: Guesses) -> None:
    for _ in range(FREE + 1):
        guesses.judge("::ffff:192.0.2.1", is_right=False)
    assert guesses.judge("::ffff:192.0.2.2", is_right=True) == 0
    assert guesses.judge("192.0.2.1", is_right=True) == 1


def test_a_quiet_address_begins_anew(guesses: Guesses, clock: Clock) -> None:
    for _ in range(FREE + 1):
        guesses.judge("192.0.2.1", is_right=False)
    clock.now += FORGET_S
    assert [guesses.judge("192.0.2.1", is_right=False) for _ in range(FREE)] == [0] * FREE


def test_under_attack_from_everywhere_the_first_try_of_an_address_is_judged_and_no_second(guesses: Guesses) -> None:
    for number in range(MANY):
        guesses.judge(f"198.51.100.{number}", is_right=False)
    assert guesses.judge("192.0.2.1", is_right=True) == 0
    assert guesses.judge("192.0.2.2", is_right=False) == 0
    assert guesses.judge("192.0.2.2", is_right=False) > 0


def test_a_network_of_ipv6_counts_as_one(guesses: Guesses) -> None:
    for number in range(FREE + 1):
        guesses.judge(f"2001:db8::{number:x}", is_right=False)
    assert guesses.judge("2001:db8::ffff", is_right=False) > 0
    assert guesses.judge("2001:db8:0:1::1", is_right=False) == 0


def test_memory_is_bounded(guesses: Guesses) -> None:
    for number in range(MOST_ADDRESSES + 10):
        guesses.judge(f"name {number}", is_right=False)
    assert len(guesses._addresses) == MOST_ADDRESSES
