"""The older form routes over the real application: which dialogue engine answers."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from gateway.app import create_app
from gateway.settings import GatewaySettings


@pytest.fixture
def gateway(rooms: Any, tmp_path: Path) -> FlaskClient:
    rooms.painter.avatars = ["Bob"]
    return create_app(GatewaySettings(data_folder=tmp_path), rooms.services).test_client()


def chat(gateway: FlaskClient, **fields: str) -> Any:
    """What `chat_system` answers to a recording."""
    return gateway.post("/chat_system", data={"model_param": "Bob", **fields, "audio": (io.BytesIO(b"hi"), "a.wav")})


@pytest.mark.parametrize(
    ("choice", "engine"),
    [("", ""), ("small", "small"), ("Large", "large"), ("GLM", "zhipu"), ("zhipu", "zhipu"), ("GLM-4-Flash", "zhipu")],
)
def test_the_engine_that_is_named_answers(gateway: FlaskClient, rooms: Any, choice: str, engine: str) -> None:
    answer = chat(gateway, api_choice=choice)
    assert answer.json["status"] == "success", answer.json
    assert [request.engine for request in rooms.writer.requests] == [engine]


@pytest.mark.parametrize(
    ("choice", "status", "code", "words"),
    [
        ("gemini", 400, "NOT_A_CHOICE", "small, large, dear, zhipu"),
        ("openai", 400, "NOT_A_CHOICE", "small, large, dear, zhipu"),
        ("dear", 503, "KEY_MISSING", "It needs a key. Set KEY."),
    ],
)
def test_one_that_cannot_answer_is_refused_before_anything_is_heard(
    gateway: FlaskClient, rooms: Any, choice: str, status: int, code: str, words: str
) -> None:
    told = (answer := chat(gateway, api_choice=choice)).json
    assert (answer.status_code, told["status"], told["code"], told["field"]) == (status, "error", code, "api_choice")
    assert words in told["message"]
    assert not rooms.writer.requests
