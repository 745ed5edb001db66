"""Subtitles as WebVTT (W3C)."""

from __future__ import annotations

from collections.abc import Iterable


def write(cues: Iterable[tuple[float, float, str]]) -> str:
    """A file of cues, each the seconds at which it begins and ends and its text, of one line or several."""
    blocks = [f"{clock(start_s)} --> {clock(end_s)}\n{_escaped(text)}" for start_s, end_s, text in cues]
    return "\n\n".join(["WEBVTT", *blocks]) + "\n"


def clock(seconds: float, decimal: str = ".") -> str:
    """A moment as `00:01:02.345`."""
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}{decimal}{milliseconds % 1000:03}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
