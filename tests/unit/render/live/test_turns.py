"""Who computes next."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from services.render.live.turns import Playback, Turns


def test_who_is_due_first_goes_first() -> None:
    async def work() -> list[float]:
        turns, went = Turns(1), []

        async def go(due_s: float) -> None:
            async with turns.turn(due_s):
                went.append(due_s)
                await asyncio.sleep(0)

        async with turns.turn(9):
            others = [asyncio.create_task(go(due_s)) for due_s in (5, 1, 3, 1)]
            await asyncio.sleep(0)
        await asyncio.gather(*others)
        return went

    assert asyncio.run(work()) == [1, 1, 3, 5]


def test_so_many_at_once_and_no_more() -> None:
    async def work() -> list[int]:
        turns, inside, most = Turns(2), 0, [0]

        async def go() -> None:
            nonlocal inside
            async with turns.turn(0):
                inside += 1
                most.append(inside)
                await asyncio.sleep(0)
                inside -= 1

        await asyncio.gather(*(go() for _ in range(9)))
        return most

    assert max(asyncio.run(work())) == 2


def test_what_has_time_is_computed_when_nobody_else_computes() -> None:
    async def work() -> list[str]:
        turns, went = Turns(2), []

        async def alone() -> None:
            async with turns.alone():
                went.append("alone")
                await asyncio.sleep(0)
                went.append("done")

        async def go(name: str) -> None:
            async with turns.turn(0):
                went.append(name)

        async with turns.turn(1):
            async with turns.turn(2):
                others = [asyncio.create_task(one) for one in (alone(), go("first"))]
                await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert went == ["first"], "somebody still computes"
        await asyncio.sleep(0)
        await asyncio.gather(*others, go("second"))
        async with asyncio.timeout(10), turns.turn(0), turns.turn(0):
            return went

    assert asyncio.run(work()) == ["first", "alone", "done", "second"]


def test_turns_are_not_lost_when_somebody_gives_up() -> None:
    async def work() -> None:
        turns = Turns(1)

        async def go() -> None:
            async with turns.turn(0):
                await asyncio.sleep(3600)

        holding, waiting, called = (asyncio.create_task(go()) for _ in range(3))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.sleep(0)
        holding.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await holding  # its turn has been given to `called`, which does not know yet
        called.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await called
        async with asyncio.timeout(10), turns.turn(0):
            pass

    asyncio.run(work())


def test_a_stream_waits_when_it_is_far_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        watched = Playback(25.0, clock=lambda: 7.0)
        watched.sent(5)
        await watched.wait(0.2)  # nothing to wait for
        watched.sent(25)
        assert watched.due_s == pytest.approx(7.0 + 1.2)
        await watched.wait(0.9)

    rests: list[float] = []

    async def rest(seconds: float) -> None:
        rests.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", rest)
    asyncio.run(work())
    assert rests == pytest.approx([0.0, 0.3])


def test_who_had_to_wait_is_not_behind_for_ever() -> None:
    times = iter([0.0, 0.0, 0.1])
    watched = Playback(25.0, clock=lambda: next(times))
    watched.sent(1)
    watched.sent(25)  # later than the first picture lasts
    assert watched.due_s == pytest.approx(0.1 + 1.0)
