"""Labels and subtitles: parsed, broken into lines, drawn where they belong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from services.common.errors import InvalidInput, Unsupported
from services.render import overlay, webvtt
from services.render.webvtt import Cue

GREY = np.full((256, 256, 3), 120, np.uint8)

VTT = """\ufeffWEBVTT - title

NOTE a remark

1
00:00.500 --> 00:01.000 align:start
<v Ada>Fish &amp; <i>chips</i></v>
second line

01:02:03.004 --> 01:02:04.000
\u4f60\u597d
"""


def test_webvtt_is_read() -> None:
    assert webvtt.parse(VTT.replace("\n", "\r\n")) == [
        Cue(0.5, 1.0, "Fish & chips\nsecond line"),
        Cue(3723.004, 3724.0, "\u4f60\u597d"),
    ]
    assert webvtt.parse("WEBVTT") == []
    with pytest.raises(InvalidInput):
        webvtt.parse("1\n00:00:00,000 --> 00:00:01,000\nSubRip")


def test_lines_break_between_words_and_between_chinese_letters() -> None:
    def fits(line: str) -> bool:
        return len(line) <= 8

    assert list(overlay.wrapped("to be or not to be", fits)) == ["to be or", "not to", "be"]
    assert list(overlay.wrapped("\u4f60\u597d\u4e16\u754c\u4f60\u597d\u4e16\u754c\u4f60\u597d", fits)) == [
        "\u4f60\u597d\u4e16\u754c\u4f60\u597d\u4e16\u754c",
        "\u4f60\u597d",
    ]
    assert list(overlay.wrapped("unbreakable", fits)) == ["unbreakable"]
    # A comma never begins a line.
    assert list(overlay.wrapped("\u4f60\u597d\u4e16\u754c\u4f60\u597d\u4e16\u754c\uff0c\u597d", fits))[1][0] != "\uff0c"


def test_label_and_subtitles_are_drawn_when_and_where_they_belong() -> None:
    draw = overlay.drawing([Cue(1.0, 2.0, "Hello")], 256, 256, label_text="AI")
    before, during = draw(GREY, 0.5), draw(GREY, 1.5)
    assert (GREY == 120).all()
    assert changed(before)[:64, :64].any()  # the label, always
    assert not changed(before)[64:].any()
    assert changed(during)[200:].any()
    columns = np.flatnonzero(changed(during)[128:].any(axis=0))
    assert abs(columns.mean() - 127.5) < 8  # centred
    rows = np.flatnonzero(changed(before).any(axis=1))
    assert len(rows) >= 0.05 * 256  # as tall as GB 45438-2025 asks


def test_without_label_and_cues_pictures_pass_untouched() -> None:
    assert overlay.drawing([], 256, 256, label_text="")(GREY, 0.0) is GREY


def test_what_does_not_fit_is_cut_off() -> None:
    small = np.zeros((64, 64, 3), np.uint8)
    draw = overlay.drawing([Cue(0, 1, "An_unbreakable_word_that_is_far_too_long " * 5)], 64, 64, label_text="AI")
    assert draw(small, 0.5).shape == small.shape


def test_chinese_needs_a_font_and_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlay, "_find_font", lambda name: None)
    with pytest.raises(Unsupported, match="fonts-noto-cjk") as caught:
        overlay.check_font([Cue(0, 1, "\u4f60\u597d")])
    assert caught.value.field == "subtitles"
    overlay.check_font([Cue(0, 1, "plain")])  # Pillow's own font has these


def test_chinese_is_drawn_with_letters_not_boxes() -> None:
    if not any(overlay._find_font(name) for name in overlay.CJK_FONTS):
        pytest.skip("no font with Chinese letters here")
    one, other = (overlay.subtitle(letter, 256, 256).opacity for letter in ("\u4e00", "\u9f98"))
    assert one.shape != other.shape or (one != other).any()


def changed(picture: np.ndarray) -> np.ndarray:
    return (picture != GREY).any(axis=2)


def test_a_chosen_font_is_used() -> None:
    path = overlay._find_font("DejaVuSans.ttf")
    if path is None:
        pytest.skip("no DejaVu here")
    assert overlay.subtitle("Hello", 256, 256, str(Path(path))).opacity.any()
