"""Services that die or fall silent in the middle of a talk: the page is told, what was said stays, the talk goes on."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from client.remote.live_socket import Piece
from tests.e2e.conftest import Stack
from tests.e2e.talking import Talk, spoken
from tests.provider import Provider, running_provider

pytestmark = pytest.mark.e2e

BACK_S = 300  # only ends what would hang: a killed service loads anew, on a busy machine
PATIENCE_S = 10
STORY = [f"This is sentence number {number} of a long story. " for number in range(1, 9)]
SHORT = ["That is all."]
CALLS = {"llm": "Reply", "tts": "StreamingSynthesize", "render": "StreamingRender"}
"""The three calls of a reply, by service."""
TIMED_OUT = 'visavis_replies_total{outcome="timed_out"}'


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with running_provider() as provider:
        yield provider


@pytest.fixture(scope="module")
def house(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of its own, whose dialogue says what a test wants."""
    settings = {
        "LLM_ENGINE": "openai",
        "LLM_BASE_URL": provider.url,
        "LLM_MODEL": "test",
        "VISAVIS_LLM_FIRST_WORD_SECONDS": str(PATIENCE_S),
        "VISAVIS_LLM_NEXT_WORD_SECONDS": str(BACK_S),
    }
    house = Stack(tmp_path_factory.mktemp("house") / "data", settings=settings)
    house.start()
    try:
        house.wait()
        yield house
    finally:
        house.stop()


@pytest.fixture(scope="module")
def api(house: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{house.url}/api/v1", timeout=120) as client:
        yield client


@pytest.fixture(scope="module")
def question(house: Stack, api: httpx.Client) -> bytes:
    """What somebody says; the call that spoke it is in the log already."""
    before = len(outcomes(house, "tts"))
    pcm = spoken(api, "What can you do for me today?")
    house.until(lambda: len(outcomes(house, "tts")) > before, BACK_S, "the speech is over")
    return pcm


def new_chat(api: httpx.Client) -> str:
    return api.post("/chats", json={"avatar": "Vera", "size": 128}).raise_for_status().json()["id"]


@pytest.fixture(scope="module")
def silent(house: Stack, api: httpx.Client) -> Iterator[tuple[Talk, float]]:
    """Somebody who is connected and says nothing, and since when."""
    talk = Talk(house.url, new_chat(api))
    talk.until_a("ready")
    yield talk, time.monotonic()
    talk.socket.close()


@pytest.fixture
def talk(house: Stack, api: httpx.Client, silent: tuple[Talk, float], provider: Provider) -> Iterator[Talk]:
    provider.stall_after, provider.deltas = None, SHORT
    chat = new_chat(api)
    talk = Talk(house.url, chat)
    yield talk
    talk.socket.close()
    api.delete(f"/chats/{chat}")


def begin_story(talk: Talk, provider: Provider) -> None:
    """A reply of which the user has heard the first words, and whose dialogue, speech and pictures wait for more."""
    provider.deltas, provider.stall_after = STORY, len(STORY)
    talk.socket.say("Tell me a story.")
    talk.until(lambda one: isinstance(one, Piece) and one.number > 3)
    talk.socket.played(1, 0.4)


def is_answered(talk: Talk, provider: Provider, text: str) -> bool:
    """Write something; whether the reply to it comes whole, as the dialogue wrote it."""
    provider.deltas, provider.stall_after = SHORT, None
    number = len(talk.told("transcript")) + 1
    talk.socket.say(text)
    end = talk.until(lambda one: isinstance(one, dict) and one["type"] in ("done", "error") and one["reply"] == number)
    return end["type"] == "done" and end["text"] == SHORT[0]


def kill(house: Stack, name: str) -> int | None:
    """Kill a service; the process that it was."""
    before = house.pid(name)
    house.kill(name)
    return before


def until_back(house: Stack, name: str, before: int | None) -> None:
    house.until(lambda: house.pid(name) not in (None, before), BACK_S, f"{name} is restarted")
    house.until(lambda: house.health()[name] == "serving", BACK_S, f"{name} serves again")


def timed_out(house: Stack) -> float:
    """Replies that the gateway has given up waiting for."""
    lines = httpx.get(f"{house.url}/metrics").raise_for_status().text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(TIMED_OUT))


def outcomes(house: Stack, name: str) -> list[str]:
    """How a service's calls of replies have ended so far, by its own log."""
    lines = (house.data / "logs" / f"{name}.log").read_text().splitlines()
    told = [json.loads(line) for line in lines if line.startswith("{")]
    calls = [one for one in told if one.get("event") == "call" and one["method"].endswith(f"/{CALLS[name]}")]
    return [one["outcome"] for one in calls]


def how_calls_ended(house: Stack, before: dict[str, int], count: int) -> dict[str, list[str]]:
    """Wait until each service has ended so many more calls; how."""
    fresh = {name: outcomes(house, name)[before[name] :] for name in CALLS}
    for name in CALLS:
        house.until(lambda: len(outcomes(house, name)) >= before[name] + count, BACK_S, f"{name} ends {count} calls")  # noqa: B023
        fresh[name] = outcomes(house, name)[before[name] :]
    return fresh


def speak_up(talk: Talk, question: bytes) -> None:
    talk.speak(question)
    talk.be_silent(1.5)
    talk.until_a("interrupted")


def write(talk: Talk, _: bytes) -> None:
    talk.socket.say("Something else.")
    talk.until_a("interrupted")


def stop(talk: Talk, _: bytes) -> None:
    talk.socket.stop()
    talk.until_a("interrupted")


def hang_up(talk: Talk, _: bytes) -> None:
    talk.socket.close()


@pytest.mark.parametrize(("end", "goes_on"), [(speak_up, True), (write, True), (stop, False), (hang_up, False)])
def test_whatever_ends_a_reply_ends_every_call_of_it(
    talk: Talk,
    house: Stack,
    provider: Provider,
    question: bytes,
    end: Callable[[Talk, bytes], None],
    goes_on: bool,
) -> None:
    before = {name: len(outcomes(house, name)) for name in CALLS}
    begin_story(talk, provider)  # and so is the reply to what interrupts it
    end(talk, question)
    assert how_calls_ended(house, before, 1) == {name: ["CANCELLED"] for name in CALLS}
    if goes_on:
        talk.until(lambda one: isinstance(one, Piece) and one.reply == 2)
    talk.socket.close()
    count = 2 if goes_on else 1
    assert how_calls_ended(house, before, count) == {name: ["CANCELLED"] * count for name in CALLS}


def test_a_dialogue_that_is_not_waited_for_is_cancelled_and_the_apology_is_not(
    talk: Talk, house: Stack, provider: Provider
) -> None:
    before = {name: len(outcomes(house, name)) for name in CALLS}
    provider.deltas, provider.stall_after = SHORT, 0
    talk.socket.say("Are you there?")
    talk.until_a("done")
    assert how_calls_ended(house, before, 1) == {"llm": ["CANCELLED"], "tts": ["OK"], "render": ["OK"]}


@pytest.mark.parametrize("name", ["llm", "tts", "render"])
def test_a_service_that_dies_in_mid_reply(talk: Talk, house: Stack, provider: Provider, name: str) -> None:
    begin_story(talk, provider)
    before = kill(house, name)
    told = talk.until_a("apology" if name == "llm" else "error")
    assert told["reply"] == 1 and not told.get("is_final")
    assert told["error"]["message"] and "rpc" not in told["error"]["message"].lower()
    until_back(house, name, before)
    house.until(lambda: is_answered(talk, provider, "And now?"), BACK_S, "the talk goes on")
    dialogue = [(one["role"], one["content"]) for one in provider.requests[-1]["messages"]]
    assert dialogue[1] == ("user", "Tell me a story.")
    assert dialogue[2][0] == "assistant" and dialogue[2][1], "what was heard is kept"
    assert STORY[0].startswith(dialogue[2][1]), "and nothing else"
    assert not any("Sorry" in text for _, text in dialogue), "an apology is nothing that the model said"


def told_in(response: httpx.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    """The server-sent events of an answer, as they come."""
    kind = ""
    for line in response.iter_lines():
        name, _, value = line.partition(": ")
        if name == "event":
            kind = value
        elif name == "data":
            yield kind, json.loads(value)


def said(house: Stack, chat: str) -> list[tuple[str, str]]:
    """What of a chat is stored."""
    stored = json.loads((house.data / "gateway" / "conversations" / f"{chat}.json").read_text())
    return [(one["role"], one["text"]) for one in stored["messages"]]


def begun_story(api: httpx.Client, provider: Provider, chat: str) -> contextlib.AbstractContextManager[httpx.Response]:
    """The events of a reply whose dialogue, speech and pictures wait for more."""
    provider.deltas, provider.stall_after = STORY, len(STORY)
    return api.stream("POST", f"/chats/{chat}/messages", json={"text": "Tell me a story."})


def is_answered_in_events(api: httpx.Client, provider: Provider, chat: str) -> bool:
    provider.deltas, provider.stall_after = SHORT, None
    with api.stream("POST", f"/chats/{chat}/messages", json={"text": "And now?"}) as answer:
        kinds = [kind for kind, _ in told_in(answer)]
    return "done" in kinds and not {"error", "apology"} & set(kinds)


@pytest.mark.parametrize("name", ["llm", "tts", "render"])
def test_a_service_that_dies_while_a_reply_is_streamed(
    house: Stack, api: httpx.Client, provider: Provider, name: str
) -> None:
    chat, before = new_chat(api), None
    with begun_story(api, provider, chat) as answer:
        for kind, data in told_in(answer):
            if kind == "media" and before is None:
                before = kill(house, name)
            if kind in ("apology", "error"):
                told = kind, data.get("error", data)["message"]
    assert told[0] == ("apology" if name == "llm" else "error")
    assert told[1] and "rpc" not in told[1].lower()
    kept = said(house, chat)
    assert kept[0] == ("user", "Tell me a story.")
    assert kept[1][0] == "assistant" and STORY[0].split()[0] in kept[1][1] and "Sorry" not in kept[1][1]
    until_back(house, name, before)
    house.until(lambda: is_answered_in_events(api, provider, chat), BACK_S, "the next message is answered")
    assert said(house, chat)[:2] == kept
    assert said(house, chat)[-1] == ("assistant", SHORT[0])


def test_a_reader_who_goes_and_comes_back_finds_what_was_sent(
    house: Stack, api: httpx.Client, provider: Provider
) -> None:
    chat, before = new_chat(api), {name: len(outcomes(house, name)) for name in CALLS}
    with begun_story(api, provider, chat) as answer:
        next(kind for kind, _ in told_in(answer) if kind == "media")
    assert how_calls_ended(house, before, 1) == {name: ["CANCELLED"] for name in CALLS}
    house.until(lambda: len(said(house, chat)) == 2, BACK_S, "what was sent is stored")
    kept = said(house, chat)[1][1]
    assert kept and STORY[0].startswith(kept)
    assert is_answered_in_events(api, provider, chat)
    assert [role for role, _ in said(house, chat)] == ["user", "assistant"] * 2


def test_a_voice_that_dies_is_told_before_all_that_it_has_said_is_shown(
    talk: Talk, house: Stack, provider: Provider
) -> None:
    provider.deltas = [f"This is sentence number {number} of a very long story. " for number in range(60)]
    provider.stall_after = len(provider.deltas)
    talk.socket.say("Tell me a story.")
    talk.until(lambda one: isinstance(one, Piece) and one.number > 3)
    before = kill(house, "tts")
    assert talk.until_a("error")["reply"] == 1
    assert talk.pieces(1)[-1].frame_index / 25 < talk.told("sentence")[-1]["start_s"]
    until_back(house, "tts", before)
    house.until(lambda: is_answered(talk, provider, "And now?"), BACK_S, "the talk goes on")


def test_a_recogniser_that_dies_in_mid_reply(talk: Talk, house: Stack, provider: Provider, api: httpx.Client) -> None:
    question = spoken(api, "What can you do for me today?")
    begin_story(talk, provider)
    before = kill(house, "asr")
    error = talk.until_a("error")
    assert (error["reply"], error["is_final"]) == (None, False) and error["error"]["message"]
    talk.until(lambda one: isinstance(one, Piece) and one.frame_index > 200)  # eight seconds: the reply goes on
    until_back(house, "asr", before)

    def is_heard() -> bool:
        talk.speak(question)
        talk.be_silent(1.5)
        return any(one["end_s"] is not None for one in talk.told("transcript"))

    house.until(is_heard, BACK_S, "speech is understood again")
    assert talk.until_a("interrupted")["reply"] == 1


def test_a_dialogue_that_never_answers(talk: Talk, house: Stack, provider: Provider, api: httpx.Client) -> None:
    before = timed_out(house)
    provider.deltas, provider.stall_after = SHORT, 0
    talk.socket.say("你在吗？")
    answer = api.post(f"/chats/{new_chat(api)}/messages", json={"text": "Are you there?"})
    events = [line.removeprefix("event: ") for line in answer.text.splitlines() if line.startswith("event: ")]
    assert {"apology", "media", "done"} <= set(events) and "error" not in events
    assert '"code": "LLM_TIMEOUT"' in answer.text and "Sorry, I cannot answer right now." in answer.text

    assert talk.until_a("apology")["error"]["code"] == "LLM_TIMEOUT"
    done = talk.until_a("done")
    assert done["text"] == "抱歉，我现在无法回答。请稍后再试。" and "total" not in done["latency"]
    assert talk.until_a("sentence")["text"] == "抱歉，我现在无法回答。"
    assert len(talk.pieces(1)) > 2, "it is spoken and shown"
    assert timed_out(house) >= before + 2

    talk.socket.played(1, 1.0)
    house.until(lambda: is_answered(talk, provider, "And now?"), BACK_S, "the talk goes on")
    assert {one["role"] for one in provider.requests[-1]["messages"]} == {"system", "user"}


def test_the_command_line_is_told_too(house: Stack, provider: Provider) -> None:
    provider.deltas, provider.stall_after = SHORT, 0
    house.settings["VISAVIS_LLM_FIRST_WORD_SECONDS"] = "1"  # of the command; the gateway has read its own
    done = house.visavis("chat", "--avatar", "Vera", input="Are you there?\n")
    assert done.returncode == 0, done.stderr
    assert "The dialogue did not answer in time." in done.stdout
    assert "Sorry, I cannot answer right now." in done.stdout


def test_who_says_nothing_for_a_minute_is_still_there(silent: tuple[Talk, float], provider: Provider) -> None:
    talk, since = silent
    time.sleep(max(0.0, since + 62 - time.monotonic()))
    assert is_answered(talk, provider, "Hello again!")
    assert not [error for error in talk.told("error") if error["is_final"]]
