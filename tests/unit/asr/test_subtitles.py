"""Subtitles that players and people can read."""

from __future__ import annotations

import re

import pytest

from services.asr.engine import Word
from services.asr.subtitles import LINE_COLUMNS, columns, cues, joined, to_srt, to_webvtt

TEXT = "we hold these truths to be self evident that all men are created equal and that they are endowed with rights"


def words(text: str, start_s: float = 0.0, word_s: float = 0.3) -> list[Word]:
    return [
        Word(one, start_s + i * word_s, start_s + (i + 1) * word_s - 0.02, 1.0) for i, one in enumerate(text.split())
    ]


def test_cues_fit_the_screen_and_lose_no_word():
    found = cues(words(TEXT * 3))
    for cue in found:
        assert len(cue.lines) <= 2
        assert all(columns(line) <= LINE_COLUMNS for line in cue.lines)
        assert 0 < cue.end_s - cue.start_s <= 6.0
    assert " ".join(line for cue in found for line in cue.lines) == (TEXT * 3)


def test_cues_never_overlap():
    found = cues(words("one two three", 0, 0.1) + words("four", 1.2, 0.1) + words("five", 2.1))
    assert all(a.end_s <= b.start_s for a, b in zip(found, found[1:], strict=False))


def test_a_pause_or_a_full_stop_starts_a_new_cue():
    spoken = words("That is all.") + words("Or is it", 1.0) + words("perhaps not", 3.5)
    assert [cue.lines for cue in cues(spoken)] == [("That is all.",), ("Or is it",), ("perhaps not",)]


def test_short_cues_stay_readable():
    alone = cues([Word("Yes", 5.0, 5.2, 1.0)])[0]
    assert alone.end_s - alone.start_s == pytest.approx(1.0)


def test_two_lines_are_balanced():
    (cue,) = cues(words("the quick brown fox jumps over the lazy dog again", word_s=0.2))
    assert abs(columns(cue.lines[0]) - columns(cue.lines[1])) <= 10


def test_a_chinese_sentence_that_comes_as_one_word_is_cut_by_characters():
    sentence = "今天天气很好，我们用GPU训练模型，训练完成以后就可以和数字人对话了。你想试试吗？"
    found = cues([Word(sentence, 10.0, 20.0, 1.0)])
    assert len(found) >= 2
    assert "".join(line for cue in found for line in cue.lines).replace(" ", "") == sentence
    assert all(columns(line) <= LINE_COLUMNS for cue in found for line in cue.lines)
    assert all(not re.match("[，。？]", line) for cue in found for line in cue.lines)
    assert found[0].start_s == 10.0
    assert found[-1].end_s == pytest.approx(20.0)


def test_joined_knows_which_scripts_take_spaces():
    assert joined([Word(text, 0, 0, 1) for text in ("我", "用", "GPU", "，", "好", "。")]) == "我用 GPU，好。"
    assert joined([Word(text, 0, 0, 1) for text in ("Hello", ",", "world", ".")]) == "Hello, world."


def test_webvtt_escapes_markup():
    text = to_webvtt([Word("<b>&-->", 0.0, 1.0, 1.0)])
    assert text == "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n&lt;b&gt;&amp;--&gt;\n"


def test_srt_has_numbers_commas_and_hours():
    text = to_srt(words("first", 3599.9995) + words("second", 7325.25))
    assert text.startswith("1\n01:00:00,000 --> 01:00:01,000\nfirst\n\n2\n02:02:05,250 --> ")
    assert "-->" not in to_srt([Word("a-->b", 0, 1, 1)]).split("\n")[2]


def test_no_words_make_an_empty_file():
    assert to_webvtt([]) == "WEBVTT\n"
    assert to_srt([]) == ""


def test_times_that_run_backwards_are_mended():
    found = cues([Word("one", 2.0, 1.0, 1.0), Word("two", 0.5, 0.6, 1.0)])
    assert [line for cue in found for line in cue.lines] == ["one two"]
    assert found[0].start_s == 2.0
    assert found[0].end_s > 2.0
