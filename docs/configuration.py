"""Writes docs/configuration.md from the docstrings of the settings: `python docs/configuration.py`."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from client.wire.settings import ClientSettings
from gateway.settings import GatewaySettings
from models.settings import ModelSettings
from services.asr.settings import AsrSettings
from services.common.engine import add_folder, available, import_engine
from services.common.settings import ServiceSettings
from services.llm.settings import LlmSettings
from services.render.settings import RenderSettings
from services.train.settings import TrainSettings
from services.tts.settings import TtsSettings

ROOT = Path(__file__).resolve().parents[1]
TARGET = Path(__file__).with_suffix(".md")
ROOMS: list[tuple[str, type[BaseSettings]]] = [
    ("Recognition (asr)", AsrSettings),
    ("Dialogue (llm)", LlmSettings),
    ("Speech (tts)", TtsSettings),
    ("Rendering (render)", RenderSettings),
    ("Training (train)", TrainSettings),
    ("Models", ModelSettings),
    ("Web gateway", GatewaySettings),
    ("How the gateway and the command line reach the services", ClientSettings),
]
INTRODUCTION = """# Configuration

Every setting is an environment variable. With `make run`, set it before the command; with Compose, engines'
variables are lines in `engines.env`, others belong to the service's `environment`. This page is written from the code
by `make docs`.

The default engine of a service may leave its name out of its own variables: with `LLM_ENGINE=zhipu`, `LLM_API_KEY`
means `LLM_ZHIPU_API_KEY`. Variables that hold a list or a table are written as JSON.

"""


def engine_sections() -> list[tuple[str, type[BaseSettings]]]:
    """The settings of every engine that has some, also of those in a folder of the user's."""
    found = []
    for service in ("asr", "llm", "tts", "render", "train"):
        package = importlib.import_module(f"services.{service}.engines")
        add_folder(package, service, ServiceSettings().engine_folder)
        for name in available(package):
            settings = import_engine(package, name).settings_type
            if settings.model_fields:
                found.append((f"Engine `{name}` of {service}", settings))
    return found


def document() -> str:
    """The whole page."""
    shared = [_row(name, field, "") for name, field in ServiceSettings.model_fields.items() if field.validation_alias]
    sections = [_section("Shared by all services", shared)]
    sections += [_section(title, _rows(settings)) for title, settings in [*ROOMS, *engine_sections()]]
    return INTRODUCTION + "\n".join(sections)


def _rows(settings: type[BaseSettings]) -> list[str]:
    prefix = settings.model_config["env_prefix"]
    shared = {name for name, field in ServiceSettings.model_fields.items() if field.validation_alias}
    return [_row(name, field, prefix) for name, field in settings.model_fields.items() if name not in shared]


def _row(name: str, field: FieldInfo, prefix: str) -> str:
    variable = field.validation_alias or f"{prefix}{name.upper()}"
    text = inspect.cleandoc(field.description or "").replace("\n", " ").replace("|", "\\|")
    return f"| `{variable}` | {_default(field)} | {text} |"


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "" if field.default_factory in (dict, list) else "below `data/`"
    if field.default in (PydanticUndefined, None, ""):
        return ""
    if "Secret" in str(field.annotation):
        return ""
    if isinstance(field.default, Path) and field.default.is_relative_to(ROOT):
        return f"`{field.default.relative_to(ROOT)}`"
    return f"`{field.default}`"


def _section(title: str, rows: list[str]) -> str:
    return "\n".join([f"## {title}", "", "| variable | default | meaning |", "|---|---|---|", *rows, ""])


if __name__ == "__main__":
    TARGET.write_text(document())
