"""Speech on its way to a job, from text or from a file."""

from __future__ import annotations

import io

import pytest
from google.rpc import code_pb2

from client import background, generation
from client.errors import CallError


def _supplied(rooms) -> dict[str, object]:
    background.finish()
    messages = rooms.painter.supplied
    return {
        "rate": messages[0].config.sample_rate_hertz,
        "id": messages[0].config.id,
        "bytes": sum(len(message.data) for message in messages),
        "subtitles": next((message.subtitles for message in messages if message.subtitles), ""),
        "errors": [message.error for message in messages if message.HasField("error")],
    }


def test_text_is_spoken_into_the_job(rooms) -> None:
    job = generation.generate(rooms.services, avatar="Ann", text="Hello there. Bye.", voice="ann", subtitles="vtt")
    supplied = _supplied(rooms)
    assert (supplied["id"], supplied["rate"], supplied["bytes"]) == (job.id, 1000, 3 * 800)
    assert "00:00:00.800 --> 00:00:01.200\nBye." in supplied["subtitles"]
    assert rooms.speaker.configs[0].voice == "ann"
    assert not rooms.painter.created[0].burn_subtitles


def test_closures_go_ahead_of_the_speech_they_lie_in(rooms) -> None:
    generation.generate(rooms.services, avatar="Ann", text="To be.")
    background.finish()
    kinds = [message.WhichOneof("request") for message in rooms.painter.supplied]
    assert kinds == ["config", "data", "closures", "data"]
    assert rooms.painter.supplied[2].closures.closures[0].sample_index == 409


def test_a_voice_that_breaks_fails_the_job_with_its_reason(rooms) -> None:
    rooms.speaker.fail_at = 1
    generation.generate(rooms.services, avatar="Ann", text="One. Two.", subtitles="none")
    (error,) = _supplied(rooms)["errors"]
    assert (error.reason, error.field) == ("LANGUAGE_UNKNOWN", "text")
    assert len(rooms.speaker.configs) == 1, "what is refused is not tried again"


def test_a_file_is_brought_as_it_is(rooms) -> None:
    data = bytes(range(256)) * 8000  # more than one message
    generation.generate(rooms.services, avatar="Ann", audio=io.BytesIO(data))
    supplied = _supplied(rooms)
    assert (supplied["rate"], supplied["bytes"]) == (0, len(data))
    assert b"".join(message.data for message in rooms.painter.supplied) == data


def test_a_video_is_told_by_its_first_words_or_its_recording(rooms) -> None:
    for text in ("Good\n morning. ", "word " * 40, "很长的话" * 40):
        generation.generate(rooms.services, avatar="Ann", text=text)
    generation.generate(rooms.services, avatar="Ann", audio=io.BytesIO(b"abc"), file_name="talk.wav")
    background.finish()
    short, words, chinese, recording = [request.title for request in rooms.painter.created]
    assert (short, recording) == ("Good morning.", "talk.wav")
    assert words == "word " * 15 + "word…"
    assert chinese == ("很长的话" * 20)[:79] + "…"


def test_how_lively_the_avatar_is_goes_along(rooms) -> None:
    generation.generate(rooms.services, avatar="Ann", text="Hello.", mouth_amplitude=1.25, head_motion=0.0)
    background.finish()
    sent = rooms.painter.created[0].expression
    assert (sent.mouth_amplitude, sent.head_motion) == (1.25, 0.0)


def test_burning_is_asked_for(rooms) -> None:
    generation.generate(rooms.services, avatar="Ann", text="Hello.", subtitles="burn")
    background.finish()
    assert rooms.painter.created[0].burn_subtitles


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


@pytest.mark.parametrize("subtitles", ["none", "vtt"])
def test_a_repeated_request_brings_no_second_speech(rooms, subtitles: str) -> None:
    rooms.painter.stage_at_creation = ""  # it has its speech already
    job = generation.generate(rooms.services, avatar="Ann", text="Hi.", subtitles=subtitles, request_id="once")
    background.finish()
    assert (job.state, rooms.painter.supplied, rooms.speaker.configs) == ("queued", [], [])
    assert generation.generate(rooms.services, avatar="Ann", audio=io.BytesIO(b"x"), request_id="once").id == job.id
    assert rooms.painter.supplied == []


def test_a_refused_request_leaves_no_job(rooms) -> None:
    rooms.painter.refusals = [(code_pb2.INVALID_ARGUMENT, "SILENT", "Nothing is said.")]
    with pytest.raises(CallError, match="Nothing is said"):
        generation.generate(rooms.services, avatar="Ann", audio=io.BytesIO(b"x"))
    assert rooms.painter.deleted == ["generation-1"]


def test_a_renderer_that_restarts_gets_the_speech_again(rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    for pauses in ("RESTART_PAUSES_S", "BACKGROUND_PAUSES_S"):
        monkeypatch.setattr(generation, pauses, (0.01,))
    away = [(code_pb2.UNAVAILABLE, "UNAVAILABLE", "restarting")]
    for source in ({"audio": io.BytesIO(b"RIFF")}, {"text": "Hello."}):
        rooms.painter.refusals, rooms.painter.supplied = away * 4, []  # four times gRPC tries by itself
        rooms.painter.complete.clear()
        generation.generate(rooms.services, avatar="Ann", **source)
        background.finish()
        assert rooms.painter.complete.is_set()


def test_a_voice_that_dies_in_its_speech_begins_it_anew(rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generation, "BACKGROUND_PAUSES_S", (0.01, 0.01))
    rooms.speaker.dies_at = [1, 0]
    generation.generate(rooms.services, avatar="Ann", text="One two. Three.", subtitles="vtt")
    supplied = _supplied(rooms)
    assert rooms.painter.complete.is_set()
    assert (supplied["bytes"], supplied["errors"]) == (3 * 800, []), "all of it, and once"
    assert "00:00:00.800 --> 00:00:01.200\nThree." in supplied["subtitles"]
    assert len(rooms.speaker.configs) == 3


def test_a_voice_that_dies_before_its_speech_is_waited_for(rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generation, "RESTART_PAUSES_S", (0.01,))
    rooms.speaker.voiceless = 4  # four times gRPC tries by itself
    generation.generate(rooms.services, avatar="Ann", text="Hello.")
    assert (_supplied(rooms)["bytes"], len(rooms.speaker.configs)) == (800, 5)


def test_a_voice_that_stays_away_fails_the_job(rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generation, "BACKGROUND_PAUSES_S", (0.01,))
    rooms.speaker.dies_at = [1, 1]
    generation.generate(rooms.services, avatar="Ann", text="One two. Three.")
    supplied = _supplied(rooms)
    assert [error.reason for error in supplied["errors"]] == ["UNAVAILABLE"]
    assert supplied["bytes"] == 0


def test_what_is_refused_is_not_asked_for_again(rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generation, "RESTART_PAUSES_S", (0.0, 0.0))
    rooms.painter.refusals = [(code_pb2.UNAVAILABLE, "KEY_MISSING", "It needs a key.")] * 4  # gRPC's own tries
    with pytest.raises(CallError) as caught:
        generation.generate(rooms.services, avatar="Ann", audio=io.BytesIO(b"sound"))
    assert (caught.value.reason, rooms.painter.refusals) == ("KEY_MISSING", [])


def test_a_recogniser_that_restarts_hears_the_recording_again(rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generation, "BACKGROUND_PAUSES_S", (0.01,))
    rooms.listener.breaks = [(code_pb2.UNAVAILABLE, "LOADING", "restarting")] * 4
    generation.generate(rooms.services, avatar="Ann", audio=io.BytesIO(b"RIFF"), subtitles="vtt", language="en-GB")
    supplied = _supplied(rooms)
    assert (supplied["bytes"], supplied["subtitles"], supplied["errors"]) == (4, "WEBVTT", [])


def test_a_failure_in_the_background_becomes_the_jobs(rooms) -> None:
    rooms.painter.refusals = [(code_pb2.RESOURCE_EXHAUSTED, "STORAGE_FULL", "The disk is full.")]
    generation.generate(rooms.services, avatar="Ann", text="Hello.")
    (error,) = _supplied(rooms)["errors"]
    assert error.reason == "STORAGE_FULL"


def test_a_job_that_was_cancelled_is_told_nothing(rooms) -> None:
    rooms.painter.refusals = [(code_pb2.FAILED_PRECONDITION, "NOT_WAITING", "It was cancelled.")]
    generation.generate(rooms.services, avatar="Ann", text="Hello.")
    assert _supplied(rooms)["errors"] == []
    assert rooms.speaker.ended.wait(60)


@pytest.mark.parametrize(("language", "reason"), [("", "LANGUAGE_MISSING"), ("zh", "LANGUAGE_NOT_HEARD")])
def test_subtitles_in_a_language_that_nobody_hears_are_refused_at_once(rooms, language: str, reason: str) -> None:
    with pytest.raises(CallError) as caught:
        generation.generate(
            rooms.services, avatar="Ann", audio=io.BytesIO(b"RIFF"), subtitles="burn", language=language
        )  # fmt: skip
    assert (caught.value.reason, caught.value.field) == (reason, "language")
    assert rooms.painter.supplied == []
    generation.generate(rooms.services, avatar="Ann", audio=io.BytesIO(b"RIFF"), language=language)
    assert _supplied(rooms)["bytes"] == 4
