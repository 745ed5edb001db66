"""Lines end where a reader would pause, in English, Chinese, and where both are mixed."""

from __future__ import annotations

import pytest

from services.common import phrases

ENGLISH = [
    # after punctuation, even if the lines are uneven
    ("Once it was dark, the lights on the harbour wall", 42, ["Once it was dark,", "the lights on the harbour wall"]),
    ("He said: I will come back to the old house", 36, ["He said:", "I will come back to the old house"]),
    # before a conjunction or a preposition
    ("the young man stopped walking and looked up", 30, ["the young man stopped walking", "and looked up"]),
    ("She had been waiting there since the morning", 30, ["She had been waiting there", "since the morning"]),
    ("They moved the heavy furniture into the garden", 36, ["They moved the heavy furniture", "into the garden"]),
    # an article stays with its noun, and a verb with what helps it
    ("Nobody here remembers the house", 26, ["Nobody here", "remembers the house"]),
    ("Those two certainly have been warned", 26, ["Those two certainly", "have been warned"]),
    ("We were given a wonderful breakfast", 24, ["We were given", "a wonderful breakfast"]),
    # names, titles, initials
    ("Yesterday evening Theresa May spoke", 24, ["Yesterday evening", "Theresa May spoke"]),
    ("We then were told that Mr. Dashwood left", 28, ["We then were told", "that Mr. Dashwood left"]),
    ("My favourite author is J. K. Rowling", 26, ["My favourite author", "is J. K. Rowling"]),
    # numbers and units
    ("The recording lasted 3.5 hours altogether", 25, ["The recording lasted", "3.5 hours altogether"]),
    ("That parcel weighs twenty five kilograms", 26, ["That parcel weighs", "twenty five kilograms"]),
    ("It cost them one hundred and five dollars", 28, ["It cost them", "one hundred and five dollars"]),
    ("You find it all in Article 13 there", 26, ["You find it all", "in Article 13 there"]),
    ('He said, "That is no good." Then he left', 28, ['He said, "That is no good."', "Then he left"]),
    ("They would rather say no. Then they left us", 26, ["They would rather say no.", "Then they left us"]),
    # an abbreviation ends no sentence
    ("Many long years passed. The U.S. is leaving", 26, ["Many long years passed.", "The U.S. is leaving"]),
]
CHINESE = [
    # after punctuation
    ("却存在对基金持有人，中小投资者利益考虑不足", 30, ["却存在对基金持有人，", "中小投资者利益考虑不足"]),
    ("他说：“我们走吧。”然后大家就离开了房间", 22, ["他说：“我们走吧。”", "然后大家就离开了房间"]),
    # before a conjunction, a preposition, an adverb that links
    ("我们研究月球探测器和自动驾驶汽车", 20, ["我们研究月球探测器", "和自动驾驶汽车"]),
    ("昨天下午大家一起在公园里散步", 20, ["昨天下午大家一起", "在公园里散步"]),
    ("观众们大感惊喜又十分感动", 16, ["观众们大感惊喜", "又十分感动"]),
    # no word is split
    ("数字人的语音识别系统使用神经网络", 24, ["数字人的语音识别系统", "使用神经网络"]),
    ("乒乓球拍卖完了真可惜", 14, ["乒乓球拍卖完了", "真可惜"]),
    # a particle stays with its word; a measure word with its number and what is counted
    ("他昨天晚上已经把作业写完了吗", 18, ["他昨天晚上", "已经把作业写完了吗"]),
    ("她在商店里买了三公斤苹果", 16, ["她在商店里买了", "三公斤苹果"]),
    # dates, numbers, ordinals, titles
    ("会议于2024年3月5日在北京召开", 20, ["会议于2024年3月5日", "在北京召开"]),
    ("总价格是3.5亿元人民币左右", 18, ["总价格是", "3.5亿元人民币左右"]),
    ("我们都很喜欢张先生", 14, ["我们都很喜欢", "张先生"]),
    # mixed with Latin words
    ("我们用GPU训练大语言模型，然后部署", 26, ["我们用GPU训练大语言模型，", "然后部署"]),
    ("請用Chrome或Firefox打開這個網頁", 22, ["請用Chrome", "或Firefox打開這個網頁"]),
]


@pytest.mark.parametrize(("text", "width", "expected"), [*ENGLISH, *CHINESE])
def test_a_line_ends_where_a_reader_would_pause(text: str, width: int, expected: list[str]) -> None:
    assert phrases.lines(text, lambda line: phrases.columns(line) <= width, 2) == expected


def test_as_few_lines_as_fit() -> None:
    assert phrases.lines("One line. Is enough.", lambda line: len(line) <= 42, 2) == ["One line. Is enough."]
    assert phrases.lines("one two three", lambda line: len(line) <= 5, 3) == ["one", "two", "three"]
    assert phrases.lines("one two three", lambda line: len(line) <= 5, 2) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("“大模型”（LLM）好！", ["“大", "模型”", "（LLM）", "好！"]),
        ("it's “well-known”, isn't it?", ["it's", "“well-known”,", "isn't", "it?"]),
        ("价格：￥20。", ["价格：", "￥20。"]),
        ("Wait ... what?", ["Wait ...", "what?"]),
        ("", []),
    ],
)
def test_punctuation_stays_with_its_word(text: str, expected: list[str]) -> None:
    assert [text[unit.start : unit.end] for unit in phrases.units(text)] == expected


def test_a_word_that_no_line_holds_is_cut() -> None:
    text = "see " + "x" * 100
    assert [unit.end - unit.start for unit in phrases.units(text, 40)] == [3, 40, 40, 20]


def test_joined_knows_which_scripts_take_spaces() -> None:
    assert phrases.joined(["我", "用", "GPU", "，", "好", "。"]) == "我用 GPU，好。"
    assert phrases.joined(["Hello", ",", "world", "."]) == "Hello, world."
