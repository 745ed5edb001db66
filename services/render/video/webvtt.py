"""Subtitles that somebody brings or that were made, as cues to be drawn."""

from __future__ import annotations

from basics import webvtt
from basics.webvtt import Cue
from services.common.errors import InvalidInput

__all__ = ["Cue", "parse"]


def parse(text: str, field: str = "subtitles") -> list[Cue]:
    """The cues of a WebVTT file, in order of time.

    Raises:
        InvalidInput: it does not begin like one.
    """
    try:
        return webvtt.parse(text)
    except ValueError as error:
        message = "These subtitles are no WebVTT: the first line must be WEBVTT."
        raise InvalidInput(message, reason="BAD_SUBTITLES", field=field) from error
