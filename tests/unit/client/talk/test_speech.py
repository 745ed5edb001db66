"""What has been heard of a sentence that is being spoken, and speech as a file."""

from __future__ import annotations

import io
from typing import Any

import av
import pytest

from client.talk.speech import SpokenSentence, Word, end_of_heard, speech_wav


def _sentence(text: str, words: list[str], *, is_complete: bool = False) -> SpokenSentence:
    timed = [Word(word, 1.0 + index, 2.0 + index) for index, word in enumerate(words)]
    return SpokenSentence(0, text, 1.0, len(text), timed, is_complete)


@pytest.mark.parametrize(
    ("text", "words", "seconds", "heard"),
    [
        ("Well, hello there.", ["Well", "hello", "there"], 2.5, "Well, hello"),
        ("Well, hello there.", ["Well", "hello", "there"], 1.0, ""),
        ("你好，我是 Visavis。", ["你", "好", "我", "是", "Visavis"], 4.5, "你好，我是"),
        ("It costs $5.", ["it", "costs", "five", "dollars"], 3.5, "It costs"),
        ("It costs $5 a day.", ["it", "costs", "five", "dollars", "a", "day"], 5.5, "It costs $5 a"),
        ("**Well**, `hello` there.", ["Well,", "hello", "there."], 2.5, "**Well**, `hello"),
        ("It costs $5 a day.", ["It", "costs", "$5", "a", "day."], 3.5, "It costs $5"),
        ("No word times.", [], 1.5, "No word times."),
        ("No word times.", [], 0.5, ""),
    ],
)
def test_a_sentence_is_remembered_as_far_as_it_was_heard(
    text: str, words: list[str], seconds: float, heard: str
) -> None:
    assert _sentence(text, words).until(seconds, text) == heard


def test_a_sentence_of_which_more_words_come_is_not_whole_yet() -> None:
    assert _sentence("Well, hello there.", ["Well", "hello"]).until(9.0, "Well, hello there.") == "Well, hello"
    assert _sentence("Well, hello.", ["Well", "hello"], is_complete=True).until(9.0, "Well, hello.") == "Well, hello."


def test_two_sentences_that_are_written_as_one_are_heard_together() -> None:
    """As those of a table's row; the marks go with them."""
    written = "| Is it? | Yes. |\nGood."
    ends = (("Is it?", 0.0, 18), ("Yes.", 1.0, 18), ("Good.", 2.0, 23))
    sentences = [SpokenSentence(index, *told, is_complete=True) for index, told in enumerate(ends)]
    heard = [written[: end_of_heard(written, sentences, seconds)] for seconds in (0.0, 0.5, 1.5, 2.5)]
    assert heard == ["", written[:18], written[:18], written]


def test_a_file_of_speech_says_that_it_is_synthetic(rooms: Any) -> None:
    wav = speech_wav(rooms.services, "Hello there. How are you?")
    with av.open(io.BytesIO(wav)) as container:  # FFmpeg reads it back
        assert container.format.name == "wav"
        assert container.metadata == {"AIGC": '{"Label": "1"}', "comment": "Synthetic, 合成的。"}
        samples = sum(frame.samples for frame in container.decode(audio=0))
    with av.open(io.BytesIO(wav[: -samples // 2])) as container:  # of a part of the file, too
        assert container.metadata["AIGC"]
    assert samples == 5 * 0.4 * 1000
