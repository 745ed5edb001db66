"""A service's engines, side by side: described without being loaded, loaded when first used, let go when idle.

One that cannot be imported, lacks something or fails to load is told as missing, and takes nothing else down.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import Enum
from types import ModuleType
from typing import Generic, TypeVar, cast

from pydantic import ValidationError

from services.common import hardware
from services.common.engine import (
    BaseEngine,
    EngineInfo,
    Lack,
    Parameter,
    add_folder,
    available,
    import_engine,
    missing_package,
    package_lack,
)
from services.common.errors import InvalidInput, ServiceError, Unavailable
from services.common.settings import ServiceSettings

logger = logging.getLogger(__name__)

E = TypeVar("E", bound=BaseEngine)


class State(Enum):
    """Where an engine stands."""

    READY = "ready"
    UNLOADED = "loads on first use"
    MISSING = "missing"


@dataclass(frozen=True)
class Description:
    """What GetInfo tells of an engine."""

    info: EngineInfo
    state: State
    lack: Lack | None = None  # of one that is missing
    parameters: tuple[Parameter, ...] = ()


@dataclass
class _Seat(Generic[E]):
    """The place of one engine."""

    name: str
    engine: E | None = None  # None: its file cannot be imported or its settings read
    lack: Lack | None = None  # what was found when it was made or loaded
    is_loaded: bool = False
    users: int = 0
    used_at: float = 0.0  # monotonic


class Engines(Generic[E]):
    """The engines of one service.

    Args:
        package: the service's `engines` package.
        service: its short name, e.g. "asr".
        settings: of the service; they name the default engine.

    Raises:
        ValueError: the default engine, or one to load at the start, does not exist.
    """

    def __init__(self, package: ModuleType, service: str, settings: ServiceSettings) -> None:
        self._package, self._service, self._settings = package, service, settings
        self.default = settings.engine
        self._seats: dict[str, _Seat[E]] = {}
        add_folder(package, service, settings.engine_folder)
        self._lock = threading.RLock()  # held for moments
        self._loading = threading.Lock()  # one at a time, which keeps the peak of memory low
        for name in self._kept():
            self._check(name)

    def _kept(self) -> set[str]:
        return {self.default, *self._settings.preload}

    def _check(self, name: str) -> None:
        if name not in (names := available(self._package)):
            raise ValueError(f"There is no engine '{name}'; choose one of: {', '.join(names)}.")

    # Described

    def describe(self) -> list[Description]:
        """Every engine, the default one first. Blocks while files are imported for the first time."""
        names = sorted(available(self._package), key=lambda name: (name != self.default, name))
        return [self._described(self._seat(name)) for name in names]

    def info(self, name: str = "") -> EngineInfo:
        """One engine's description; empty for the default."""
        return self._described(self._seat(name or self.default)).info

    def parameters(self, name: str = "") -> list[Parameter]:
        """The knobs of one engine; empty for the default.

        Raises:
            InvalidInput: there is no such engine.
        """
        return list(self._described(self._chosen(name, "engine")).parameters)

    def _described(self, seat: _Seat[E]) -> Description:
        info, parameters = EngineInfo(seat.name, ""), ()
        if seat.engine:
            try:
                info, parameters = seat.engine.info(), tuple(seat.engine.parameters())
            except Exception:  # noqa: BLE001 - one engine that cannot describe itself must not hide the others
                logger.exception("an engine cannot describe itself", extra={"fields": {"engine": seat.name}})
        lack = None if seat.is_loaded else self._lack(seat)
        state = State.READY if seat.is_loaded else State.MISSING if lack else State.UNLOADED
        return Description(info, state, lack, parameters)

    def _lack(self, seat: _Seat[E]) -> Lack | None:
        if seat.engine is None:
            return seat.lack
        return package_lack(type(seat.engine), self._service, seat.name) or seat.engine.lack() or seat.lack

    # Used

    def load(self) -> None:
        """Load the default engine and those to be loaded at the start; one that cannot be is told in the log."""
        for name in sorted(self._kept()):
            seat = self._seat(name)
            try:
                self._load(seat)
            except ServiceError as error:
                logger.warning("an engine is missing", extra={"fields": {"engine": name, "reason": error.message}})

    @contextlib.asynccontextmanager
    async def use(self, name: str = "", field: str = "config.engine") -> AsyncIterator[E]:
        """An engine for the length of a call, loaded first if need be; empty for the default.

        Raises:
            InvalidInput: there is no such engine; `field` is the request's.
            Unavailable: it is missing; the message says what it lacks and how to mend that.
        """
        seat = self._chosen(name, field)
        is_loaded = self._sit_down(seat)
        try:
            if not is_loaded:
                await asyncio.to_thread(self._load, seat)
            yield cast(E, seat.engine)
        finally:
            self._stand_up(seat)

    def keep(self, name: str = "", field: str = "engine") -> E:
        """An engine that stays loaded as long as the service runs. Blocks while it loads; raises as `use`."""
        seat = self._chosen(name, field)
        if not self._sit_down(seat):
            try:
                self._load(seat)
            except BaseException:
                self._stand_up(seat)
                raise
        return cast(E, seat.engine)

    def unload_idle(self) -> int:
        """Let go of engines that nobody has used for a while, if memory is wanted; returns how many."""
        if not hardware.memory_is_short():
            return 0
        with self._loading:
            return self._unload(self._settings.engine_idle_minutes * 60)

    def _sit_down(self, seat: _Seat[E]) -> bool:
        """Note a user, before whom the engine is not unloaded; whether it is loaded already."""
        with self._lock:
            seat.users += 1
            return seat.is_loaded

    def _stand_up(self, seat: _Seat[E]) -> None:
        with self._lock:
            seat.users -= 1
            seat.used_at = time.monotonic()

    def _unload(self, idle_s: float) -> int:
        idle = [seat for seat in list(self._seats.values()) if self._is_given_up(seat, idle_s)]
        for seat in idle:
            cast(E, seat.engine).close()
            logger.info("engine unloaded", extra={"fields": {"engine": seat.name}})
        return len(idle)

    def _is_given_up(self, seat: _Seat[E], idle_s: float) -> bool:
        with self._lock:
            is_idle = not seat.users and time.monotonic() - seat.used_at >= idle_s
            if not (seat.is_loaded and is_idle and seat.name not in self._kept()):
                return False
            seat.is_loaded = False
            return True

    def close(self) -> None:
        """Release everything."""
        for seat in self._seats.values():
            if seat.is_loaded and seat.engine:
                seat.is_loaded = False
                seat.engine.close()

    # Seats

    def _chosen(self, name: str, field: str) -> _Seat[E]:
        try:
            self._check(name or self.default)
        except ValueError as error:
            names = ", ".join(available(self._package))
            raise InvalidInput(str(error), reason="NO_ENGINE", field=field, values={"engines": names}) from error
        return self._seat(name or self.default)

    def _seat(self, name: str) -> _Seat[E]:
        with self._lock:
            if name not in self._seats:
                self._seats[name] = self._made(name)
            return self._seats[name]

    def _made(self, name: str) -> _Seat[E]:
        prefix = str(self._settings.model_config["env_prefix"])
        try:
            engine_type = import_engine(self._package, name)
            general = prefix if name == self.default else ""
            settings = engine_type.settings_type.read(general, self._settings.engines.get(name, {}))
            return _Seat(name, engine_type(settings))
        except ImportError as error:
            return _Seat(name, lack=missing_package(error.name or "", self._service, name))
        except ValueError as error:  # a setting of a wrong kind: pydantic's message names it, and may quote a key
            logger.warning("an engine's settings are wrong", extra={"fields": {"engine": name}})
            return _Seat(name, lack=_wrong_settings(error))
        except Exception:  # noqa: BLE001 - whatever is wrong in one engine's file is that engine's affair
            logger.exception("an engine's file is broken", extra={"fields": {"engine": name}})
            return _Seat(name, lack=Lack("ENGINE_BROKEN", "Its file is broken; the service's log has the details."))

    def _load(self, seat: _Seat[E]) -> None:
        with self._loading:
            if seat.is_loaded:
                return
            seat.lack = seat.lack if seat.engine is None else None  # what was lacking may be there by now
            if lack := self._lack(seat):
                raise missing(seat.name, lack)
            if hardware.memory_is_short():
                self._unload(0.0)
            try:
                cast(E, seat.engine).load()
            except ServiceError as error:
                seat.lack = Lack(error.reason, error.message, values=error.values)
                raise
            except Exception as error:
                logger.exception("an engine does not load", extra={"fields": {"engine": seat.name}})
                seat.lack = Lack("ENGINE_BROKEN", "It does not load; the service's log has the details.")
                raise missing(seat.name, seat.lack) from error
            seat.is_loaded, seat.used_at = True, time.monotonic()
            logger.info("engine loaded", extra={"fields": {"engine": seat.name}})


def missing(name: str, lack: Lack, field: str = "") -> Unavailable:
    """The error for an engine that is missing something."""
    message = " ".join(filter(None, (f"The engine '{name}' cannot be used.", lack.reason, lack.remedy)))
    return Unavailable(message, reason=lack.code, field=field, values={"engine": name, **lack.values})


def _wrong_settings(error: ValueError) -> Lack:
    """Which settings, not their values: one of them may be a key."""
    if isinstance(error, ValidationError):
        names = ", ".join(".".join(map(str, one["loc"])) for one in error.errors())
        reason, remedy = f"These settings of it are wrong: {names}.", "Correct them; docs/configuration.md lists them."
        return Lack("SETTINGS_WRONG", reason, remedy, {"settings": names})
    return Lack("ENGINE_BROKEN", "It cannot be made; the service's log has the details.")
