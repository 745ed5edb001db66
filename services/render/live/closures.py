"""Closures of the lips as callers tell them: checked, and put into seconds."""

from __future__ import annotations

from visavis.common.v1 import media_pb2

from services.common.errors import InvalidInput

AHEAD = 1000  # closures that may be told before any speech has come
PER_S = 50  # and for each second of it: no mouth shuts as often, however fast it speaks


class ToldClosures:
    """What has been told of one utterance, for speech at `rate` Hz."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._heard = self._end = self._count = 0  # samples of speech, last sample of a closure, closures

    def hear(self, sample_count: int) -> None:
        """So much more speech has come."""
        self._heard += sample_count

    def take(self, message: media_pb2.LipClosures) -> list[tuple[float, float]]:
        """The next closures: first and last second of each.

        Raises:
            InvalidInput: they are none, out of order or too many.
        """
        self._count += len(message.closures)
        if self._count > AHEAD + PER_S * self._heard / self._rate:
            raise InvalidInput(
                "These are more closures than lips can make. Send them with the speech they lie in.",
                reason="TOO_MANY_CLOSURES",
                field="closures",
            )
        return [self._span(each) for each in message.closures]

    def _span(self, closure: media_pb2.LipClosure) -> tuple[float, float]:
        start, count = closure.sample_index, closure.sample_count
        if start < self._end or count < 1:
            raise InvalidInput(
                "Closures must follow each other from the first sample on, each of at least one sample.",
                reason="BAD_CLOSURE",
                field="closures",
            )
        self._end = start + count
        return start / self._rate, self._end / self._rate
