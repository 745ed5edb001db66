"""How the pages behave in people's hands: refusals, devices, jobs at a glance, names that are long."""

from __future__ import annotations

import io
import json
import re
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.common.audio import to_pcm
from services.tts import espeak_ng

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.browser
expect = sync_api.expect
expect.set_options(timeout=180_000)  # a limit that only ends what hangs

Open = Callable[..., Any]
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
GIB = 2**30
GPUS = [
    {"device": f"cuda:{number}", "name": "RTX 4090", "memory_total_bytes": 24 * GIB, "memory_free_bytes": free * GIB}
    for number, free in enumerate((3, 20))
]
SAID = "Seven lighthouses stand in the fog."
JOB = {
    "id": "generation-now", "kind": "generation", "state": "running", "stage": "render", "progress": 0.4, "eta_s": None,
    "error": None, "result": None, "subject": "Vera", "title": SAID, "created_at": 1.8e9, "device": "cuda:0",
    "queue": 0, "step": 0, "steps": 0, "loss": None,
}  # fmt: skip
PHOTO = JOB | {
    "id": "training-photo", "kind": "training", "state": "succeeded", "title": "",
    "result": {"avatar": "Vera", "kind": "photo", "voice": None, "metrics": {}},
}  # fmt: skip


def described(page: Any, selector: str) -> str:
    """What a screen reader says of a control beside its name."""
    return page.eval_on_selector(
        selector,
        """e => (e.getAttribute('aria-describedby') ?? '').split(' ')
            .map(id => document.getElementById(id)?.textContent).join(' ')""",
    )


def focused(page: Any) -> str:
    return page.evaluate("document.activeElement.id")


def test_a_refused_form_says_all_and_goes_to_the_first_wrong_field(open_page: Open) -> None:
    page = open_page("/train")
    page.wait_for_selector("[data-more]:not([hidden])")
    page.click("[type=submit]")
    assert focused(page) == "video"
    for field in ("video", "name", "consented", "consent"):
        assert page.is_visible(f"[data-error-for={field}]"), field
        assert page.get_attribute(f"#{field}", "aria-invalid") == "true", field
        assert page.inner_text(f"[data-error-for={field}]") in described(page, f"#{field}"), field
    page.fill("#name", "Ann")
    assert page.is_hidden("[data-error-for=name]")
    assert page.get_attribute("#name", "aria-invalid") is None
    assert described(page, "#name") == page.inner_text("#name-help")


def test_what_the_gateway_refuses_has_the_focus_too(open_page: Open, tmp_path: Path) -> None:
    (tmp_path / "x.wav").write_text("no sound")
    page = open_page("/voices")
    page.set_input_files("#audio", str(tmp_path / "x.wav"))
    page.fill("#name", "Somebody")
    page.check("#consented")
    page.fill("#consent", "Somebody herself")
    page.click("form.card [type=submit]")
    expect(page.locator("#audio")).to_be_focused()
    assert page.inner_text("[data-error-for=audio]") in described(page, "#audio")


@pytest.mark.parametrize("path", ["/train", "/generate"])
def test_a_single_device_is_told_and_not_offered(open_page: Open, path: str) -> None:
    page = open_page(path)
    expect(page.locator("[data-device-fact]")).to_contain_text("GB memory free")
    assert page.is_hidden("#device")


def give_gpus(page: Any) -> Any:
    """The page finds two graphics processors; the first is at work."""

    def system(route: Any) -> None:
        response = route.fetch()
        told = response.json()
        for name in ("render", "train"):
            told["services"][name]["devices"] = ["cuda:0", "cuda:1", "cpu"]
            told["services"][name]["hardware"]["gpus"] = GPUS
        route.fulfill(response=response, json=told)

    page.route("**/api/v1/system", system)
    page.route("**/api/v1/jobs", lambda route: route.fulfill(json={"jobs": [JOB], "missing": []}))


def test_devices_are_offered_with_what_is_free_and_the_chosen_one_is_asked_for(open_page: Open) -> None:
    page = open_page("/healthz")
    give_gpus(page)
    page.goto("/generate")
    page.wait_for_selector("#device option[value='cuda:1']", state="attached")
    options = page.locator("#device option").all_inner_texts()
    assert options[0] == "Whatever is free first"
    assert options[1] == "GPU 0, RTX 4090 · 3.0 of 24.0 GB memory free · busy"
    assert options[2] == "GPU 1, RTX 4090 · 20.0 of 24.0 GB memory free"
    assert options[3].startswith("CPU, ")
    page.select_option("#device", "cuda:1")
    page.fill("#text", SAID)
    page.click("[type=submit]")
    page.wait_for_selector("[data-error-for=device]:not([hidden])")  # this machine knows no such device
    assert focused(page) == "device"
    assert "cpu" in page.inner_text("[data-error-for=device]")


def test_a_video_is_known_by_its_words_length_and_face_and_no_log_has_the_words(open_page: Open, stack: Any) -> None:
    asked = httpx.post(f"{stack.url}/api/v1/generations", json={"avatar": "Vera", "text": SAID}, timeout=120)
    page = open_page("/jobs")
    row = page.locator(f"article:has-text('{SAID}')")
    expect(row.locator(".badge.succeeded")).to_be_visible()
    expect(row.locator(".job-head .help")).to_contain_text("· 0:0")
    assert row.locator(".job-picture img").evaluate("e => e.decode().then(() => e.naturalWidth)") > 0
    httpx.delete(f"{stack.url}/api/v1/jobs/{asked.json()['id']}", timeout=120).raise_for_status()
    expect(row).to_have_count(0)
    logs = [stack.output, *stack.data.glob("logs/*.log")]
    assert len(logs) > 5
    assert not [log.name for log in logs if "lighthouses" in log.read_text(errors="replace")]


def test_what_was_typed_is_there_when_the_page_is_loaded_again_but_in_no_other_tab(open_page: Open) -> None:
    page = open_page("/generate")
    page.fill("#text", SAID)
    page.reload()
    expect(page.locator("#text")).to_have_value(SAID)
    expect(page.locator("[data-count]")).to_contain_text(str(len(SAID)))
    page.fill("#text", "")
    page.reload()
    expect(page.locator("[data-count]")).to_contain_text("0")
    expect(page.locator("#text")).to_have_value("")
    expect(open_page("/generate").locator("#text")).to_have_value("")


def test_stopping_is_said_at_once(open_page: Open) -> None:
    held = []
    page = open_page("/healthz")
    page.route("**/api/v1/jobs", lambda route: route.fulfill(json={"jobs": [JOB], "missing": []}))
    page.route("**/api/v1/jobs/*/cancel", lambda route: held.append(route))
    page.goto("/jobs")
    page.click("article .danger")
    page.click("#dialog [data-yes]")
    expect(page.locator("article .danger")).to_have_text("Stopping…")
    with page.expect_response("**/api/v1/jobs"):  # the list comes again, and still says that it runs
        pass
    assert page.inner_text("article .danger") == "Stopping…"
    assert page.evaluate("document.activeElement.closest('article') !== null"), "the focus is lost"
    held[0].fulfill(status=503, json={"error": {"code": "UNAVAILABLE", "message": "Away.", "field": None}})
    expect(page.locator("article .danger")).to_have_text("Stop")


def test_a_photo_avatar_is_seen_before_its_loop_is_drawn(open_page: Open) -> None:
    page = open_page("/healthz")
    page.route("**/api/v1/jobs/training-photo", lambda route: route.fulfill(json=PHOTO))
    events = f"event: job\ndata: {json.dumps(PHOTO)}\n\n"
    page.route("**/api/v1/jobs/*/events", lambda route: route.fulfill(body=events, content_type="text/event-stream"))
    page.route("**/avatars/Vera/idle", lambda route: None)  # still being drawn
    with page.expect_response("**/avatars/Vera/thumbnail") as picture:
        page.goto("/train?job=training-photo", wait_until="domcontentloaded")
    assert picture.value.ok
    box = page.locator("video.face").bounding_box()
    assert box["width"] == pytest.approx(box["height"], abs=1), "it jumps when the loop has come"
    page.unroute_all(behavior="ignoreErrors")


def test_long_names_are_whole_and_deleting_needs_no_pointer(open_page: Open) -> None:
    name = "Anna Lena Schneider-Wagenknecht of Unterammergau"
    page = open_page("/healthz")
    avatar = {"name": name, "kind": "photo", "files": ["report"], "voice": None}
    page.route("**/api/v1/avatars", lambda route: route.fulfill(json={"avatars": [avatar]}))
    for path, selector in (("/", ".avatar-tile h3"), ("/generate", ".avatar-card span")):
        for viewport in (DESKTOP, PHONE):
            page.set_viewport_size(viewport)
            page.goto(path)
            label = page.locator(selector)
            expect(label).to_have_text(name)
            is_whole = "e => e.scrollWidth <= e.clientWidth && e.scrollHeight <= e.clientHeight"
            assert label.evaluate(is_whole), (path, viewport)
    page.goto("/")
    delete = page.locator(f"[aria-label='Delete {name}']")
    expect(delete).to_be_visible()
    assert delete.evaluate("e => getComputedStyle(e).opacity") == "1"
    delete.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#dialog")).to_be_visible()


def test_a_voice_is_tried_at_the_chosen_speed_and_pitch(open_page: Open) -> None:
    page = open_page("/healthz")
    consent = {"given_by": "Ann", "time": 1.8e9}
    voice = {"name": "Ann", "engine": "espeak", "duration_s": 14, "transcript": "", "consent": consent}
    page.route("**/api/v1/voices", lambda route: route.fulfill(json={"voices": [voice]}))
    page.goto("/voices")
    page.get_by_label("Speed").fill("1.5")
    page.get_by_label("Pitch (semitones)").fill("-3")
    page.get_by_label("Volume (dB)").fill("6")
    with page.expect_request("**/api/v1/speech") as asked:
        page.click(".try [type=submit]")
    body = asked.value.post_data_json
    assert (body["voice"], body["rate"], body["pitch_semitones"], body["volume_db"]) == ("Ann", 1.5, -3, 6)
    expect(page.locator(".try + .field-error")).to_be_visible()  # there is no such voice on the real stack
    assert page.inner_text(".try + .field-error") in described(page, ".try input[type=text]")


def test_a_sentence_is_compared_between_all_engines_that_are_ready(open_page: Open, stack: Any) -> None:
    """One beneath the other, an engine that fails among them; said otherwise, all begins anew."""
    ready = {
        "name": "espeak", "is_default": True, "state": "ready", "reason": "", "remedy": "", "version": "1",
        "languages": [], "capabilities": ["cloning", "offline"], "licence": "", "parameters": [],
    }  # fmt: skip
    others = [ready | {"name": "other", "is_default": False}, ready | {"name": "lacking", "state": "missing"}]
    voice = {"name": "Ann", "engine": "espeak", "duration_s": 14, "transcript": "", "consent": {"given_by": "Ann"}}
    said = httpx.post(f"{stack.url}/api/v1/speech", json={"text": "Hello."}, timeout=180).raise_for_status().content
    page = open_page("/healthz")
    page.route("**/api/v1/voices", lambda route: route.fulfill(json={"voices": [voice]}))
    page.route("**/api/v1/engines", lambda route: route.fulfill(json={"tts": [ready, *others]}))

    def speak(route: Any) -> None:
        error = {"code": "BUSY", "message": "Too much at once.", "field": None}
        if route.request.post_data_json["engine"]:
            route.fulfill(status=429, json={"error": error})
        else:
            route.fulfill(body=said, content_type="audio/wav")

    page.route("**/api/v1/speech", speak)
    page.goto("/voices")
    page.locator("[name=tts_engine]").select_option("*")
    page.click(".try [type=submit]")
    rows = page.locator(".said li")
    expect(rows).to_have_count(2)
    expect(rows.nth(0).locator("audio")).to_have_accessible_name("The sentence, spoken by Ann through espeak")
    expect(rows.nth(1)).to_contain_text("Too much at once.")
    page.locator("[name=tts_engine]").select_option("")
    page.get_by_label("Write a sentence").fill("Something else.")
    page.click(".try [type=submit]")
    expect(rows).to_have_count(1)


def test_a_voice_is_recorded_judged_corrected_exported_and_brought_back(open_page: Open, tmp_path: Path) -> None:
    """On a phone, with the microphone, whose beeps are no speech: that is told before anything is kept."""
    page = open_page("/voices", PHONE)
    page.click("[data-record]")
    expect(page.locator("[data-record] span")).to_contain_text(re.compile("Stop · [1-9]"))
    page.click("[data-record]")
    expect(page.locator("[data-judged] .warnings")).to_contain_text("seconds of speech were heard")
    expect(page.locator(".drop-media audio").first).to_be_visible()
    page.set_input_files("#audio", {"name": "said.wav", "mimeType": "audio/wav", "buffer": speech_of_somebody()})
    expect(page.locator("[data-judged]")).to_contain_text("The recording is fine")
    expect(page.locator("#transcript")).not_to_have_value("")
    page.fill("#name", "Nia")
    page.check("#consented")
    page.fill("#consent", "Nobody: synthetic")
    page.click("[data-form] [type=submit]")
    expect(page.get_by_role("heading", name="Nia")).to_be_visible()
    expect(page.locator("[data-judged]")).to_be_hidden()
    card = page.locator("article.voice", has_text="Nia")
    card.locator("summary").click()
    text = card.get_by_label("What the recording of Nia says")
    text.fill("Some call me nature.")
    card.get_by_role("button", name="Save").click()
    expect(card.locator("[role=status]")).to_have_text("Saved.")
    with page.expect_download() as begun:
        card.get_by_role("link", name="VTT").click()
    assert "Some call me nature." in Path(begun.value.path()).read_text()
    with page.expect_download() as begun:
        card.get_by_role("link", name="Export the voice Nia as a file").click()
    begun.value.save_as(tmp_path / begun.value.suggested_filename)
    card.get_by_role("button", name="Delete the voice Nia").click()
    page.click("#dialog [data-yes]")
    expect(card).to_have_count(0)
    page.set_input_files("#archive", str(tmp_path / "Nia.voice.zip"))
    page.click("[data-import] [type=submit]")
    card.locator("summary").click()
    expect(text).to_have_value("Some call me nature.")
    (tmp_path / "other.zip").write_text("no archive")
    page.set_input_files("#archive", str(tmp_path / "other.zip"))
    page.click("[data-import] [type=submit]")
    expect(page.locator("[data-error-for=archive]")).to_contain_text("no exported voice")
    page.evaluate("fetch('/api/v1/voices/Nia', { method: 'DELETE' })")


def test_a_voice_that_is_brought_under_a_name_that_is_taken_is_given_another_and_shown(open_page: Open) -> None:
    voice = {"name": "Ann", "engine": "espeak", "duration_s": 14, "transcript": "", "consent": {"given_by": "Ann"}}
    voices = [voice]
    taken = {"code": "VOICE_EXISTS", "message": "A voice named 'Ann' exists already.", "field": "name"}

    def bring(route: Any) -> None:
        if b'name="name"\r\n\r\nAnna\r\n' not in route.request.post_data_buffer:
            return route.fulfill(status=409, json={"error": taken})
        voices.append(voice | {"name": "Anna"})
        return route.fulfill(status=201, json=voices[-1])

    page = open_page("/healthz", PHONE)
    page.route("**/api/v1/voices", lambda route: route.fulfill(json={"voices": voices}))
    page.route("**/api/v1/voices/import", bring)
    page.goto("/voices")
    page.set_input_files("#archive", {"name": "Ann.voice.zip", "mimeType": "application/zip", "buffer": b"PK"})
    page.click("[data-import] [type=submit]")
    expect(page.locator("[data-import] [data-error-for=name]")).to_contain_text("exists already")
    assert focused(page) == "import-name"
    page.fill("#import-name", "Anna")
    page.click("[data-import] [type=submit]")
    heading = page.get_by_role("heading", name="Anna")
    expect(heading).to_be_focused()
    expect(heading).to_be_in_viewport()
    expect(page.locator("#import-name")).to_have_value("")


def test_a_sentence_that_all_engines_refuse_alike_is_refused_once(open_page: Open) -> None:
    ready = {
        "name": "espeak", "is_default": True, "state": "ready", "reason": "", "remedy": "", "version": "1",
        "languages": [], "capabilities": ["cloning", "offline"], "licence": "", "parameters": [],
    }  # fmt: skip
    voice = {"name": "Ann", "engine": "espeak", "duration_s": 14, "transcript": "", "consent": {"given_by": "Ann"}}
    page = open_page("/healthz")
    page.route("**/api/v1/voices", lambda route: route.fulfill(json={"voices": [voice]}))
    told = {"tts": [ready, ready | {"name": "other", "is_default": False}]}
    page.route("**/api/v1/engines", lambda route: route.fulfill(json=told))
    error = {"code": "NOTHING_TO_SAY", "message": "There is nothing to say.", "field": "text"}
    page.route("**/api/v1/speech", lambda route: route.fulfill(status=400, json={"error": error}))
    page.goto("/voices")
    page.locator("[name=tts_engine]").select_option("*")
    page.click(".try [type=submit]")
    expect(page.locator(".try + .field-error")).to_have_text("There is nothing to say.")
    expect(page.locator(".said li")).to_have_count(0)


VOICE = {
    "name": "Ann", "engine": "espeak", "duration_s": 14, "transcript": "Some call me nature.",
    "consent": {"given_by": "Ann"},
}  # fmt: skip
EARS = {
    "name": "ears", "is_default": True, "state": "ready", "reason": "", "remedy": "", "version": "1",
    "languages": ["en", "zh"], "capabilities": ["language_detection"], "licence": "", "parameters": [],
}  # fmt: skip
SOUND = {"name": "said.wav", "mimeType": "audio/wav", "buffer": b"RIFF" + bytes(3000)}


def test_what_somebody_wrote_can_be_put_back_after_a_recording_is_written_down_anew(open_page: Open) -> None:
    page = open_page("/healthz", PHONE)
    page.route("**/api/v1/engines", lambda route: route.fulfill(json={"asr": [EARS], "tts": []}))
    page.route("**/api/v1/voices", lambda route: route.fulfill(json={"voices": [VOICE]}))
    page.route("**/api/v1/voices/Ann/transcription", lambda route: route.fulfill(json={"text": "Sun calls me Nick."}))
    page.goto("/voices")
    card = page.locator("article.voice", has_text="Ann")
    card.locator("summary").click()
    text, swap = card.get_by_label("What the recording of Ann says"), card.get_by_role("button", name="Put back")
    expect(swap).to_be_hidden()
    text.fill("Some call me Nature!")
    card.get_by_role("button", name="Write it down").click()
    expect(text).to_have_value("Sun calls me Nick.")
    text.fill("Sun calls me nature.")
    swap.click()
    expect(text).to_have_value("Some call me Nature!")
    swap.click()  # neither is lost
    expect(text).to_have_value("Sun calls me nature.")
    expect(card.get_by_role("button", name="Save")).to_be_enabled()


def test_a_voice_that_could_not_be_deleted_stays_and_says_why(open_page: Open) -> None:
    answers = [(503, "The service of voices is away."), (404, "There is no voice 'Ann'.")]
    voices = [VOICE]

    def forget(route: Any) -> None:
        status, message = answers.pop(0)
        if status == 404:
            voices.clear()
        error = {"code": "UNAVAILABLE", "message": message, "field": None}
        route.fulfill(status=status, json={"error": error})

    page = open_page("/healthz")
    page.route("**/api/v1/voices", lambda route: route.fulfill(json={"voices": voices}))
    page.route("**/api/v1/voices/Ann", forget)
    page.goto("/voices")
    card = page.locator("article.voice", has_text="Ann")
    card.get_by_role("button", name="Delete the voice Ann").click()
    page.click("#dialog [data-yes]")
    expect(card.get_by_role("alert").first).to_have_text("The service of voices is away.")
    card.get_by_role("button", name="Delete the voice Ann").click()
    page.click("#dialog [data-yes]")
    expect(card).to_have_count(0)  # somebody else has deleted it meanwhile


def test_a_file_that_cannot_be_read_is_told_once_with_its_size(open_page: Open) -> None:
    error = {"code": "AUDIO_UNREADABLE", "message": "This is no sound.", "field": "audio"}
    heard = []
    page = open_page("/healthz")
    page.route("**/api/v1/engines", lambda route: route.fulfill(json={"asr": [EARS], "tts": []}))
    page.route("**/api/v1/voices/check", lambda route: route.fulfill(status=400, json={"error": error}))
    page.on("request", lambda request: heard.append(request.url) if "transcriptions" in request.url else None)
    page.goto("/voices")
    expect(page.locator("#spoken option")).to_have_count(3)
    page.set_input_files("#audio", SOUND)
    expect(page.locator("[data-error-for=audio]")).to_have_text("This is no sound.")
    expect(page.get_by_text("This is no sound.")).to_have_count(1)
    expect(page.locator(".drop-name").first).to_have_text("said.wav · 3 kB")
    assert not heard


@pytest.mark.parametrize(("abilities", "spoken"), [(["language_detection"], ""), ([], "en")])
def test_a_recording_is_written_down_in_its_own_language_where_that_can_be_told(
    open_page: Open, abilities: list[str], spoken: str
) -> None:
    hearing = {
        "name": "ears", "is_default": True, "state": "ready", "reason": "", "remedy": "", "version": "1",
        "languages": ["en", "zh"], "capabilities": abilities, "licence": "", "parameters": [],
    }  # fmt: skip
    report = {"duration_s": 6, "speech_s": 6, "warnings": []}
    page = open_page("/healthz")
    page.route("**/api/v1/engines", lambda route: route.fulfill(json={"asr": [hearing], "tts": []}))
    page.route("**/api/v1/voices/check", lambda route: route.fulfill(json=report))
    page.route("**/api/v1/transcriptions", lambda route: route.fulfill(json={"text": "你好。"}))
    page.goto("/voices")
    with page.expect_request("**/api/v1/transcriptions") as asked:
        page.set_input_files("#audio", {"name": "said.wav", "mimeType": "audio/wav", "buffer": b"RIFF"})
    assert f'name="language"\r\n\r\n{spoken}\r\n'.encode() in asked.value.post_data_buffer
    expect(page.locator("#transcript")).to_have_value("你好。")


def speech_of_somebody() -> bytes:
    """Some seconds of a made-up person, as a WAV file."""
    text = "Some call me nature, others call me mother nature. I have been here for over four and a half billion years."
    spoken = espeak_ng.speak(text, "gmw/en+f3", 150).samples
    file = io.BytesIO()
    with wave.open(file, "wb") as target:
        target.setparams((1, 2, espeak_ng.SAMPLE_RATE, 0, "NONE", ""))
        target.writeframes(to_pcm(spoken * 0.5))
    return file.getvalue()


def test_the_engine_that_learns_a_voice_is_chosen_where_there_is_a_choice(open_page: Open, tmp_path: Path) -> None:
    espeak = {
        "name": "espeak", "is_default": True, "state": "ready", "reason": "", "remedy": "", "version": "1",
        "languages": [], "capabilities": ["cloning", "offline"], "licence": "", "parameters": [],
    }  # fmt: skip
    deaf = espeak | {"name": "deaf", "is_default": False, "capabilities": []}
    told = {"tts": [espeak, deaf]}
    page = open_page("/healthz")
    page.route("**/api/v1/engines", lambda route: route.fulfill(json=told))
    page.goto("/voices")
    page.wait_for_selector("[data-voice-list][aria-busy=false]")
    assert page.is_hidden("#engine"), "nobody is asked where one engine learns voices"
    told["tts"].append(espeak | {"name": "other", "is_default": False})
    page.reload()
    page.select_option("#engine", "other")
    (tmp_path / "x.wav").write_text("no sound")
    page.set_input_files("#audio", str(tmp_path / "x.wav"))
    page.fill("#name", "Somebody")
    page.check("#consented")
    page.fill("#consent", "Somebody herself")
    with page.expect_request(lambda request: request.method == "POST" and request.url.endswith("/voices")) as asked:
        page.click("form.card [type=submit]")
    assert b'name="engine"\r\n\r\nother\r\n' in asked.value.post_data_buffer


@pytest.mark.parametrize("language", ["en", "zh"])
def test_subtitles_that_there_cannot_be_are_greyed_with_the_reason(open_page: Open, language: str) -> None:
    page = open_page(f"/language/{language}?next=/generate")
    page.select_option("#subtitles", "burn")
    page.click("#tab-audio")
    if language == "en":  # which the recogniser understands
        expect(page.locator("#spoken")).to_have_value("en")
        assert page.input_value("#subtitles") == "burn"
        page.select_option("#spoken", "other")
    expect(page.locator("#spoken")).to_have_value("other")
    expect(page.locator("#subtitles")).to_have_value("none")
    assert page.locator("#subtitles option:disabled").count() == 2
    assert "pocketsphinx" in page.inner_text("#subtitles-help")
    assert page.inner_text("#subtitles-help") in described(page, "#subtitles")
    page.click("#tab-text")  # what is written is known
    page.select_option("#subtitles", "burn")
