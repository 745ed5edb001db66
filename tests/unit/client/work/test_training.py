"""One recording is brought once, and its training asked for all that is made of it; or it is refused before."""

from __future__ import annotations

import io

import pytest
from google.rpc import code_pb2
from visavis.jobs.v1 import jobs_pb2

from client.wire.errors import CallError
from client.work import training
from client.work.jobs import Job
from tests.unit.client.conftest import training as training_job

TAKE = b"a better take"


def _train(rooms, name: str = "Ann", file_name: str = "a.mp4", language: str = "en", **how: str) -> Job:
    video = io.BytesIO(TAKE)
    return training.train(
        rooms.services, video, file_name=file_name, name=name, consent_by="Ann", language=language, **how
    )


def test_it_is_brought_once_and_its_job_makes_voice_and_subtitles(rooms) -> None:
    assert _train(rooms, asr_engine="ear", tts_engine="small").id == "training-9"
    (asked,) = rooms.trainer.created
    assert (rooms.trainer.uploads, asked.recording_id) == ([TAKE], "r1")
    assert (asked.HasField("new_voice"), asked.new_voice.engine, asked.voice) == (True, "small", "")
    assert (asked.subtitles.language, asked.subtitles.engine) == ("en", "ear")
    assert rooms.speaker.voices == {}, "the voice is not the caller's work"


def test_what_could_be_better_is_told(rooms) -> None:
    assert [(one.reason, one.values) for one in _train(rooms).warnings] == [("QUIET", {"level": "-40"})]


@pytest.mark.parametrize(("language", "code"), [("", "LANGUAGE_MISSING"), ("zh-CN", "LANGUAGE_NOT_HEARD")])
def test_subtitles_that_there_cannot_be_are_told(rooms, language: str, code: str) -> None:
    warnings = _train(rooms, language=language).warnings
    assert [warning.reason for warning in warnings] == ["QUIET", code]
    assert "en" in warnings[1].values["known"]


def test_a_training_service_that_restarts_is_asked_again(rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "RESTART_PAUSES_S", (0.0, 0.0))
    rooms.trainer.breaks = [(code_pb2.UNAVAILABLE, "LOADING", "restarting")] * 2
    assert _train(rooms).id == "training-9"
    assert rooms.trainer.uploads == [TAKE]


@pytest.mark.parametrize("name", ["Ann", " Ann "])
def test_a_taken_name_is_refused_before_the_upload(rooms, name: str) -> None:
    rooms.trainer.taken = {"Ann"}
    with pytest.raises(CallError) as caught:
        _train(rooms, name)
    assert (caught.value.reason, caught.value.field, rooms.trainer.uploads) == ("NAME_TAKEN", "name", [])


@pytest.mark.parametrize("request_id", ["", "once"])
def test_the_name_of_another_voice_is_refused_before_the_upload(rooms, request_id: str) -> None:
    rooms.speaker.voices["Ann"] = b"a first take"
    with pytest.raises(CallError) as caught:
        _train(rooms, request_id=request_id)
    assert (caught.value.reason, caught.value.field, rooms.trainer.uploads) == ("VOICE_EXISTS", "name", [])


def test_a_speech_service_that_is_away_is_left_to_the_job(rooms) -> None:
    rooms.speaker.is_away = True
    assert _train(rooms).id == "training-9"
    assert rooms.trainer.created[0].HasField("new_voice")


def test_an_engine_of_speech_that_is_not_there_is_refused_before_the_upload(rooms) -> None:
    with pytest.raises(CallError) as caught:
        _train(rooms, tts_engine="none")
    assert (caught.value.reason, caught.value.field, rooms.trainer.uploads) == ("NO_ENGINE", "tts_engine", [])


def test_a_repeated_request_is_answered_without_another_upload(rooms) -> None:
    rooms.trainer.known["once"] = training_job(jobs_pb2.JOB_STATE_RUNNING)
    rooms.speaker.voices["Ann"] = b"made by that training"
    assert _train(rooms, request_id="once").id == "training-1"
    assert (rooms.trainer.uploads, rooms.trainer.created) == ([], [])


def test_a_photo_may_bear_the_name_of_a_voice_and_needs_no_language(rooms) -> None:
    """That no voice is made of it, the service sees to."""
    rooms.trainer.is_photo = True
    rooms.speaker.voices["Ann"] = b"somebody of the same name"
    job = _train(rooms, file_name="ann.jpg", language="")
    assert (job.id, [warning.reason for warning in job.warnings]) == ("training-9", ["QUIET"])


@pytest.mark.parametrize("is_photo", [True, False])
def test_a_registered_voice_may_be_chosen(rooms, is_photo: bool) -> None:
    rooms.trainer.is_photo = is_photo
    rooms.speaker.voices["Bea"] = TAKE
    _train(rooms, voice="Bea")
    (asked,) = rooms.trainer.created
    assert (asked.voice, asked.HasField("new_voice")) == ("Bea", False)


def test_a_name_is_found_on_every_page_of_voices(rooms) -> None:
    rooms.speaker.voices = dict.fromkeys(("Abe", "Ada", "Al", "Alf", "Ann"), b"a first take")
    with pytest.raises(CallError) as caught:
        _train(rooms)
    assert (caught.value.reason, rooms.trainer.uploads) == ("VOICE_EXISTS", [])


def test_a_voice_that_is_not_there_is_refused_before_the_upload(rooms) -> None:
    with pytest.raises(CallError) as caught:
        _train(rooms, voice="Bea")
    assert (caught.value.reason, caught.value.field, rooms.trainer.uploads) == ("VOICE_NOT_FOUND", "voice", [])
