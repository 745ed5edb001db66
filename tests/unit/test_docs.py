"""The documentation tells the truth: settings, engines, links, the example engine, the two languages of the README."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path

import pytest

from services.common.engine import available, import_engine

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


@pytest.mark.parametrize("page", ["configuration", "engines"])
def test_a_written_page_is_as_the_code_says(page: str) -> None:
    document = runpy.run_path(str(ROOT / "docs" / f"{page}.py"))["document"]
    assert (ROOT / "docs" / f"{page}.md").read_text() == document(), "run `make docs`"


def test_no_engine_is_noted_that_there_is_not() -> None:
    notes = tomllib.loads((ROOT / "docs" / "engines.toml").read_text())
    for service, told in notes.items():
        package = __import__(f"services.{service}.engines", fromlist=["engines"])
        assert told.keys() <= set(available(package))
        assert all({"start", "run"} <= note.keys() <= {"start", "run", "weights", "limits"} for note in told.values())


def test_every_setting_says_what_it_means() -> None:
    rooms = runpy.run_path(str(ROOT / "docs" / "configuration.py"))["ROOMS"]
    silent = [
        f"{settings.__name__}.{name}"
        for _, settings in rooms
        for name, field in settings.model_fields.items()
        if not field.description
    ]
    assert not silent


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    broken = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert not broken


def test_every_engine_is_named_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    for service in ("asr", "llm", "tts", "render", "train"):
        package = __import__(f"services.{service}.engines", fromlist=["engines"])
        for name in available(package):
            assert f"`{name}`" in text, f"{service} engine {name}"


def test_both_readmes_have_the_same_sections() -> None:
    levels = [re.findall(r"^#+ ", (ROOT / name).read_text(), re.M) for name in ("README.md", "README.zh-CN.md")]
    assert levels[0] == levels[1]


async def _collect(reply) -> str:  # noqa: ANN001
    return "".join([delta async for delta in reply])


def test_the_example_engine_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    from services.llm import engines
    from services.llm.engine import Message, ReplyOptions, Role

    page = (ROOT / "docs" / "adding-an-engine.md").read_text()
    (tmp_path / "echo.py").write_text(re.search(r"```python\n(.*?)```", page, re.S)[1])
    monkeypatch.setattr(engines, "__path__", [*engines.__path__, str(tmp_path)])
    engine_type = import_engine(engines, "echo")
    engine = engine_type(engine_type.settings_type())
    engine.load()
    reply = engine.reply([Message(Role.USER, "hello there")], ReplyOptions("", "visavis", "en"))
    assert asyncio.run(_collect(reply)) == "hello there "
    assert engine.info().name == "echo"
