"""What every GetInfo answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from types import ModuleType

from visavis.common.v1 import info_pb2

from services.common import hardware
from services.common.engine import EngineInfo, available


def service_info(engine: EngineInfo, engines: ModuleType, devices: Sequence[str] = ()) -> info_pb2.ServiceInfo:
    """The service's version, its engine, the engines it could have, its machine, and the devices of its jobs."""
    machine = asdict(hardware.look())
    gpus = [info_pb2.Gpu(**gpu) for gpu in machine.pop("gpus")]
    return info_pb2.ServiceInfo(
        version=version("visavis"),
        engine=engine_info(engine),
        available_engines=available(engines),
        hardware=info_pb2.Hardware(**machine, gpus=gpus),
        devices=devices,
    )


def engine_info(engine: EngineInfo) -> info_pb2.EngineInfo:
    """An engine's description as a message."""
    return info_pb2.EngineInfo(
        name=engine.name,
        version=engine.version,
        languages=engine.languages,
        capabilities=sorted(engine.capabilities),
    )
