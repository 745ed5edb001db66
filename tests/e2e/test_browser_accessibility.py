"""axe-core over every page as people meet it, in either language, theme and width; no serious finding.

Each page is seen in four of the eight ways, so chosen that every two of language, theme and width meet: colours hang
on the theme and the width, layout on the width and the language, names on the language.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

sync_api = pytest.importorskip("playwright.sync_api")
Axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe
pytestmark = pytest.mark.browser

SIZES = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}
LOOKS = {
    "en-US": (("desktop", "light"), ("phone", "dark")),
    "zh-CN": (("desktop", "dark"), ("phone", "light")),
}
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


def home(page: Any) -> Iterator[str]:
    page.goto("/")
    page.wait_for_selector(".avatar-tile h3")
    sync_api.expect(page.locator("[data-state=serving]")).to_have_count(5)
    yield "home"


def generate(page: Any) -> Iterator[str]:
    page.goto("/generate")
    page.wait_for_selector(".avatar-card img")
    page.wait_for_selector("[data-device-fact]:not([hidden]), [data-device-field]:not([hidden])")
    page.click("[type=submit]")
    page.wait_for_selector("[data-error-for=text]:not([hidden])")
    yield "refused"
    page.click("#tab-audio")
    yield "from a recording"


def train(page: Any) -> Iterator[str]:
    page.goto("/train")
    page.click("[data-more]:not([hidden]) summary")
    page.click("[type=submit]")
    page.wait_for_selector("[data-error-for=video]:not([hidden])")
    yield "refused"
    png = {"name": "p.png", "mimeType": "image/png", "buffer": b""}
    page.set_input_files("#video", png)
    page.wait_for_selector("[data-photo]:not([hidden])")
    yield "from a photo"


def trained(page: Any) -> Iterator[str]:
    page.goto(f"/train?job={FILMED['id']}")
    page.wait_for_selector(".metrics dd")
    yield "report card"
    page.goto(f"/train?job={PHOTO['id']}")
    page.wait_for_selector("video.face")
    yield "photo revealed"


def voices(page: Any) -> Iterator[str]:
    consent = {"given_by": "Ann", "time": 1.8e9}
    warning = {"code": "NOISY", "message": "There is noise behind the voice. Record in a quiet room.", "field": "audio"}
    report = {"speech_s": 12, "warnings": [warning]}
    voice = {"name": "Ann", "engine": "espeak", "duration_s": 14, "transcript": "Hello. " * 60, "consent": consent}
    page.route("**/api/v1/voices", lambda route: route.fulfill(json={"voices": [voice | {"report": report}]}))
    page.route("**/api/v1/voices/check", lambda route: route.fulfill(json=report))
    page.route("**/api/v1/speech", lambda route: route.fulfill(body=b"RIFF", content_type="audio/wav"))
    page.goto("/voices")
    page.click(".transcript summary")
    page.click(".try [type=submit]")
    page.wait_for_selector(".said audio")
    page.set_input_files("#audio", {"name": "a.wav", "mimeType": "audio/wav", "buffer": b"RIFF"})
    page.wait_for_selector("[data-judged] .warnings")
    yield "compared and judged"
    page.click("form.card [type=submit]")
    page.wait_for_selector("[data-error-for=name]:not([hidden])")
    yield "refused"


def jobs(page: Any) -> Iterator[str]:
    page.goto("/jobs")
    sync_api.expect(page.locator(".badge")).to_have_count(len(JOBS))
    yield "list"
    page.click("article:has(.succeeded) .danger")
    page.wait_for_selector("#dialog[open]")
    yield "dialog"


def models(page: Any) -> Iterator[str]:
    little = {
        "purpose": "Tests.", "size_bytes": 2e6, "licence": "MIT", "languages": ["en", "zh"], "begun_bytes": 1e6,
        "homepage": "https://example.org", "is_recommended": True, "job_id": None,
    }  # fmt: skip
    states = ("missing", "begun", "whole", "damaged")
    shown = [little | {"name": f"{state}-one", "state": state} for state in states]
    page.route("**/api/v1/models", lambda route: route.fulfill(json={"models": shown}))
    page.goto("/models")
    sync_api.expect(page.locator("[data-model]")).to_have_count(len(states))
    page.click("[type=submit]")
    page.wait_for_selector("[data-error-for=files]:not([hidden])")
    yield "refused"


def ask(page: Any, words: str) -> None:
    page.goto("/chat?avatar=Vera")
    page.wait_for_selector("#text:not([disabled])")
    page.fill("#text", words)
    page.press("#text", "Enter")


def conversation(page: Any) -> Iterator[str]:
    ask(page, "What is Visavis?")
    page.wait_for_selector(".message.avatar footer a")
    yield "reply"
    page.click("[data-open-history]")
    page.wait_for_selector("dialog[open] [data-history-list] li")
    yield "history"


def stopped(page: Any) -> Iterator[str]:
    ask(page, "How do I train an avatar?")
    page.wait_for_selector(".stage.speaking")
    page.click("[data-stop]")
    page.wait_for_selector(".message.avatar.stopped")
    yield "reply"


def chat_settings(page: Any) -> Iterator[str]:
    page.goto("/chat?avatar=Vera")
    page.wait_for_selector("#text:not([disabled])")
    page.click("[data-open-settings]")
    page.wait_for_selector("dialog[open] #rate")
    page.click("[data-engines] summary")
    page.wait_for_selector("[data-lacks] li")
    yield "open"


def others(page: Any) -> Iterator[str]:
    for path in ("/sign-in", "/nothing-here"):
        page.goto(path)
        yield path


STATES = (home, generate, train, trained, voices, models, jobs, conversation, stopped, chat_settings, others)
"""What people do; each yields what there is to see on the way."""


def findings(page: Any) -> list[str]:
    violations = Axe().run(page).response["violations"]
    return [
        f"{one['impact']} {one['id']}: {node['target']} {node['failureSummary']}"
        for one in violations
        if one["impact"] in GRAVE
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("locale", LOOKS)
@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing_serious(
    open_page: Callable[..., Any], state: Callable[[Any], Iterator[str]], locale: str
) -> None:
    page = open_page("/healthz", locale=locale)
    page.emulate_media(reduced_motion="reduce")  # colours on their way from one to another are neither
    told(page)
    found = {}
    for seen in state(page):
        for size, theme in LOOKS[locale]:
            page.set_viewport_size(SIZES[size])
            page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            found[seen, size, theme] = findings(page)
        page.set_viewport_size(SIZES["desktop"])
    assert found and not any(found.values()), found
