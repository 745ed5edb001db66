"""Where sentences end, whatever pieces the text arrives in."""

from __future__ import annotations

import pytest

from services.tts.sentences import MAX_WEIGHT, SentenceSplitter, is_speakable, language_of, split

CASES = {
    "plain": ("One. Two! Three?", ["One.", "Two!", "Three?"]),
    "decimals": ("It costs 3.14 dollars. Really.", ["It costs 3.14 dollars.", "Really."]),
    "titles": ("Mr. Smith met Dr. Jones. They left.", ["Mr. Smith met Dr. Jones.", "They left."]),
    "initials": (
        "J. R. R. Tolkien wrote it, e.g. for children. Yes.",
        ["J. R. R. Tolkien wrote it, e.g. for children.", "Yes."],
    ),
    "addresses": ("Visit example.com today. Bye.", ["Visit example.com today.", "Bye."]),
    "ellipsis": ("Wait... what? No.", ["Wait... what?", "No."]),
    "quotes": ('"Stop!" He left.', ['"Stop!"', "He left."]),
    "chinese": ("你好。今天好吗？很好！再见", ["你好。", "今天好吗？", "很好！", "再见"]),
    "chinese quotes": ("他说：“好。”我走了。", ["他说：“好。”", "我走了。"]),
    "mixed": ("我用 Visavis 3.5。It works. 好。", ["我用 Visavis 3.5。", "It works.", "好。"]),
    "emoji": ("Great 😀! 😀 Bye.", ["Great 😀!", "😀 Bye."]),
    "only emoji between": ("Hi. 😀. Bye.", ["Hi.", "Bye."]),
    "list": ("1. Open it.\n2. Close it.", ["1. Open it.", "2. Close it."]),
    "hard wrap": ("one line\nand its rest", ["one line\nand its rest"]),
    "paragraphs": ("Heading\n\nand text", ["Heading", "and text"]),
    "nothing": ("... ?! —", []),
}


@pytest.mark.parametrize("text,expected", CASES.values(), ids=CASES)
def test_sentences(text: str, expected: list[str]) -> None:
    assert list(split(text)) == expected


@pytest.mark.parametrize("text,expected", CASES.values(), ids=CASES)
def test_pieces_make_no_difference(text: str, expected: object) -> None:
    splitter = SentenceSplitter()
    one_by_one = [sentence for character in text for sentence in splitter.push(character)]
    assert one_by_one + list(splitter.flush()) == list(split(text))


def test_a_complete_sentence_comes_before_the_text_ends() -> None:
    splitter = SentenceSplitter()
    assert list(splitter.push("First one. Sec")) == ["First one."]


def test_a_long_sentence_is_cut_at_a_clause() -> None:
    clause = "this is a clause of some length that goes on and on and on and on and on and on and on"
    sentences = list(split(f"{clause}, {clause}, {clause}"))
    assert len(sentences) > 1
    assert sentences[0].endswith(",")


def test_a_long_sentence_without_clauses_is_cut_at_a_space_and_loses_nothing() -> None:
    words = [f"word{number}" for number in range(300)]
    sentences = list(split(" ".join(words)))
    assert all(len(sentence) <= MAX_WEIGHT for sentence in sentences)
    assert " ".join(sentences).split() == words


def test_a_long_word_is_cut_anyway() -> None:
    sentences = list(split("字" * 500))
    assert "".join(sentences) == "字" * 500
    assert max(map(len, sentences)) <= MAX_WEIGHT // 3


def test_a_book_is_not_split_at_once() -> None:
    sentences = split("A sentence of the book. " * 100_000)
    assert next(sentences) == "A sentence of the book."


@pytest.mark.parametrize(
    "text,language",
    [
        ("我用 Visavis", "zh"),
        ("We met Wang 王 in town", "en-US"),
        ("Hello", "en-US"),
        ("Привет", "ru"),
        ("こんにちは", "ja"),
    ],
)
def test_language_by_script(text: str, language: str) -> None:
    assert language_of(text) == language


def test_pictures_alone_are_no_sentence() -> None:
    assert not is_speakable("😀 …!")
