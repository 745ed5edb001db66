"""Subtitles that players and people can read."""

from __future__ import annotations

import pytest

from services.common import phrases, subtitles
from services.common.phrases import columns
from services.common.subtitles import (
    GAP_S,
    LINE_COLUMNS,
    MAX_CUE_S,
    MIN_CUE_S,
    WIDE_LINE_COLUMNS,
    Word,
    cues,
    fits,
    reading_s,
    to_srt,
    to_webvtt,
)

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
        assert 0 < cue.end_s - cue.start_s <= MAX_CUE_S
    assert " ".join(line for cue in found for line in cue.lines) == (TEXT * 3)


def test_cues_never_overlap():
    found = cues(words("one two three", 0, 0.1) + words("four", 1.2, 0.1) + words("five", 2.1))
    assert all(a.end_s <= b.start_s for a, b in zip(found, found[1:], strict=False))


def test_a_pause_or_a_full_stop_starts_a_new_cue():
    spoken = words("That is all.") + words("Or is it", 1.0) + words("perhaps not", 3.5)
    assert [cue.lines for cue in cues(spoken)] == [("That is all.",), ("Or is it",), ("perhaps not",)]


def test_short_cues_stay_readable():
    (alone,) = cues([Word("Yes", 5.0, 5.2)])
    assert alone.end_s - alone.start_s == pytest.approx(MIN_CUE_S)


def test_sentences_too_short_to_be_read_alone_share_a_cue():
    said = [Word("No.", 0.0, 0.3), Word("Wait.", 0.35, 0.7), Word("Who", 0.9, 1.2), Word("is there?", 1.2, 2.4)]
    assert [cue.lines for cue in cues(said)] == [("No. Wait.",), ("Who is there?",)]


@pytest.mark.parametrize(
    ("text", "spoken_s", "shown_s"),
    [
        ("a cue of some thirty characters", 1.6, len("a cue of some thirty characters") / 17),
        ("a cue of some thirty characters", 1.0, 1.5),  # half a second after it was spoken at the latest
        ("a cue of some thirty characters", 2.5, 2.5),
        ("这一句话一共有十二个字", 1.0, 11 / 9),
        ("GPU训练模型", 0.6, 5 / 6),
    ],
)
def test_a_cue_stays_until_it_is_read_in_comfort(text: str, spoken_s: float, shown_s: float):
    (cue,) = cues([Word(text, 1.0, 1.0 + spoken_s)])
    assert cue.end_s - cue.start_s == pytest.approx(shown_s)


def test_small_gaps_are_closed_and_others_stay():
    first, second, third = cues([Word("It was late.", 0, 1.2), Word("He left.", 1.6, 3), Word("And then?", 4.5, 6)])
    assert second.start_s - first.end_s == pytest.approx(GAP_S)
    assert second.end_s == pytest.approx(3.0)
    assert third.start_s == 4.5


def test_what_is_spoken_too_fast_shares_a_cue_and_its_time_with_what_is_not():
    hurried = words("Nobody would ever have believed it, and yet there it was.", word_s=0.16)
    slow = words("She looked up.", hurried[-1].end_s + 0.4, 0.6)
    (cue,) = cues([*hurried, *slow])
    assert cue.end_s - cue.start_s >= reading_s("".join(cue.lines))
    calm = words("Nobody would ever have believed it, and yet there it was.", word_s=0.3)
    assert len(cues([*calm, *words("She looked up.", calm[-1].end_s + 0.4, 0.6)])) == 2


def test_a_pause_inside_a_sentence_ends_a_cue_rather_than_a_comma_beside_it():
    said = [*words("In the end, as nobody else came", word_s=0.25), *words("they all went home again.", 2.3, 0.25)]
    assert [cue.lines for cue in cues(said)][0] == ("In the end, as nobody else came",)


def test_two_lines_are_balanced():
    (cue,) = cues(words("the quick brown fox jumps over the lazy dog again", word_s=0.2))
    assert abs(columns(cue.lines[0]) - columns(cue.lines[1])) <= 10


def test_a_chinese_sentence_that_comes_as_one_word_is_cut_between_words():
    sentence = "今天天气很好，我们用GPU训练模型，训练完成以后就可以和数字人对话了。你想试试吗？"
    found = cues([Word(sentence, 10.0, 20.0)])
    assert [cue.lines for cue in found] == [
        ("今天天气很好，我们用GPU训练模型，",),
        ("训练完成以后就可以和数字人对话了。",),
        ("你想试试吗？",),
    ]
    assert found[0].start_s == 10.0
    assert found[-1].end_s == pytest.approx(20.0)


def test_chinese_of_which_each_character_has_its_time_is_cut_between_words_too():
    text = "其实你也可以先上传一段视频然后训练一个属于自己的数字人形象再和它面对面交谈"
    found = cues(Word(letter, i * 0.2, i * 0.2 + 0.2) for i, letter in enumerate(text))
    assert "".join(line for cue in found for line in cue.lines) == text
    starts = {line for cue in found for line in cue.lines}
    assert all(columns(line) <= WIDE_LINE_COLUMNS for line in starts)
    assert not any(line.startswith(("的", "频", "练", "己", "字人", "象")) for line in starts)


@pytest.mark.parametrize(
    ("line", "is_short_enough"),
    [("x" * 42, True), ("x" * 43, False), ("字" * 20, True), ("字" * 21, False), ("字" * 10 + "x" * 20, True)],
)
def test_a_full_width_character_counts_twice_on_a_line_of_forty(line: str, is_short_enough: bool):
    assert fits(line) is is_short_enough
    assert all(fits(shown) for cue in cues([Word(line, 0, 6)]) for shown in cue.lines)


def test_webvtt_escapes_markup():
    text = to_webvtt(cues([Word("<b>&-->", 0.0, 1.0, 1.0)]))
    assert text == "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n&lt;b&gt;&amp;--&gt;\n"


def test_srt_has_numbers_commas_and_hours():
    text = to_srt(cues([*words("first", 3599.9995, 1.02), *words("second", 7325.25)]))
    assert text.startswith("1\n01:00:00,000 --> 01:00:01,000\nfirst\n\n2\n02:02:05,250 --> ")


@pytest.mark.parametrize(
    ("said", "drawn"),
    [("a --> b", "a → b"), ("<i>x</i>", "‹i>x‹/i>"), ("1 < 2", "1 < 2"), ("{\\an8}up", "(\\an8}up")],
)
def test_srt_holds_nothing_that_players_take_for_markup(said: str, drawn: str):
    assert to_srt(cues([Word(said, 0, 1)])).split("\n")[2] == drawn


def test_what_was_said_holds_no_line_breaks_of_its_own():
    assert to_webvtt(cues([Word("one\n\ntwo", 0, 1)])).endswith("\none two\n")


def test_no_words_make_an_empty_file():
    assert to_webvtt(cues([])) == "WEBVTT\n"
    assert to_srt(cues([])) == ""


def test_times_that_run_backwards_are_mended():
    found = cues([Word("one", 2.0, 1.0, 1.0), Word("two", 0.5, 0.6, 1.0)])
    assert [line for cue in found for line in cue.lines] == ["one two"]
    assert found[0].start_s == 2.0
    assert found[0].end_s > 2.0


def test_a_long_text_without_times_within_is_gone_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked, is_wide = [], phrases.is_wide
    for module in (phrases, subtitles):
        monkeypatch.setattr(module, "is_wide", lambda character: looked.append(character) or is_wide(character))
    text = "long words " * 200
    assert cues([Word(text, 0.0, 150.0)])
    assert len(looked) < 10 * len(text)
