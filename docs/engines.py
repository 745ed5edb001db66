"""Writes docs/engines.md from what the engines say of themselves, and docs/engines.toml: `python docs/engines.py`."""

from __future__ import annotations

import importlib
import inspect
import re
import tomllib
from pathlib import Path
from types import ModuleType

from models import catalogue
from services.common.engine import BaseEngine, available, import_engine

ROOT = Path(__file__).resolve().parents[1]
TARGET = Path(__file__).with_suffix(".md")
NOTES = Path(__file__).with_suffix(".toml")
_OURS = re.compile(r"visavis\[(.+)\]")
MOST_LANGUAGES = 12  # that are listed one by one
ROOMS = {
    "asr": "Recognition",
    "llm": "Dialogue",
    "tts": "Speech",
    "train": "Training",
    "render": "The talking head",
}
INTRODUCTION = """# Engines

What each engine needs and may do, under which licence, and what of it was run by those who wrote it. Each service keeps
its engines side by side; a setting or a request chooses ([architecture.md](architecture.md#engines-side-by-side)). One
that lacks something is listed as missing and says what: `visavis engines`, `visavis doctor`, the page. Its variables
are in [configuration.md](configuration.md). This page is written from the code by `make docs`.

An engine without `offline` works on somebody else's machine: what it is given (speech, text) is sent there over the
network, and the page and `visavis engines` say so. Keys are read from the environment only, and reach neither a log nor
a message.

*Run here* says what was run, and against what. "A local server" is one of our own on the loopback (`tests/provider.py`,
`tests/recognisers.py`, `tests/speakers.py`) that speaks the protocol as its documentation or its source describes it:
the engine's real SDK or socket talks to it, and each error of the table of failures is provoked. It shows that the
engine does its part; that the provider does its own was not tried, for want of a key.
"""


def document() -> str:
    """The whole page."""
    notes = tomllib.loads(NOTES.read_text())
    parts = [INTRODUCTION]
    for service, title in ROOMS.items():
        package = importlib.import_module(f"services.{service}.engines")
        parts.append(f"## {title} (`{service}`)\n")
        parts += [_section(package, service, name, notes[service].get(name, {})) for name in available(package)]
    return "\n".join(parts)


def _section(package: ModuleType, service: str, name: str, notes: dict[str, str]) -> str:
    engine_type: type[BaseEngine] = import_engine(package, name)
    engine = engine_type(engine_type.settings_type.model_construct())
    module = inspect.getdoc(inspect.getmodule(engine_type)) or ""
    rows = {
        "needs": _needs(engine, service, name),
        "licence of the code": engine.info().licence,
        "licence of the weights": _weights(engine) or notes.get("weights", ""),
        "languages": _languages(engine.info().languages),
        "can": ", ".join(sorted(engine.info().capabilities)),
        "settings": _settings(engine_type, service, name),
        "limits": notes.get("limits", ""),
        "run here": notes.get("run", "Not written down yet."),
    }
    table = [f"| {key} | {' '.join(value.split())} |" for key, value in rows.items() if value]
    start = f"```sh\n{notes['start'].strip()}\n```\n" if "start" in notes else ""
    summary = " ".join(module.partition("\n\n")[0].split())
    return "\n".join([f"### `{name}` ({service})\n\n{summary}\n\n| | |\n|---|---|", *table, "", start])


def _needs(engine: BaseEngine, service: str, name: str) -> str:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    extra = name if name in extras else service
    needs = [f"`pip install 'visavis[{extra}]'`{', which `make run` does' * (extra in _within(extras, 'all'))}."]
    needs += [f"The model `{model}` (`visavis models pull {model}`)." for model in engine.models()]
    if lack := engine.lack():
        needs.append(f"{lack.reason} {lack.remedy}")
    return " ".join(needs)


def _within(extras: dict[str, list[str]], name: str) -> set[str]:
    """An extra, and those that it asks for."""
    asked = [part for wanted in extras[name] if (found := _OURS.match(wanted)) for part in found[1].split(",")]
    return {name}.union(*(_within(extras, one) for one in asked))


def _weights(engine: BaseEngine) -> str:
    known = catalogue.load()
    return ", ".join(f"{model}: {known[model].licence}" for model in engine.models())


def _languages(languages: tuple[str, ...]) -> str:
    return ", ".join(languages) if len(languages) <= MOST_LANGUAGES else f"{len(languages)}"


def _settings(engine_type: type[BaseEngine], service: str, name: str) -> str:
    settings = engine_type.settings_type
    if not settings.model_fields:
        return ""
    anchor = f"[{settings.model_config['env_prefix']}…](configuration.md#engine-{name}-of-{service})"
    return f"{anchor}: {', '.join(f'`{field.upper()}`' for field in settings.model_fields)}"


if __name__ == "__main__":
    TARGET.write_text(document())
