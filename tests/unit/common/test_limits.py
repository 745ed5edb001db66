"""No text of a request or an answer is without bound."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from visavis.asr.v1 import asr_pb2
from visavis.common.v1 import error_pb2, info_pb2, limits_pb2, media_pb2
from visavis.jobs.v1 import jobs_pb2
from visavis.llm.v1 import llm_pb2
from visavis.render.v1 import render_pb2
from visavis.train.v1 import train_pb2
from visavis.tts.v1 import tts_pb2

from services.common import limits
from services.common.errors import InvalidInput

MESSAGE_BYTES = 4 * 2**20
"""What gRPC takes unless told otherwise; nobody tells it otherwise."""


def consent(length: int) -> media_pb2.Consent:
    return media_pb2.Consent(given_by="字" * length)


@pytest.mark.parametrize(
    ("message", "field", "most"),
    [
        (tts_pb2.VoiceConfig(consent=consent(201)), "consent.given_by", 200),
        (tts_pb2.CreateVoiceRequest(config=tts_pb2.VoiceConfig(consent=consent(400_000))), "consent.given_by", 200),
        (tts_pb2.CreateVoiceRequest(config=tts_pb2.VoiceConfig(transcript="x" * 60_001)), "transcript", 60_000),
        (tts_pb2.SetVoiceTranscriptRequest(name="n" * 201), "name", 200),
        (asr_pb2.TranscribeConfig(language="e" * 201), "language", 200),
        (asr_pb2.TranscribeConfig(hotwords=["e" * 51]), "hotwords", 50),
        (asr_pb2.StreamingRecognizeConfig(hotwords=["e"] * 101), "hotwords", 100),
        (train_pb2.CreateTrainingRequest(engine="e" * 201), "engine", 200),
        (train_pb2.CreateTrainingRequest(parameters=[info_pb2.ParameterValue(text="x" * 201)]), "parameters.text", 200),
        (train_pb2.CreateTrainingRequest(parameters=[info_pb2.ParameterValue()] * 101), "parameters", 100),
        (train_pb2.RecordingConfig(file_name="f" * 201), "file_name", 200),
        (error_pb2.Error(message="x" * 2001), "message", 2000),
        (error_pb2.Error(values={"a": "x" * 201}), "values", 200),
        (error_pb2.Error(values={"x" * 201: "a"}), "values", 200),
        (llm_pb2.ReplyRequest(messages=[llm_pb2.Message(text="x" * 100_001)]), "messages.text", 100_000),
    ],
)
def test_what_is_too_long_is_refused_by_its_field(message: Message, field: str, most: int) -> None:
    with pytest.raises(InvalidInput) as caught:
        limits.check(message)
    assert (caught.value.field, caught.value.values["max"]) == (field, str(most))
    assert f"'{field}'" in caught.value.message


def test_what_is_allowed_passes() -> None:
    limits.check(tts_pb2.VoiceConfig(name="n" * 200, transcript="x" * 60_000, consent=consent(200)))
    limits.check(train_pb2.CreateTrainingRequest(parameters=[info_pb2.ParameterValue(text="x" * 200)] * 100))


def test_what_was_stored_without_bound_is_cut() -> None:
    voice = tts_pb2.Voice(name="Ann", consent=consent(400_000), transcript="x" * 10**6)
    error = error_pb2.Error(message="x" * 5000, values={"name": "x" * 300, "max": "3"})
    job = jobs_pb2.Job(error=error, warnings=[error])
    for message in (voice, job):
        limits.cut(message)
        limits.check(message)
    assert (voice.name, voice.consent.given_by) == ("Ann", "字" * 199 + "…")
    assert job.error.values["max"] == job.warnings[0].values["max"] == "3"


def test_a_report_is_left_as_the_engine_wrote_it() -> None:
    avatar = render_pb2.Avatar()
    avatar.report.update({"statement": "x" * 1000})
    limits.cut(avatar)
    assert avatar.report["statement"] == "x" * 1000


def _requests() -> Iterator[Descriptor]:
    for service in ("asr", "llm", "tts", "render", "train", "jobs"):
        module = import_module(f"visavis.{service}.v1.{service}_pb2")
        for methods in module.DESCRIPTOR.services_by_name.values():
            yield from (method.input_type for method in methods.methods)


def test_no_limit_lets_one_text_fill_a_message() -> None:
    seen: set[str] = set()

    def visit(kind: Descriptor) -> None:
        if kind.full_name in seen:
            return
        seen.add(kind.full_name)
        for field in kind.fields:
            assert field.GetOptions().Extensions[limits_pb2.max_characters] * 4 < MESSAGE_BYTES, field.full_name
            if field.message_type:
                visit(field.message_type)

    for request in _requests():
        visit(request)
    assert "visavis.common.v1.Consent" in seen
