"""The conversations of a browser in real Chromium: resumed, reopened, exported, deleted, in both languages."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from client.live_socket import LiveSocket
from gateway.settings import GatewaySettings

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.browser

ARTIFACTS = Path(__file__).resolve().parents[2] / "artifacts" / "screenshots"
WAIT_MS = 180_000
MICROPHONE = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
FIRST, SECOND = "What is Visavis?", "How do I train an avatar?"


@pytest.fixture
def open_page(stack: Any) -> Iterator[Callable[..., Any]]:
    """Opens the chat page in a browser that has never been here."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not path:
        pytest.skip("no Chromium here: apt-get install chromium")
    complaints: list[str] = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", *MICROPHONE])

        def open_one(width: int = 1280, height: int = 800, locale: str = "en-US") -> Any:
            context = browser.new_context(
                base_url=stack.url, viewport={"width": width, "height": height}, locale=locale
            )
            page = context.new_page()
            page.set_default_timeout(WAIT_MS)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.goto("/chat")
            return page

        yield open_one
        browser.close()
    assert not complaints


def ask(page: Any, words: str) -> str:
    """Say something and wait for the whole answer."""
    page.wait_for_selector("#text:not([disabled])")
    page.fill("#text", words)
    page.press("#text", "Enter")
    page.wait_for_selector(".message.avatar footer a")
    return page.locator(".message.avatar span").last.inner_text()


def has_messages(page: Any, *texts: str) -> None:
    sync_api.expect(page.locator(".message > span")).to_have_text(list(texts), timeout=WAIT_MS)


def rows(page: Any, *words: str) -> None:
    sync_api.expect(page.locator(".history-words")).to_have_text(list(words), timeout=WAIT_MS)


def start_anew(page: Any) -> None:
    page.click("[data-settings] summary")
    page.click("[data-restart]")
    sync_api.expect(page.locator(".message")).to_have_count(1, timeout=WAIT_MS)
    page.click("[data-settings] summary")


def keep(page: Any, name: str) -> None:
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"{name}.png")


def test_a_conversation_is_resumed_reopened_exported_and_deleted(open_page: Callable[..., Any]) -> None:
    page = open_page()
    first_answer = ask(page, FIRST)
    greeting = page.locator(".message > span").first.inner_text()
    page.reload()
    has_messages(page, greeting, FIRST, first_answer)
    start_anew(page)
    ask(page, SECOND)

    page.click("[data-history] summary")
    rows(page, SECOND, FIRST)
    keep(page, "history")
    page.locator(".history-open").nth(1).click()
    has_messages(page, greeting, FIRST, first_answer)
    page.click("[data-history] summary")
    with page.expect_download() as download:
        page.locator(".history-exports a", has_text="txt").nth(1).click()
    assert FIRST in download.value.path().read_text() and download.value.suggested_filename.endswith(".txt")

    page.locator("[data-history-list] .danger").first.click()
    page.click("[data-yes]")
    rows(page, FIRST)
    page.click("[data-history-delete-all]")
    page.click("[data-yes]")
    sync_api.expect(page.locator(".history-open")).to_have_count(0, timeout=WAIT_MS)
    has_messages(page, greeting)  # the current one was among them, and a new one has begun
    assert page.evaluate("localStorage.getItem('visavis.conversations')") == "[]"


def test_a_chat_in_which_nothing_was_said_is_not_left_behind(open_page: Callable[..., Any], stack: Any) -> None:
    folder = stack.data / "gateway" / "conversations"
    before = set(folder.iterdir())
    page = open_page(390, 844, "zh-CN")
    page.wait_for_selector("#text:not([disabled])")
    assert len(set(folder.iterdir()) - before) == 1
    page.click("[data-history] summary")
    sync_api.expect(page.locator("[data-history-list]")).to_have_text("还没有说过话。", timeout=WAIT_MS)
    keep(page, "history-phone")
    page.goto("/jobs")
    stack.until(lambda: set(folder.iterdir()) == before, WAIT_MS / 1000, "the chat is gone")


def test_who_comes_when_all_places_are_taken_is_told_so(open_page: Callable[..., Any], stack: Any) -> None:
    with httpx.Client(base_url=f"{stack.url}/api/v1", timeout=120) as api, contextlib.ExitStack() as ending:
        avatar = api.get("/avatars").json()["avatars"][0]["name"]
        for _ in range(GatewaySettings().max_talks):
            chat = api.post("/chats", json={"avatar": avatar}).json()["id"]
            ending.callback(api.delete, f"/chats/{chat}")
            talk = LiveSocket(stack.url, chat)
            ending.callback(talk.close)
            assert next(iter(talk))["type"] == "ready"
        page = open_page()
        page.click("[data-hands-free]:not([disabled])")
        page.wait_for_selector("[data-form-error]:has-text('Try again in a little, or write instead.')")
        assert page.get_attribute("[data-hands-free]", "aria-pressed") == "false"
        ask(page, FIRST)
