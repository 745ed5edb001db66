"""The clock of whoever plays a reply."""

from __future__ import annotations

import pytest

from client.talk.playing import Playing


def test_a_reply_is_played_as_fast_as_it_is_spoken_but_not_before_it_has_come() -> None:
    now = 100.0
    playing = Playing(lambda: now)
    playing.came(2.0)
    now += 1
    assert playing.seconds == 0, "it has not begun"
    playing.play()
    now += 1.5
    assert playing.seconds == pytest.approx(1.5)
    now += 5
    assert playing.seconds == pytest.approx(2.0)
    playing.came(4.0)
    now += 0.5
    assert playing.seconds == pytest.approx(2.5), "while it waited for more, it stood still"


def test_a_reply_stands_still_while_it_is_paused() -> None:
    now = 100.0
    playing = Playing(lambda: now)
    playing.came(9.0)
    playing.play()
    now += 1
    playing.pause()
    now += 3
    assert playing.seconds == pytest.approx(1)
    playing.play()
    now += 1
    assert playing.seconds == pytest.approx(2)
