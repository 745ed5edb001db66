"""Chinese in the characters of its readers."""

from __future__ import annotations

import pytest

from services.asr.whisper.script import written

HEARD = ["廣", "州", "市", " 佛", "地", "產", ",", "软", "件", "?"]


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        ("zh", "广州市，佛地产,软件?"),
        ("zh-CN", "广州市，佛地产,软件?"),
        ("zh-TW", "廣州市，佛地產,軟件?"),
        ("zh_Hant", "廣州市，佛地產,軟件?"),
        ("zh-HK", "廣州市，佛地產,軟件?"),
    ],
)
def test_characters_are_those_of_the_reader_and_phrases_are_parted_by_commas(tag, text):
    words = written(HEARD, tag)
    assert "".join(words) == text
    assert len(words) == len(HEARD)


def test_marks_of_words_are_full_width():
    assert written(["你好,", " 世界!", " Visavis."], "zh") == ["你好，", "世界！", " Visavis."]


def test_characters_are_told_by_those_around_them():
    assert written(["乾", "坤"], "zh-CN") == ["乾", "坤"]
    assert written(["餅", "乾"], "zh-CN") == ["饼", "干"]
