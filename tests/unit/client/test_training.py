"""One recording becomes an avatar and a voice, or is refused before it is brought."""

from __future__ import annotations

import io

import pytest
from google.rpc import code_pb2
from visavis.common.v1 import job_pb2
from visavis.train.v1 import train_pb2

from client import background, training
from client.errors import CallError
from client.jobs import Job

TAKE = b"a better take"


def _train(rooms, name: str = "Ann", file_name: str = "a.mp4", language: str = "en", **how: str) -> Job:
    video = io.BytesIO(TAKE)
    job = training.train(
        rooms.services, video, file_name=file_name, name=name, consent_by="Ann", language=language, **how
    )
    background.finish()
    return job


def _earlier(rooms, state: int) -> None:
    """A training of Ann that left her voice."""
    row = job_pb2.Job(id="training-1", state=state)
    rooms.trainer.trainings = [train_pb2.Training(job=row, avatar="Ann")]
    rooms.speaker.voices["Ann"] = b"a first take"


def test_the_voice_bears_the_avatars_name(rooms) -> None:
    assert _train(rooms).id == "training-9"
    assert rooms.speaker.voices == {"Ann": TAKE}
    assert (rooms.trainer.created[0].recording_id, rooms.trainer.created[0].voice) == ("r1", "Ann")


def test_what_could_be_better_is_told(rooms) -> None:
    told = {"code": "QUIET", "message": "Rather quiet (-40 dB).", "field": None, "values": {"level": "-40"}}
    assert _train(rooms).as_dict()["warnings"] == [told]


@pytest.mark.parametrize(("language", "code"), [("", "LANGUAGE_MISSING"), ("zh-CN", "LANGUAGE_NOT_HEARD")])
def test_subtitles_that_there_cannot_be_are_told(rooms, language: str, code: str) -> None:
    warnings = _train(rooms, language=language).warnings
    assert [warning["code"] for warning in warnings] == ["QUIET", code]
    assert "en" in warnings[1]["values"]["known"]


def test_a_training_service_that_restarts_is_asked_again(rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "RESTART_PAUSES_S", (0.0, 0.0))
    rooms.trainer.breaks = [(code_pb2.UNAVAILABLE, "LOADING", "restarting")] * 2
    assert _train(rooms).id == "training-9"
    assert rooms.speaker.voices == {"Ann": TAKE}


@pytest.mark.parametrize(
    ("code", "reason", "is_kept"),
    [(code_pb2.DEADLINE_EXCEEDED, "LATE", True), (code_pb2.INVALID_ARGUMENT, "CONSENT_UNCLEAR", False)],
)
def test_only_a_refusal_takes_the_new_voice_away(rooms, code: int, reason: str, is_kept: bool) -> None:
    """After anything else the training may be there, and needs it."""
    rooms.trainer.breaks = [(code, reason, "no")]
    with pytest.raises(CallError):
        _train(rooms)
    assert ("Ann" in rooms.speaker.voices) is is_kept


@pytest.mark.parametrize("name", ["Ann", " Ann "])
def test_a_taken_name_is_refused_before_the_upload(rooms, name: str) -> None:
    rooms.trainer.taken = {"Ann"}
    with pytest.raises(CallError) as caught:
        _train(rooms, name)
    assert (caught.value.reason, caught.value.field, rooms.trainer.uploads) == ("NAME_TAKEN", "name", [])


@pytest.mark.parametrize(
    ("state", "reason"),
    [(job_pb2.JOB_STATE_RUNNING, "NAME_TAKEN"), (job_pb2.JOB_STATE_SUCCEEDED, "VOICE_EXISTS")],
)
def test_a_voice_that_may_serve_is_not_replaced(rooms, state: int, reason: str) -> None:
    _earlier(rooms, state)
    with pytest.raises(CallError) as caught:
        _train(rooms)
    assert (caught.value.reason, rooms.trainer.uploads) == (reason, [])
    assert rooms.speaker.voices == {"Ann": b"a first take"}


@pytest.mark.parametrize("state", [job_pb2.JOB_STATE_FAILED, job_pb2.JOB_STATE_CANCELLED])
def test_the_voice_of_a_training_that_came_to_nothing_makes_room(rooms, state: int) -> None:
    _earlier(rooms, state)
    assert _train(rooms).id == "training-9"
    assert rooms.speaker.voices == {"Ann": TAKE}


def test_a_repeated_request_is_answered_without_another_upload(rooms) -> None:
    _earlier(rooms, job_pb2.JOB_STATE_RUNNING)
    rooms.trainer.known["once"] = rooms.trainer.trainings[0]
    assert _train(rooms, request_id="once").id == "training-1"
    assert (rooms.trainer.uploads, rooms.trainer.created) == ([], [])


@pytest.mark.parametrize("text", ["maybe", "2", ""])
def test_yes_or_no_is_never_guessed(text: str) -> None:
    with pytest.raises(CallError) as caught:
        training._yes_or_no("fast", text)
    assert (caught.value.reason, caught.value.field) == ("NOT_YES_OR_NO", "params.fast")
    assert (training._yes_or_no("fast", "On"), training._yes_or_no("fast", "0")) == (True, False)


def test_of_a_photo_no_voice_is_made(rooms) -> None:
    rooms.trainer.is_photo = True
    rooms.speaker.voices["Ann"] = b"somebody of the same name"
    assert _train(rooms, file_name="ann.jpg").id == "training-9"
    assert rooms.speaker.voices == {"Ann": b"somebody of the same name"}
    assert rooms.trainer.created[0].voice == ""


@pytest.mark.parametrize("is_photo", [True, False])
def test_a_registered_voice_may_be_chosen(rooms, is_photo: bool) -> None:
    rooms.trainer.is_photo = is_photo
    rooms.speaker.voices["Bea"] = TAKE
    _train(rooms, voice="Bea")
    assert (list(rooms.speaker.voices), rooms.trainer.created[0].voice) == (["Bea"], "Bea")


def test_a_name_is_found_on_every_page_of_voices(rooms) -> None:
    rooms.speaker.voices = dict.fromkeys(("Abe", "Ada", "Al", "Alf", "Ann"), b"a first take")
    with pytest.raises(CallError) as caught:
        _train(rooms)
    assert (caught.value.reason, rooms.trainer.uploads) == ("VOICE_EXISTS", [])


def test_a_voice_that_is_not_there_is_refused_before_the_upload(rooms) -> None:
    with pytest.raises(CallError) as caught:
        _train(rooms, voice="Bea")
    assert (caught.value.reason, caught.value.field, rooms.trainer.uploads) == ("VOICE_NOT_FOUND", "voice", [])
