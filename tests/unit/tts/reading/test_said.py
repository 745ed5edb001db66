"""What is said for what is written: a table of every kind of expression, and what holds for any text at all."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from services.tts import sentences
from services.tts.engine import SpokenWord
from services.tts.reading import marks
from services.tts.reading.follower import Follower
from services.tts.reading.reader import Reader, Sentence
from services.tts.reading.said import said

TABLE = [
    line.split("\t")
    for line in (Path(__file__).parent / "said.tsv").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#\t") and "\t" in line
]


def read(text: str, language: str = "") -> list[Sentence]:
    reader = Reader(language)
    return [*reader.push(text), *reader.flush()]


def spoken(text: str, language: str = "") -> str:
    """The sentences of a text, as they are said."""
    return " / ".join(" ".join(sentence.said.text.split()) for sentence in read(text, language))


def test_the_table_is_long_enough_to_mean_something() -> None:
    assert len(TABLE) >= 200
    assert sum(language != "en" for language, *_ in TABLE) >= 80


@pytest.mark.parametrize(("language", "written", "expected"), TABLE)
def test_what_is_written_is_said(language: str, written: str, expected: str) -> None:
    assert spoken(written.replace("\\n", "\n"), language.strip("-")) == expected


# Whatever the text


PIECES = [
    *"。，！？；：、,.;:!?'\"()[]{}<>|/\\*_`~#^&%$€¥£@=+-–—…°²½①→😀👍🏽\u200d\n\t ０Ａ％～【】（）“”",
    *(" ", "\n\n", "**", "__", "```", "```\n", "$$", "\\(", "\\)", "| a | b |\n", "[x](y)", "<b>", "\\frac{1}{2}"),
    *("# ", "- "),
    *("Mr.", "e.g.", "Jan.", "a.m.", "v1.2", "IV", "km/h", "℃", "https://a.com/b", "a@b.com", "1st", "1990s", "10:30"),
    *("word", "Two words", "中文", "两个字。", "2023年", "第3", "7", "42", "3.14", "1,000", "007"),
    *("1/2", "-5", "12.50"),
]  # fmt: skip
UNSAID = re.compile(r"[*_`#^~|\\<>{}\[\]=+@&\u200d😀👍🏽→²½①％０Ａ]")


def texts(count: int, seed: int = 7) -> list[str]:
    chance = random.Random(seed)
    return ["".join(chance.choices(PIECES, k=chance.randint(1, 40))) for _ in range(count)]


def test_any_text_is_said_without_marks_and_all_of_it_is_accounted_for() -> None:
    for text in texts(500):
        for language in ("", "en", "zh"):
            for sentence in read(text, language):
                assert not UNSAID.search(sentence.said.text), (text, sentence)
                assert any(map(str.isalnum, sentence.said.text))


def test_every_written_word_is_said_in_its_turn() -> None:
    for text in texts(500, seed=8):
        for sentence in read(text):
            told = sentence.said
            ends = [0, *(end for _, end, _ in told.words)]
            assert all(not told.written[end:begin].strip() for end, (begin, *_) in zip(ends, told.words, strict=False))
            assert not told.written[ends[-1] :].strip()
            starts = [start for *_, start in told.words]
            assert starts == sorted(starts)
            assert all(0 <= start <= len(told.text) for start in starts)
            kept = [(0, 0, 0, 0), *told.changes, (len(told.written),) * 2 + (len(told.text),) * 2]
            for (_, end, _, said_end), (begin, _, said_begin, _) in zip(kept, kept[1:], strict=False):
                assert told.written[end:begin] == told.text[said_end:said_begin]


def test_how_a_text_is_cut_into_pieces_makes_no_difference() -> None:
    chance = random.Random(9)
    for text in texts(500, seed=9):
        reader, sentences, at = Reader(), [], 0
        while at < len(text):
            size = chance.randint(1, 9)
            sentences += reader.push(text[at : at + size])
            at += size
        assert [*sentences, *reader.flush()] == read(text), text


def test_each_sentence_says_where_it_ends_in_what_came() -> None:
    text = "# One\n\nSee **two** and [three](https://a.com).\n\n```\ncode\n```\nFour `five`."
    ends = [sentence.end for sentence in read(text)]
    assert [text[:end].split()[-1] for end in ends][:2] == ["One", "[three](https://a.com)."]
    assert ends[-1] == len(text)
    for anything in texts(300, seed=10):
        ends = [sentence.end for sentence in read(anything)]
        assert ends == sorted(ends)
        assert all(0 < end <= len(anything) for end in ends)


@pytest.mark.parametrize(
    ("come", "told"),
    [
        ("This is **bold** text. Ne", "This is bold text."),
        ("It costs $5 now. Ne", "It costs $5 now."),
        ("- one thing. Ne", "one thing."),
        ("| a | b |\n", "a, b."),
        ("```\ncode\n", "Code."),
        ("# Heading\n\nT", "Heading"),
        ("今天3点。明", "今天3点。"),
    ],
)
def test_a_sentence_is_there_as_soon_as_it_ends(come: str, told: str) -> None:
    assert [sentence.said.written for sentence in Reader().push(come)] == [told]


def test_the_language_of_the_talk_announces_code() -> None:
    assert [spoken("```\nx\n```", language) for language in ("", "en-GB", "zh-CN", "de")] == [
        "Code.", "Code.", "代码。", "",
    ]  # fmt: skip


# Word by word


def followed(written: str, words: list[str], tongue: str = "en") -> list[tuple[str, float, float]]:
    timed = [SpokenWord(word, float(at), at + 1.0) for at, word in enumerate(words)]
    return [(word.text, word.start_s, word.end_s) for word in Follower(said(written, tongue)).written(timed)]


def test_the_times_are_those_of_the_written_words() -> None:
    assert followed("It costs $12.50.", ["It", "costs", "twelve", "dollars", "and", "fifty", "cents."]) == [
        ("It", 0, 1), ("costs", 1, 2), ("$12.50.", 2, 7),
    ]  # fmt: skip
    assert followed("有13800元。", list("有一万三千八百元"), "zh") == [("有", 0, 1), ("13800", 1, 7), ("元", 7, 8)]
    assert followed("On Jan. 5 we met.", ["On", "January", "fifth", "we", "met."]) == [
        ("On", 0, 1), ("Jan. 5", 1, 3), ("we", 3, 4), ("met.", 4, 5),
    ]  # fmt: skip


def test_a_word_that_an_engine_spells_otherwise_goes_with_the_one_before() -> None:
    assert followed("We met Dr. Lee.", ["we", "met", "dok-ter", "lee"]) == [("We", 0, 1), ("met", 1, 3), ("Lee.", 3, 4)]


def test_what_is_said_in_two_pieces_of_sound_is_one_word() -> None:
    follower = Follower(said("Pay $3 now.", "en"))
    first = follower.written([SpokenWord("Pay", 0, 1), SpokenWord("three", 1, 2)])
    second = follower.written([SpokenWord("dollars", 0, 1), SpokenWord("now.", 1, 2)])
    assert [word.text for word in first + second] == ["Pay", "$3", "now."]


@pytest.mark.parametrize("mark", ["$.", "![", "[[[[]", "a_"])
def test_a_text_of_marks_keeps_nobody_else_waiting(mark: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted, not timed: whoever sends it must not hold up the others, whose speech waits in the same thread."""
    looked: list[int] = []
    first_end = sentences._first_end

    def counted(text: str, *, final: bool) -> int | None:
        looked.append(len(text))
        return first_end(text, final=final)

    monkeypatch.setattr(sentences, "_first_end", counted)
    read(mark * 2000)
    assert sum(looked) < 10 * 2000 * len(mark)


def test_brackets_in_brackets_without_end_are_no_link() -> None:
    assert marks._closing("[" * 8 + "]" * 8) == 15
    assert marks._closing("[" * 9 + "]" * 9) == -1
    assert spoken("[see [this]](https://example.com) now") == "see this now"
