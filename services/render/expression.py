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
    amplitude = _within("mouth_amplitude", asked, MOUTH_AMPLITUDES)
    return Expression(amplitude, _within("head_motion", asked, HEAD_MOTIONS))


def _within(field: str, asked: render_pb2.Expression, bounds: tuple[float, float]) -> float:
    value, (low, high) = getattr(asked, field) if asked.HasField(field) else 1.0, bounds
    if not low <= value <= high:
        message = f"Give a number from {low:g} to {high:g}."
        values = {"low": f"{low:g}", "high": f"{high:g}"}
        raise InvalidInput(message, reason="NUMBER_OUT_OF_RANGE", field=field, values=values)
    return value
