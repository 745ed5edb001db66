"""Subtitles as WebVTT (W3C): writing them, and reading just what drawing or correcting them needs."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import NamedTuple

_TIME = r"(?:(\d+):)?(\d\d):(\d\d)[.,](\d{3})"
_TIMING = re.compile(rf"^\s*{_TIME}\s+-->\s+{_TIME}")
_TAG = re.compile(r"<[^>]*>")


class Cue(NamedTuple):
    """A text, of one line or several, and the seconds during which it is shown."""

    start_s: float
    end_s: float
    text: str


def write(cues: Iterable[tuple[float, float, str]]) -> str:
    """A file of cues, each the seconds at which it begins and ends and its text, of one line or several."""
    blocks = [f"{clock(start_s)} --> {clock(end_s)}\n{_escaped(text)}" for start_s, end_s, text in cues]
    return "\n\n".join(["WEBVTT", *blocks]) + "\n"


def clock(seconds: float, decimal: str = ".") -> str:
    """A moment as `00:01:02.345`."""
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}{decimal}{milliseconds % 1000:03}"


def parse(text: str) -> list[Cue]:
    """The cues of a file, in order of time.

    Raises:
        ValueError: it does not begin like WebVTT.
    """
    text = text.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if not text.startswith("WEBVTT"):
        raise ValueError("no WebVTT")
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


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
