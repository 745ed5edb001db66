"""Times as messages."""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp


def duration(seconds: float) -> Duration:
    """A length of time."""
    message = Duration()
    message.FromNanoseconds(round(seconds * 1e9))
    return message


def timestamp(time: float | str) -> Timestamp | None:
    """A moment, from seconds since the epoch or ISO 8601 text; None when there is none yet (0 or empty)."""
    if not time:
        return None
    message = Timestamp()
    if isinstance(time, str):
        message.FromDatetime(datetime.fromisoformat(time))
    else:
        message.FromNanoseconds(round(Fraction(time) * 10**9))  # two times that differ give two moments
    return message
