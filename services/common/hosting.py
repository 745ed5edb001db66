"""A service's engines, side by side: described without being loaded, loaded when first used, let go when idle.

One that cannot be imported, lacks something or fails to load is told as missing, and takes nothing else down.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from enum import Enum
from itertools import takewhile
from types import ModuleType
from typing import Generic, TypeVar, cast

from pydantic import ValidationError
from pydantic_settings import SettingsError

from services.common import hardware
from services.common.engine import (
    BaseEngine,
    Capability,
    EngineInfo,
    Lack,
    Parameter,
    add_folder,
    available,
    import_engine,
    missing_package,
    model_lack,
    package_lack,
)
from services.common.errors import InvalidInput, ServiceError, Unavailable
from services.common.settings import ServiceSettings

logger = logging.getLogger(__name__)

E = TypeVar("E", bound=BaseEngine)
Told = tuple[EngineInfo, tuple[Parameter, ...]]


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
    lack: Lack | None = None  # of one that is missing, or would be better with it
    parameters: tuple[Parameter, ...] = ()


@dataclass
class _Slot(Generic[E]):
    """One engine, and who uses it."""

    name: str
    engine: E | None = None  # None: its file cannot be imported, or its settings cannot be read
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
        self._slots: dict[str, _Slot[E]] = {}
        add_folder(package, service, settings.engine_folder)
        self._lock = threading.Lock()  # for users and is_loaded; held for moments: the event loop takes it, too
        self._making = threading.Lock()  # while a file is imported
        self._loading = threading.Lock()  # while one is loaded or unloaded; one at a time keeps the peak of memory low
        for name in filter(None, (settings.engine, *settings.preload)):
            self._check(name)

    @property
    def default(self) -> str:
        """The engine of calls that name none: the one that is set, or the first that can be used of those that the
        service would choose. Blocks while their files are imported for the first time."""
        if self._settings.engine:
            return self._settings.engine
        *better, last = self._settings.choices
        return next((name for name in better if self._can_be_used(self._slot(name))), last)

    def _can_be_used(self, slot: _Slot[E]) -> bool:
        return slot.is_loaded or not self._lack(slot)

    def _resident(self) -> set[str]:
        """Names of those that are loaded at the start and never unloaded."""
        return {self.default, *self._settings.preload}

    def _check(self, name: str) -> None:
        if name not in (names := available(self._package)):
            raise ValueError(f"There is no engine '{name}'; choose one of: {', '.join(names)}.")

    # Described

    def describe(self) -> list[Description]:
        """Every engine, the default one first. Blocks while files are imported for the first time."""
        default = self.default
        names = sorted(available(self._package), key=lambda name: (name != default, name))
        return [self._described(self._slot(name)) for name in names]

    def info(self, name: str = "") -> EngineInfo:
        """One engine's description; empty for the default.

        Raises:
            InvalidInput: there is no such engine.
        """
        return self._described(self._chosen(name, "engine")).info

    def parameters(self, name: str = "") -> list[Parameter]:
        """The knobs of one engine; empty for the default.

        Raises:
            InvalidInput: there is no such engine.
        """
        return list(self._described(self._chosen(name, "engine")).parameters)

    def _described(self, slot: _Slot[E]) -> Description:
        lack = None if slot.is_loaded else self._lack(slot)
        told: Told = EngineInfo(slot.name, ""), ()
        try:
            told = _told(slot)
        except Exception:  # noqa: BLE001 - one engine that cannot describe itself must not hide the others
            lack = _broken(slot.name, "It cannot describe itself")
        state = State.MISSING if lack else State.READY if slot.is_loaded else State.UNLOADED
        info, parameters = told
        return Description(info, state, lack or self._wish(slot), parameters)

    def _wish(self, slot: _Slot[E]) -> Lack | None:
        try:
            return slot.engine.wish() if slot.engine else None
        except Exception:  # noqa: BLE001 - it serves without
            logger.exception("an engine cannot tell what it would be better with")
            return None

    def _lack(self, slot: _Slot[E]) -> Lack | None:
        if slot.engine is None:
            return slot.lack
        try:
            absent = package_lack(type(slot.engine), self._service, slot.name) or model_lack(slot.engine)
            return absent or slot.engine.lack() or slot.lack
        except Exception:  # noqa: BLE001 - as above
            return _broken(slot.name, "It cannot tell what it lacks")

    # Used

    def load(self) -> None:
        """Load the default engine and those to be loaded at the start; one that cannot be is told in the log, and so is
        one that the service would rather have as its default."""
        for name in sorted(self._resident()):
            try:
                self._load(self._slot(name))
            except ServiceError as error:
                logger.warning("an engine is missing", extra={"fields": {"engine": name, "reason": error.message}})
        for name in takewhile(
            lambda name: name != self.default, () if self._settings.engine else self._settings.choices
        ):
            if lack := self._lack(self._slot(name)):
                fields = {"engine": name, "reason": missing(name, lack).message}
                logger.warning("a better engine is missing", extra={"fields": fields})

    @contextlib.asynccontextmanager
    async def use(self, name: str = "", field: str = "config.engine") -> AsyncIterator[E]:
        """An engine for the length of a call, loaded first if need be; empty for the default.

        Raises:
            InvalidInput: there is no such engine; `field` is the request's.
            Unavailable: it is missing; the message says what it lacks and how to mend that.
        """
        slot = self._slots.get(name or self.default)
        if slot is None:
            slot = await asyncio.to_thread(self._chosen, name, field)
        is_loaded = self._acquire(slot)
        try:
            if not is_loaded:
                await asyncio.to_thread(self._load, slot)
            yield cast(E, slot.engine)
        finally:
            self._release(slot)

    def keep(self, name: str = "", field: str = "engine") -> E:
        """An engine that stays loaded as long as the service runs. Blocks while it loads; raises as `use`."""
        slot = self._chosen(name, field)
        if not self._acquire(slot):
            try:
                self._load(slot)
            except BaseException:
                self._release(slot)
                raise
        return cast(E, slot.engine)

    def unloaded(self, name: str, field: str = "engine") -> E:
        """An engine as it stands, for what it can tell without being loaded; raises as `use`."""
        slot = self._chosen(name, field)
        if not slot.is_loaded and (lack := self._lack(slot)):
            raise missing(slot.name, lack)
        return cast(E, slot.engine)

    def unload_idle(self) -> int:
        """Let go of engines that nobody has used for a while, if memory is wanted; returns how many."""
        if not hardware.memory_is_short():
            return 0
        with self._loading:
            return self._unload(self._settings.engine_idle_minutes * 60)

    def _acquire(self, slot: _Slot[E]) -> bool:
        """Note a user, before whom the engine is not unloaded; whether it is loaded already."""
        with self._lock:
            slot.users += 1
            return slot.is_loaded

    def _release(self, slot: _Slot[E]) -> None:
        with self._lock:
            slot.users -= 1
            slot.used_at = time.monotonic()

    def _unload(self, idle_s: float) -> int:
        """Unload those that nobody uses, nor has for so long. With `_loading` held."""
        resident = self._resident()
        slots = [slot for slot in list(self._slots.values()) if slot.name not in resident]
        idle = [slot for slot in slots if self._takes_away(slot, idle_s)]
        for slot in idle:
            _close(slot)
        return len(idle)

    def _takes_away(self, slot: _Slot[E], idle_s: float) -> bool:
        """Whether an engine is idle; from then on it counts as not loaded, and whoever comes waits to load it anew."""
        with self._lock:
            is_idle = not slot.users and time.monotonic() - slot.used_at >= idle_s
            if not (slot.is_loaded and is_idle):
                return False
            slot.is_loaded = False
            return True

    def close(self) -> None:
        """Release everything."""
        with self._lock:
            loaded = [slot for slot in self._slots.values() if slot.is_loaded]
            for slot in loaded:
                slot.is_loaded = False
        for slot in loaded:
            _close(slot)

    # Slots

    def _chosen(self, name: str, field: str) -> _Slot[E]:
        try:
            self._check(name or self.default)
        except ValueError as error:
            names = ", ".join(available(self._package))
            raise InvalidInput(str(error), reason="NO_ENGINE", field=field, values={"engines": names}) from error
        return self._slot(name or self.default)

    def _slot(self, name: str) -> _Slot[E]:
        """The slot of an engine that there is. Blocks while its file is imported for the first time."""
        if name not in self._slots:
            with self._making:
                if name not in self._slots:
                    self._slots[name] = self._made(name)
        return self._slots[name]

    def _made(self, name: str) -> _Slot[E]:
        prefix = str(self._settings.model_config["env_prefix"])
        try:
            engine_type = import_engine(self._package, name)
            by_default = (self._settings.engine,) if self._settings.engine else self._settings.choices
            general = prefix if name in by_default else ""
            given, shared = self._settings.engines.get(name, {}), self._settings.model_dump()
            settings = engine_type.settings_type.read(general, given, shared)
            return _Slot(name, engine_type(settings))
        except (ValidationError, SettingsError) as error:  # not logged whole: it may quote a key
            logger.warning("an engine's settings are wrong", extra={"fields": {"engine": name}})
            return _Slot(name, lack=_wrong_settings(error))
        except Exception as error:  # noqa: BLE001 - whatever is wrong in one engine's file is that engine's affair
            if isinstance(error, ModuleNotFoundError) and _is_foreign(error.name):
                return _Slot(name, lack=missing_package(str(error.name), self._service, name))
            return _Slot(name, lack=_broken(name, "Its file is broken"))

    def _load(self, slot: _Slot[E]) -> None:
        with self._loading:
            if slot.is_loaded:
                return
            slot.lack = slot.lack if slot.engine is None else None  # what was lacking may be there by now
            if lack := self._lack(slot):
                raise missing(slot.name, lack)
            if hardware.memory_is_short():
                self._unload(0.0)
            try:
                cast(E, slot.engine).load()
            except ServiceError as error:
                slot.lack = Lack(error.reason, error.message, values=error.values)
                raise
            except Exception as error:
                slot.lack = _broken(slot.name, "It does not load")
                raise missing(slot.name, slot.lack) from error
            with self._lock:
                slot.is_loaded, slot.used_at = True, time.monotonic()
            logger.info("engine loaded", extra={"fields": {"engine": slot.name}})


def missing(name: str, lack: Lack) -> Unavailable:
    """The error for an engine that is missing something."""
    message = " ".join(filter(None, (f"The engine '{name}' cannot be used.", lack.reason, lack.remedy)))
    return Unavailable(message, reason=lack.code, values={"engine": name, **lack.values})


def _told(slot: _Slot[E]) -> Told:
    """What an engine says of itself, under the name by which it is asked for: its file's."""
    if slot.engine is None:
        return EngineInfo(slot.name, ""), ()
    info = slot.engine.info()
    able = frozenset(map(Capability, info.capabilities))
    return replace(info, name=slot.name, capabilities=able), tuple(slot.engine.parameters())


def _broken(name: str, what: str) -> Lack:
    """That something in an engine's own code failed, which is being handled."""
    logger.exception("an engine is broken", extra={"fields": {"engine": name, "what": what}})
    return Lack("ENGINE_BROKEN", f"{what}; the service's log has the details.")


def _close(slot: _Slot[E]) -> None:
    try:
        cast(E, slot.engine).close()
    except Exception:  # noqa: BLE001 - the others are to be closed all the same
        logger.exception("an engine does not close", extra={"fields": {"engine": slot.name}})
    else:
        logger.info("engine unloaded", extra={"fields": {"engine": slot.name}})


def _is_foreign(module: str | None) -> bool:
    """Whether a module that was not found is of a package to be installed, and no slip in an import of ours."""
    return bool(module) and str(module).partition(".")[0] != __name__.partition(".")[0]


def _wrong_settings(error: ValidationError | SettingsError) -> Lack:
    """Which settings, not their values: one of them may be a key."""
    if isinstance(error, ValidationError):
        names = ", ".join(".".join(map(str, one["loc"])) for one in error.errors())
    else:  # a list or a table that is no JSON; only the message says which
        names = ", ".join(re.findall(r'field "(\w+)"', str(error)))
    reason, remedy = f"These settings of it are wrong: {names}.", "Correct them; docs/configuration.md lists them."
    return Lack("SETTINGS_WRONG", reason, remedy, {"settings": names})
