"""What the machine has: processors, memory, graphics processors."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import pynvml

from services.common.errors import InvalidInput

CGROUP = Path("/sys/fs/cgroup")
MEMORY_RESERVE = 0.1


@dataclass(frozen=True)
class Gpu:
    """One graphics processor; sizes in bytes."""

    device: str
    name: str
    memory_total_bytes: int
    memory_free_bytes: int


@dataclass(frozen=True)
class Hardware:
    """One machine; sizes in bytes, load in percent since the last look."""

    host_name: str
    cpu_count: int
    cpu_percent: float
    memory_total_bytes: int
    memory_available_bytes: int
    gpus: tuple[Gpu, ...]


def look() -> Hardware:
    """The machine as it is now."""
    memory = psutil.virtual_memory()
    return Hardware(
        host_name=socket.gethostname(),
        cpu_count=processors(),
        cpu_percent=psutil.cpu_percent(),
        memory_total_bytes=memory.total,
        memory_available_bytes=memory.available,
        gpus=gpus(),
    )


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0))


def gpus() -> tuple[Gpu, ...]:
    """The NVIDIA devices that the driver shows; none when there is no driver."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        return tuple(_gpu(index) for index in range(pynvml.nvmlDeviceGetCount()))
    finally:
        pynvml.nvmlShutdown()


def _gpu(index: int) -> Gpu:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    return Gpu(f"cuda:{index}", pynvml.nvmlDeviceGetName(handle), int(memory.total), int(memory.free))


def memory_is_short() -> bool:
    """Whether less than a tenth of the memory that this process may use is left."""
    memory = psutil.virtual_memory()
    if memory.available < MEMORY_RESERVE * memory.total:
        return True
    limit, used = (_cgroup_bytes(name) for name in ("memory.max", "memory.current"))
    return limit is not None and used is not None and limit - used < MEMORY_RESERVE * limit


def _cgroup_bytes(name: str) -> int | None:
    """What a container is allowed and holds; None where there is no limit or no control group of version 2."""
    try:
        return int((CGROUP / name).read_text())
    except (OSError, ValueError):
        return None


def devices(allowed: Sequence[str] = ()) -> list[str]:
    """Names of the devices a job may ask for, the fastest first: those that a setting allows, or all there are."""
    return list(allowed) or [gpu.device for gpu in gpus()] + ["cpu"]


def check_device(device: str, allowed: Sequence[str] = (), field: str = "device") -> None:
    """Raises:
    InvalidInput: a device was asked for that no job runs on here.
    """
    if device and device not in devices(allowed):
        names = ", ".join(devices(allowed))
        message = f"There is no device of that name here; choose one of: {names}."
        raise InvalidInput(message, reason="NO_DEVICE", field=field, values={"devices": names})
