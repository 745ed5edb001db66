"""A live talk over a real wire: it hears, answers, and stops for whoever speaks."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2
from visavis.asr.v1 import asr_pb2

from client.talk.conversation import Conversation, Delta, Done, Media
from client.talk.live import (
    BREATH_S,
    DECIDE_S,
    HARDLY_HEARD_S,
    LISTENING_S,
    Failed,
    Hearing,
    Interim,
    Interrupted,
    LiveEvent,
    LiveTalk,
    Resumed,
    Told,
    Transcript,
    Using,
    is_back_channel,
)
from client.talk.microphone import BYTES_PER_S

WAIT_S = 30
TICK = bytes(BYTES_PER_S // 10)
Heard = asr_pb2.StreamingRecognizeResponse


def seconds(value: float) -> Duration:
    return Duration(seconds=int(value), nanos=round(value % 1 * 1e9))


def started(at: float) -> Heard:
    return Heard(speech_started=asr_pb2.SpeechStarted(offset=seconds(at)))


def going_on(until: float) -> Heard:
    return Heard(speech_goes_on=asr_pb2.SpeechGoesOn(offset=seconds(until)))


def interim(text: str) -> Heard:
    return Heard(interim=asr_pb2.InterimResult(text=text))


def final(text: str, end: float = 0.4, endpoint: float = 0.0) -> Heard:
    utterance = asr_pb2.Utterance(text=text, end_offset=seconds(end), endpoint_offset=seconds(endpoint))
    return Heard(final=utterance)


def said(conversation: Conversation) -> list[tuple[str, str]]:
    """Who said what."""
    return [(message.role, message.text) for message in conversation.messages]


class Ear:
    """Follows the events of a talk in a thread of its own."""

    def __init__(self, talk: LiveTalk) -> None:
        self.seen: list[LiveEvent] = []
        self._arrived: queue.Queue[LiveEvent] = queue.Queue()
        self._thread = threading.Thread(target=self._follow, args=(talk,), daemon=True)
        self._thread.start()

    def _follow(self, talk: LiveTalk) -> None:
        for event in talk.events():
            self._arrived.put(event)

    def until(self, what: Callable[[LiveEvent], bool]) -> LiveEvent:
        while True:
            event = self._arrived.get(timeout=WAIT_S)
            self.seen.append(event)
            if what(event):
                return event

    def until_a(self, kind: type) -> LiveEvent:
        return self.until(lambda event: isinstance(event.event if isinstance(event, Told) else event, kind))


@pytest.fixture
def conversation(rooms) -> Conversation:
    return Conversation(rooms.services, avatar="Ann", voice="ann", language="en")


@pytest.fixture
def talk(rooms, conversation) -> Iterator[LiveTalk]:
    talk = LiveTalk(rooms.services, conversation)
    yield talk
    rooms.painter.go.set()
    rooms.speaker.go.set()
    talk.close()


@pytest.fixture
def ear(talk) -> Ear:
    return Ear(talk)


def hear(talk: LiveTalk, *events: Heard, rooms, ticks: int = 1) -> None:
    """Let some sound come, in which the recogniser hears these events."""
    rooms.listener.script += [(rooms.listener.heard + 1, event) for event in events]
    for _ in range(ticks):
        talk.hear(TICK)


def test_what_is_said_is_answered(talk, ear, rooms) -> None:
    hear(talk, started(0.02), interim("hel"), final("hello", 0.4), rooms=rooms)
    ear.until_a(Done)
    assert ear.seen[:3] == [Hearing(0.02), Interim("hel"), Transcript("hello", 0.4)]
    text = "".join(one.event.text for one in ear.seen if isinstance(one, Told) and isinstance(one.event, Delta))
    assert text == "Hello there. How are you?"
    assert {one.reply for one in ear.seen if isinstance(one, Told)} == {1}
    assert rooms.listener.configs[0].hangover == seconds(0.4)
    assert rooms.listener.configs[0].sample_rate_hertz == 16_000
    assert list(rooms.listener.configs[0].hotwords) == ["Ann", "Louvre"]


@pytest.mark.parametrize(("language", "among"), [("", ["fr", "en"]), ("de", [])])
def test_a_talk_is_heard_in_its_language_or_in_one_that_its_persona_speaks(rooms, language, among) -> None:
    talk = LiveTalk(rooms.services, Conversation(rooms.services, avatar="Ann", language=language))
    hear(talk, final("hello", 0.4), rooms=rooms)
    next(talk.events())
    talk.close()
    config = rooms.listener.configs[0]
    assert (config.language, list(config.languages)) == (language, among)


def test_a_reply_knows_how_long_it_took_to_notice_the_end_of_the_speech(talk, ear, rooms) -> None:
    rooms.listener.script = [(10 * len(TICK), final("hello", 0.4, 0.8))]  # heard after 1.0 s of sound
    with sound_going_on(talk):
        latency = ear.until_a(Done).event.latency
    assert latency["vad"] == pytest.approx(0.4)
    assert 0.15 < latency["asr"] < WAIT_S, "what ended the utterance came two ticks before its text"


def test_what_is_written_is_answered_too(talk, ear, conversation) -> None:
    talk.say("Hi")
    ear.until_a(Done)
    assert ear.seen[0] == Transcript("Hi")
    assert said(conversation)[0] == ("user", "Hi")


@contextlib.contextmanager
def sound_going_on(talk: LiveTalk) -> Iterator[None]:
    """The microphone stays open."""
    stop = threading.Event()

    def speak() -> None:
        while not stop.wait(0.1):  # as fast as it is spoken
            talk.hear(TICK)

    thread = threading.Thread(target=speak, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(WAIT_S)


def is_soon(what: Callable[[], bool]) -> bool:
    """Whether something comes true within the time that a busy machine needs."""
    end = time.monotonic() + WAIT_S
    while not what() and time.monotonic() < end:
        time.sleep(0.01)
    return what()


def begin_reply(talk: LiveTalk, ear: Ear, rooms) -> None:
    """A reply of which one fragment, 0.4 s, has been sent, and that goes on for ever."""
    rooms.writer.endless = True
    talk.say("Hi")
    ear.until_a(Media)


def test_speech_ends_a_reply_and_every_call_of_it(talk, ear, rooms, conversation) -> None:
    begin_reply(talk, ear, rooms)
    talk.played(1, 0.3)
    hear(talk, started(0.1), interim("okay"), going_on(0.2 + DECIDE_S), interim("okay wait"), rooms=rooms)
    assert ear.until_a(Interrupted) == Interrupted(
        1, 0.3, next_frame_index=1008, heard="Hello", unheard=conversation.messages[1].unheard
    )  # 0.3 s are 7.5 frames
    assert conversation.messages[1].unheard.startswith("there. How are you?")
    for room in (rooms.writer, rooms.speaker, rooms.painter):
        assert room.ended.wait(WAIT_S)
    assert said(conversation) == [("user", "Hi"), ("assistant", "Hello")]


def test_nothing_of_an_interrupted_reply_follows(talk, ear, rooms) -> None:
    begin_reply(talk, ear, rooms)
    hear(talk, started(0.1), final("stop that"), rooms=rooms)
    ear.until_a(Interrupted)
    rooms.writer.endless = False
    told = ear.until(lambda event: isinstance(event, Told))
    assert told.reply == 2
    assert Transcript("stop that", 0.4) in ear.seen


@pytest.mark.parametrize("said", ["uh huh", "mm", "嗯", ""])
def test_a_back_channel_lets_the_reply_go_on(talk, ear, rooms, said) -> None:
    begin_reply(talk, ear, rooms)
    hear(talk, started(0.1), *([interim(said)] if said else []), final(said), rooms=rooms)
    assert ear.until_a(Resumed)
    ear.until_a(Media)
    assert not rooms.writer.ended.is_set()


def test_the_same_words_are_an_answer_when_nothing_is_said(talk, ear, rooms, conversation) -> None:
    hear(talk, started(0.1), final("yes"), rooms=rooms)
    ear.until_a(Done)
    assert said(conversation)[0] == ("user", "yes")


def test_a_back_channel_of_usual_length_does_not_interrupt_while_its_end_is_waited_for(talk, ear, rooms) -> None:
    begin_reply(talk, ear, rooms)
    hear(talk, started(0.0), going_on(0.3), going_on(DECIDE_S), rooms=rooms)
    ear.until_a(Hearing)
    hear(talk, final("yeah right"), rooms=rooms, ticks=30)
    ear.until_a(Resumed)
    assert not [one for one in ear.seen if isinstance(one, Interrupted)]


def test_a_long_back_channel_does_not_interrupt_while_only_such_words_are_known(talk, ear, rooms) -> None:
    begin_reply(talk, ear, rooms)
    hear(talk, started(0.0), interim("okay"), going_on(DECIDE_S + 0.1), interim("okay sure"), rooms=rooms)
    ear.until(lambda event: event == Interim("okay sure"))
    hear(talk, going_on(LISTENING_S), final("okay sure", LISTENING_S), rooms=rooms, ticks=30)
    ear.until_a(Resumed)
    assert not [one for one in ear.seen if isinstance(one, Interrupted)]


def test_a_back_channel_does_not_interrupt_while_a_busy_recogniser_knows_nothing_of_it(talk, ear, rooms) -> None:
    begin_reply(talk, ear, rooms)
    hear(talk, started(0.0), going_on(DECIDE_S + 0.1), going_on(LISTENING_S), rooms=rooms)
    ear.until_a(Hearing)
    hear(talk, final("嗯，好的", LISTENING_S), rooms=rooms, ticks=30)
    ear.until_a(Resumed)
    assert not [one for one in ear.seen if isinstance(one, Interrupted)]


def test_an_early_guess_at_a_word_decides_nothing(talk, ear, rooms) -> None:
    begin_reply(talk, ear, rooms)
    hear(talk, started(0.0), interim("how"), going_on(DECIDE_S - 0.1), rooms=rooms)
    ear.until(lambda event: event == Interim("how"))
    hear(talk, final("uh huh"), rooms=rooms, ticks=30)
    ear.until_a(Resumed)
    assert not [one for one in ear.seen if isinstance(one, Interrupted)]


def test_who_goes_on_for_longer_interrupts_though_the_words_were_such(talk, ear, rooms) -> None:
    begin_reply(talk, ear, rooms)
    hear(talk, started(0.0), interim("okay"), going_on(LISTENING_S + 0.1), rooms=rooms)
    assert ear.until_a(Interrupted).reply == 1


def test_speech_that_began_before_the_stop_button_does_not_end_the_next_reply(talk, ear, rooms) -> None:
    begin_reply(talk, ear, rooms)
    hear(talk, started(0.0), rooms=rooms)
    ear.until_a(Hearing)
    talk.say("Something else")
    ear.until_a(Interrupted)
    ear.until_a(Media)
    hear(talk, going_on(2 * DECIDE_S), interim("something"), rooms=rooms)
    ear.until_a(Interim)
    talk.stop()
    assert ear.until_a(Interrupted).reply == 2
    assert len([one for one in ear.seen if isinstance(one, Interrupted)]) == 2


def test_nothing_is_answered_after_the_end(talk, ear, rooms, conversation) -> None:
    hear(talk, started(0.0), rooms=rooms)
    ear.until_a(Hearing)
    talk.close()
    talk.say("Too late")
    assert conversation.messages == [] and rooms.writer.requests == []


def test_long_speech_interrupts_before_a_word_of_it_is_understood(talk, ear, rooms) -> None:
    begin_reply(talk, ear, rooms)
    hear(talk, started(0.2), going_on(0.2 + LISTENING_S + 0.02), rooms=rooms)
    assert ear.until_a(Interrupted).reply == 1
    assert not [one for one in ear.seen if isinstance(one, Interim | Transcript) and one != Transcript("Hi")]


def test_the_stop_button_takes_the_same_way(talk, ear, rooms) -> None:
    begin_reply(talk, ear, rooms)
    talk.stop()
    interrupted = ear.until_a(Interrupted)
    assert (interrupted.reply, interrupted.heard_s, interrupted.next_frame_index) == (1, 0.0, 1001)
    assert interrupted.heard == "" and interrupted.unheard.startswith("Hello there.")
    assert rooms.writer.ended.wait(WAIT_S)


def test_a_reply_that_was_played_to_its_end_is_not_interrupted(talk, ear, conversation) -> None:
    talk.say("Hi")
    ear.until_a(Done)
    talk.played(1, 2.0, is_over=True)
    talk.say("And you?")
    ear.until_a(Done)
    assert not [one for one in ear.seen if isinstance(one, Interrupted)]
    assert conversation.messages[1].text == "Hello there. How are you?"


def test_a_reply_that_was_sent_but_not_heard_is_remembered_as_heard(talk, ear, conversation) -> None:
    talk.say("Hi")
    ear.until_a(Done)
    talk.played(1, 0.9)
    talk.say("Enough.")
    assert ear.until_a(Interrupted) == Interrupted(1, 0.9, 1023, "Hello there. How", "are you?")
    assert conversation.messages[1].text == "Hello there. How"


def spoken_in_two(talk: LiveTalk, ear: Ear, rooms, pause_s: float, played_s: float = 0.0) -> None:
    """A question with a pause in it; of the answer to its beginning, so much was heard by then."""
    rooms.writer.endless = True
    hear(talk, started(0.1), interim("what time"), final("what time", 0.6), rooms=rooms)
    for _ in range(2):  # 0.8 s
        ear.until_a(Media)
    talk.played(1, played_s)
    rooms.writer.endless = False
    start_s = 0.6 + pause_s
    hear(talk, started(start_s), interim("is it"), final("is it", start_s + 0.5), rooms=rooms)


@pytest.mark.parametrize(
    ("pause_s", "played_s", "question"),
    [
        (BREATH_S, 0.0, "what time is it"),
        (BREATH_S, HARDLY_HEARD_S, "what time is it"),
        (BREATH_S + 0.1, 0.0, "is it"),
        (BREATH_S, HARDLY_HEARD_S + 0.1, "is it"),
    ],
)
def test_a_breath_does_not_cut_a_question_in_two(
    talk, ear, rooms, conversation, pause_s: float, played_s: float, question: str
) -> None:
    rooms.writer.deltas = ["It is three in the afternoon. "]
    spoken_in_two(talk, ear, rooms, pause_s, played_s)
    transcript = ear.until(lambda event: isinstance(event, Transcript) and event.end_s > 1)
    is_joined = question != "is it"
    assert (transcript.text, transcript.goes_on) == (question, is_joined)
    assert ear.until_a(Done)
    asked = [text for role, text in said(conversation) if role == "user"]
    assert asked == ([question] if is_joined else ["what time", "is it"])
    assert [one.text for one in rooms.writer.requests[-1].messages][-1] == question
    assert [type(one) for one in ear.seen].count(Interrupted) == 1, "the answer to the beginning ends at once"


def test_only_one_answer_is_left_of_a_question_with_two_breaths(talk, ear, rooms, conversation) -> None:
    spoken_in_two(talk, ear, rooms, 0.6)
    ear.until(lambda event: isinstance(event, Transcript) and event.goes_on)
    hear(talk, started(2.0), final("now", 2.4), rooms=rooms)
    assert ear.until(lambda event: isinstance(event, Transcript) and event.end_s == 2.4).text == "what time is it now"
    ear.until(lambda event: isinstance(event, Told) and event.reply == 3 and isinstance(event.event, Done))
    assert said(conversation) == [("user", "what time is it now"), ("assistant", "Hello there. How are you?")]


def test_chinese_is_joined_without_a_space(talk, ear, rooms) -> None:
    hear(talk, started(0.1), final("现在", 0.6), rooms=rooms)
    ear.until_a(Transcript)
    hear(talk, started(1.2), final("几点了", 1.8), rooms=rooms)
    assert ear.until_a(Transcript) == Transcript("现在几点了", 1.8, goes_on=True)


def test_what_is_said_after_a_written_question_is_one_of_its_own(talk, ear, rooms, conversation) -> None:
    hear(talk, started(0.1), final("what time", 0.6), rooms=rooms)
    ear.until_a(Transcript)
    talk.say("Hi")
    ear.until_a(Media)
    hear(talk, started(1.0), final("is it", 1.4), rooms=rooms)
    assert ear.until(lambda event: isinstance(event, Transcript) and event.end_s == 1.4).text == "is it"
    assert [text for role, text in said(conversation) if role == "user"] == ["what time", "Hi", "is it"]


def test_interim_words_of_which_nothing_is_left_are_taken_back(talk, ear, rooms) -> None:
    hear(talk, started(0.1), interim("uh"), final("", 0.4), rooms=rooms)
    ear.until(lambda event: event == Interim("uh"))
    ear.until(lambda event: event == Interim(""))


def test_a_broken_reply_is_told_and_the_talk_goes_on(talk, ear, rooms) -> None:
    rooms.speaker.fail_at = 0
    talk.say("Hi")
    failed = ear.until_a(Failed)
    assert (failed.reply, failed.error.reason) == (1, "LANGUAGE_UNKNOWN")
    rooms.speaker.fail_at = None
    talk.say("Hi again")
    ear.until_a(Done)


@pytest.mark.parametrize(
    ("breaks", "reason"),
    [
        ([(code_pb2.UNAVAILABLE, "LOADING", "Loading.")] * 4, "LOADING"),  # the channel itself tries four times
        ([(code_pb2.INVALID_ARGUMENT, "REFUSED", "A provider's filter stepped in.")], "REFUSED"),
    ],
)
def test_a_recogniser_that_comes_back_is_heard_again(rooms, conversation, breaks, reason) -> None:
    rooms.listener.breaks = breaks
    talk = LiveTalk(rooms.services, conversation)
    ear = Ear(talk)
    failed = ear.until_a(Failed)
    assert (failed.reply, failed.error.reason) == (None, reason)
    rooms.listener.script = [(1, started(0.1)), (1, final("hello"))]
    with sound_going_on(talk):
        ear.until_a(Done)
    talk.close()


def test_a_language_that_nobody_recognises_is_told_once_and_writing_still_works(rooms, conversation) -> None:
    rooms.listener.breaks = [(code_pb2.UNIMPLEMENTED, "LANGUAGE_NOT_SUPPORTED", "English only.", "config.language")]
    talk = LiveTalk(rooms.services, conversation)
    ear = Ear(talk)
    assert ear.until_a(Failed).error.reason == "LANGUAGE_NOT_SUPPORTED"
    for _ in range(80):  # eight seconds, more than may wait
        talk.hear(TICK)
        threading.Event().wait(0.02)
    talk.say("Hi")
    ear.until_a(Done)
    assert len(rooms.listener.configs) == 1
    talk.close()


def test_another_avatar_talks_from_the_next_reply_on(talk, ear, rooms, conversation) -> None:
    rooms.painter.avatars = ["Ann", "Bob"]
    talk.say("Hi")
    ear.until_a(Done)
    talk.played(1, 2.0)
    talk.use({"avatar": "Bob"})
    assert ear.until_a(Using).avatar == "Bob"
    talk.say("Who are you?")
    ear.until(lambda event: isinstance(event, Told) and event.reply == 2 and isinstance(event.event, Done))
    assert [config.avatar for config in rooms.painter.configs] == ["Ann", "Bob"]
    assert [message.role for message in conversation.messages] == ["user", "assistant"] * 2


def test_a_name_that_nobody_has_is_told_and_the_talk_goes_on(talk, ear) -> None:
    talk.use({"avatar": "Nobody"})
    failed = ear.until_a(Failed)
    assert (failed.reply, failed.error.field, failed.error.reason) == (None, "avatar", "AVATAR_NOT_FOUND")
    talk.say("Hi")
    ear.until_a(Done)


def test_another_language_is_listened_for_at_once(rooms, conversation) -> None:
    rooms.listener.breaks = [(code_pb2.UNIMPLEMENTED, "LANGUAGE_NOT_SUPPORTED", "English only.", "config.language")]
    talk = LiveTalk(rooms.services, conversation)
    ear = Ear(talk)
    assert ear.until_a(Failed).error.reason == "LANGUAGE_NOT_SUPPORTED"
    for count, language in ((2, "zh"), (3, "en")):
        talk.use({"language": language})
        with sound_going_on(talk):
            assert is_soon(lambda: len(rooms.listener.configs) == count)  # noqa: B023
            rooms.listener.script = [(1, started(0.1)), (1, final(language))]
            ear.until(lambda event: isinstance(event, Transcript) and event.text.endswith(language))  # noqa: B023
    assert [config.language for config in rooms.listener.configs] == ["en", "zh", "en"]
    talk.close()


def test_closing_ends_every_call(talk, ear, rooms) -> None:
    begin_reply(talk, ear, rooms)
    talk.close()
    for room in (rooms.writer, rooms.speaker, rooms.painter, rooms.listener):
        assert room.ended.wait(WAIT_S)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("uh huh", True),
        ("Okay.", True),
        ("okay, sure", True),
        ("嗯", True),
        ("嗯嗯，好的", True),
        ("对 对 对", True),
        ("是的没错", True),
        ("對，沒錯。", True),
        ("恩，好的。", True),
        ("Ha ha ha!", True),
        ("哈哈哈", True),
        ("no", False),
        ("yes please stop", False),
        ("对不对", False),
        ("好吗", False),
        ("明白了，谢谢", False),
        ("", False),
    ],
)
def test_back_channels(text, expected) -> None:
    assert is_back_channel(text) is expected
