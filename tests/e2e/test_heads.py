"""An engine that makes whole clips, written as a file in a folder: its avatar talks turn by turn in the page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from PIL import Image

from tests.e2e.conftest import BROWSER_WAIT_MS, Stack, up

pytestmark = pytest.mark.browser
ROOT = Path(__file__).resolve().parents[2]
HEADS = ROOT / "tests" / "heads"
ARTIFACTS = ROOT / "artifacts" / "screenshots"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with that engine and an avatar of it."""
    data = tmp_path_factory.mktemp("stack") / "data"
    folder = data / "avatars" / "Cards"
    folder.mkdir(parents=True)
    Image.new("RGB", (128, 128), (20, 90, 60)).save(folder / "thumbnail.jpg")
    manifest = {"engine": "cards", "width": 128, "height": 128, "fps": 30, "cards": {"seconds": 8.0}}
    (folder / "avatar.json").write_text(json.dumps(manifest))
    with up(Stack(data, settings={"VISAVIS_ENGINE_FOLDER": str(HEADS)})) as running:
        yield running


def expect(found: Any) -> Any:
    """What is found, given as long as a busy machine may take."""
    playwright = pytest.importorskip("playwright.sync_api")
    playwright.expect.set_options(timeout=BROWSER_WAIT_MS)
    return playwright.expect(found)


def clips(stack: Stack) -> list[psutil.Process]:
    """The processes that make clips."""
    return [
        one
        for one in psutil.Process(stack.process.pid).children(recursive=True)
        if "services.render.clip" in one.cmdline()
    ]


def test_it_is_told_that_it_cannot_be_live(stack: Stack) -> None:
    engines = {one["name"]: one for one in httpx.get(f"{stack.url}/api/v1/engines", timeout=60).json()["render"]}
    assert "streaming" not in engines["cards"]["capabilities"]
    assert {"streaming", "expression"} <= set(engines["portrait"]["capabilities"])


def test_a_turn_is_rendered_shown_and_can_be_stopped(open_page: Callable[..., Any], stack: Stack) -> None:
    page = open_page("/chat?avatar=Cards")
    page.wait_for_selector("#text:not([disabled])")
    expect(page.locator("[data-turn-by-turn]")).to_contain_text("answers turn by turn")
    page.fill("#text", "Hello.")
    page.press("#text", "Enter")
    state = page.locator("[data-state]")
    expect(state).to_contain_text("Making the video: shuffling")
    expect(state).to_contain_text("s left")
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ARTIFACTS / "turn-by-turn-rendering.png")
    assert len(clips(stack)) == 1
    expect(page.locator(".stage.speaking")).to_be_visible()
    page.screenshot(path=ARTIFACTS / "turn-by-turn-speaking.png")
    expect(state).to_have_text("Ready")
    page.wait_for_selector(".message.avatar footer a")
    page.fill("#text", "Who are you?")
    page.press("#text", "Enter")
    expect(state).to_contain_text("Making the video: shuffling")
    page.click("[data-stop]")
    expect(state).to_have_text("Ready")
    stack.until(lambda: not clips(stack), 60, "the engine ends with the turn")


def test_the_engine_is_told_what_the_page_and_rest_are_told(open_page: Callable[..., Any], stack: Stack) -> None:
    said = {"avatar": "Cards", "text": "Red."}
    url = f"{stack.url}/api/v1/generations"
    for wrong, reason in ({"red": "very"}, "NOT_A_NUMBER"), ({"red": 256}, "PARAMETER_RANGE"):
        refused = httpx.post(url, json=said | {"params": wrong}, timeout=60)
        error = refused.json()["error"]
        assert (refused.status_code, error["code"], error["field"]) == (400, reason, "params.red")
    page = open_page("/generate?avatar=Cards")
    page.click("[data-more] summary")
    page.fill("[id='params.red']", "200")
    page.fill("#text", "Red.")
    page.click("[type=submit]")
    page.wait_for_selector("video")
    colour = page.evaluate("""async () => {
      const video = document.querySelector("video");
      video.muted = true;
      const seen = new Promise((resolve) => video.addEventListener("loadeddata", resolve, { once: true }));
      if (video.readyState < 2) await seen;
      const canvas = Object.assign(document.createElement("canvas"), { width: 8, height: 8 });
      const context = canvas.getContext("2d");
      context.drawImage(video, 0, 0, 8, 8);
      return [...context.getImageData(4, 1, 1, 1).data];
    }""")
    assert colour[0] > 150
    page.goto("/generate?avatar=Vera")
    page.wait_for_selector(".avatar-card img")
    assert page.is_hidden("[data-more]"), "which can be told nothing"


def test_the_sliders_that_have_no_effect_say_so_in_chinese(open_page: Callable[..., Any]) -> None:
    page = open_page("/generate?avatar=Cards", locale="zh-CN")
    expect(page.locator("[data-no-expression]")).to_contain_text("不能调节生动程度")
    expect(page.locator("#mouth_amplitude")).to_be_disabled()
    page.locator("[data-no-expression]").scroll_into_view_if_needed()
    page.screenshot(path=ARTIFACTS / "no-expression-zh.png")
