"""axe-core over every page as people meet it: both themes, both languages, desktop and phone; no serious finding."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

sync_api = pytest.importorskip("playwright.sync_api")
Axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe
pytestmark = pytest.mark.browser

SIZES = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}
GRAVE = ("serious", "critical")
PHOTO = {
    "id": "training-photo", "kind": "training", "state": "succeeded", "stage": "package", "progress": 1, "eta_s": None,
    "error": None, "warnings": [], "subject": "Vera", "title": "", "created_at": 1.8e9, "device": "cpu", "queue": 0,
    "step": 0, "steps": 0, "loss": None, "result": {"avatar": "Vera", "kind": "photo", "voice": None, "metrics": {}},
}  # fmt: skip
FILMED = PHOTO | {
    "id": "training-filmed",
    "result": {"avatar": "Vera", "kind": "video", "voice": None, "metrics": {"psnr": 31.2, "ssim": 0.94}},
}
VIDEO = PHOTO | {
    "id": "generation-done", "kind": "generation", "title": "Good morning, and welcome to the first lesson of today",
    "result": {"video_url": "/api/v1/jobs/generation-done/video", "subtitles_url": None, "duration_s": 3.5},
}  # fmt: skip
RUNNING = VIDEO | {"id": "generation-now", "state": "running", "stage": "render", "progress": 0.4, "result": None}
FAILED = VIDEO | {
    "id": "generation-bad", "state": "failed", "result": None,
    "error": {"code": "SILENT", "message": "Nothing is said in this recording.", "field": None},
}  # fmt: skip
JOBS = [VIDEO, RUNNING, FAILED, VIDEO | {"id": "generation-off", "state": "cancelled", "result": None}, FILMED, PHOTO,
        PHOTO | {"id": "training-bad", "state": "failed", "result": None, "error": FAILED["error"], "can_resume": True},
        PHOTO | {"id": "training-next", "state": "queued", "stage": "", "queue": 1, "result": None}]  # fmt: skip


def told(page: Any) -> None:
    """Jobs in every state: the page is shown them instead of the real ones."""

    def answer(route: Any) -> None:
        _, _, after = route.request.url.partition("/api/v1/jobs")
        job = next((job for job in JOBS if job["id"] in after), None)
        if after.endswith("/events"):
            route.fulfill(body=f"event: job\ndata: {json.dumps(job)}\n\n", content_type="text/event-stream")
        else:
            route.fulfill(json=job or {"jobs": JOBS, "missing": []})

    page.route("**/api/v1/jobs**", answer)
    page.route("**/api/v1/jobs/*/events", answer)
    page.route("**/api/v1/jobs/*", answer)


def home(page: Any) -> None:
    page.goto("/")
    page.wait_for_selector(".avatar-tile h3")
    sync_api.expect(page.locator("[data-state=serving]")).to_have_count(5)


def generate_refused(page: Any) -> None:
    page.goto("/generate")
    page.wait_for_selector(".avatar-card img")
    page.wait_for_selector("[data-device-fact]:not([hidden]), [data-device-field]:not([hidden])")
    page.click("[type=submit]")
    page.wait_for_selector("[data-error-for=text]:not([hidden])")


def generate_from_recording(page: Any) -> None:
    page.goto("/generate")
    page.click("#tab-audio")


def train_refused(page: Any) -> None:
    page.goto("/train")
    page.click("[data-more]:not([hidden]) summary")
    page.click("[type=submit]")
    page.wait_for_selector("[data-error-for=video]:not([hidden])")


def train_photo(page: Any) -> None:
    page.goto("/train")
    png = {"name": "p.png", "mimeType": "image/png", "buffer": b""}
    page.set_input_files("#video", png)
    page.wait_for_selector("[data-photo]:not([hidden])")


def report_card(page: Any) -> None:
    page.goto(f"/train?job={FILMED['id']}")
    page.wait_for_selector(".metrics dd")


def photo_revealed(page: Any) -> None:
    page.goto(f"/train?job={PHOTO['id']}")
    page.wait_for_selector("video.face")


def voices(page: Any) -> None:
    consent = {"given_by": "Ann", "time": 1.8e9}
    voice = {"name": "Ann", "engine": "espeak", "duration_s": 14, "transcript": "Hello.", "consent": consent}
    page.route("**/api/v1/voices", lambda route: route.fulfill(json={"voices": [voice]}))
    page.goto("/voices")
    page.wait_for_selector(".try")
    page.click("form.card [type=submit]")
    page.wait_for_selector("[data-error-for=name]:not([hidden])")


def jobs(page: Any) -> None:
    page.goto("/jobs")
    sync_api.expect(page.locator(".badge")).to_have_count(len(JOBS))


def dialog(page: Any) -> None:
    jobs(page)
    page.click("article:has(.succeeded) .danger")
    page.wait_for_selector("#dialog[open]")


def ask(page: Any, words: str) -> None:
    page.goto("/chat?avatar=Vera")
    page.wait_for_selector("#text:not([disabled])")
    page.fill("#text", words)
    page.press("#text", "Enter")


def conversation(page: Any) -> None:
    ask(page, "What is Visavis?")
    page.wait_for_selector(".message.avatar footer a")


def stopped(page: Any) -> None:
    ask(page, "How do I train an avatar?")
    page.wait_for_selector(".stage.speaking")
    page.click("[data-stop]")
    page.wait_for_selector(".message.avatar.stopped")


def chat_settings(page: Any) -> None:
    page.goto("/chat?avatar=Vera")
    page.wait_for_selector("#text:not([disabled])")
    page.click("[data-open-settings]")
    page.wait_for_selector("dialog[open] #rate")
    page.click("[data-engines] summary")
    page.wait_for_selector("[data-lacks] li")


def conversations(page: Any) -> None:
    conversation(page)
    page.click("[data-open-history]")
    page.wait_for_selector("dialog[open] [data-history-list] li")


def sign_in(page: Any) -> None:
    page.goto("/sign-in")


def nothing(page: Any) -> None:
    page.goto("/nothing-here")


STATES = (home, generate_refused, generate_from_recording, train_refused, train_photo, report_card, photo_revealed,
          voices, jobs, dialog, conversation, stopped, chat_settings, conversations, sign_in, nothing)  # fmt: skip


def findings(page: Any) -> list[str]:
    violations = Axe().run(page).response["violations"]
    return [
        f"{one['impact']} {one['id']}: {node['target']} {node['failureSummary']}"
        for one in violations
        if one["impact"] in GRAVE
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing_serious(open_page: Callable[..., Any], state: Callable[[Any], None], locale: str) -> None:
    page = open_page("/healthz", locale=locale)
    page.emulate_media(reduced_motion="reduce")  # colours on their way from one to another are neither
    told(page)
    state(page)
    found = {}
    for size, viewport in SIZES.items():
        for theme in ("light", "dark"):
            page.set_viewport_size(viewport)
            page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            found[size, theme] = findings(page)
    assert not any(found.values()), found
