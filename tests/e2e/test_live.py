"""The live protocol over the real stack: speech up, video down, and every way of ending a reply."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Iterator
from typing import Any

import av
import httpx
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed

from client.remote.live_socket import Piece
from client.talk.conversation import STAGES
from tests.e2e.talking import RATE, TICK, WAIT_S, Talk, pcm_of, spoken

pytestmark = pytest.mark.e2e
DONE = 'visavis_replies_total{outcome="done"}'
QUESTION = "What can you do for me today, and how does it work?"


@pytest.fixture(scope="module")
def api(stack: Any) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{stack.url}/api/v1", timeout=120) as client:
        yield client


@pytest.fixture(scope="module")
def question(api: httpx.Client) -> bytes:
    """A question as PCM, spoken by the synthesiser."""
    return spoken(api, QUESTION)


@pytest.fixture
def chat(api: httpx.Client) -> Iterator[str]:
    avatar = api.get("/avatars").json()["avatars"][0]["name"]
    created = api.post("/chats", json={"avatar": avatar, "language": "en"}).raise_for_status().json()
    yield created["id"]
    api.delete(f"/chats/{created['id']}")


@pytest.fixture
def talk(stack: Any, chat: str) -> Iterator[Talk]:
    talk = Talk(stack.url, chat)
    yield talk
    talk.socket.close()


def test_what_is_said_is_heard_and_answered_with_a_playable_video(talk: Talk, question: bytes, chat: str) -> None:
    assert talk.until_a("ready") == {
        "type": "ready", "version": 1, "chat": chat, "microphone_rate_hertz": RATE, "hangover_ms": 400,
    }  # fmt: skip
    talk.speak(question)
    talk.be_silent(1.5)
    transcript = talk.until_a("transcript")
    assert len(transcript["text"].split()) >= 3
    assert transcript["end_s"] == pytest.approx(len(question) / 2 / RATE, abs=0.5)
    done = talk.until_a("done")
    assert done["reply"] == 1 and done["text"]
    assert (
        "".join(one["text"] for one in talk.seen if isinstance(one, dict) and one["type"] == "delta").strip()
        == (done["text"])
    )
    pieces = talk.pieces(1)
    assert [piece.number for piece in pieces] == list(range(len(pieces)))
    with av.open(io.BytesIO(b"".join(piece.data for piece in pieces))) as video:
        frames = sum(1 for _ in video.decode(video=0))
    media = talk.until_a("media")
    assert frames / media["fps"] > 1 and "avc1" in media["media_type"]
    assert list(done["timeline"].values()) == sorted(done["timeline"].values())


def test_a_reply_tells_where_its_time_went_and_so_does_the_gateway(talk: Talk, question: bytes, stack: Any) -> None:
    before = figures(stack)
    talk.speak(question)
    talk.be_silent(1.5)
    stages = talk.until_a("done")["latency"]
    assert list(stages) == ["vad", "asr", *STAGES, "encode", "total", "transport"]
    assert stages["vad"] == pytest.approx(0.4, abs=0.05)
    assert all(seconds > 0 for seconds in stages.values())
    stack.until(lambda: figures(stack)[DONE] > before.get(DONE, 0), WAIT_S, "the reply is counted")
    after = figures(stack)
    for stage in stages.keys() - {"total"}:
        count = f'visavis_reply_stage_seconds_count{{stage="{stage}"}}'
        assert after[count] > before.get(count, 0)


def figures(stack: Any) -> dict[str, float]:
    """What the gateway tells Prometheus."""
    lines = httpx.get(f"{stack.url}/metrics").raise_for_status().text.splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


def test_speech_interrupts_a_reply_and_is_answered(talk: Talk, question: bytes) -> None:
    talk.socket.say("Tell me everything about yourself.")
    talk.until(lambda one: isinstance(one, Piece) and one.number > 1)
    talk.socket.played(1, 0.1)
    talk.speak(question)
    talk.be_silent(1.5)
    interrupted = talk.until_a("interrupted")
    assert interrupted["reply"] == 1 and interrupted["heard_s"] == pytest.approx(0.1)
    talk.until(lambda one: isinstance(one, Piece) and one.reply == 2)
    after = talk.seen[talk.seen.index(interrupted) :]
    assert not [one for one in after if isinstance(one, Piece) and one.reply == 1]
    assert talk.kinds().index("hearing") < talk.kinds().index("interrupted") < len(talk.kinds())


def test_a_breath_in_a_question_does_not_cut_it_in_two(talk: Talk, api: httpx.Client, chat: str) -> None:
    said = [np.frombuffer(spoken(api, words), "<i2") for words in ("What can you do for me today", "How does it work?")]
    (before, first, _), (_, second, after) = (quiet_around(pcm) for pcm in said)
    breath = np.zeros(int(0.8 * RATE), "<i2")
    talk.speak(np.concatenate([before, first, breath, second, after]).tobytes())
    talk.be_silent(1.5)
    whole = talk.until(lambda one: isinstance(one, dict) and one.get("goes_on"))["text"]
    beginning = talk.told("transcript")[0]["text"]
    assert whole.startswith(f"{beginning} ")
    talk.until(lambda one: isinstance(one, dict) and one["type"] == "done" and one["reply"] == 2)
    said_so_far = [(one["role"], one["text"]) for one in api.get(f"/chats/{chat}").json()["messages"]]
    assert said_so_far[0] == ("user", whole)
    assert [role for role, _ in said_so_far] == ["user", "assistant"], "the answer to its beginning is gone"


def quiet_around(pcm: np.ndarray) -> tuple[np.ndarray, ...]:
    """The silence before some speech, the speech, and the silence after it."""
    loud = np.flatnonzero(np.abs(pcm.astype(int)) > 300)
    return tuple(np.split(pcm, [loud[0], loud[-1]]))


def heard_in_a_room(played: bytes, decibels: float, delay_s: float) -> np.ndarray:
    """What a microphone hears of it, so much quieter than it was."""
    chance, length = np.random.default_rng(0), RATE // 4
    room = 0.3 * chance.standard_normal(length) * np.exp(-6.9 * np.arange(length) / length)
    room[0] = 1.0
    room *= 10 ** (decibels / 20) / np.linalg.norm(room)
    return np.convolve(np.pad(np.frombuffer(played, "<i2"), (int(delay_s * RATE), 0)), room)


def test_the_avatars_own_voice_does_not_interrupt_it_and_a_users_over_it_does(talk: Talk, question: bytes) -> None:
    talk.socket.say("How do I make my own avatar?")
    talk.until_a("done")
    echo = heard_in_a_room(pcm_of(b"".join(piece.data for piece in talk.pieces(1))), -15, 0.2)
    alone_s = 5
    user = np.pad(np.frombuffer(question, "<i2"), (alone_s * RATE, RATE // 2))
    mixed = (np.pad(echo, (0, max(0, len(user) - len(echo))))[: len(user)] + user).astype("<i2").tobytes()
    begin, tick_s = time.monotonic(), TICK / 2 / RATE
    for number, start in enumerate(range(0, len(mixed), TICK)):
        time.sleep(max(0.0, begin + number * tick_s - time.monotonic()))
        if number % 4 == 0:
            talk.socket.played(1, number * tick_s)
        talk.socket.hear(mixed[start : start + TICK])
    hearing = talk.until_a("hearing")
    assert alone_s - 0.1 < hearing["start_s"] < alone_s + 1
    assert talk.until_a("interrupted")["heard_s"] > alone_s


def test_the_stop_button_ends_the_reply(talk: Talk) -> None:
    talk.socket.say("Tell me everything about yourself.")
    talk.until(lambda one: isinstance(one, Piece))
    talk.socket.stop()
    interrupted = talk.until_a("interrupted")
    assert (interrupted["reply"], interrupted["heard_s"]) == (1, 0.0)
    assert interrupted["next_frame_index"] >= 0


def test_a_newer_connection_takes_the_older_ones_place(talk: Talk, stack: Any, chat: str) -> None:
    talk.until_a("ready")
    newer = Talk(stack.url, chat)
    try:
        newer.until_a("ready")
        talk.until_closed()
        newer.socket.say("Hello!")
        newer.until_a("done")
    finally:
        newer.socket.close()


def test_nobody_is_told_of_another_chat(stack: Any) -> None:
    stranger = Talk(stack.url, "A" * 22)
    error = stranger.until_a("error")
    assert error["error"]["code"] == "CHAT_NOT_FOUND" and error["is_final"]
    stranger.until_closed()


def test_another_version_is_refused(stack: Any, chat: str) -> None:
    talk = Talk(stack.url, chat, version=7)
    assert talk.until_a("error")["error"]["code"] == "VERSION_UNKNOWN"
    talk.until_closed()


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"text in a binary frame", "OUT_OF_ORDER"),
        (b"\0\0\0\0", "NOT_PCM"),
        (b"\0\0\0\0abc", "NOT_PCM"),
        (b"\x05\0\0\0ab", "OUT_OF_ORDER"),
        ({"type": "sing"}, "NOT_UNDERSTOOD"),
        ({"type": "text", "text": "\ud800"}, "NOT_UNDERSTOOD"),
        ({"type": "played", "reply": 1, "seconds": 10**400}, "NOT_UNDERSTOOD"),
        ({"type": "played", "reply": "one", "seconds": 1}, "NOT_UNDERSTOOD"),
        ({"type": "received", "reply": "one"}, "NOT_UNDERSTOOD"),
        ({"type": "text", "text": "x" * 5000}, "TEXT_TOO_LONG"),
    ],
)
def test_what_cannot_be_understood_is_refused_by_name(talk: Talk, message: Any, code: str) -> None:
    talk.socket.send(message)
    error = talk.until_a("error")
    assert (error["error"]["code"], error["is_final"]) == (code, True)
    talk.until_closed()


def test_a_message_that_is_too_large_ends_the_connection_and_frees_the_chat(talk: Talk, stack: Any, chat: str) -> None:
    talk.until_a("ready")
    talk.socket.send({"type": "text", "text": "x" * 70_000})
    talk.until_closed()
    newer = Talk(stack.url, chat)
    newer.until_a("ready")
    newer.socket.close()


def test_too_much_too_fast_is_refused(talk: Talk) -> None:
    talk.until_a("ready")
    with contextlib.suppress(ConnectionClosed):  # it need not wait for all of it
        for _ in range(400):  # two hundred seconds at once
            talk.socket.hear(bytes(RATE))
    assert talk.until_a("error")["error"]["code"] == "TOO_FAST"


def test_another_site_cannot_listen(stack: Any, chat: str) -> None:
    headers = {
        "Origin": "https://elsewhere.example",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg==",
        "Sec-WebSocket-Version": "13",
    }
    answer = httpx.get(f"{stack.url}/api/v1/chats/{chat}/live", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "FOREIGN_ORIGIN")
