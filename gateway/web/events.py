"""What happens in a talk, under the names and with the fields that clients know: those of docs/live-protocol.md.

Server-sent events and the WebSocket are two transports of the same. Each adds what only it has: the WebSocket the
number of the reply, the page the address of a video.
"""

from __future__ import annotations

import dataclasses
from typing import Any, assert_never

from client.talk import cast
from client.talk.conversation import Apology, Delta, Done, Event, Media, MediaType, Rendering, Sentence, Words
from client.talk.live import Hearing, Interim, Interrupted, Resumed, Transcript, Using
from client.talk.speech import PROSODY
from client.wire.errors import CallError
from gateway.refusal import Refusal
from gateway.web import errors

Fields = dict[str, Any]
Happening = Event | Hearing | Interim | Transcript | Resumed | Interrupted | Using


def described(event: Happening) -> tuple[str, Fields]:
    """An event's name and fields.

    Raises:
        TypeError: it is a fragment of video, which each transport brings in its own way.
    """
    match event:
        case Delta(text):
            return "delta", {"text": text}
        case Sentence(index, text, start_s):
            return "sentence", {"index": index, "text": text, "start_s": start_s}
        case Words(index, words):
            timed = [{"text": word.text, "start_s": word.start_s, "end_s": word.end_s} for word in words]
            return "words", {"index": index, "words": timed}
        case MediaType():
            return "media", {
                "media_type": event.media_type,
                "width": event.width,
                "height": event.height,
                "fps": event.fps,
                "start_frame_index": event.start_frame_index,
            }
        case Rendering():
            return "progress", dataclasses.asdict(event)
        case Apology(error):
            return "apology", failure(error)
        case Done():
            return "done", dataclasses.asdict(event)
        case Hearing(start_s):
            return "hearing", {"start_s": start_s}
        case Interim(text):
            return "interim", {"text": text}
        case Transcript(text, end_s, goes_on):
            return "transcript", {"text": text, "end_s": end_s, "goes_on": goes_on}
        case Resumed():
            return "resumed", {}
        case Interrupted():
            told = dataclasses.asdict(event)
            return "interrupted", {"text": told.pop("heard"), **told}
        case Using():
            names = {name: getattr(event, name) or None for name in cast.NAMES}
            return "using", names | {name: getattr(event, name) for name in PROSODY}
        case Media():
            raise TypeError("a fragment of video has no fields")
    assert_never(event)


def failure(error: CallError | Refusal) -> Fields:
    """The field of what has failed: the error as everywhere in the REST interface, in the language of the request."""
    return {"error": errors.body_of(error)}
