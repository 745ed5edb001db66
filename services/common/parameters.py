"""What callers set of an engine's parameters, checked against what it declares."""

from __future__ import annotations

from collections.abc import Iterable

from visavis.common.v1 import info_pb2

from services.common.describe import PARAMETER_KINDS
from services.common.engine import Parameter, Value
from services.common.errors import InvalidInput

_WORDS = {bool: "yes or no", int: "a whole number", float: "a number", str: "text"}


def check(values: Iterable[info_pb2.ParameterValue], known: list[Parameter]) -> dict[str, Value]:
    """What a caller set, as Python values by name.

    Raises:
        InvalidInput: an unknown name, a wrong type or a value out of bounds; `field` is `params.<name>`.
    """
    by_name = {parameter.name: parameter for parameter in known}
    checked: dict[str, Value] = {}
    for value in values:
        if value.name not in by_name:
            names = ", ".join(by_name)
            raise _refusal(value.name, "PARAMETER_UNKNOWN", f"This engine has no such parameter; it has: {names}.")
        checked[value.name] = _checked(value, by_name[value.name])
    return checked


def _checked(message: info_pb2.ParameterValue, parameter: Parameter) -> Value:
    kind = type(parameter.default)
    field, words = PARAMETER_KINDS[kind][0], _WORDS[kind]
    given = message.WhichOneof("value")
    if given is None or (given != field and (field, given) != ("number", "integer")):
        raise _refusal(parameter.name, "PARAMETER_TYPE", f"'{parameter.name}' must be {words}.")
    value = kind(getattr(message, given))
    if parameter.choices and value not in parameter.choices:
        choices = ", ".join(parameter.choices)
        raise _refusal(parameter.name, "PARAMETER_CHOICE", f"'{parameter.name}' must be one of: {choices}.")
    _check_bounds(value, parameter)
    return value


def _check_bounds(value: Value, parameter: Parameter) -> None:
    if isinstance(value, str):
        return
    low, high = parameter.minimum, parameter.maximum
    if (low is not None and not value >= low) or (high is not None and not value <= high):  # `not`: refuses NaN too
        bounds = (
            f"between {low:g} and {high:g}" if None not in (low, high) else f"at least {low}" if high is None else ""
        )
        raise _refusal(parameter.name, "PARAMETER_RANGE", f"'{parameter.name}' must be {bounds or f'at most {high}'}.")
    if parameter.step and value % parameter.step:
        message = f"'{parameter.name}' must be a multiple of {parameter.step}."
        raise _refusal(parameter.name, "PARAMETER_RANGE", message)


def _refusal(name: str, reason: str, message: str) -> InvalidInput:
    return InvalidInput(message, reason=reason, field=f"params.{name}", values={"name": name})
