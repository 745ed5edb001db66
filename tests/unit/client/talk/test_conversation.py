"""Three overlapping calls become one reply; one way of ending them all."""

from __future__ import annotations

import io
import threading
import time

import pytest
from google.rpc import code_pb2
from visavis.llm.v1 import llm_pb2
from visavis.render.v1 import render_pb2

from client.talk.channel import QUEUE_LENGTH, Cancelled, Channel
from client.talk.conversation import (
    LEAD_S,
    MESSAGES_KEPT,
    STAGES,
    Apology,
    Conversation,
    Delta,
    Done,
    Media,
    MediaType,
    Message,
    Rendering,
    Reply,
    Sentence,
    Words,
)
from client.wire.errors import CallError

REPLY = "Hello there. How are you?"
LONGEST_S = 60  # only ends what would hang


@pytest.fixture
def talk(rooms) -> Conversation:
    return Conversation(rooms.services, avatar="Ann", voice="ann", persona="guide", language="en")


def test_a_turn_is_written_spoken_and_shown(talk, rooms) -> None:
    events = list(talk.reply("Hi"))
    assert "".join(event.text for event in events if isinstance(event, Delta)) == REPLY
    assert [(one.index, one.text, one.start_s) for one in events if isinstance(one, Sentence)] == [
        (0, "Hello there.", 0.0),
        (1, "How are you?", 0.8),
    ]
    assert [event.init_segment for event in events if isinstance(event, MediaType)] == [b"init"]
    frames = [(event.frame_index, event.frame_count) for event in events if isinstance(event, Media)]
    assert frames == [(0, 10), (10, 10), (20, 10), (30, 10), (40, 10)]
    assert isinstance(events[-1], Done)
    assert events[-1].text == REPLY


def test_every_word_is_told_with_its_time_before_it_is_shown(talk) -> None:
    events = list(talk.reply("Hi"))
    words = [(event.index, word) for event in events if isinstance(event, Words) for word in event.words]
    assert [(index, word.text) for index, word in words] == [
        (0, "Hello"), (0, "there."), (1, "How"), (1, "are"), (1, "you?"),
    ]  # fmt: skip
    assert (words[3][1].start_s, words[3][1].end_s) == (pytest.approx(1.2), pytest.approx(1.6))
    media = [event for event in events if isinstance(event, Words | Media)]
    for number, event in enumerate(media):
        if isinstance(event, Media):
            told = [word for one in media[:number] if isinstance(one, Words) for word in one.words]
            assert told[-1].end_s * 25 >= event.frame_index + event.frame_count - 0.5


def test_media_knows_its_sentence(talk) -> None:
    events = list(talk.reply("Hi"))
    assert [event.sentence_index for event in events if isinstance(event, Media)] == [0, 0, 1, 1, 1]


def test_the_timeline_is_in_order(talk) -> None:
    timeline = list(talk.reply("Hi"))[-1].timeline
    order = ["llm_first_token", "first_sentence", "tts_first_audio", "render_first_fragment", "done"]
    assert [timeline[name] for name in order] == sorted(timeline[name] for name in order)


def test_the_stages_of_a_reply_add_up(talk, rooms) -> None:
    rooms.painter.encoding_s = 0.05
    done = list(talk.reply("Hi", {"vad": 0.4, "asr": 0.1}))[-1]
    stages = dict(done.latency)
    assert list(stages) == ["vad", "asr", *STAGES, "encode", "total"]
    assert stages["encode"] == 0.05, "of the first fragment, not of all"
    assert stages.pop("total") == pytest.approx(sum(stages.values()), abs=1e-3)
    heard = stages["vad"] + stages["asr"]
    assert done.timeline["render_first_fragment"] == pytest.approx(sum(stages.values()) - heard, abs=1e-3)


def test_what_was_not_heard_has_no_such_stages(talk) -> None:
    assert {"vad", "asr"}.isdisjoint(list(talk.reply("Hi"))[-1].latency)


def test_every_reply_tells_how_it_ended(talk, rooms) -> None:
    ended = []
    talk.on_reply = lambda reply: ended.append((reply.outcome, bool(reply.latency)))
    list(talk.reply("Hi"))
    rooms.speaker.go.clear()
    interrupted = talk.reply("Hi")
    next(iter(interrupted))
    interrupted.close()
    rooms.speaker.go.set()
    rooms.speaker.fail_at = 0
    with pytest.raises(CallError):
        list(talk.reply("Hi"))
    assert ended == [("done", True), ("interrupted", False), ("failed", False)]


def test_the_services_get_what_they_need(talk, rooms) -> None:
    talk.next_frame_index = 7
    list(talk.reply("Hi"))
    request, config = rooms.writer.requests[0], rooms.painter.configs[0]
    assert (request.persona, request.language) == ("guide", "en")
    assert (rooms.speaker.configs[0].voice, rooms.speaker.configs[0].language) == ("ann", "en")
    assert (config.avatar, config.sample_rate_hertz, config.start_frame_index) == ("Ann", 1000, 7)
    assert talk.next_frame_index == 57


def test_a_reply_begins_where_the_idle_loop_will_stand(talk, rooms) -> None:
    talk.rests_on(100)
    events = list(talk.reply("Hi"))
    start = rooms.painter.configs[0].start_frame_index
    assert start >= 103  # the loop plays on while the reply is being made
    assert [event.start_frame_index for event in events if isinstance(event, MediaType)] == [start]
    assert events[-1].next_frame_index == talk.next_frame_index == start + 50
    list(talk.reply("Again"))
    assert rooms.painter.configs[1].start_frame_index == start + 50, "where the loop stood before is long past"


def test_the_idle_loop_plays_on_at_the_avatars_own_rate(talk, rooms, monkeypatch) -> None:
    now = [100.0]
    monkeypatch.setattr("client.talk.conversation.time.monotonic", lambda: now[0])
    rooms.painter.avatars, rooms.painter.loop_fps = [talk.avatar], 50.0
    talk.rests_on(10)
    now[0] += 2.0
    assert talk.first_frame_index() == 10 + round((2.0 + LEAD_S) * 50)


def test_a_clip_that_is_being_made_is_told_before_any_media(talk, rooms) -> None:
    listening = render_pb2.ClipProgress(stage="listen")
    drawing = render_pb2.ClipProgress(stage="drawing", progress=0.5)
    drawing.eta.FromMilliseconds(12_500)
    rooms.painter.steps = [listening, drawing]
    events = [event for event in talk.reply("Hi") if isinstance(event, MediaType | Rendering | Media)]
    assert events[1:3] == [Rendering("listen", 0.0), Rendering("drawing", 0.5, 12.5)]
    assert isinstance(events[3], Media)


def test_closures_go_ahead_of_the_audio_they_lie_in(talk, rooms) -> None:
    rooms.writer.deltas = ["I can be. Bob is, too."]
    list(talk.reply("Hi"))
    assert rooms.painter.told == [(800, 809), (1200, 1209)]


def test_another_avatar_and_voice_show_in_the_next_reply_and_keep_what_was_said(talk, rooms) -> None:
    rooms.painter.avatars, rooms.speaker.voices = ["Ann", "Bob"], {"ann": b"", "bob": b""}
    rooms.speaker.go.clear()
    running = talk.reply("Hi")
    next(iter(running))
    talk.use(avatar="Bob", voice="bob", persona="", language="zh")
    rooms.speaker.go.set()
    list(running)
    assert (talk.avatar, talk.next_frame_index) == ("Bob", 0), "a frame of Ann's loop says nothing about Bob's"
    list(talk.reply("And you?"))
    assert [config.avatar for config in rooms.painter.configs] == ["Ann", "Bob"]
    assert [(one.voice, one.language) for one in rooms.speaker.configs] == [("ann", "en"), ("bob", "zh")]
    assert [request.persona for request in rooms.writer.requests] == ["guide", ""]
    assert [message.text for message in rooms.writer.requests[1].messages] == ["Hi", REPLY, "And you?"]


def test_another_avatar_speaks_in_its_own_voice_unless_another_is_chosen(talk, rooms) -> None:
    rooms.painter.avatars, rooms.painter.own_voice, rooms.speaker.voices = ["Ann", "Bob"], "bob", {"bob": b""}
    talk.next_frame_index = 7
    talk.use(persona="")
    assert (talk.avatar, talk.voice, talk.next_frame_index) == ("Ann", "ann", 7)
    talk.use(avatar="Bob")
    assert (talk.avatar, talk.voice) == ("Bob", "bob")


@pytest.mark.parametrize(
    ("chosen", "field", "reason"),
    [
        ({"avatar": "Nobody"}, "avatar", "AVATAR_NOT_FOUND"),
        ({"avatar": "Bob", "voice": "nobody"}, "voice", "VOICE_NOT_FOUND"),
        ({"avatar": "Bob", "persona": "nobody"}, "persona", "NO_SUCH_PERSONA"),
        ({"avatar": "Bob", "language": "xx"}, "language", "LANGUAGE_NOT_SUPPORTED"),
    ],
)
def test_a_name_that_nobody_has_changes_nothing(talk, rooms, chosen, field, reason) -> None:
    rooms.painter.avatars = ["Ann", "Bob"]
    before = talk.record()
    with pytest.raises(CallError) as caught:
        talk.use(**chosen)
    assert (caught.value.field, caught.value.reason) == (field, reason)
    assert talk.record() == before


def test_how_lively_the_avatar_is_goes_with_every_reply(rooms) -> None:
    talk = Conversation(rooms.services, avatar="Ann", mouth_amplitude=0.5, head_motion=0.0)
    list(talk.reply("Hi"))
    sent = rooms.painter.configs[0].expression
    assert (sent.mouth_amplitude, sent.head_motion, sent.HasField("head_motion")) == (0.5, 0.0, True)


def test_only_the_latest_messages_are_remembered(talk, rooms) -> None:
    talk.messages = [Message("user", str(number), 1.0) for number in range(200)]
    list(talk.reply("Hi"))
    sent = [message.text for message in rooms.writer.requests[0].messages]
    assert sent == [*map(str, range(200 - MESSAGES_KEPT, 200)), "Hi"]


def test_a_conversation_goes_on_from_what_was_told_of_it(rooms) -> None:
    before = Conversation(rooms.services, avatar="Ann", voice="ann", language="en", size=256, head_motion=0.3)
    changes: list[int] = []
    before.on_change = lambda: changes.append(len(before.messages))
    list(before.reply("Hi"))
    assert changes == [1, 2]
    record = before.record()
    after = Conversation.of(rooms.services, record)
    assert after.record() == record
    list(after.reply("And now?"))
    sent = [message.text for message in rooms.writer.requests[1].messages]
    assert sent == ["Hi", "Hello there. How are you?", "And now?"]
    first, second = rooms.painter.configs
    assert (second.avatar, second.size, second.expression) == (first.avatar, first.size, first.expression)


def test_what_was_said_is_remembered(talk, rooms) -> None:
    list(talk.reply("Hi"))
    list(talk.reply("Fine"))
    sent = [(message.role, message.text) for message in rooms.writer.requests[1].messages]
    assert sent == [(llm_pb2.ROLE_USER, "Hi"), (llm_pb2.ROLE_ASSISTANT, REPLY), (llm_pb2.ROLE_USER, "Fine")]


@pytest.mark.parametrize(
    ("seconds", "kept"),
    [
        (0.0, ""),
        (0.3, "Hello"),
        (0.4, "Hello"),
        (0.5, "Hello there."),
        (0.9, "Hello there. How"),
        (1.7, "Hello there. How are you?"),
    ],
)
def test_only_what_was_heard_is_remembered_and_the_rest_is_kept_as_unheard(
    talk, rooms, seconds: float, kept: str
) -> None:
    reply = talk.reply("Hi")
    list(reply)
    reply.break_off(seconds)
    answer = talk.messages[1]
    assert (answer.text, answer.unheard) == (kept, REPLY.removeprefix(kept).strip())
    assert answer.is_stopped is (kept != REPLY)
    list(talk.reply("Go on"))
    assert [message.text for message in rooms.writer.requests[1].messages] == list(filter(None, ["Hi", kept, "Go on"]))


@pytest.mark.parametrize(
    ("seconds", "kept"),
    [(0.3, "**Well**,"), (0.5, "**Well**, that"), (1.7, "**Well**, that **is** bold. Good"), (9.0, None)],
)
def test_an_answer_with_marks_is_remembered_as_it_was_written_as_far_as_it_was_heard(
    talk, rooms, seconds: float, kept: str | None
) -> None:
    rooms.writer.deltas = ["**Well**, th", "at **is** bo", "ld. Good", " bye."]
    reply = talk.reply("Hi")
    captions = [event.text for event in reply if isinstance(event, Sentence)]
    reply.break_off(seconds)
    whole = "".join(rooms.writer.deltas)
    assert captions == ["Well, that is bold.", "Good bye."]
    assert (talk.messages[1].text, talk.messages[1].unheard) == (
        kept or whole,
        whole.removeprefix(kept or whole).strip(),
    )


def test_what_was_written_of_a_reply_that_is_cut_off_is_kept_as_it_was_written(talk, rooms) -> None:
    rooms.writer.deltas, rooms.writer.endless = ["你好。\n\n", "我在这里。"], True
    events = talk.reply("Hi")
    next(event for event in events if isinstance(event, Media))
    events.close()
    answer = talk.messages[1]
    assert (answer.text, answer.is_stopped) == ("你好。", True), "one fragment of it was sent"
    assert answer.unheard.startswith("我在这里。")
    assert ("我在这里。你好。\n\n" * 9999).startswith(answer.unheard)


def test_an_answer_knows_who_gave_it(talk, rooms) -> None:
    rooms.painter.avatars, rooms.speaker.voices = ["Ann", "Bob"], {"bob": b""}
    list(talk.reply("Hi"))
    talk.use(avatar="Bob", voice="bob")
    list(talk.reply("And you?"))
    told = [(message.avatar, message.voice) for message in talk.messages]
    assert told == [("", ""), ("Ann", "ann"), ("", ""), ("Bob", "bob")]
    talk.use(avatar="Ann")
    assert Conversation.of(rooms.services, talk.record()).messages == talk.messages


def test_rate_and_pitch_hold_from_the_next_reply_on_and_are_stored(talk, rooms) -> None:
    rooms.speaker.go.clear()
    running = talk.reply("Hi")
    next(iter(running))
    talk.use(rate=1.5, pitch_semitones=-2.0)
    rooms.speaker.go.set()
    list(running)
    after = Conversation.of(rooms.services, talk.record())
    list(after.reply("And now?"))
    after.use(rate=0.5)
    assert [(one.rate, one.pitch_semitones) for one in rooms.speaker.configs] == [(1.0, 0.0), (1.5, -2.0)]
    assert (after.rate, after.pitch_semitones) == (0.5, -2.0)


def test_a_reply_and_its_question_are_taken_back(talk) -> None:
    list(talk.reply("Hi"))
    cut = talk.reply("What is")
    next(event for event in cut if isinstance(event, Media))
    cut.close()
    talk.take_back(cut)
    assert [message.text for message in talk.messages] == ["Hi", REPLY]
    cut.break_off(0.4)
    assert [message.text for message in talk.messages] == ["Hi", REPLY]


def test_hearing_more_again_after_less(talk) -> None:
    reply = talk.reply("Hi")
    list(reply)
    reply.break_off(0.0)
    reply.break_off(0.5)
    assert [message.text for message in talk.messages] == ["Hi", "Hello there."]


def test_closing_ends_all_three_calls(talk, rooms) -> None:
    rooms.writer.endless = True
    events = talk.reply("Hi")
    next(event for event in events if isinstance(event, Media))
    events.close()
    for service in (rooms.writer, rooms.speaker, rooms.painter):
        assert service.ended.wait(LONGEST_S), f"{type(service).__name__} goes on"
    assert (talk.messages[-1].role, talk.messages[-1].text) == ("assistant", "Hello"), "ten frames, 0.4 s, were sent"


def test_another_thread_may_interrupt(talk, rooms) -> None:
    rooms.writer.endless = True
    seen, reply = [], talk.reply("Hi")
    for event in reply:
        seen.append(event)
        if isinstance(event, Media):
            reply.cancel()
    assert not any(isinstance(event, Done) for event in seen)
    assert rooms.painter.ended.wait(LONGEST_S)


def _cancelled_before_it_is_spoken(talk, rooms) -> threading.Thread:
    """Who reads a reply that was cancelled while its voice was being asked for."""
    rooms.speaker.go.clear()
    reply = talk.reply("Hi")
    reader = threading.Thread(target=lambda: list(reply))
    reader.start()
    while not rooms.speaker.configs:
        time.sleep(0.01)
    reply.cancel()
    return reader


def test_a_call_that_is_being_opened_is_ended_too(talk, rooms) -> None:
    reader = _cancelled_before_it_is_spoken(talk, rooms)
    assert rooms.speaker.ended.wait(LONGEST_S), "the voice was not told"
    reader.join(LONGEST_S)
    assert not reader.is_alive()


def test_what_is_cancelled_before_it_is_spoken_is_not_brought_to_the_renderer(talk, rooms) -> None:
    _cancelled_before_it_is_spoken(talk, rooms).join(LONGEST_S)
    rooms.speaker.go.set()
    assert isinstance(list(talk.reply("Again"))[-1], Done)
    assert (rooms.painter.call_count, [config.sample_rate_hertz for config in rooms.painter.configs]) == (1, [1000])


def test_a_reply_that_is_cancelled_before_it_begins_says_nothing(talk, rooms) -> None:
    old, new = talk.reply("Hi"), talk.reply("No, this")
    old.cancel()
    assert list(old) == []
    assert isinstance(list(new)[-1], Done), "another reply was cancelled"


def test_a_stage_that_breaks_ends_the_reply(talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reply, "_speak", lambda _: 1 / 0)
    with pytest.raises(CallError) as caught:
        list(talk.reply("Hi"))
    assert caught.value.reason == "INTERNAL"


def test_a_channel_holds_only_so_much() -> None:
    channel, put = Channel(threading.Event()), []

    def fill() -> None:
        for number in range(3 * QUEUE_LENGTH):
            channel.put(number)
            put.append(number)
        channel.end()

    writer = threading.Thread(target=fill)
    writer.start()
    until = time.monotonic() + LONGEST_S
    while len(put) < QUEUE_LENGTH and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.3)  # room enough for one too many
    assert len(put) == QUEUE_LENGTH, "a slow reader must slow the writer"
    assert list(channel) == list(range(3 * QUEUE_LENGTH))
    writer.join()


def test_cancelling_frees_both_ends_of_a_channel() -> None:
    cancelled = threading.Event()
    full, empty = Channel(cancelled), Channel(cancelled)
    for number in range(QUEUE_LENGTH):
        full.put(number)
    threading.Timer(0.2, cancelled.set).start()
    assert list(empty) == []
    with pytest.raises(Cancelled):
        full.put("one too many")


def test_a_broken_stage_ends_the_reply_and_says_why(talk, rooms) -> None:
    rooms.speaker.fail_at = 1
    events = talk.reply("Hi")
    with pytest.raises(CallError, match="cannot say that") as caught:
        list(events)
    assert (caught.value.reason, caught.value.field) == ("LANGUAGE_UNKNOWN", "text")
    assert rooms.painter.ended.wait(LONGEST_S)


def test_the_talk_goes_on_after_an_error(talk, rooms) -> None:
    rooms.speaker.fail_at = 0
    with pytest.raises(CallError):
        list(talk.reply("Hi"))
    rooms.speaker.fail_at = None
    assert isinstance(list(talk.reply("Again"))[-1], Done)


def test_a_reply_of_no_words_ends(talk, rooms) -> None:
    rooms.writer.deltas = []
    events = list(talk.reply("Hi"))
    assert isinstance(events[-1], Done)
    assert [message.role for message in talk.messages] == ["user"]


def say(talk: Conversation, text: str = "Hi") -> tuple[CallError, str]:
    """What an apology is for, and what was said in all."""
    return told_of(talk.reply(text))


def told_of(reply: Reply) -> tuple[CallError, str]:
    events = list(reply)
    (failed,) = [event for event in events if isinstance(event, Apology)]
    written = "".join(event.text for event in events if isinstance(event, Delta))
    spoken = [event.text for event in events if isinstance(event, Sentence)]
    assert " ".join(spoken) == " ".join(written.split()), "what is shown is what is spoken"
    assert events[-1].text == written, "the reply has its end and its pictures like any other"
    assert any(isinstance(event, Media) for event in events)
    return failed.error, written


def test_an_apology_for_a_dialogue_that_never_answers(talk, rooms) -> None:
    rooms.services.settings.llm_first_word_seconds = 0.3
    rooms.writer.stop_after, ended = 0, []
    talk.on_reply = lambda reply: ended.append((reply.outcome, reply.latency))
    error, said = say(talk)
    assert (error.reason, error.values) == ("LLM_TIMEOUT", {"setting": "VISAVIS_LLM_FIRST_WORD_SECONDS"})
    assert said.startswith("Sorry, I cannot answer")
    assert ended == [("timed_out", {})], "how long it took would be no figure of a reply"
    assert rooms.writer.ended.wait(LONGEST_S), "the call goes on"
    assert [message.text for message in talk.messages] == ["Hi"]


def test_an_apology_for_a_dialogue_that_falls_silent(talk, rooms) -> None:
    rooms.services.settings.llm_next_word_seconds = 2.0  # even a busy machine sends the two words within it
    rooms.writer.stop_after = 2
    reply = talk.reply("Hi")
    error, said = told_of(reply)
    assert (error.reason, error.values) == ("LLM_TIMEOUT", {"setting": "VISAVIS_LLM_NEXT_WORD_SECONDS"})
    assert said.startswith("Hello there. \n\nSorry, I cannot answer")
    assert (talk.messages[-1].role, talk.messages[-1].text) == ("assistant", "Hello there.")
    reply.break_off(2.0)
    assert talk.messages[-1].text == "Hello there.", "half of the apology was heard"


def test_a_reader_who_takes_his_time_is_not_the_dialogues_fault(talk, rooms) -> None:
    rooms.services.settings.llm_next_word_seconds = 3.0
    rooms.writer.deltas = ["Yes. "] * (3 * QUEUE_LENGTH)
    events = iter(talk.reply("Hi"))
    first = next(events)
    threading.Event().wait(4.5)  # every queue is full by then
    assert not [event for event in (first, *events) if isinstance(event, Apology)]


def test_an_apology_for_a_dialogue_that_breaks_off(talk, rooms) -> None:
    rooms.writer.stop_after, rooms.writer.breaks = 1, (code_pb2.UNAVAILABLE, "REPLY_BROKEN_OFF", "It broke off.")
    error, said = say(talk)
    assert (error.reason, said[:6]) == ("REPLY_BROKEN_OFF", "Hello ")
    rooms.writer.stop_after = None
    assert isinstance(list(talk.reply("Again"))[-1], Done)


@pytest.mark.parametrize(
    ("language", "text", "begin"),
    [
        ("", "Hi", "Sorry"),
        ("", "你好", "抱歉"),
        ("zh-CN", "Hi", "抱歉"),
        ("en", "你好", "Sorry"),
        ("sv", "Hi", "Sorry"),
    ],
)
def test_the_apology_is_in_the_users_language(rooms, language, text, begin) -> None:
    rooms.writer.stop_after, rooms.writer.breaks = 0, (code_pb2.UNAVAILABLE, "DOWN", "It is down.")
    events = list(Conversation(rooms.services, avatar="Ann", language=language).reply(text))
    assert next(event.text for event in events if isinstance(event, Delta)).startswith(begin)


def test_what_the_dialogue_refuses_is_no_reason_for_an_apology(talk, rooms) -> None:
    rooms.writer.stop_after, rooms.writer.breaks = 0, (code_pb2.INVALID_ARGUMENT, "TEXT_TOO_LONG", "Too long.")
    with pytest.raises(CallError, match="Too long"):
        list(talk.reply("Hi"))


def test_a_recogniser_that_restarts_is_waited_for_and_one_that_refuses_is_not(talk, rooms) -> None:
    talk.language = ""
    rooms.listener.breaks = [(code_pb2.UNAVAILABLE, "LOADING", "loading")] * 4  # four times gRPC tries by itself
    assert talk.listen(io.BytesIO(b"four")) == "4 bytes"
    config = rooms.listener.recorded[-1]
    assert (list(config.hotwords), list(config.languages)) == (["Ann", "Louvre"], ["fr", "en"])
    rooms.listener.breaks = [(code_pb2.INVALID_ARGUMENT, "SILENT", "Nothing is said."), (code_pb2.INTERNAL, "", "")]
    with pytest.raises(CallError, match="Nothing is said"):
        talk.listen(io.BytesIO(b"four"))
    assert len(rooms.listener.breaks) == 1
