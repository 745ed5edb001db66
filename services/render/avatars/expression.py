"""How lively an avatar shall be, as a caller says it."""

from __future__ import annotations

from visavis.render.v1 import render_pb2

from services.common.errors import InvalidInput
from services.render.engine import HEAD_MOTIONS, MOUTH_AMPLITUDES, Expression


def expression_of(asked: render_pb2.Expression) -> Expression:
    """What is left out is as recorded.

    Raises:
        InvalidInput: a value is out of bounds.
    """
    amplitude = asked.mouth_amplitude if asked.HasField("mouth_amplitude") else 1.0
    motion = asked.head_motion if asked.HasField("head_motion") else 1.0
    return Expression(
        _within("mouth_amplitude", amplitude, MOUTH_AMPLITUDES), _within("head_motion", motion, HEAD_MOTIONS)
    )


def _within(field: str, value: float, bounds: tuple[float, float]) -> float:
    low, high = bounds
    if not low <= value <= high:
        message = f"Give a number from {low:g} to {high:g}."
        values = {"low": f"{low:g}", "high": f"{high:g}"}
        raise InvalidInput(message, reason="NUMBER_OUT_OF_RANGE", field=field, values=values)
    return value
