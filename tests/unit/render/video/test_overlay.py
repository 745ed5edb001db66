"""Labels and subtitles: parsed, broken into lines, drawn where they belong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from services.common.errors import InvalidInput, Unsupported
from services.render.video import overlay, webvtt
from services.render.video.webvtt import Cue

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


def rows_of_text(text: str, width: int, height: int = 256) -> list[int]:
    """How tall the lines of a subtitle are, seen by the rows that nothing is drawn on."""
    inked = overlay.subtitle(text, width, height).opacity.any(axis=(1, 2))
    edges = np.flatnonzero(np.diff(np.concatenate([[0], inked.astype(int), [0]])))
    return list(edges[1::2] - edges[::2])


def test_a_subtitle_keeps_its_lines_where_they_fit_and_loses_no_word_where_they_do_not() -> None:
    """A cue is as wide as a cinema has room for; a portrait is often as narrow as a phone."""
    cue = "ALL MEN ARE CREATED EQUAL, AND THAT THEY\nARE ENDOWED WITH CERTAIN UNALIENABLE RIGHT"
    assert len(rows_of_text(cue, 800)) == 2
    whole = overlay.subtitle(cue, 256, 256)
    assert len(rows_of_text(cue, 256)) == 3
    assert whole.opacity.shape[1] <= 0.9 * 256 + 4
    shorter = overlay.subtitle(cue.replace("ALL MEN ", "THE MEN "), 256, 256)
    assert shorter.opacity.shape != whole.opacity.shape or (shorter.opacity != whole.opacity).any()


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
