"""What a failed call tells a person."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable

import grpc
import pytest
from google.rpc import code_pb2
from visavis.jobs.v1 import jobs_pb2

from client.talk import speech
from client.wire.errors import CallError
from client.wire.services import Services
from client.work import jobs


def test_details_arrive(rooms) -> None:
    with pytest.raises(CallError) as caught:
        jobs.get(rooms.services, "training-1")
    error = caught.value
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "NO_FACE")
    assert (error.message, error.field) == ("No face at second 12.4.", "recording")
    assert error.values == {"second": "12.4"}
    assert error.service == "train"


def test_a_service_that_is_down_is_named_plainly(make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    services = make.client_of(port)
    with pytest.raises(CallError, match="cannot be reached") as caught:
        jobs.get(services, "generation-1")
    services.close()
    assert (caught.value.reason, caught.value.service) == ("UNAVAILABLE", "render")


@pytest.mark.parametrize(
    ("service", "call"),
    [
        ("asr", lambda services: speech.transcribe(services, io.BytesIO(b"x"))),
        ("tts", lambda services: speech.say(services, "Hi").sample_rate),
        ("render", lambda services: [*jobs.watch(services, "generation-1")]),
    ],
    ids=["a stream up", "both ways", "a stream down"],
)
def test_each_kind_of_call_tells_whom_it_went_to(rooms, make, service: str, call: Callable[[Services], object]) -> None:
    rooms.listener.breaks = [(code_pb2.NOT_FOUND, "NOTHING", "There is nothing.")]
    rooms.speaker.voiceless = 9
    rooms.painter.jobs.snapshots = [make.generation(jobs_pb2.JOB_STATE_RUNNING)]
    rooms.painter.jobs.breaks = [grpc.StatusCode.NOT_FOUND]
    with pytest.raises(CallError) as caught:
        call(rooms.services)
    assert caught.value.service == service


def test_an_unknown_call_is_no_riddle(rooms) -> None:
    with pytest.raises(CallError, match="log has the details") as caught:
        jobs.read_file(rooms.services, "generation-1", "video")  # the painter does not know this call
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.UNIMPLEMENTED, "INTERNAL")
