"""A hands-free talk in a real Chromium whose microphone plays a recording: asked, answered, interrupted."""

from __future__ import annotations

import io
import shutil
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.browser

ARTIFACTS = Path(__file__).resolve().parents[2] / "artifacts" / "screenshots"
WAIT_MS = 180_000
QUESTION = "What can you do for me today, and how does it work?"
LONG_S, SHORT_S = 60.0, 1.5
"""Pauses between one question and the next: so that it is answered in peace, or the next one comes into the answer."""


@pytest.fixture(params=[LONG_S])
def microphone(request: pytest.FixtureRequest, stack: Any, tmp_path: Path) -> Path:
    """A question and a pause; Chromium plays it again and again."""
    answer = httpx.post(f"{stack.url}/api/v1/speech", json={"text": QUESTION}, timeout=120).raise_for_status()
    with wave.open(io.BytesIO(answer.content)) as spoken:
        parameters, pcm = spoken.getparams(), spoken.readframes(spoken.getnframes())
    path = tmp_path / "microphone.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams(parameters)
        file.writeframes(bytes(2 * parameters.framerate) + pcm + bytes(2 * int(request.param * parameters.framerate)))
    return path


@pytest.fixture
def page(stack: Any, microphone: Path) -> Iterator[Any]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not path:
        pytest.skip("no Chromium here: apt-get install chromium")
    arguments = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    complaints: list[str] = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=[*arguments, f"--use-file-for-fake-audio-capture={microphone}"]
        )
        page = browser.new_page(base_url=stack.url, viewport={"width": 1280, "height": 800})
        page.set_default_timeout(WAIT_MS)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto("/chat")
        yield page
        browser.close()
    assert not complaints


def keep(page: Any, name: str) -> None:
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"{name}.png")


def start(page: Any) -> None:
    page.click("[data-hands-free]:not([disabled])")
    page.wait_for_selector("[data-hands-free][aria-pressed=true]")


def test_a_spoken_question_is_answered(page: Any) -> None:
    start(page)
    page.wait_for_selector(".message.user")
    assert len(page.inner_text(".message.user").split()) >= 3
    page.wait_for_selector(".stage.speaking")
    keep(page, "live-speaking")
    page.click("[data-hands-free]")
    page.wait_for_selector("[data-hands-free][aria-pressed=false]")
    page.wait_for_selector(".stage:not(.speaking)")
    assert page.is_hidden("[data-form-error]")


@pytest.mark.parametrize("microphone", [SHORT_S], indirect=True)
def test_a_question_interrupts_the_answer_to_the_one_before(page: Any) -> None:
    start(page)
    page.wait_for_selector(".message.avatar.stopped")
    assert page.locator(".message.user").count() >= 1
    assert page.is_hidden("[data-form-error]")
    keep(page, "live-interrupted")


def test_what_is_written_is_answered_in_the_same_talk(page: Any) -> None:
    start(page)
    sync_api.expect(page.locator("[data-state]")).to_have_text("Listening", timeout=WAIT_MS)  # it is connected
    page.fill("#text", "Hello!")
    page.press("#text", "Enter")
    page.wait_for_selector(".message.user:has-text('Hello!')")
    page.wait_for_selector(".stage.speaking")
