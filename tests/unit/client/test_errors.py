"""What a failed call tells a person."""

from __future__ import annotations

import socket

import grpc
import pytest

from client import jobs
from client.errors import CallError


def test_details_arrive(rooms) -> None:
    with pytest.raises(CallError) as caught:
        jobs.get(rooms.services, "training-1")
    error = caught.value
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "NO_FACE")
    assert (error.message, error.field) == ("No face at second 12.4.", "recording")
    assert error.values == {"second": "12.4"}


def test_a_service_that_is_down_is_named_plainly(make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    services = make.client_of(port)
    with pytest.raises(CallError, match="cannot be reached") as caught:
        jobs.get(services, "generation-1")
    services.close()
    assert caught.value.reason == "UNAVAILABLE"


def test_an_unknown_call_is_no_riddle(rooms) -> None:
    with pytest.raises(CallError, match="log has the details") as caught:
        jobs.get(rooms.services, "generation-1")  # the painter does not know this call
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.UNIMPLEMENTED, "INTERNAL")
