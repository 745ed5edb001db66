from __future__ import annotations

import io
import json
from typing import Any

import pytest
from flask import Flask
from visavis.asr.v1 import asr_pb2
from visavis.common.v1 import limits_pb2
from visavis.tts.v1 import tts_pb2

from client.talk import hearing
from gateway import i18n
from gateway.flows.jobs import MAX_KEY
from gateway.refusal import Refusal
from gateway.web.fields import MAX_CHARACTERS, MAX_JSON_BYTES, MAX_TRANSCRIPT, Fields
from gateway.web.paging import MAX_PAGE, MAX_TOKEN
from services.common import limits, pages
from services.common.jobs.store import MAX_REQUEST_ID
from services.llm.settings import LlmSettings


def refused(gateway: Flask, ask: Any, **request: Any) -> Refusal:
    with gateway.test_request_context("/", method="POST", **request), pytest.raises(Refusal) as caught:
        ask(Fields())
    return caught.value


@pytest.mark.parametrize("request_as", ["json", "data"])
def test_json_and_forms_are_read_alike(gateway: Flask, request_as: str) -> None:
    values = {"text": " hello ", "rate": "1.5", "subtitles": "vtt"}
    with gateway.test_request_context("/", method="POST", **{request_as: values}):
        fields = Fields()
        assert fields.required("text") == "hello"
        assert fields.number("rate", 1, 0.5, 2) == 1.5
        assert fields.choice("subtitles", ("none", "vtt"), "none") == "vtt"
        assert fields.text("missing", "else") == "else"


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "3", "fast"])
def test_numbers_out_of_bounds(gateway: Flask, value: str) -> None:
    assert refused(gateway, lambda fields: fields.number("rate", 1, 0.5, 2), data={"rate": value}).field == "rate"


def test_long_and_empty_texts(gateway: Flask) -> None:
    assert (
        refused(gateway, lambda fields: fields.spoken("text"), json={"text": "字" * 20_000}).reason == "TEXT_TOO_LONG"
    )
    assert refused(gateway, lambda fields: fields.spoken("text"), json={"text": "  "}).reason == "TEXT_EMPTY"
    assert refused(gateway, lambda fields: fields.spoken("text"), json={"text": None}).reason == "TEXT_EMPTY"


def test_a_text_that_may_be_empty_must_be_there_all_the_same(gateway: Flask) -> None:
    assert refused(gateway, lambda fields: fields.stated("transcript"), json={}).reason == "FIELD_MISSING"
    with gateway.test_request_context("/", method="PATCH", json={"transcript": ""}):
        assert Fields().stated("transcript") == ""


def test_a_correction_without_a_transcript_is_refused_and_reaches_no_voice(gateway: Flask) -> None:
    answer = gateway.test_client().patch("/api/v1/voices/Ann", json={})
    assert (answer.status_code, answer.json["error"]["field"]) == (400, "transcript")


@pytest.mark.parametrize(
    ("ask", "field"),
    [
        (lambda fields: fields.message("text"), "text"),
        (lambda fields: fields.mapping("params"), "params.a"),
        (lambda fields: fields.mapping("keys"), "keys"),
    ],
)
def test_half_a_character_is_refused_in_words(gateway: Flask, ask: Any, field: str) -> None:
    body = '{"text": "hello \\ud800", "params": {"a": "\\udfff"}, "keys": {"\\ud800": "a"}}'
    error = refused(gateway, ask, data=body, content_type="application/json")
    assert (error.reason, error.field) == ("TEXT_BROKEN", field)


@pytest.mark.parametrize("name", ["name", "consent", "voice", "language", "device", "engine", "persona"])
def test_no_text_is_without_bound(gateway: Flask, name: str) -> None:
    with gateway.test_request_context("/", method="POST", data={name: "x" * MAX_CHARACTERS}):
        assert Fields().required(name)
    error = refused(gateway, lambda fields: fields.required(name), data={name: "字" * 400_000})
    assert (error.reason, error.field, error.values["max"]) == ("TEXT_TOO_LONG", name, "200")


def test_a_list_of_texts_is_parted_and_bounded(gateway: Flask) -> None:
    with gateway.test_request_context("/", method="POST", data={"names": " Ann Lee, 谌龙、Bob\n,\n"}):
        assert Fields().listed("names", 3, 7) == ["Ann Lee", "谌龙", "Bob"]
    for names, reason in (("a,b,c,d", "TOO_MANY_ENTRIES"), ("a,12345678", "TEXT_TOO_LONG")):
        error = refused(gateway, lambda fields: fields.listed("names", 3, 7), data={"names": names})
        assert (error.reason, error.field) == (reason, "names")


def test_the_gateway_and_the_services_bound_the_same(gateway: Flask) -> None:
    transcript = tts_pb2.VoiceConfig.DESCRIPTOR.fields_by_name["transcript"].GetOptions()
    token = tts_pb2.ListVoicesRequest.DESCRIPTOR.fields_by_name["page_token"].GetOptions()
    stated = [options.Extensions[limits_pb2.max_characters] for options in (transcript, token)]
    assert stated == [MAX_TRANSCRIPT, MAX_TOKEN]
    assert (MAX_CHARACTERS, MAX_PAGE) == (limits.MOST_CHARACTERS, pages.MOST)
    for config in (asr_pb2.TranscribeConfig, asr_pb2.StreamingRecognizeConfig):
        options = config.DESCRIPTOR.fields_by_name["hotwords"].GetOptions().Extensions
        bounds = [options[limits_pb2.max_entries], options[limits_pb2.max_characters]]
        assert bounds == [hearing.MOST_HOTWORDS, hearing.MOST_HOTWORD_CHARACTERS]


@pytest.mark.parametrize(
    "params",
    ['{"a": "' + "x" * 201 + '"}', json.dumps({f"p{n}": 1 for n in range(101)}), json.dumps({"k" * 201: 1}),
     json.dumps({"a": [1] * 200})],
)  # fmt: skip
def test_parameters_are_bounded_too(gateway: Flask, params: str) -> None:
    error = refused(gateway, lambda fields: fields.mapping("params"), data={"params": params})
    assert error.reason in ("TEXT_TOO_LONG", "TOO_MANY_ENTRIES")
    assert error.field.partition(".")[0] == "params"


@pytest.mark.parametrize(
    ("ask", "request_as"),
    [
        (lambda fields: fields.required("avatar"), {}),
        (lambda fields: fields.required_file("avatar"), {}),
        (lambda fields: fields.spoken("avatar"), {}),
        (lambda fields: fields.choice("avatar", ("a", "b"), "a"), {"avatar": "c"}),
        (lambda fields: fields.number("avatar", 0, 0, 1), {"avatar": "2"}),
        (lambda fields: fields.mapping("avatar"), {"avatar": "[]"}),
    ],
)
def test_every_complaint_names_its_field_in_words_too(gateway: Flask, ask: Any, request_as: dict[str, str]) -> None:
    error = refused(gateway, ask, data=request_as)
    assert error.field == "avatar" and "'avatar'" in error.message
    with gateway.test_request_context("/", headers={"Accept-Language": "zh"}):
        assert "“avatar”" in i18n.error_text(error.reason, error.message, error.values)


def test_a_chat_takes_no_message_that_the_dialogue_would_refuse(gateway: Flask) -> None:
    limit = LlmSettings().max_message_characters
    error = refused(gateway, lambda fields: fields.message("text"), json={"text": "a" * (limit + 1)})
    assert error.values["max"] == str(limit)


@pytest.mark.parametrize("body", [b"[]", b"{", b"3", b""])
def test_bodies_that_are_no_object(gateway: Flask, body: bytes) -> None:
    error = refused(gateway, lambda fields: None, data=body, content_type="application/json")
    assert error.reason == "NOT_AN_OBJECT"


def test_json_is_never_read_without_bound(gateway: Flask) -> None:
    body = b'{"text": "' + b"x" * MAX_JSON_BYTES + b'"}'
    answer = gateway.test_client().post("/api/v1/speech", data=body, content_type="application/json")
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "values",
    [
        {"params": '{"quality": "draft", "seed": 3, "fast": true}'},
        {"params.quality": "draft", "params.seed": "3", "params.fast": "true"},
        {"params": '{"quality": "high", "seed": 3, "fast": true}', "params.quality": "draft", "params.steps": ""},
    ],
)
def test_parameters_as_json_or_as_fields(gateway: Flask, values: dict[str, str]) -> None:
    with gateway.test_request_context("/", method="POST", data=values):
        assert Fields().mapping("params") == {"quality": "draft", "seed": "3", "fast": "true"}


@pytest.mark.parametrize("value", ["[1]", "quality", '"x"'])
def test_parameters_that_are_none(gateway: Flask, value: str) -> None:
    assert refused(gateway, lambda fields: fields.mapping("params"), data={"params": value}).field == "params"


def test_a_key_that_cannot_be_kept_is_refused_by_its_name(gateway: Flask) -> None:
    assert MAX_KEY == MAX_REQUEST_ID
    client = gateway.test_client()
    video, generations = {"name": "V", "consent": "V", "video": (io.BytesIO(b"x"), "x.mp4")}, "/api/v1/generations"
    sent = {generations: {"json": {"avatar": "V", "text": "Hello."}}, "/api/v1/trainings": {"data": video}}
    for path, body in sent.items():
        answer = client.post(path, headers={"Idempotency-Key": "k" * (MAX_KEY + 1)}, **body)
        error = answer.get_json()["error"]
        assert (answer.status_code, error["code"], error["field"]) == (400, "BAD_REQUEST_ID", "Idempotency-Key")
        assert str(MAX_KEY) in error["message"]
    passed = client.post(generations, headers={"Idempotency-Key": "k" * MAX_KEY}, **sent[generations])
    assert passed.status_code == 503, "nobody is there, but the key will do"
