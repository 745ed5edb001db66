"""The conversations of a browser in real Chromium: stopped, changed, resumed, reopened, exported, deleted."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from client.remote.live_socket import LiveSocket
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
    page.click("[data-restart]")
    sync_api.expect(page.locator(".message")).to_have_count(1, timeout=WAIT_MS)


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

    page.click("[data-open-history]")
    rows(page, SECOND, FIRST)
    keep(page, "history")
    page.locator(".history-open").nth(1).click()
    has_messages(page, greeting, FIRST, first_answer)
    page.click("[data-open-history]")
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
    page.click("[data-open-history]")
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


def speak(page: Any, words: str) -> None:
    """Ask something, and wait until it is being answered aloud."""
    page.wait_for_selector("#text:not([disabled])")
    page.fill("#text", words)
    page.press("#text", "Enter")
    page.wait_for_selector(".caption .said:not(:empty)")


def stop(page: Any) -> None:
    page.click("[data-stop]")
    page.wait_for_selector("[data-send]:not([hidden])")


def parts_of_the_stopped(page: Any, ending: str) -> tuple[str, str]:
    """What was heard of the answer that was stopped, and what was not."""
    message = page.locator(".message.stopped")
    sync_api.expect(message.locator(".unheard")).to_have_count(1, timeout=WAIT_MS)
    heard, rest = message.locator("span").inner_text(), message.locator(".unheard").inner_text()
    assert heard and rest
    assert "".join(message.inner_text().split()).endswith("".join(f"{heard}{ending}{rest}".split()))
    return heard, rest


CONTRAST = """(element) => {
  const share = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const light = (css) => {
    const [r, g, b] = css.match(/[\\d.]+/g).map((value) => share(value / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
  };
  const [ink, page] = [light(getComputedStyle(element).color),
                       light(getComputedStyle(element.closest(".message")).backgroundColor)];
  return Math.max(ink, page) / Math.min(ink, page);
}"""


@pytest.mark.parametrize(("locale", "ending"), [("en-US", "stopped here"), ("zh-CN", "到此停止")])
def test_of_an_answer_that_is_stopped_the_rest_is_grey_then_and_when_the_page_comes_back(
    open_page: Callable[..., Any], locale: str, ending: str
) -> None:
    page = open_page(locale=locale)
    speak(page, SECOND)
    speaker = page.locator("[data-avatar-name]").inner_text()
    stop(page)
    heard, rest = parts_of_the_stopped(page, ending)
    page.reload()
    page.wait_for_selector(".message.stopped")
    assert parts_of_the_stopped(page, ending) == (heard, rest)
    assert page.locator(".message .by").all_inner_texts() == [speaker], "all are from the same"
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        for part in (".ending", ".unheard"):
            assert page.eval_on_selector(f".message.stopped {part}", CONTRAST) >= 4.5, (theme, part)
        keep(page, f"chat-stopped-{locale[:2]}-{theme}")
    page.click("[data-open-history]")
    with page.expect_download() as download:
        page.locator(".history-exports a", has_text="txt").click()
    exported = "".join(download.value.path().read_text().split())
    assert "".join(heard.split()) in exported and "".join(rest.split()) in exported and f"[{ending[:3]}" in exported


def choose(page: Any, selector: str, value: str) -> dict[str, Any]:
    """Set something in the settings; the conversation as the gateway tells it then."""
    with page.expect_response(lambda response: response.request.method == "PATCH") as changed:
        control = page.locator(selector)
        if control.evaluate("control => control.localName") == "select":
            control.select_option(value)
        else:
            control.fill(value)
    return changed.value.json()


def test_another_avatar_takes_over_when_the_answer_has_been_given(
    open_page: Callable[..., Any], second_avatar: str
) -> None:
    page = open_page()
    name, loop = page.locator("[data-avatar-name]"), page.locator("[data-idle]")
    speak(page, FIRST)
    first = name.inner_text()
    page.click("[data-open-settings]")
    choose(page, "[data-avatar]", second_avatar)
    sync_api.expect(page.locator("[data-from-next]")).to_have_text(f"{second_avatar} from the next answer")
    assert page.is_visible(".stage.speaking"), "the answer goes on"
    assert name.inner_text() == first and quote(second_avatar) not in loop.get_attribute("src")
    keep(page, "chat-from-next")
    page.keyboard.press("Escape")
    stop(page)
    sync_api.expect(name).to_have_text(second_avatar)
    assert quote(second_avatar) in loop.get_attribute("src")
    assert page.is_hidden("[data-from-next]")
    ask(page, SECOND)
    page.reload()
    page.wait_for_selector("#text:not([disabled])")
    assert page.locator(".message .by").all_inner_texts() == [first, second_avatar]
    page.click("[data-open-history]")
    sync_api.expect(page.locator("[data-history-list] .help")).to_contain_text(f"{first}, {second_avatar}")
    with page.expect_download() as download:
        page.locator(".history-exports a", has_text="md").click()
    signed = download.value.path().read_text()
    assert signed.count(f"**{first}**") == 2 and signed.count(f"**{second_avatar}**") == 1


def test_speed_and_pitch_stay_with_the_conversation(open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.wait_for_selector("#text:not([disabled])")
    page.click("[data-open-settings]")
    choose(page, "#rate", "1.5")
    told = choose(page, "#pitch", "-3")
    assert (told["rate"], told["pitch_semitones"]) == (1.5, -3)
    page.keyboard.press("Escape")
    ask(page, FIRST)
    page.reload()
    page.wait_for_selector("#text:not([disabled])")
    assert (page.input_value("#rate"), page.input_value("#pitch")) == ("1.5", "-3")
    page.click("[data-open-settings]")
    assert page.locator(".drawer output").all_inner_texts() == ["1.5×", "-3"]


def test_what_the_recogniser_does_not_understand_cannot_be_spoken_and_the_page_says_why(
    open_page: Callable[..., Any],
) -> None:
    page = open_page(390, 844, "zh-CN")
    page.wait_for_selector("[data-talk]:not([disabled])")
    help_line = page.locator("[data-microphone-help]")
    sync_api.expect(help_line).to_have_text("能听懂的语言：英语。")
    page.click("[data-open-settings]")
    for language, is_heard in (("zh", False), ("en", True)):
        choose(page, "[data-language]", language)
        for button in ("[data-talk]", "[data-hands-free]"):
            sync_api.expect(page.locator(button)).to_be_enabled(enabled=is_heard, timeout=WAIT_MS)
        said = help_line.inner_text()
        assert ("听不懂中文" in said and "打字" in said) if not is_heard else not said
        keep(page, f"chat-heard-{language}")


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)])
def test_face_words_and_input_are_on_the_page_together(open_page: Callable[..., Any], size: tuple[int, int]) -> None:
    page = open_page(*size)
    page.wait_for_selector("#text:not([disabled])")
    for selector in (
        ".stage",
        ".messages",
        "#text",
        "[data-send]",
        "[data-talk]",
        "[data-hands-free]",
        "[data-restart]",
    ):
        sync_api.expect(page.locator(selector)).to_be_in_viewport(ratio=0.99, timeout=WAIT_MS)
    assert page.evaluate("document.querySelector('.messages').clientHeight") > 200
    stage = page.locator(".stage").bounding_box()
    if size[0] > 860:
        assert stage["width"] == pytest.approx(stage["height"], abs=2), "nothing is left beside a square picture"
    for name in ("settings", "history"):
        page.click(f"[data-open-{name}]")
        sync_api.expect(page.locator(f"[data-{name}]")).to_be_in_viewport(timeout=WAIT_MS)
        page.click(f"[data-{name}] header button")
        sync_api.expect(page.locator(f"[data-{name}]")).to_be_hidden(timeout=WAIT_MS)
