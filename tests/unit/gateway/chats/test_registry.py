"""Chats and their replies, with a conversation that follows a script."""

from __future__ import annotations

import errno
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import grpc
import pytest

from client.talk import cast
from client.talk.conversation import Delta, Done, Event, Media, MediaType, Message, Record, Sentence
from client.wire.errors import CallError
from gateway.chats.archive import Archive
from gateway.chats.registry import Chat, Chats
from gateway.chats.replies import KeptReply
from gateway.flows.chat import as_page_events
from gateway.refusal import Refusal
from gateway.settings import GatewaySettings

SCRIPT = (
    Delta("One. Two."),
    Sentence(0, "One.", 0.0),
    MediaType("video/mp4", 64, 64, 25.0, b"INIT"),
    Media(0, b"aaa", 0, 5),
    Sentence(1, "Two.", 0.4),
    Media(0, b"bb", 5, 5),
    Media(1, b"cccc", 10, 5),
    Done("One. Two.", {"done": 1.0}),
)
CAST = {"avatar": "Ann", "voice": "", "persona": "", "language": "en", "size": 0}
CAST |= {"rate": 1.0, "pitch_semitones": 0.0, "asr_engine": "", "llm_engine": "", "tts_engine": ""}
CAST |= {"mouth_amplitude": 1.0, "head_motion": 0.5}
WAIT_S = 60  # only ends what would hang


class ScriptedConversation:
    """Says its script; stops before the event `pause_at` until told to go on, or interrupted."""

    def __init__(self, script: tuple[Event | Exception, ...] = SCRIPT, pause_at: int | None = None) -> None:
        self._script, self._pause_at = script, pause_at
        self.go_on, self.interrupted = threading.Event(), threading.Event()
        self.avatar = CAST["avatar"]
        self.messages: list[Message] = []
        self.heard_s: list[float] = []
        self.on_change: Callable[[], object] = lambda: None

    def reply(self, text: str, listened: object = None) -> ScriptedReply:
        self.messages.append(Message("user", text, 1.0))
        self.interrupted.clear()
        self.on_change()
        return ScriptedReply(self)

    def record(self) -> Record:
        return Record(**CAST, messages=tuple(self.messages))

    def events(self) -> Iterator[Event]:
        for index, event in enumerate(self._script):
            if index == self._pause_at:
                self.go_on.wait(WAIT_S)
            if self.interrupted.is_set():
                return
            if isinstance(event, Exception):
                raise event
            yield event


class ScriptedReply:
    def __init__(self, talk: ScriptedConversation) -> None:
        self._talk = talk

    def __iter__(self) -> Iterator[Event]:
        return self._talk.events()

    def break_off(self, seconds: float) -> None:
        self._talk.heard_s.append(seconds)

    def cancel(self) -> None:
        self._talk.interrupted.set()
        self._talk.go_on.set()

    close = cancel


def chats(folder: Path, **settings: object) -> Chats:
    chosen = GatewaySettings(**settings)
    return Chats(chosen, folder / "chats", Archive(folder / "conversations", chosen.chat_keep_days), services=None)


def chat_of(talk: ScriptedConversation, folder: Path, replies_kept: int = 5) -> Chat:
    return Chat(talk, folder, replies_kept, Archive(folder / "conversations", 30))


def kept(talk: ScriptedConversation, folder: Path) -> KeptReply:
    return KeptReply(talk.reply("hi"), folder / "1.mp4")


def told(reply: KeptReply) -> list[tuple[str, dict]]:
    events = as_page_events(reply.events(), "/s/{index}", "/video")
    return [event for event in events if event and not isinstance(event, CallError)]


def test_a_reply_is_told_in_order_and_kept_as_one_file(tmp_path: Path) -> None:
    reply = kept(ScriptedConversation(), tmp_path)
    names = [name for name, _ in told(reply)]
    assert names == ["delta", "sentence", "media", "sentence", "media", "done"]
    kind = {"media_type": "video/mp4", "width": 64, "height": 64, "fps": 25.0, "start_frame_index": 0}
    assert told(reply)[4] == ("media", {"index": 1, "url": "/s/1", **kind})
    assert reply.path.read_bytes() == b"INITaaabbcccc"
    assert b"".join(reply.sentence_blocks(0)) == b"INITaaabb"
    assert b"".join(reply.sentence_blocks(1)) == b"INITcccc"
    assert b"".join(reply.sentence_blocks(2)) == b""


def test_a_sentence_streams_before_the_reply_is_over(tmp_path: Path) -> None:
    talk = ScriptedConversation(pause_at=4)
    reply = kept(talk, tmp_path)
    blocks = reply.sentence_blocks(0)
    assert [next(blocks), next(blocks)] == [b"INIT", b"aaa"]
    assert not reply.is_over
    talk.go_on.set()
    assert list(blocks) == [b"bb"]


def test_the_end_of_a_reply_can_be_waited_for(tmp_path: Path) -> None:
    talk = ScriptedConversation(pause_at=len(SCRIPT) - 1)
    reply = kept(talk, tmp_path)
    assert not reply.ends_within(0.01)
    talk.go_on.set()
    assert reply.ends_within(60)


def test_a_failure_comes_last(tmp_path: Path) -> None:
    failure = CallError(grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE", "down")
    reply = kept(ScriptedConversation((*SCRIPT[:4], failure)), tmp_path)
    assert list(reply.events())[-1] is failure
    assert reply.is_over


@pytest.mark.parametrize(
    ("failure", "reason"), [(OSError(errno.ENOSPC, "full"), "STORAGE_FULL"), (ValueError("a name"), "INTERNAL")]
)
def test_what_nobody_expected_is_told_too(tmp_path: Path, failure: Exception, reason: str) -> None:
    talk = ScriptedConversation((*SCRIPT[:4], failure))
    told = list(kept(talk, tmp_path).events())[-1]
    assert (told.reason, "a name" in told.message) == (reason, False)
    assert talk.interrupted.is_set(), "its calls go on"


def test_interrupting_stops_the_calls_and_then_tells_what_was_heard(tmp_path: Path) -> None:
    talk = ScriptedConversation(pause_at=4)
    chat = chat_of(talk, tmp_path)
    _, reply = chat.answer("hi")
    chat.interrupt(1.5)
    assert talk.interrupted.is_set() and reply.is_over
    assert talk.heard_s == [1.5]


def test_a_talk_goes_on_though_it_cannot_be_stored(tmp_path: Path) -> None:
    talk = ScriptedConversation()
    chat = chat_of(talk, tmp_path)
    for text in ("hello \ud800", "and now?"):
        _, reply = chat.answer(text)
        assert reply.ends_within(WAIT_S)
    assert [message.text for message in talk.messages] == ["hello \ud800", "and now?"]


def test_a_new_message_ends_the_reply_before(tmp_path: Path) -> None:
    talk = ScriptedConversation(pause_at=4)
    chat = chat_of(talk, tmp_path)
    _, first = chat.answer("hi")
    number, _ = chat.answer("and now?")
    assert first.is_over and number == 2


def test_only_the_latest_replies_are_kept(tmp_path: Path) -> None:
    chat = chat_of(ScriptedConversation(), tmp_path, replies_kept=2)
    for _ in range(100):
        number, reply = chat.answer("hi")
        list(reply.events())
    assert len(list(tmp_path.rglob("*.mp4"))) == 2
    with pytest.raises(Refusal):
        chat.reply(number - 2)


def test_the_number_of_chats_is_capped_and_ending_one_makes_room(tmp_path: Path) -> None:
    open_chats = chats(tmp_path, max_chats=2)
    first = open_chats.create(ScriptedConversation())
    open_chats.create(ScriptedConversation())
    with pytest.raises(Refusal) as caught:
        open_chats.create(ScriptedConversation())
    assert caught.value.status == 429
    open_chats.delete(first.id)
    open_chats.create(ScriptedConversation())


def test_idle_chats_are_put_away_with_their_videos_but_not_while_they_answer(tmp_path: Path) -> None:
    open_chats = chats(tmp_path, chat_idle_minutes=0)
    talk = ScriptedConversation(pause_at=4)
    chat = open_chats.create(talk)
    _, reply = chat.answer("hi")
    open_chats.sweep()
    assert open_chats.get(chat.id) is chat
    talk.go_on.set()
    list(reply.events())
    open_chats.sweep()
    assert not open_chats.is_open(chat.id)
    assert not list((tmp_path / "chats").rglob("*.mp4"))


def test_a_chat_that_was_put_away_goes_on_where_it_was(tmp_path: Path) -> None:
    open_chats = chats(tmp_path, chat_idle_minutes=0)
    chat = open_chats.create(ScriptedConversation(), "Good day!")
    list(chat.answer("hi")[1].events())
    told = open_chats.told(chat.id)
    open_chats.sweep()
    assert open_chats.told(chat.id) == told
    assert not open_chats.is_open(chat.id), "reading opens it"
    again = open_chats.get(chat.id)
    assert again is not chat and again.told() == told
    assert told == CAST | {
        "id": chat.id,
        "greeting": "Good day!",
        "greeted_by": "Ann",
        "created_at": told["created_at"],
        "messages": [asdict(Message("user", "hi", 1.0))],
    }


def test_a_chat_stored_before_answers_knew_who_gave_them_is_told_in_full(tmp_path: Path) -> None:
    open_chats, chat_id = chats(tmp_path), "A" * 22
    older = {name: CAST[name] for name in CAST if name not in ("rate", "pitch_semitones", *cast.ENGINES)}
    older |= {"id": chat_id, "greeting": "Good day!", "created_at": 1.0}
    older |= {"messages": [{"role": "assistant", "text": "Hello", "at": 2.0}]}
    Archive(tmp_path / "conversations", 30).write(chat_id, older)
    told = open_chats.told(chat_id)
    assert told == older | CAST | {"greeted_by": "Ann", "messages": [asdict(Message("assistant", "Hello", 2.0, "Ann"))]}
    assert open_chats.get(chat_id).told() == told


def test_a_full_house_puts_away_whoever_rests_for_longest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.chats.registry.RESTING_S", 0.0)
    open_chats = chats(tmp_path, max_chats=2)
    busy = ScriptedConversation(pause_at=4)
    answering, resting = open_chats.create(busy), open_chats.create(ScriptedConversation())
    answering.answer("hi")
    newcomer = open_chats.create(ScriptedConversation())
    assert [open_chats.is_open(chat.id) for chat in (answering, resting, newcomer)] == [True, False, True]
    newcomer.answer("and me?")
    busy.go_on.set()


def test_what_is_not_stored_is_not_put_away_for_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.chats.registry.RESTING_S", 0.0)
    open_chats = chats(tmp_path, max_chats=1, chat_keep_days=0)
    chat = open_chats.create(ScriptedConversation())
    with pytest.raises(Refusal, match="All 1 chats"):
        open_chats.create(ScriptedConversation())
    assert open_chats.told(chat.id)["messages"] == []
    assert not list((tmp_path / "conversations").iterdir())


def test_a_deleted_conversation_is_gone_from_disk_whether_open_or_not(tmp_path: Path) -> None:
    open_chats = chats(tmp_path, chat_idle_minutes=0)
    put_away, talk = open_chats.create(ScriptedConversation()), ScriptedConversation(pause_at=4)
    open_chats.sweep()
    answering = open_chats.create(talk)
    answering.answer("hi")
    for chat in (put_away, answering):
        open_chats.delete(chat.id)
        with pytest.raises(Refusal):
            open_chats.get(chat.id)
    talk.on_change()  # something of it comes late
    assert not list((tmp_path / "conversations").iterdir())


def test_a_stored_conversation_is_nobody_elses_and_is_forgotten_in_time(tmp_path: Path) -> None:
    open_chats = chats(tmp_path, chat_idle_minutes=0)
    chat = open_chats.create(ScriptedConversation())
    (stored,) = (tmp_path / "conversations").iterdir()
    assert stored.stat().st_mode & 0o077 == 0 and stored.parent.stat().st_mode & 0o077 == 0
    month_ago = time.time() - 31 * 24 * 3600
    os.utime(stored, (month_ago, month_ago))
    open_chats.sweep()
    with pytest.raises(Refusal):
        open_chats.told(chat.id)


def test_a_full_disk_does_not_end_a_talk(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    chat = chats(tmp_path).create(ScriptedConversation())
    shutil.rmtree(tmp_path / "conversations")
    _, reply = chat.answer("a secret")
    assert [name for name, _ in told(reply)][-1] == "done"
    assert caplog.records and "a secret" not in caplog.text


class ScriptedTalk:
    """A live talk that is ended from outside."""

    def __init__(self) -> None:
        self.ends: list[str] = []

    def end(self, why: Refusal | None = None) -> None:
        self.ends.append(why.reason if why else "")

    def stop(self) -> None:
        pass


def test_live_talks_are_capped_and_a_place_is_free_at_once(tmp_path: Path) -> None:
    open_chats = chats(tmp_path, max_talks=1)
    first, second = (open_chats.create(ScriptedConversation()) for _ in range(2))
    with open_chats.place(first):
        with pytest.raises(Refusal) as caught, open_chats.place(second):
            pass
        assert (caught.value.reason, caught.value.values) == ("TOO_MANY_TALKS", {"max": "1"})
        with open_chats.place(first):  # its newer connection takes over
            pass
        with pytest.raises(Refusal), open_chats.place(second):
            pass
    with pytest.raises(ValueError), open_chats.place(second):
        raise ValueError
    with open_chats.place(second):
        pass


def test_the_place_of_a_talk_that_is_ending_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.chats.registry.ENDING_S", WAIT_S)
    open_chats = chats(tmp_path, max_talks=1)
    first, second = (open_chats.create(ScriptedConversation()) for _ in range(2))
    talks, ends = threading.Event(), threading.Event()

    def talk() -> None:
        with open_chats.place(first):
            talks.set()
            ends.wait(WAIT_S)

    thread = threading.Thread(target=talk)
    thread.start()
    assert talks.wait(WAIT_S)
    threading.Timer(0.1, ends.set).start()
    with open_chats.place(second):
        assert ends.is_set()
    thread.join(WAIT_S)


def test_who_talks_live_is_told_why_it_ends(tmp_path: Path) -> None:
    open_chats = chats(tmp_path)
    chat = open_chats.create(ScriptedConversation())
    older, newer = ScriptedTalk(), ScriptedTalk()
    with chat.live(older), chat.live(newer):
        open_chats.delete(chat.id)
        assert (older.ends, newer.ends) == (["TAKEN_OVER"], ["CHAT_DELETED"])
    with pytest.raises(Refusal, match="ended"), chat.live(ScriptedTalk()):
        pass


def test_an_idle_chat_with_somebody_connected_stays(tmp_path: Path) -> None:
    open_chats = chats(tmp_path, chat_idle_minutes=0)
    chat = open_chats.create(ScriptedConversation())
    with chat.live(ScriptedTalk()):
        open_chats.sweep()
        assert open_chats.is_open(chat.id)


def test_videos_of_before_a_restart_are_deleted(tmp_path: Path) -> None:
    left = tmp_path / "chats" / "old" / "1.mp4"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"someone's face")
    chats(tmp_path)
    assert not left.exists()


def test_ids_are_long_and_never_paths(tmp_path: Path) -> None:
    open_chats = chats(tmp_path)
    assert len(open_chats.create(ScriptedConversation()).id) >= 22
    for chat_id in ("..", "", "x" * 22, "../" * 8):
        with pytest.raises(Refusal):
            open_chats.get(chat_id)
