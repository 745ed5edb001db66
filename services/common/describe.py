"""What every GetInfo answers, and what is wrong with something, as messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from visavis.common.v1 import error_pb2, info_pb2

from basics.problem import Problem
from services.common import hardware
from services.common.engine import Capability, Lack, Parameter
from services.common.hosting import Description, Engines, State

_STATES = {
    State.READY: info_pb2.ENGINE_STATE_READY,
    State.UNLOADED: info_pb2.ENGINE_STATE_UNLOADED,
    State.MISSING: info_pb2.ENGINE_STATE_MISSING,
}
_CAPABILITIES = {one: info_pb2.Capability.Value(f"CAPABILITY_{one.name}") for one in Capability}
PARAMETER_KINDS = {
    bool: ("boolean", info_pb2.PARAMETER_TYPE_BOOLEAN),
    int: ("integer", info_pb2.PARAMETER_TYPE_INTEGER),
    float: ("number", info_pb2.PARAMETER_TYPE_NUMBER),
    str: ("text", info_pb2.PARAMETER_TYPE_TEXT),
}


def service_info(engines: Engines[Any], devices: Sequence[str] = ()) -> info_pb2.ServiceInfo:
    """The service's version, its engines, the default one first, its machine, and the devices of its jobs."""
    machine = asdict(hardware.look())
    gpus = [info_pb2.Gpu(**gpu) for gpu in machine.pop("gpus")]
    return info_pb2.ServiceInfo(
        version=version("visavis"),
        default_engine=engines.default,
        engines=[_engine(one) for one in engines.describe()],
        hardware=info_pb2.Hardware(**machine, gpus=gpus),
        devices=devices,
    )


def _engine(described: Description) -> info_pb2.EngineInfo:
    info, lack = described.info, described.lack
    return info_pb2.EngineInfo(
        name=info.name,
        version=info.version,
        languages=info.languages,
        capabilities=sorted(_CAPABILITIES[one] for one in info.capabilities),
        licence=info.licence,
        state=_STATES[described.state],
        lack=_problem(lack),
        remedy=lack.remedy if lack else "",
        parameters=[_parameter(one) for one in described.parameters],
    )


def detector_info(name: str, lack: Lack | None) -> info_pb2.EngineInfo:
    """Something small that a service uses besides its engines, where it is there."""
    return info_pb2.EngineInfo(
        name=name,
        state=_STATES[State.MISSING if lack else State.READY],
        lack=_problem(lack),
        remedy=lack.remedy if lack else "",
    )


def _problem(lack: Lack | None) -> error_pb2.Error | None:
    return error_message(Problem(lack.code, lack.reason, values=lack.values)) if lack else None


def _parameter(parameter: Parameter) -> info_pb2.Parameter:
    value_field, kind = PARAMETER_KINDS[type(parameter.default)]
    default = info_pb2.ParameterValue(name=parameter.name)
    setattr(default, value_field, parameter.default)
    return info_pb2.Parameter(
        name=parameter.name,
        type=kind,
        default_value=default,
        minimum=parameter.minimum,
        maximum=parameter.maximum,
        choices=parameter.choices,
        help=parameter.help,
    )


def error_message(problem: Problem) -> error_pb2.Error:
    """What is wrong with one thing among others, as a message."""
    return error_pb2.Error(**asdict(problem))
