"""What every GetInfo answers, and what is wrong with something, as messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from visavis.common.v1 import info_pb2, job_pb2

from services.common import hardware
from services.common.engine import Capability, Parameter
from services.common.errors import ServiceError
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
        lack=job_pb2.Error(reason=lack.code, message=lack.reason, values=lack.values) if lack else None,
        remedy=lack.remedy if lack else "",
        parameters=[_parameter(one) for one in described.parameters],
    )


def _parameter(parameter: Parameter) -> info_pb2.Parameter:
    value_field, kind = PARAMETER_KINDS[type(parameter.default)]
    return info_pb2.Parameter(
        name=parameter.name,
        type=kind,
        default_value=info_pb2.ParameterValue(name=parameter.name, **{value_field: parameter.default}),
        minimum=parameter.minimum,
        maximum=parameter.maximum,
        choices=parameter.choices,
        help=parameter.help,
    )


def error_message(error: ServiceError) -> job_pb2.Error:
    """An error that is told of one thing among others, as a message."""
    return job_pb2.Error(reason=error.reason, message=error.message, field=error.field, values=error.values)
