"""The pages in a real Chromium over the real stack: train a tiny avatar, make a video, chat; screenshots are kept."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.browser

ARTIFACTS = Path(__file__).resolve().parents[2] / "artifacts" / "screenshots"
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
NAME = "Browser 浏览器"
TINY = {"steps": "8", "motion_steps": "20", "size": "192", "loop_seconds": "2"}
# Limits only end what would hang: a busy machine may be many times slower than an idle one.
WAIT_MS = 180_000
TRAINING_MS = 1_800_000
PAGES = ("/", "/chat", "/generate", "/train", "/voices", "/jobs")


def keep(page: Any, name: str) -> None:
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"{name}.png")


def until_played(page: Any, video: str, seconds: float) -> None:
    """Not `wait_for_function`, which the pages' content policy forbids."""
    for _ in range(WAIT_MS // 100):
        if page.eval_on_selector(video, "video => video.currentTime") > seconds:
            return
        page.wait_for_timeout(100)
    pytest.fail(f"{video} does not play")


@pytest.fixture(scope="module")
def trained(chromium: Any, stack: Any, demo_clip: Path) -> str:
    """An avatar trained through the page."""
    page = chromium.new_page(base_url=stack.url, viewport=DESKTOP)
    page.set_default_timeout(WAIT_MS)
    page.goto("/train")
    page.wait_for_selector("[data-more]:not([hidden])")
    page.set_input_files("#video", str(demo_clip))
    page.fill("#name", NAME)
    page.click("[type=submit]")
    assert page.inner_text("[data-error-for=consented]") == "Please confirm this first."
    page.check("#consented")
    page.fill("#consent", "Nobody: drawn")
    page.click("[data-more] summary")
    for name, value in TINY.items():
        page.fill(f"[id='params.{name}']", value)
    keep(page, "train-form")
    page.click("[type=submit]")
    page.wait_for_selector(".job-preview:not([hidden])", timeout=TRAINING_MS)
    keep(page, "train-running")
    page.reload()  # a reader may leave and come back
    page.wait_for_selector(".metrics", timeout=TRAINING_MS)
    assert "is ready" in page.inner_text("[data-job-title]")
    keep(page, "train-done")
    page.close()
    return NAME


def test_home_shows_services_machine_and_avatars(open_page: Callable[..., Any], trained: str) -> None:
    page = open_page("/")
    expect = sync_api.expect
    expect(page.locator("[data-state=serving]")).to_have_count(5, timeout=WAIT_MS)
    expect(page.locator("[data-avatars]")).to_contain_text(trained, timeout=WAIT_MS)
    expect(page.locator("[data-cpu]")).to_contain_text("%", timeout=WAIT_MS)
    page.wait_for_timeout(500)
    keep(page, "home")


def test_a_refusal_stands_beside_its_field(open_page: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "x.mp4"
    file.write_text("no video")
    page = open_page("/train", locale="zh-CN")
    page.set_input_files("#video", str(file))
    page.check("#consented")
    page.fill("#consent", "某人")
    page.click("[type=submit]")
    page.wait_for_selector("[data-error-for=video]:not([hidden])")
    refusal = "这个文件不是视频或照片。请选择 MP4、MOV、WebM、MKV、AVI 视频，或 JPEG、PNG、WebP 照片。"
    assert page.inner_text("[data-error-for=video]") == refusal
    assert page.input_value("#consent") == "某人"
    keep(page, "train-refused-zh")


@contextlib.contextmanager
def answering_late(page: Any, service: str) -> Iterator[None]:
    """The page finds a service away, and at the end back again."""
    late = True

    def answer(route: Any) -> None:
        response = route.fetch()
        told = response.json()
        if late:
            told["services"][service]["state"] = "down"
        route.fulfill(response=response, json=told)

    page.route("**/api/v1/system", answer)
    page.reload()
    page.wait_for_selector("#notice:not([hidden])")
    yield
    with page.expect_response("**/api/v1/engines"):
        late = False
    page.wait_for_timeout(500)


def test_what_was_filled_in_stays_when_a_service_answers_late(open_page: Callable[..., Any]) -> None:
    page = open_page("/train")
    with answering_late(page, "train"):
        page.click("[data-more]:not([hidden]) summary")
        page.fill("[id='params.steps']", TINY["steps"])
    assert page.input_value("[id='params.steps']") == TINY["steps"]


def test_the_chosen_avatar_and_voice_stay_when_a_service_answers_late(
    open_page: Callable[..., Any], second_avatar: str
) -> None:
    page = open_page("/generate")
    page.route("**/api/v1/voices", lambda route: route.fulfill(json={"voices": [{"name": "ann"}, {"name": "bob"}]}))
    with answering_late(page, "render"):
        card = page.locator(f".avatar-card:has-text('{second_avatar}')")
        first = page.locator(".avatar-card input:checked").input_value()
        assert first != second_avatar
        card.click()
        page.select_option("[name=voice]", "bob")
    assert page.locator(".avatar-card input:checked").input_value() == second_avatar
    assert page.input_value("[name=voice]") == "bob"


def test_the_standard_voice_can_be_chosen_for_an_avatar_that_has_its_own(
    open_page: Callable[..., Any], trained: str
) -> None:
    page = open_page(f"/chat?avatar={trained}")
    sync_api.expect(page.locator("[data-send]")).to_be_enabled(timeout=WAIT_MS)
    assert page.input_value("[data-voices]") == trained
    page.click("[data-open-settings]")
    with page.expect_response(lambda response: response.request.method == "PATCH") as changed:
        page.select_option("[data-voices]", label="Standard voice")
    assert changed.value.json()["voice"] is None
    sync_api.expect(page.locator("[data-voices]")).to_have_value(":standard")


def test_generate_plays_when_ready(open_page: Callable[..., Any], trained: str) -> None:
    page = open_page(f"/generate?avatar={trained}", theme="dark")
    page.wait_for_selector(".avatar-card:has-text('Browser') input:checked", state="attached")
    page.fill("#text", "Good morning. This is a test.")
    page.select_option("#subtitles", "vtt")
    page.click("[type=submit]")
    page.wait_for_selector(".frame video", timeout=TRAINING_MS)
    until_played(page, ".frame video", 0.5)
    assert page.evaluate("document.querySelector('.frame video').textTracks.length") == 1
    with page.expect_download() as download:
        page.click("text=Download video")
    assert Path(download.value.path()).read_bytes()[4:8] == b"ftyp"
    keep(page, "generate-done-dark")


def test_chat_answers_is_stopped_and_goes_on(open_page: Callable[..., Any], trained: str) -> None:
    page = open_page(f"/chat?avatar={trained}")
    page.wait_for_selector("#text:not([disabled])")
    ask(page, "What is Visavis?")
    page.wait_for_selector("[data-caption]:not(:empty)", state="attached")
    until_played(page, "[data-reply]", 1.0)
    keep(page, "chat-speaking")
    until_quiet(page)
    assert page.locator(".message.avatar").count() == 2
    ask(page, "How do I train an avatar?")
    until_played(page, "[data-reply]", 0.3)
    page.click("[data-stop]")
    until_quiet(page)
    assert "stopped here" in page.inner_text("[data-messages]")
    assert not page.get_attribute("[data-reply]", "src"), "what was stopped is played to its end"
    page.fill("#text", "Thank you.")
    page.press("#text", "Enter")
    page.wait_for_selector(".message.avatar:last-child footer a")
    until_quiet(page)
    assert page.is_hidden("[data-form-error]")


def ask(page: Any, words: str) -> None:
    page.fill("#text", words)
    page.press("#text", "Enter")
    page.wait_for_selector(".stage.speaking")


def until_quiet(page: Any) -> None:
    """Until the answer has been spoken, or stopped."""
    page.wait_for_selector("[data-send]:not([hidden])")
    assert page.is_visible(".stage:not(.speaking)")


def test_the_microphone_is_heard(open_page: Callable[..., Any], trained: str) -> None:
    page = open_page(f"/chat?avatar={trained}")
    button = page.wait_for_selector("[data-talk]:not([disabled])")
    button.hover()
    page.mouse.down()
    page.wait_for_selector("[data-talk].recording")
    page.wait_for_timeout(1500)
    with page.expect_response("**/messages") as sent:
        page.mouse.up()
    assert sent.value.request.headers["content-type"].startswith("multipart/form-data")
    # Chromium's microphone beeps: there is nothing to understand in it, and the page says so.
    assert sent.value.status in (200, 400)


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_every_page_fits_a_phone(open_page: Callable[..., Any], trained: str, locale: str) -> None:
    page = open_page("/", PHONE, locale, "dark")
    for path in PAGES:
        page.goto(path)
        page.wait_for_timeout(1200)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        keep(page, f"phone-{path.strip('/') or 'home'}-{locale[:2]}")


def test_the_keyboard_is_enough_and_everything_has_a_name(open_page: Callable[..., Any], trained: str) -> None:
    page = open_page("/train")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    for path in PAGES:
        page.goto(path)
        page.wait_for_timeout(800)
        nameless = page.evaluate(
            """[...document.querySelectorAll('button, a, input:not([type=hidden]), select, textarea')]
                .filter(e => e.offsetParent && !e.textContent.trim() && !e.ariaLabel && !e.title && !e.labels?.length
                             && !e.getAttribute('aria-labelledby')).map(e => e.outerHTML)"""
        )
        assert not nameless, path


def test_the_language_can_be_changed(open_page: Callable[..., Any]) -> None:
    page = open_page("/train")
    page.click(".languages [lang=zh]")
    sync_api.expect(page.locator("h1")).to_have_text("训练数字人", timeout=WAIT_MS)
    assert page.url.rstrip("?").endswith("/train")
