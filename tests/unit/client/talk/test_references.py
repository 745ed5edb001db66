"""The transcript of a recording, in the cues in which its words are heard."""

from __future__ import annotations

import pytest

from basics.webvtt import Cue
from client.talk.references import corrected

HEARD = [Cue(0, 1, "sum call me nature"), Cue(2, 3, "others call me\nmother nature")]


@pytest.mark.parametrize(
    "texts",
    [
        ["“Some call me Nature.”", "Others call me Mother Nature!"],
        ["Some people call me nature.", "Others call me: mother nature"],
        ["Some call me nature."],
        ["Something else altogether", "was said here."],
    ],
)
def test_each_word_stands_where_it_is_heard(texts: list[str]) -> None:
    assert [cue.text for cue in corrected(HEARD, " ".join(texts))] == texts


def test_what_is_not_heard_first_is_shown_where_the_rest_is() -> None:
    assert corrected(HEARD, "Others call me mother nature.") == [Cue(2, 3, "Others call me mother nature.")]


def test_chinese_is_matched_by_characters() -> None:
    heard = [Cue(0, 1, "广州房地产"), Cue(1, 2, "中介协会")]
    cues = corrected(heard, "广州市房地产，中介协会分析。")
    assert cues == [Cue(0, 1, "广州市房地产，"), Cue(1, 2, "中介协会分析。")]


def test_where_nothing_is_heard_there_are_no_cues() -> None:
    assert corrected([], "Hello.") == []
    assert corrected(HEARD, "…") == []
