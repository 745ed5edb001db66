"""One file is an engine: saved in a folder, it is told of everywhere, can be chosen, and answers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from client import library
from tests.e2e.conftest import Stack, up

pytestmark = pytest.mark.browser
ROOT = Path(__file__).resolve().parents[2]
ARTIFACTS = ROOT / "artifacts" / "screenshots"
TIMEOUT_S = 600  # only ends what would hang
LISTENER = """
from services.asr.engine import AsrEngine, Hypothesis, Recognition
from services.common.engine import EngineInfo


class Nothing(Recognition):
    def feed(self, pcm):
        return ""

    def finish(self):
        return Hypothesis("")


class Engine(AsrEngine):
    def load(self):
        pass

    def info(self):
        return EngineInfo("listener", "1", ("zh",))

    def open(self, language, hotwords=()):
        return Nothing()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The engine of the documentation, and a recogniser that knows Chinese alone."""
    folder = tmp_path_factory.mktemp("engines")
    page = (ROOT / "docs" / "adding-an-engine.md").read_text()
    for name, source in (
        ("llm/echo.py", re.search(r"```python\n(.*?)```", page, re.S)[1]),
        ("asr/listener.py", LISTENER),
    ):
        (folder / name).parent.mkdir()
        (folder / name).write_text(source)
    return folder


@pytest.fixture(scope="module")
def stack(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that looks into that folder."""
    data = tmp_path_factory.mktemp("stack") / "data"
    with up(
        Stack(data, settings={"VISAVIS_ENGINE_FOLDER": str(folder), "ASR_FUNASR_URL": "wss://asr.example.org"})
    ) as running:
        yield running


@pytest.fixture
def chat(open_page: Callable[..., Any]) -> Callable[..., Any]:
    """Opens the chat with its settings, the engines unfolded."""

    def open_one(**how: Any) -> Any:
        page = open_page("/chat", **how)
        page.wait_for_selector("#text:not([disabled])")
        page.click("[data-open-settings]")
        sync_api().expect(page.locator("[data-engines]")).to_have_attribute("open", "")
        return page

    return open_one


def sync_api() -> Any:
    return pytest.importorskip("playwright.sync_api")


def change(page: Any, select: str, value: str) -> dict[str, Any]:
    """Choose something in the settings; the conversation as the gateway tells it then."""
    with page.expect_response(lambda response: response.request.method == "PATCH") as changed:
        page.select_option(select, value)
    return changed.value.json()


def test_it_is_told_of_everywhere(stack: Stack, folder: Path) -> None:
    services = stack.services()
    try:
        told = {one.name: one for one in library.get_info(services, "llm").info.engines}
    finally:
        services.close()
    assert told["echo"].licence == "Apache-2.0"
    engines = httpx.get(f"{stack.url}/api/v1/engines", timeout=TIMEOUT_S).json()["llm"]
    assert [(one["name"], one["is_default"]) for one in engines][0] == ("knowledge", True)
    assert next(one for one in engines if one["name"] == "echo")["state"] == "loads on first use"
    findings = json.loads(stack.visavis("doctor", "--data", str(stack.data), "--json").stdout)
    found = next(one for one in findings if one["subject"] == "llm: echo")
    assert (found["level"], found["text"]) == ("good", "loads on first use")


def test_what_is_sent_over_the_network_is_told_of(stack: Stack, chat: Callable[..., Any]) -> None:
    listed = stack.visavis("engines").stdout
    assert re.search(r"funasr +loads on first use +sends what it is\s+given", listed)
    page = chat()
    away = page.locator("[data-engine=asr] [data-away]")
    assert away.is_hidden()
    assert page.locator("[data-engine=llm] [data-away]").is_hidden()
    change(page, "#asr_engine", "funasr")
    assert "sent over the network" in away.inner_text()
    change(page, "#asr_engine", "")
    assert away.is_hidden()


def test_its_settings_are_in_the_generated_document(stack: Stack) -> None:
    program = "import runpy; print(runpy.run_path('docs/configuration.py')['document']())"
    done = subprocess.run(
        [sys.executable, "-c", program], env=stack.environment, cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "| `LLM_ECHO_WORDS` | `100` | Longest answer, in words. |" in done.stdout


def test_it_is_chosen_in_the_page_and_answers(chat: Callable[..., Any]) -> None:
    page = chat()
    select = page.locator("#llm_engine")
    assert select.locator("option:not(:disabled)").all_inner_texts() == ["knowledge (default)", "echo"]
    assert select.locator("option:disabled").all_inner_texts() == ["openai – cannot be used", "zhipu – cannot be used"]
    assert page.locator("[data-engine=llm] [data-lacks]").inner_text().count("restart the service") == 2
    assert page.locator("[data-engine=tts] [data-fact]").inner_text() == "Speech engine espeak"
    assert change(page, "#llm_engine", "echo")["llm_engine"] == "echo"
    page.keyboard.press("Escape")
    page.fill("#text", "Say this back to me.")
    page.press("#text", "Enter")
    page.wait_for_selector(".message.avatar footer a")
    assert page.locator(".message.avatar span").last.inner_text().strip() == "Say this back to me."
    page.reload()
    page.wait_for_selector("#text:not([disabled])")
    assert page.input_value("#llm_engine") == "echo"


def test_what_may_be_spoken_and_written_follows_the_chosen_engines(chat: Callable[..., Any]) -> None:
    page = chat()
    expect, languages = sync_api().expect, page.locator("[data-language] option")
    expect(languages).to_have_text(["As written", "English", "中文"])
    change(page, "[data-language]", "zh")
    help_line, talk = page.locator("[data-microphone-help]"), page.locator("[data-talk]")
    expect(help_line).to_contain_text("It is understood by funasr, listener")
    expect(talk).to_be_disabled()
    change(page, "#asr_engine", "listener")
    expect(help_line).to_have_text("")
    expect(talk).to_be_enabled()
    change(page, "#llm_engine", "echo")
    assert languages.count() > 50, "the echo knows them all, and espeak speaks many"
    assert change(page, "[data-language]", "de")["language"] == "de"
    told = change(page, "#llm_engine", "")
    assert (told["llm_engine"], told["language"]) == (None, None), "the default one does not write German"


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_the_settings_as_people_see_them(chat: Callable[..., Any], locale: str) -> None:
    for size in ({"width": 1280, "height": 800}, {"width": 390, "height": 844}):
        for theme in ("light", "dark"):
            page = chat(viewport=size, locale=locale, theme=theme)
            words = page.locator("[data-engine=llm] [data-lacks]").inner_text()
            assert ("请设置" in words and "restart" not in words) == (locale == "zh-CN")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            ARTIFACTS.mkdir(parents=True, exist_ok=True)
            page.locator("[data-engines]").scroll_into_view_if_needed()
            page.screenshot(path=ARTIFACTS / f"chat-engines-{locale[:2]}-{size['width']}-{theme}.png")
            page.context.close()


def test_a_recording_is_heard_by_the_engine_that_is_chosen(open_page: Callable[..., Any]) -> None:
    page = open_page("/generate")
    page.click("#tab-audio")
    expect, spoken = sync_api().expect, page.locator("#spoken option")
    expect(spoken).to_have_text(["English", "Another language"])
    page.select_option("#asr_engine", "listener")
    expect(spoken).to_have_text(["Chinese", "Another language"])
    expect(page.locator("[data-engine=tts]")).to_be_hidden()
