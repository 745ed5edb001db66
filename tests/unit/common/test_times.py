"""Times as messages."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.common.times import duration, timestamp


@pytest.mark.parametrize("seconds", [0.0, 0.25, 1.999999999, 59.9999999996, 7200.5])
def test_durations_carry_over(seconds: float) -> None:
    message = duration(seconds)
    assert 0 <= message.nanos < 1_000_000_000
    assert message.seconds + message.nanos / 1e9 == pytest.approx(seconds, abs=1e-8)


def test_moments_from_seconds_and_from_text_agree() -> None:
    moment = datetime(2026, 2, 3, 4, 5, 6, 250_000, UTC)
    assert timestamp(moment.timestamp()) == timestamp(moment.isoformat())
    assert timestamp(moment.isoformat()).ToDatetime(UTC) == moment
    assert timestamp(0) is None
    assert timestamp("") is None
