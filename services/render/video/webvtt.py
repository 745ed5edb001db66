"""Subtitles as WebVTT (W3C): just what drawing them needs."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

from services.common.errors import InvalidInput

_TIME = r"(?:(\d+):)?(\d\d):(\d\d)[.,](\d{3})"
_TIMING = re.compile(rf"^\s*{_TIME}\s+-->\s+{_TIME}")
_TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True)
class Cue:
    """A text and the seconds during which it is shown."""

    start_s: float
    end_s: float
    text: str


def parse(text: str, field: str = "subtitles") -> list[Cue]:
    """The cues of a WebVTT file, in order of time.

    Raises:
        InvalidInput: it does not begin like one.
    """
    text = text.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if not text.startswith("WEBVTT"):
        message = "These subtitles are no WebVTT: the first line must be WEBVTT."
        raise InvalidInput(message, reason="BAD_SUBTITLES", field=field)
    cues = [cue for block in re.split(r"\n{2,}", text) if (cue := _cue(block.split("\n")))]
    return sorted(cues, key=lambda cue: cue.start_s)


def _cue(lines: list[str]) -> Cue | None:
    for index, line in enumerate(lines):
        if timing := _TIMING.match(line):
            text = html.unescape(_TAG.sub("", "\n".join(lines[index + 1 :]))).strip()
            groups = timing.groups()
            return Cue(_seconds(groups[:4]), _seconds(groups[4:]), text) if text else None
    return None


def _seconds(parts: tuple[str | None, ...]) -> float:
    hours, minutes, seconds, milliseconds = (int(part or 0) for part in parts)
    return hours * 3600 + minutes * 60 + seconds + milliseconds / 1000
