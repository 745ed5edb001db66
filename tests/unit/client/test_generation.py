"""Speech on its way to a job, from text or from a file."""

from __future__ import annotations

import io

import pytest

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


def test_a_voice_that_breaks_fails_the_job_with_its_reason(rooms) -> None:
    rooms.speaker.fail_at = 1
    generation.generate(rooms.services, avatar="Ann", text="One. Two.", subtitles="none")
    (error,) = _supplied(rooms)["errors"]
    assert (error.reason, error.field) == ("LANGUAGE_UNKNOWN", "text")


def test_a_file_is_brought_as_it_is(rooms) -> None:
    data = bytes(range(256)) * 8000  # more than one message
    generation.generate(rooms.services, avatar="Ann", audio=io.BytesIO(data))
    supplied = _supplied(rooms)
    assert (supplied["rate"], supplied["bytes"]) == (0, len(data))
    assert b"".join(message.data for message in rooms.painter.supplied) == data


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
