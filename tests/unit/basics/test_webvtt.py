"""Subtitles that every reader of WebVTT understands."""

from __future__ import annotations

import pytest

from basics import webvtt


def test_a_file_of_cues() -> None:
    told = webvtt.write([(0.0, 1.5, "Tom & Jerry\n<3"), (3599.9996, 3661.25, "再见 --> 你好")])
    assert told == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nTom &amp; Jerry\n&lt;3\n\n"
        "01:00:00.000 --> 01:01:01.250\n再见 --&gt; 你好\n"
    )


@pytest.mark.parametrize(("decimal", "told"), [(".", "100:00:00.001"), (",", "100:00:00,001")])
def test_hours_beyond_two_digits(decimal: str, told: str) -> None:
    assert webvtt.clock(360_000.001, decimal) == told
