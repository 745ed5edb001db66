"""What every engine of every service has in common.

An *engine* is one way of doing a service's job. It lives in `services/<svc>/engines/<name>.py`, exports a class named
`Engine`, and knows neither gRPC nor the generated messages.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass, field
from types import ModuleType


@dataclass(frozen=True)
class EngineInfo:
    """How an engine describes itself to callers."""

    name: str
    version: str
    languages: tuple[str, ...] = ()  # BCP 47 tags; empty when the engine does not care about language
    capabilities: frozenset[str] = field(default_factory=frozenset)


def available(engines: ModuleType) -> list[str]:
    """Names of the engines in a service's `engines` package, without importing any of them."""
    return sorted(module.name for module in pkgutil.iter_modules(engines.__path__))


def import_engine(engines: ModuleType, name: str) -> type:
    """The `Engine` class of one engine module.

    Raises:
        ValueError: there is no such engine; the message lists those there are.
    """
    names = available(engines)
    if name not in names:
        raise ValueError(f"There is no engine '{name}'; choose one of: {', '.join(names)}.")
    return importlib.import_module(f"{engines.__name__}.{name}").Engine
