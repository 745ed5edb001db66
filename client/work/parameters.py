"""What an engine can be told by name, as people and forms write it."""

from __future__ import annotations

from typing import Any

import grpc
from visavis.common.v1 import info_pb2

from client import library
from client.wire.errors import CallError
from client.wire.services import Services

WORDS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def typed(services: Services, service: str, engine: str, parameters: dict[str, str]) -> list[info_pb2.ParameterValue]:
    """Text values as the types that an engine declares, empty for the default; what it does not know it will refuse.

    Raises:
        CallError: one is of another type; `field` says which.
    """
    if not parameters:
        return []
    info = library.get_info(services, service).info
    wanted = engine or info.default_engine
    declared = (parameter for one in info.engines if one.name == wanted for parameter in one.parameters)
    types = {parameter.name: parameter.type for parameter in declared}
    return [_typed_value(name, text, types.get(name)) for name, text in parameters.items()]


def _typed_value(name: str, text: Any, kind: int | None) -> info_pb2.ParameterValue:
    try:
        if kind == info_pb2.PARAMETER_TYPE_INTEGER:
            return info_pb2.ParameterValue(name=name, integer=int(text))
        if kind == info_pb2.PARAMETER_TYPE_NUMBER:
            return info_pb2.ParameterValue(name=name, number=float(text))
    except ValueError:
        message = f"'{name}' must be a number."
        raise CallError(
            grpc.StatusCode.INVALID_ARGUMENT, "NOT_A_NUMBER", message, f"params.{name}", {"name": name}
        ) from None
    if kind == info_pb2.PARAMETER_TYPE_BOOLEAN:
        return info_pb2.ParameterValue(name=name, boolean=_yes_or_no(name, str(text)))
    return info_pb2.ParameterValue(name=name, text=str(text))


def _yes_or_no(name: str, text: str) -> bool:
    if text.lower() not in WORDS:
        message = f"'{name}' must be yes or no."
        raise CallError(grpc.StatusCode.INVALID_ARGUMENT, "NOT_YES_OR_NO", message, f"params.{name}", {"name": name})
    return WORDS[text.lower()]
