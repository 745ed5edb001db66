"""Events under the names and with the fields that docs/live-protocol.md promises."""

from __future__ import annotations

import re
from pathlib import Path

import grpc
import pytest
from flask import Flask

from client.talk.conversation import Apology, Delta, Done, Media, MediaType, Rendering, Sentence, Words
from client.talk.live import Hearing, Interim, Interrupted, Resumed, Transcript, Using
from client.talk.speech import Word
from client.wire.errors import CallError
from gateway.web.events import Happening, described, failure

PROTOCOL = Path(__file__).parents[4] / "docs/live-protocol.md"
LATE = CallError(grpc.StatusCode.DEADLINE_EXCEEDED, "LLM_TIMEOUT", "It did not answer.")
EVENTS: list[Happening] = [
    Delta("Hello"),
    Sentence(0, "Hello.", 0.0),
    Words(0, (Word("Hello", 0.0, 0.4),)),
    MediaType("video/mp4", 64, 64, 25.0, b"INIT", 7),
    Rendering("drawing", 0.5, 12.0),
    Apology(LATE),
    Done("Hello.", {"done": 1.0}, {"total": 0.5}, 9),
    Hearing(0.1),
    Interim("hel"),
    Transcript("hello", 0.4),
    Resumed(),
    Interrupted(1, 0.3, 8, "Hel", "lo."),
    Using("Ann", "", "guide", "en", 1.0, 0.0),
]
BY_ITSELF = {"ready", "closing", "error"}
"""What a connection tells of itself, and of any failure."""


def promised() -> dict[str, set[str]]:
    """The fields of each event, without the number of the reply that the connection adds."""
    table = PROTOCOL.read_text().split("## Down: events")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \|([^|]*)\|", table, re.MULTILINE)
    return {name: set(re.findall(r"`(\w+)`", fields)) - {"reply"} for name, fields in rows}


def test_every_event_is_told_as_the_protocol_promises(gateway: Flask) -> None:
    with gateway.test_request_context("/"):
        told = {name: set(fields) - {"reply"} for name, fields in map(described, EVENTS)}
    assert told == {name: fields for name, fields in promised().items() if name not in BY_ITSELF}
    assert len(told) == len(EVENTS)


def test_what_stands_in_the_fields(gateway: Flask) -> None:
    with gateway.test_request_context("/", headers={"Accept-Language": "zh"}):
        told = dict(map(described, EVENTS))
        assert told["apology"] == failure(LATE)
    assert told["apology"]["error"]["code"] == "LLM_TIMEOUT"
    assert told["interrupted"] == {"reply": 1, "heard_s": 0.3, "next_frame_index": 8, "text": "Hel", "unheard": "lo."}
    assert told["using"]["voice"] is None, "the engine's own"
    assert told["words"]["words"] == [{"text": "Hello", "start_s": 0.0, "end_s": 0.4}]
    assert told["done"]["next_frame_index"] == 9


def test_a_fragment_of_video_has_no_fields() -> None:
    with pytest.raises(TypeError):
        described(Media(0, b"bytes", 0, 5))
