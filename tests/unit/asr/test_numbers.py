"""Numbers as people write them, and what must stay as it was said."""

from __future__ import annotations

import pytest

from services.asr import numbers
from services.asr.engine import Hypothesis
from services.asr.numbers import as_written
from services.common.subtitles import Word

ENGLISH = {
    # cardinals
    "twenty three people came": "23 people came",
    "twenty-five people": "25 people",
    "one hundred and five": "105",
    "one thousand two hundred thirty four": "1234",
    "two hundred thousand": "200,000",
    "one million viewers": "1 million viewers",
    "minus twenty": "-20",
    "page one hundred twenty three": "page 123",
    # ordinals
    "the twenty first century": "the 21st century",
    "the eleventh hour": "the 11th hour",
    # years and dates
    "in nineteen eighty four": "in 1984",
    "two thousand and twenty six": "2026",
    "the nineteen nineties": "the 1990s",
    "on the third of march twenty twenty six": "on 3 March 2026",
    "march third twenty twenty six": "March 3, 2026",
    "on may fifth": "on May 5",
    # times
    "at half past five": "at 5:30",
    "a quarter past nine": "9:15",
    "at five thirty pm today": "at 5:30 p.m. today",
    "ten past eight": "8:10",
    # money
    "twenty five dollars": "$25",
    "five euros and fifty cents": "€5.50",
    "two million dollars": "$2 million",
    "one hundred thousand euros": "€100,000",
    # percent, decimals
    "fifty percent of them": "50% of them",
    "ninety nine point nine percent": "99.9%",
    "three point one four": "3.14",
    # telephones
    "call five five five one two three four": "call 5551234",
    "oh one seven one five five five": "0171555",
    # units
    "ten kilometers": "10 km",
    "sixty miles per hour": "60 mph",
    "five gigabytes": "5 GB",
    "sixteen kilohertz": "16 kHz",
    "twenty minutes": "20 minutes",
    "five hundred meters": "500 meters",
    "visavis dot com": "visavis.com",
}
UNCHANGED = (
    "one of them", "no one", "second to none", "first of all", "at first", "wait a second", "the second time",
    "one day it will rain", "one on one", "i have two dogs", "seven", "chapter four", "nine to five",
    "thousands of people", "a hundred times", "two thirds of them", "one two three", "twenty four seven",
    "may he come in", "march on", "mister dashwood", "it costs $25 on March 3rd, 2026, at 5 o'clock", "tell them",
    "a third party",
)  # fmt: skip
CHINESE = {
    # cardinals
    "一百二十三个人": "123个人",
    "两千零二十六": "2026",
    "三十万": "30万",
    "一百三十亿": "130亿",
    "负三点五": "-3.5",
    "二十二岁": "22岁",
    # ordinals
    "第三十二届": "第32届",
    "第二十一章": "第21章",
    # years and dates
    "一九八四年": "1984年",
    "二零二六年三月五日": "2026年3月5日",
    "四月五号": "4月5号",
    "二十一世纪": "21世纪",
    # times
    "三点半": "3:30",
    "下午三点十五分": "下午3:15",
    "三点零五分": "3:05",
    "二十四小时": "24小时",
    # money
    "五十美元": "50美元",
    "四千二百八十元": "4280元",
    "二十块钱": "20块钱",
    "一百万元": "100万元",
    # percent, decimals, fractions
    "百分之五十": "50%",
    "百分之三点五": "3.5%",
    "三点一四": "3.14",
    "三分之二": "2/3",
    "一比二": "1:2",
    # telephones
    "打电话一三八零零一三八零零零": "打电话13800138000",
    "幺三八零零幺三八零零零": "13800138000",
    "幺幺零": "110",
    # units
    "一百二十平方米": "120平方米",
    "五百毫升": "500毫升",
    "每小时六十公里": "60km/h",
    "你好我想要二十个苹果": "你好我想要20个苹果",
}
UNCHANGED_CHINESE = (
    "一起", "一下", "万一", "三心二意", "一心一意", "七上八下", "十分高兴", "我十分感谢", "十全十美", "十字路口",
    "百货公司", "千万不要", "五四运动", "九一八事变", "六一儿童节", "三三两两", "三五个人", "十几年", "二十几个人",
    "两三天", "一个人", "第一次", "星期一", "周一到周五", "一方面", "一定", "统一", "一路平安", "三明治", "二手车",
    "五湖四海", "一点点", "一会儿", "一二三", "八零后", "二维码", "对，这就是我，万人敬仰的太乙真人",
)  # fmt: skip


def without_sentence(text: str) -> str:
    """Without what only makes it a sentence."""
    return text.rstrip(".。")


@pytest.mark.parametrize(("spoken", "written"), ENGLISH.items())
def test_english_numbers_are_written_as_people_do(spoken, written):
    assert without_sentence(as_written(Hypothesis(spoken), "en-GB").text) == written[0].upper() + written[1:]


@pytest.mark.parametrize(("spoken", "written"), CHINESE.items())
def test_chinese_numbers_are_written_as_people_do(spoken, written):
    assert without_sentence(as_written(Hypothesis(spoken), "zh-CN").text) == written


@pytest.mark.parametrize("said", UNCHANGED)
def test_english_words_stay_words(said):
    assert without_sentence(as_written(Hypothesis(said), "en").text) == said[0].upper() + said[1:]


@pytest.mark.parametrize("said", UNCHANGED_CHINESE)
def test_chinese_words_stay_words(said):
    assert without_sentence(as_written(Hypothesis(said), "zh").text) == said


def test_a_language_without_grammar_is_left_alone():
    said = Hypothesis("vingt trois one hundred", (Word("vingt", 0, 1, 1),), "fr")
    assert as_written(said, "fr") == said
    assert as_written(Hypothesis(""), "en") == Hypothesis("")


@pytest.mark.parametrize(
    ("said", "language", "told"),
    [
        ("they paid twenty three dollars", "en", "They paid $23."),
        ("they did.", "en", "They did."),
        ("how are you?", "en", "How are you?"),
        ("你好吗", "zh", "你好吗？"),
        ("很好", "zh", "很好。"),
    ],
)
def test_who_pauses_has_ended_a_sentence(said, language, told):
    assert as_written(Hypothesis(said), language).text == told


def timed(texts: list[str]) -> tuple[Word, ...]:
    """A word each second."""
    return tuple(Word(text, at, at + 0.5, 0.25 * (at % 4)) for at, text in enumerate(texts))


def test_words_that_become_one_last_from_the_first_to_the_last():
    texts = ["they", "paid", "twenty", "three", "dollars", "on", "the", "third", "of", "march"]
    told = as_written(Hypothesis(" ".join(texts), timed(texts)), "en")
    assert told.text == "They paid $23 on 3 March." == " ".join(word.text for word in told.words)
    times = [(word.text, word.start_s, word.end_s) for word in told.words]
    assert times == [("They", 0, 0.5), ("paid", 1, 1.5), ("$23", 2, 4.5), ("on", 5, 5.5), ("3 March.", 6, 9.5)]
    assert told.words[2].confidence == pytest.approx((0.5 + 0.75 + 0) / 3)


@pytest.mark.parametrize(
    "texts", [list("现在是百分之五十了"), ["现在", "是", "百分", "之五", "十了"], ["现在是百分之五十了"]]
)
def test_chinese_words_are_joined_however_they_are_cut(texts):
    told = as_written(Hypothesis("".join(texts), timed(texts)), "zh")
    assert told.text == "现在是50%了。" == "".join(word.text for word in told.words)
    assert (told.words[0].start_s, told.words[-1].end_s) == (0, len(texts) - 0.5)
    assert next(word for word in told.words if "50%" in word.text).text.strip("现在是了。") == "50%"


@pytest.mark.parametrize(
    ("said", "language", "written"),
    [
        ('say "twenty three" now', "en", 'Say "23" now.'),
        ("a \\ b and twenty three", "en", "A \\ b and 23."),
        ("İzmir at twenty three", "en", "İzmir at 23."),
        ('他说"二十三"', "zh", '他说"23"。'),
    ],
)
def test_signs_that_the_grammars_do_not_know_stay_where_they_are(said, language, written):
    assert as_written(Hypothesis(said), language).text == written


def test_a_text_that_no_grammar_knows_stays_as_it_was_said(monkeypatch):
    class Grammar:
        def normalize_with_mapping(self, text):
            raise RuntimeError("no normalization path for the requested input")

    monkeypatch.setattr(numbers, "_normaliser", lambda language: Grammar())
    assert as_written(Hypothesis("twenty three"), "en").text == "Twenty three."


def test_the_grammars_of_the_languages_are_there_before_anybody_speaks():
    numbers._normaliser.cache_clear()
    numbers.load(["en-US", "zh", "de"])
    assert numbers._normaliser.cache_info().currsize == 2
