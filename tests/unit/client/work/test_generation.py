"""What a video shall say is judged, brought once, and left to its job."""

from __future__ import annotations

import io

import pytest
from google.rpc import code_pb2
from visavis.jobs.v1 import jobs_pb2

from client.talk import speech
from client.wire.errors import CallError
from client.work import generation
from tests.unit.client.conftest import generation as generation_job


def _said(rooms) -> bytes:
    return b"".join(message.data for message in rooms.painter.supplied)


def test_a_text_goes_with_the_request_and_nothing_streams_through_here(rooms) -> None:
    job = generation.generate(
        rooms.services, avatar="Ann", text="Hello there. Bye.", voice="ann", rate=1.2, language="en", tts_engine="small"
    )
    (asked,) = rooms.painter.created
    assert (job.id, asked.script.text) == ("generation-1", "Hello there. Bye.")
    assert (asked.script.how.voice, asked.script.how.rate, asked.script.how.engine) == ("ann", 1.2, "small")
    assert (asked.HasField("subtitles"), asked.burn_subtitles, rooms.painter.supplied) == (False, False, [])
    assert rooms.speaker.configs == [asked.script.how], "the same was judged, and no more"


def test_the_engines_own_voice_has_a_name(rooms) -> None:
    generation.generate(rooms.services, avatar="Ann", text="Hello.", voice=speech.STANDARD_VOICE)
    assert rooms.painter.created[0].script.how.voice == ""


@pytest.mark.parametrize(("subtitles", "is_burnt"), [("vtt", False), ("burn", True)])
def test_subtitles_are_asked_for(rooms, subtitles: str, is_burnt: bool) -> None:
    audio = io.BytesIO(b"RIFF")
    generation.generate(
        rooms.services, avatar="Ann", audio=audio, subtitles=subtitles, language="en", asr_engine="ear"
    )  # fmt: skip
    (asked,) = rooms.painter.created
    assert (asked.subtitles.language, asked.subtitles.engine, asked.burn_subtitles) == ("en", "ear", is_burnt)
    assert _said(rooms) == b"RIFF"


def test_a_file_is_brought_as_it_is(rooms) -> None:
    data = bytes(range(256)) * 8000  # more than one message
    generation.generate(rooms.services, avatar="Ann", audio=io.BytesIO(data))
    assert (rooms.painter.supplied[0].config.id, _said(rooms)) == ("generation-1", data)
    assert not rooms.painter.created[0].HasField("script")


def test_a_video_is_told_by_its_first_words_or_its_recording(rooms) -> None:
    for text in ("Good\n morning. ", "word " * 40, "很长的话" * 40):
        generation.generate(rooms.services, avatar="Ann", text=text)
    generation.generate(rooms.services, avatar="Ann", audio=io.BytesIO(b"abc"), file_name="talk.wav")
    short, words, chinese, recording = [request.title for request in rooms.painter.created]
    assert (short, recording) == ("Good morning.", "talk.wav")
    assert words == "word " * 15 + "word…"
    assert chinese == ("很长的话" * 20)[:79] + "…"


def test_how_lively_the_avatar_is_goes_along(rooms) -> None:
    generation.generate(rooms.services, avatar="Ann", text="Hello.", mouth_amplitude=1.25, head_motion=0.0)
    sent = rooms.painter.created[0].expression
    assert (sent.mouth_amplitude, sent.head_motion) == (1.25, 0.0)


@pytest.mark.parametrize(
    ("wrong", "field"), [({"text": "  "}, "text"), ({"text": "Hi.", "subtitles": "loud"}, "subtitles")]
)
def test_bad_input_costs_no_call(rooms, wrong: dict[str, str], field: str) -> None:
    with pytest.raises(CallError) as caught:
        generation.generate(rooms.services, avatar="Ann", **wrong)
    assert caught.value.field == field
    assert rooms.painter.created == rooms.speaker.configs == []


def test_an_unknown_avatar_is_refused_at_once(rooms) -> None:
    with pytest.raises(CallError) as caught:
        generation.generate(rooms.services, avatar="nobody", text="Hi.")
    assert (caught.value.reason, caught.value.field) == ("AVATAR_NOT_FOUND", "avatar")


@pytest.mark.parametrize("source", [{"text": "Hi."}, {"audio": io.BytesIO(b"x")}])
def test_a_repeated_request_is_answered_with_its_job_and_nothing_else_is_asked(rooms, source: dict) -> None:
    rooms.painter.known["once"] = generation_job(jobs_pb2.JOB_STATE_RUNNING, stage="render")
    job = generation.generate(rooms.services, avatar="Ann", request_id="once", **source)
    assert (job.id, job.stage) == ("generation-1", "render")
    assert rooms.painter.created == rooms.painter.supplied == rooms.speaker.configs == []


def test_a_repeated_request_whose_recording_never_came_brings_it(rooms) -> None:
    rooms.painter.known["once"] = generation_job(jobs_pb2.JOB_STATE_QUEUED, stage="input")
    generation.generate(rooms.services, avatar="Ann", audio=io.BytesIO(b"abc"), request_id="once")
    assert _said(rooms) == b"abc"


def test_what_cannot_be_spoken_is_refused_at_once_and_leaves_no_job(rooms) -> None:
    rooms.speaker.refusal = (code_pb2.NOT_FOUND, "VOICE_NOT_FOUND", "There is no such voice.", "voice")
    with pytest.raises(CallError) as caught:
        generation.generate(rooms.services, avatar="Ann", text="Hi.", voice="nobody")
    assert (caught.value.reason, caught.value.field, rooms.painter.created) == ("VOICE_NOT_FOUND", "voice", [])


def test_a_refused_request_leaves_no_job(rooms) -> None:
    rooms.painter.refusals = [(code_pb2.INVALID_ARGUMENT, "SILENT", "Nothing is said.")]
    with pytest.raises(CallError, match="Nothing is said"):
        generation.generate(rooms.services, avatar="Ann", audio=io.BytesIO(b"x"))
    assert rooms.painter.jobs.deleted == ["generation-1"]


def test_a_renderer_that_restarts_gets_the_recording_again(rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generation, "RESTART_PAUSES_S", (0.01,))
    rooms.painter.refusals = [(code_pb2.UNAVAILABLE, "UNAVAILABLE", "restarting")] * 4  # as often gRPC tries by itself
    generation.generate(rooms.services, avatar="Ann", audio=io.BytesIO(b"RIFF"))
    assert rooms.painter.complete.is_set()


def test_a_voice_that_dies_before_it_is_judged_is_waited_for(rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech, "RESTART_PAUSES_S", (0.01,))
    rooms.speaker.voiceless = 4  # four times gRPC tries by itself
    generation.generate(rooms.services, avatar="Ann", text="Hello.")
    assert (len(rooms.painter.created), len(rooms.speaker.configs)) == (1, 5)


def test_what_is_refused_is_not_asked_for_again(rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generation, "RESTART_PAUSES_S", (0.0, 0.0))
    rooms.painter.refusals = [(code_pb2.UNAVAILABLE, "KEY_MISSING", "It needs a key.")] * 4  # gRPC's own tries
    with pytest.raises(CallError) as caught:
        generation.generate(rooms.services, avatar="Ann", audio=io.BytesIO(b"sound"))
    assert (caught.value.reason, rooms.painter.refusals) == ("KEY_MISSING", [])


@pytest.mark.parametrize(("language", "reason"), [("", "LANGUAGE_MISSING"), ("zh", "LANGUAGE_NOT_HEARD")])
def test_subtitles_in_a_language_that_nobody_hears_are_refused_at_once(rooms, language: str, reason: str) -> None:
    with pytest.raises(CallError) as caught:
        generation.generate(
            rooms.services, avatar="Ann", audio=io.BytesIO(b"RIFF"), subtitles="burn", language=language
        )  # fmt: skip
    assert (caught.value.reason, caught.value.field) == (reason, "language")
    assert rooms.painter.created == []
    generation.generate(rooms.services, avatar="Ann", audio=io.BytesIO(b"RIFF"), language=language)
    assert _said(rooms) == b"RIFF"
