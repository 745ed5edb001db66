"""A hands-free talk in a real Chromium whose microphone plays a recording: asked, answered, interrupted, cut off."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
import socket
import threading
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import av
import httpx
import numpy as np
import pytest

from client.talk.live import BREATH_S
from tests.conftest import SHARED_DATA

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.browser

ARTIFACTS = Path(__file__).resolve().parents[2] / "artifacts" / "screenshots"
WAIT_MS = 180_000
QUESTION = "What can you do for me today, and how does it work?"
HEAD_BYTES = 12  # of a piece of video
LONG_S, SHORT_S = 60.0, 1.5
"""Pauses between one question and the next: so that it is answered in peace, or the next one comes into the answer."""


def spoken(stack: Any, words: str) -> tuple[Any, bytes]:
    """Some words, as the parameters of a WAV file and its sound, without the silence around it."""
    answer = httpx.post(f"{stack.url}/api/v1/speech", json={"text": words}, timeout=120).raise_for_status()
    with wave.open(io.BytesIO(answer.content)) as file:
        parameters, pcm = file.getparams(), file.readframes(file.getnframes())
    loud = np.flatnonzero(np.abs(np.frombuffer(pcm, np.int16).astype(int)) > 300)
    return parameters, pcm[2 * loud[0] : 2 * loud[-1]]


def record(stack: Any, words: str, pause_s: float, path: Path, breath_s: float = 0.0) -> Path:
    """Some words and a pause, for a microphone; where there is a "|" in them, breath is drawn."""
    said = [spoken(stack, part) for part in words.split("|")]
    parameters = said[0][0]
    silence = {
        name: bytes(2 * int(seconds * parameters.framerate))
        for name, seconds in (("before", 1.0), ("breath", breath_s), ("after", pause_s))
    }
    with wave.open(str(path), "wb") as file:
        file.setparams(parameters)
        file.writeframes(silence["before"] + silence["breath"].join(pcm for _, pcm in said) + silence["after"])
    return path


@pytest.fixture(params=[LONG_S])
def microphone(request: pytest.FixtureRequest, stack: Any, tmp_path: Path) -> Path:
    """A question and a pause; Chromium plays it again and again."""
    return record(stack, QUESTION, request.param, tmp_path / "microphone.wav")


Open = Callable[..., Any]


@pytest.fixture
def open_page(stack: Any) -> Iterator[Open]:
    """Opens the chat page in a browser of its own, which hears a file if one is given, and else beeps."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not path:
        pytest.skip("no Chromium here: apt-get install chromium")
    complaints: list[str] = []
    with sync_api.sync_playwright() as playwright, contextlib.ExitStack() as browsers:

        def open_one(
            microphone: Path | None = None,
            *,
            url: str = stack.url,
            asked: str = "--use-fake-ui-for-media-stream",
            before: str = "",
            locale: str = "en-US",
            size: tuple[int, int] = (1280, 800),
        ) -> Any:
            arguments = ["--no-sandbox", "--use-fake-device-for-media-stream", asked]
            if microphone:
                arguments.append(f"--use-file-for-fake-audio-capture={microphone}")
            browser = browsers.enter_context(playwright.chromium.launch(executable_path=path, args=arguments))
            context = browser.new_context(base_url=url, viewport={"width": size[0], "height": size[1]}, locale=locale)
            page = context.new_page()
            page.set_default_timeout(WAIT_MS)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.add_init_script(before)
            page.goto("/chat")
            return page

        yield open_one
    assert not complaints


@pytest.fixture
def silence(tmp_path: Path) -> Path:
    """A microphone of somebody who says nothing."""
    path = tmp_path / "silence.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(bytes(2 * 16000 * 10))
    return path


LEVELS = """
addEventListener("DOMContentLoaded", () => {
  window.levels = [];
  new MutationObserver(() => levels.push(document.querySelector("[data-level]").value))
    .observe(document.querySelector("[data-level]"), { attributeFilter: ["value"] });
});
"""


@pytest.fixture
def page(open_page: Open, microphone: Path) -> Any:
    return open_page(microphone, before=LEVELS)


def keep(page: Any, name: str) -> None:
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"{name}.png")


def start(page: Any) -> None:
    page.click("[data-hands-free]:not([disabled])")
    page.wait_for_selector("[data-hands-free][aria-pressed=true]")


def test_a_spoken_question_is_answered(page: Any) -> None:
    start(page)
    page.wait_for_selector(".message.interim")
    keep(page, "live-interim")
    page.wait_for_selector(".message.user:not(.interim)")
    assert len(page.inner_text(".message.user").split()) >= 3
    assert page.locator(".message.interim").count() == 0
    assert page.evaluate("levels.some((level) => level > 0.3)"), "the microphone's level moves"
    page.wait_for_selector(".stage.speaking")
    keep(page, "live-speaking")
    page.click("[data-hands-free]")
    page.wait_for_selector("[data-hands-free][aria-pressed=false]")
    page.wait_for_selector(".stage:not(.speaking)")
    assert page.is_hidden("[data-form-error]")


BREATHS = 3  # that may be drawn until one arrives as it was drawn: a busy machine's microphone stutters


def is_one_breath(told: list[dict[str, Any]]) -> bool:
    """Whether the microphone brought two pieces of speech, and the breath between them has not become a pause."""
    starts = [event["start_s"] for event in told if event["type"] == "hearing"]
    ends = [event["end_s"] for event in told if event["type"] == "transcript"]
    return len(starts) == 2 and starts[1] - ends[0] <= BREATH_S


def test_a_question_with_a_breath_in_it_is_one_and_answered_once(open_page: Open, stack: Any, tmp_path: Path) -> None:
    words = "What can you do for me today|and how does it work?"
    microphone = record(stack, words, LONG_S, tmp_path / "breath.wav", breath_s=0.6)
    for _ in range(BREATHS):
        page = open_page(microphone)
        told = events_of(page)
        start(page)
        page.wait_for_selector(".stage.speaking")
        are_answered(page, told)
        if is_one_breath(told):
            break
        page.close()
    else:
        pytest.fail("the microphone stuttered each time")
    transcripts = [event for event in told if event["type"] == "transcript"]
    assert [event["goes_on"] for event in transcripts] == [False, True]
    first, whole = (event["text"] for event in transcripts)
    assert whole.startswith(f"{first} ")
    assert page.locator(".message.user").all_inner_texts() == [whole]
    assert page.locator(".message.avatar").count() == 2, "the greeting, and one answer"
    messages = chat_of(page, stack)["messages"]
    assert [(one["role"], one["text"]) for one in messages if one["role"] == "user"] == [("user", whole)]
    assert [one["role"] for one in messages] == ["user", "assistant"]
    keep(page, "live-breath")


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


def is_said(page: Any, state: str) -> None:
    """Wait until the page says what it does."""
    sync_api.expect(page.locator("[data-state]")).to_have_text(state, timeout=WAIT_MS)


def ask(page: Any, words: str) -> str:
    """Write something in a hands-free talk and wait until the answer has been spoken; what it was."""
    count = page.locator(".message").count()
    page.fill("#text", words)
    page.press("#text", "Enter")
    sync_api.expect(page.locator(".message")).to_have_count(count + 2, timeout=WAIT_MS)
    page.wait_for_selector(".stage.speaking")
    page.wait_for_selector(".stage:not(.speaking)")
    is_said(page, "Listening")
    return page.locator(".message.avatar > span").last.inner_text()


def chat_of(page: Any, stack: Any) -> dict[str, Any]:
    """What the gateway knows of a page's conversation."""
    chat = page.evaluate("sessionStorage.getItem('visavis.conversation')")
    return httpx.get(f"{stack.url}/api/v1/chats/{chat}").raise_for_status().json()


def events_of(page: Any) -> list[dict[str, Any]]:
    """Everything that a page is told from now on."""
    told: list[dict[str, Any]] = []

    def note(data: str | bytes) -> None:
        told.append(
            json.loads(data)
            if isinstance(data, str)
            else {"type": "video", "reply": int.from_bytes(data[:4], "little"), "data": data[HEAD_BYTES:]}
        )

    page.on("websocket", lambda ws: ws.on("framereceived", note))
    return told


def are_answered(page: Any, told: list[dict[str, Any]]) -> None:
    """Wait until the answers to all that a page has understood are over: a busy machine's microphone stutters."""
    for _ in range(WAIT_MS // 500):
        page.wait_for_timeout(500)
        kinds = [event["type"] for event in told]
        if kinds.count("transcript") == kinds.count("done") + kinds.count("interrupted"):
            page.wait_for_selector(".stage:not(.speaking)")
            return
    pytest.fail("an answer never ended")


class Cable:
    """The way to the gateway, which can be pulled out and plugged in again."""

    def __init__(self, port: int) -> None:
        self._port, self._is_in, self._open = port, True, []
        self._near = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._near.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # it is closed
            while True:
                near = self._near.accept()[0]
                if not self._is_in:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self._port))
                self._open += [near, far]
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=ends, daemon=True).start()

    @staticmethod
    def _carry(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(2**16):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def pull(self) -> None:
        self._is_in = False
        for end in self._open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def plug(self) -> None:
        self._is_in = True

    def close(self) -> None:
        self.pull()
        self._near.close()


@pytest.fixture
def cable(stack: Any) -> Iterator[Cable]:
    cable = Cable(stack.ports["gateway"])
    yield cable
    cable.close()


def test_a_lost_connection_comes_back_to_the_same_talk(
    open_page: Open, silence: Path, cable: Cable, stack: Any
) -> None:
    page = open_page(silence, url=cable.url)
    start(page)
    is_said(page, "Listening")
    answer = ask(page, "What is Visavis?")
    before = chat_of(page, stack)
    cable.pull()
    is_said(page, "Connecting…")
    page.fill("#text", "Are you still there?")
    page.press("#text", "Enter")
    cable.plug()
    page.wait_for_selector(".message.user:has-text('Are you still there?')")
    page.wait_for_selector(".stage.speaking")
    page.wait_for_selector(".stage:not(.speaking)")
    assert page.is_hidden("[data-form-error]")
    after = chat_of(page, stack)
    assert after["id"] == before["id"] and after["messages"][: len(before["messages"])] == before["messages"]
    assert [one["text"] for one in after["messages"][:3]] == ["What is Visavis?", answer, "Are you still there?"]
    assert page.locator(".message.stopped").count() == 0, "what had been heard to its end was not broken off"


def test_a_gateway_that_starts_again_is_found_again(open_page: Open, silence: Path, stack: Any) -> None:
    page = open_page(silence)
    told = events_of(page)
    start(page)
    is_said(page, "Listening")
    answer = ask(page, "What is Visavis?")
    before = chat_of(page, stack)
    gateway = stack.pid("gateway")
    stack.kill("gateway")
    is_said(page, "Connecting…")
    assert "connection was lost" in page.inner_text("[data-form-error]")
    keep(page, "live-lost")
    stack.until(lambda: stack.pid("gateway") not in (None, gateway), WAIT_MS / 1000, "it is started again")
    is_said(page, "Listening")
    assert page.is_hidden("[data-form-error]")
    ask(page, "Are you still there?")
    after = chat_of(page, stack)
    assert {event["chat"] for event in told if event["type"] == "ready"} == {before["id"]} == {after["id"]}
    assert [one["text"] for one in after["messages"][:3]] == ["What is Visavis?", answer, "Are you still there?"]
    assert page.get_attribute("[data-hands-free]", "aria-pressed") == "true"


FILM = (Path(__file__).parent / "stage_film.js").read_text()
SEAM_LEVELS = 6.0
"""Grey levels: a cut from one frame of the loop to any other is less, a black picture is far more."""


def test_neither_where_a_reply_begins_nor_where_it_ends_the_picture_jumps(open_page: Open, silence: Path) -> None:
    page = open_page(silence, before=FILM)
    told = events_of(page)
    start(page)
    is_said(page, "Listening")
    for words in ("Hello!", "What is Visavis?"):
        ask(page, words)
    seen = page.evaluate("url => film.measure(url)", page.get_attribute("[data-idle]", "src"))
    length, unit = len(seen["steps"]), float(np.quantile(seen["steps"], 0.95))
    figures = [(seam["kind"], round(seam["step"] / unit, 2), seam["loop_frame"]) for seam in seen["seams"]]
    assert [seam["kind"] for seam in seen["seams"]] == ["into", "out"] * 2
    assert max(seam["step"] for seam in seen["seams"]) < SEAM_LEVELS, figures
    ended_on = [event["next_frame_index"] % length for event in told if event["type"] == "done"]
    for seam, frame in zip(seen["seams"][1::2], ended_on, strict=True):
        apart = abs(seam["loop_frame"] - frame)
        assert min(apart, length - apart) <= 2 or seam["step"] < 2 * unit, "the loop goes on elsewhere"
    assert min(seen["means"]) > max(seen["means"]) - SEAM_LEVELS, "it was dark for a moment"
    assert not page.evaluate("film.gaps > 2")


def test_two_browsers_do_not_mix(open_page: Open, stack: Any, tmp_path: Path) -> None:
    pages, told = [], []
    for number, words in enumerate((QUESTION, "How do I record a good video of myself?")):
        page = open_page(record(stack, words, LONG_S, tmp_path / f"{number}.wav"))
        told.append(events_of(page))
        pages.append(page)
    for page in pages:
        start(page)
    for page, events in zip(pages, told, strict=True):
        page.wait_for_selector(".stage.speaking")
        are_answered(page, events)
        chat = chat_of(page, stack)
        transcripts = [event for event in events if event["type"] == "transcript"]
        followed = [*transcripts[1:], {"goes_on": False}]
        said = [one["text"] for one, next_one in zip(transcripts, followed, strict=True) if not next_one["goes_on"]]
        assert {event["chat"] for event in events if event["type"] == "ready"} == {chat["id"]}
        assert [message["text"] for message in chat["messages"] if message["role"] == "user"] == said
        assert page.locator(".message.user").all_inner_texts() == said
        assert {event["reply"] for event in events if event["type"] == "video"} <= set(range(1, len(transcripts) + 1))
        last = "".join(e["text"] for e in events if e["type"] == "delta" and e["reply"] == len(transcripts)).strip()
        shown = page.locator(".message.avatar").last.locator("span, .unheard").all_inner_texts()
        assert "".join("".join(shown).split()).startswith("".join(last.split()))
    assert chat_of(pages[0], stack)["id"] != chat_of(pages[1], stack)["id"]


@pytest.mark.parametrize(("locale", "denied"), [("en-US", "blocked"), ("zh-CN", "禁止")])
def test_a_microphone_that_is_denied_is_told_and_writing_goes_on(open_page: Open, locale: str, denied: str) -> None:
    page = open_page(asked="--deny-permission-prompts", locale=locale)
    page.click("[data-hands-free]:not([disabled])")
    sync_api.expect(page.locator("[data-form-error]")).to_contain_text(denied, timeout=WAIT_MS)
    assert page.get_attribute("[data-hands-free]", "aria-pressed") == "false"
    page.fill("#text", "Hello!")
    page.press("#text", "Enter")
    page.wait_for_selector(".stage.speaking")
    assert page.is_hidden("[data-form-error]")


def test_a_browser_that_cannot_append_says_so_and_plays_the_whole_answer(open_page: Open) -> None:
    page = open_page(before="MediaSource.isTypeSupported = () => false;")
    page.click("[data-hands-free]:not([disabled])")
    sync_api.expect(page.locator("[data-form-error]")).to_contain_text("MediaSource", timeout=WAIT_MS)
    assert page.get_attribute("[data-hands-free]", "aria-pressed") == "false"
    page.fill("#text", "Hello!")
    page.press("#text", "Enter")
    page.wait_for_selector(".stage.speaking")
    assert "/video" in page.get_attribute("[data-reply]", "src")


def test_another_avatar_goes_on_with_what_was_said(
    open_page: Open, silence: Path, stack: Any, second_avatar: str
) -> None:
    page = open_page(silence)
    start(page)
    is_said(page, "Listening")
    first = chat_of(page, stack)["avatar"]
    answer = ask(page, "What is Visavis?")
    page.click("[data-open-settings]")
    page.select_option("[data-avatar]", second_avatar)
    sync_api.expect(page.locator("[data-avatar-name]")).to_have_text(second_avatar, timeout=WAIT_MS)
    assert quote(second_avatar) in page.get_attribute("[data-idle]", "src")
    page.keyboard.press("Escape")
    ask(page, "How do I train an avatar?")
    chat = chat_of(page, stack)
    assert chat["avatar"] == second_avatar
    assert [one["text"] for one in chat["messages"][:3]] == ["What is Visavis?", answer, "How do I train an avatar?"]

    page.click("[data-hands-free]")
    is_said(page, "Ready")
    page.click("[data-open-settings]")
    with page.expect_response(lambda response: response.request.method == "PATCH"):
        page.select_option("[data-avatar]", first)
    sync_api.expect(page.locator("[data-avatar-name]")).to_have_text(first, timeout=WAIT_MS)
    now = chat_of(page, stack)
    assert (now["id"], now["avatar"], now["messages"]) == (chat["id"], first, chat["messages"])


OBSERVE = """
addEventListener("DOMContentLoaded", () => {
  const stage = document.querySelector(".stage");
  const [caption, reply, idle] = ["caption", "reply", "idle"].map((name) => document.querySelector(`[data-${name}]`));
  window.lit = [];
  window.landed = [];
  const text = (name) => caption.querySelector("." + name)?.textContent ?? "";
  new MutationObserver(() => lit.push([reply.currentTime, text("said"), text("now"), text("to-come")]))
    .observe(caption, { childList: true, subtree: true, characterData: true });
  let speaks = false;
  new MutationObserver(() => {
    const before = speaks;
    speaks = stage.classList.contains("speaking");
    if (before && !speaks) landed.push([idle.currentTime, idle.duration]);
  }).observe(stage, { attributeFilter: ["class"] });
});
"""


@pytest.mark.parametrize(
    ("locale", "size", "question", "listening"),
    [
        ("en-US", (1280, 800), "What is Visavis?", "Listening"),
        ("zh-CN", (390, 844), "你是谁？", "正在听"),
    ],
)
def test_captions_follow_the_voice_and_the_loop_goes_on_where_the_answer_ended(
    open_page: Open, silence: Path, locale: str, size: tuple[int, int], question: str, listening: str
) -> None:
    page = open_page(silence, before=OBSERVE, locale=locale, size=size)
    told = events_of(page)
    start(page)
    is_said(page, listening)
    keep(page, f"live-listening-{locale[:2]}-{size[0]}")
    page.fill("#text", question)
    page.press("#text", "Enter")
    page.wait_for_selector(".caption .said:not(:empty)")
    keep(page, f"live-caption-{locale[:2]}-{size[0]}")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.wait_for_selector(".stage:not(.speaking)")
    answer = page.locator(".message.avatar > span").last.inner_text()
    lit = [one for one in page.evaluate("lit") if one[2]]
    times, heard = [one[0] for one in lit], [one[2].strip() for one in lit]
    assert times == sorted(times)
    assert all("".join(one[1:]).strip() in answer for one in lit)
    words = [word for event in told if event["type"] == "words" for word in event["words"]]
    assert "".join(word["text"] for word in words).replace(" ", "")[:4] in answer.replace(" ", "")
    assert len(dict.fromkeys(heard)) >= len({word["text"] for word in words}) / 2, "a loaded machine may miss a few"
    (done,) = [event for event in told if event["type"] == "done"]
    ((at, length),) = page.evaluate("landed")
    assert at == pytest.approx((done["next_frame_index"] + 0.5) / 25 % length, abs=0.1)
    page.click("[data-open-settings]")
    page.check("#timing")
    page.keyboard.press("Escape")
    assert page.locator(".timing dt.total, .timing dt.held, .timing dt.shown, .timing dt.underruns").count() == 4
    keep(page, f"live-timing-{locale[:2]}-{size[0]}")


def test_a_service_that_dies_in_an_answer_leaves_what_was_said_and_the_talk(
    open_page: Open, silence: Path, stack: Any
) -> None:
    page = open_page(silence)
    start(page)
    is_said(page, "Listening")
    page.fill("#text", "Tell me everything about yourself.")
    page.press("#text", "Enter")
    page.wait_for_selector(".stage.speaking")
    stack.kill("render")
    page.wait_for_selector(".message.avatar.stopped")
    page.wait_for_selector(".stage:not(.speaking)")
    assert page.locator(".message.avatar.stopped > span").inner_text()
    assert page.is_visible("[data-form-error]") or page.is_visible("#notice")
    stack.until(lambda: stack.health()["render"] == "serving", WAIT_MS / 1000, "it is back")
    ask(page, "Are you back?")
    assert page.get_attribute("[data-hands-free]", "aria-pressed") == "true"
    assert page.is_hidden("[data-form-error]")


@pytest.fixture
def whisper(stack: Any, whisper_base: Path) -> Iterator[None]:
    """The stack recognises with Whisper, as it does wherever the model is there."""
    model = stack.data / "models" / whisper_base.name
    model.parent.mkdir(mode=0o700, exist_ok=True)
    model.symlink_to(whisper_base)
    yield
    model.unlink()
    stack.kill("asr")  # which has it in memory still
    stack.until(lambda: stack.health()["asr"] == "serving", WAIT_MS / 1000, "recognition is back")


def somebody_speaking_chinese(stack: Any, path: Path) -> tuple[Path, str]:
    """A microphone, and how what it hears begins: a person where a recording is there, else espeak."""
    person = SHARED_DATA / "speech" / "zh_aishell3_SSB00730374.wav"
    if not person.exists():
        return record(stack, "数字人可以做什么？", LONG_S, path), "数字"
    with wave.open(str(person)) as file:
        parameters, pcm = file.getparams(), file.readframes(file.getnframes())
    silence = bytes(2 * parameters.framerate)
    with wave.open(str(path), "wb") as file:
        file.setparams(parameters)
        file.writeframes(silence + pcm + int(LONG_S) * silence)
    return path, "现在这个部门"


def lasts(movie: bytes) -> float:
    """Seconds of sound in an MP4 file."""
    with av.open(io.BytesIO(movie)) as container:
        frames = [*container.decode(audio=0)]
        return sum(frame.samples for frame in frames) / frames[0].sample_rate


@pytest.mark.usefixtures("whisper")
def test_somebody_speaks_chinese_and_is_answered_in_chinese(open_page: Open, stack: Any, tmp_path: Path) -> None:
    microphone, beginning = somebody_speaking_chinese(stack, tmp_path / "chinese.wav")
    page = open_page(microphone, locale="zh-CN", size=(390, 844))
    told = events_of(page)
    start(page)
    page.wait_for_selector(".message.user:not(.interim)")
    assert page.inner_text(".message.user").startswith(beginning), "in simplified characters"
    page.wait_for_selector(".stage.speaking")
    page.wait_for_selector(".stage:not(.speaking)")
    is_said(page, "正在听")
    keep(page, "live-chinese")
    answer = "".join(page.locator(".message.avatar > span").all_inner_texts())
    syllables = len(re.findall(r"[\u4e00-\u9fff]", answer))
    assert syllables > len(answer) / 2
    video = b"".join(event["data"] for event in told if event["type"] == "video")
    assert 0.1 < lasts(video) / syllables < 0.5, "no voice of another language reads characters so quickly"
    assert page.evaluate("document.documentElement.lang").startswith("zh")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.is_hidden("[data-form-error]")
