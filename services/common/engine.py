"""What every engine of every service has in common.

An *engine* is one way of doing a service's job. It lives in `services/<svc>/engines/<name>.py`, exports a class named
`Engine`, and knows neither gRPC nor the generated messages. The file is all there is of it: its settings, what it
needs, what it can do. `services/common/hosting.py` keeps a service's engines side by side.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from pydantic_settings import BaseSettings, SettingsConfigDict

from models.errors import ModelError
from models.folder import find

Value = int | float | bool | str


class Capability(StrEnum):
    """What an engine can do beyond the minimum; the same words as `visavis.common.v1.Capability`."""

    STREAMING = "streaming"  # works while its input still arrives
    WORD_TIMES = "word_times"  # tells when each word is said
    CONFIDENCE = "confidence"  # tells how sure it is of each word
    OFFLINE = "offline"  # needs no network
    GROUNDED = "grounded"  # says only what is in the persona's documents
    LANGUAGE_MODEL = "language_model"  # writes freely
    CLONING = "cloning"  # speaks in registered voices
    PITCH = "pitch"  # shifts the pitch
    RATE = "rate"  # speaks faster or slower
    RESUME = "resume"  # goes on training where it was interrupted
    PREVIEW = "preview"  # shows pictures while it trains
    PHOTO = "photo"  # makes do with a photo
    IDLE = "idle"  # draws what an avatar does while it listens
    EXPRESSION = "expression"  # can be told how lively to be
    EVALUATION = "evaluation"  # measures generated videos by true ones
    LANGUAGE_DETECTION = "language_detection"  # tells by itself which of its languages is spoken
    HOTWORDS = "hotwords"  # hears words better that it is told to expect
    WRITTEN_FORM = "written_form"  # writes what it hears as people do: numbers in digits, with punctuation
    READING = "reading"  # reads numbers, signs and abbreviations out by itself


@dataclass(frozen=True)
class EngineInfo:
    """How an engine describes itself to callers, loaded or not."""

    name: str
    version: str
    languages: tuple[str, ...] = ()  # BCP 47 tags; empty when the engine does not care about language
    capabilities: frozenset[Capability] = field(default_factory=frozenset)
    licence: str = ""  # of its code and weights, as an SPDX expression where there is one


@dataclass(frozen=True)
class Lack:
    """What keeps an engine from serving here, or from serving better."""

    code: str  # stable identifier, e.g. `KEY_MISSING`; the page translates by it
    reason: str  # in plain words, e.g. "It needs a key."
    remedy: str = ""  # the command or setting that mends it
    values: dict[str, str] = field(default_factory=dict)  # what a translation fills in


def folder_unnamed(setting: str, what: str) -> Lack:
    """The lack of an engine whose setting shall name the folder of `what`."""
    remedy = f"Set {setting} to the folder of {what}, and restart the service."
    return Lack("MODEL_FOLDER_UNNAMED", "It is not told where its model lies.", remedy, {"setting": setting})


@dataclass(frozen=True)
class Parameter:
    """A knob, described so that a form can be built from it and a value checked against it."""

    name: str
    default: Value  # its type is the parameter's type
    help: str
    minimum: float | None = None
    maximum: float | None = None
    step: int | None = None  # whole numbers must be multiples of it
    choices: tuple[str, ...] = ()


class EngineSettings(BaseSettings):
    """An engine's own variables. Each engine's class names its prefix, `<SERVICE>_<ENGINE>_`.

    The default engine's variables may leave its name out: with `LLM_ENGINE=zhipu`, `LLM_API_KEY` is its key.
    """

    model_config = SettingsConfigDict(use_attribute_docstrings=True, extra="ignore")

    @classmethod
    def variable(cls, name: str) -> str:
        """The environment variable of one field."""
        return f"{cls.model_config['env_prefix']}{name.upper()}"

    @classmethod
    def read(cls, general_prefix: str, given: dict[str, Any], shared: dict[str, Any] | None = None) -> EngineSettings:
        """From `given`, else from its own variables, else from what it has in common with its service, else (when there
        is one) from variables with a more general prefix."""
        general = cls(_env_prefix=general_prefix).model_dump(exclude_unset=True) if general_prefix else {}
        own = cls().model_dump(exclude_unset=True)
        common = {name: value for name, value in (shared or {}).items() if name in cls.model_fields}
        return cls(**{**general, **common, **own, **given})


class BaseEngine(ABC):
    """One way of doing a service's job; one instance serves many callers at once.

    Making one is cheap and cannot fail for want of a package: heavy imports belong into `load`.
    """

    settings_type: ClassVar[type[EngineSettings]] = EngineSettings
    requires: ClassVar[tuple[str, ...]] = ()
    """Importable packages without which `load` fails."""

    def __init__(self, settings: EngineSettings) -> None:  # noqa: B027 - most engines keep them
        """Take the engine's own settings."""

    @abstractmethod
    def load(self) -> None:
        """Load and warm whatever the engine needs. Runs once, in a thread, before the first call that uses it."""

    @abstractmethod
    def info(self) -> EngineInfo: ...

    def parameters(self) -> list[Parameter]:
        """Every knob that a caller may turn, in the order of a form."""
        return []

    def models(self) -> tuple[str, ...]:
        """Names in the catalogue of models without which `load` fails; `models.folder.find` tells where each lies."""
        return ()

    def lack(self) -> Lack | None:
        """What else than a package or a model keeps it from serving here: a key, an address. Cheap; asked often."""
        return None

    def wish(self) -> Lack | None:
        """What one that serves here would be better with. Cheap; asked often."""
        return None

    def close(self) -> None:  # noqa: B027 - an engine that holds nothing need not override it
        """Release what `load` took; it may be loaded again."""


def add_folder(engines: ModuleType, service: str, folder: Path | None) -> None:
    """Find engines in a folder of the user's, too: those in its subfolder of the service's name."""
    own = str(folder.resolve() / service) if folder else ""
    if own and own not in engines.__path__:
        engines.__path__.append(own)


def available(engines: ModuleType) -> list[str]:
    """Names of the engines in a service's `engines` package, without importing any of them."""
    return sorted(module.name for module in pkgutil.iter_modules(engines.__path__))


def import_engine(engines: ModuleType, name: str) -> type[Any]:
    """The `Engine` class of one engine module.

    Raises:
        ValueError: there is no such engine; the message lists those there are.
        ImportError: a package that its file imports is not installed.
    """
    names = available(engines)
    if name not in names:
        raise ValueError(f"There is no engine '{name}'; choose one of: {', '.join(names)}.")
    engine: type[Any] = importlib.import_module(f"{engines.__name__}.{name}").Engine
    return engine


def package_lack(engine: type[BaseEngine], service: str, name: str) -> Lack | None:
    """The first of an engine's packages that is not installed."""
    absent = next((package for package in engine.requires if not is_installed(package)), None)
    return missing_package(absent, service, name) if absent else None


def model_lack(engine: BaseEngine) -> Lack | None:
    """The first of an engine's models that is not here."""
    try:
        for name in engine.models():
            find(name)
    except ModelError as error:
        return lack_of(error)
    return None


def lack_of(error: ModelError) -> Lack:
    """What is wrong with a model, as what is lacking."""
    return Lack(error.reason, error.message, error.remedy, error.values)


def missing_package(package: str, service: str, name: str) -> Lack:
    """That a package is not installed, and the extra that brings it: the one named like the engine, or the service."""
    try:
        extras = metadata("visavis").get_all("Provides-Extra") or []
    except PackageNotFoundError:  # in a container, where only its dependencies are installed
        extras = []
    extra = name if name in extras else service
    remedy = f"pip install 'visavis[{extra}]'"
    values = {"package": package, "remedy": remedy}
    return Lack("PACKAGE_MISSING", f"The Python package '{package}' is not installed.", remedy, values)


def is_installed(package: str) -> bool:
    """Whether a package can be imported; it is not."""
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # of a package inside one that is not there
        return False
