"""One id for all the calls that one request makes, in whatever thread; told where something broke."""

from __future__ import annotations

import io

import pytest

from client.talk.conversation import Conversation
from client.wire import request_id
from client.wire.errors import CallError
from client.work import generation, jobs


def test_every_call_of_a_reply_bears_the_id_of_who_asked(rooms) -> None:
    asked = request_id.begin()
    list(Conversation(rooms.services, avatar="Ann").reply("Hi"))
    assert rooms.ids.by_method == dict.fromkeys(("Reply", "StreamingSynthesize", "StreamingRender"), asked)


def test_every_call_for_a_video_bears_the_id_of_who_asked(rooms) -> None:
    asked = request_id.begin()
    generation.generate(rooms.services, avatar="Ann", text="Hello.")
    assert {"CreateGeneration", "StreamingSynthesize"} <= set(rooms.ids.by_method)
    assert set(rooms.ids.by_method.values()) == {asked}


def test_each_request_has_its_own(rooms) -> None:
    seen = set()
    for _ in range(2):
        request_id.begin()
        generation.generate(rooms.services, avatar="Ann", audio=io.BytesIO(b"x"))
        seen.add(rooms.ids.by_method["SupplyGeneration"])
    assert len(seen) == 2


def test_what_broke_is_told_with_the_id(rooms) -> None:
    asked = request_id.begin()
    with pytest.raises(CallError, match=f"Request id: {asked}") as caught:
        jobs.read_file(rooms.services, "generation-1", "video")  # the painter does not know this call
    assert caught.value.values == {"request_id": asked}
