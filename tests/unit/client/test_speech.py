"""What has been heard of a sentence that is being spoken, and speech as a file."""

from __future__ import annotations

import io
from typing import Any

import av
import pytest

from client.speech import SpokenSentence, speech_wav


def _sentence(text: str, words: list[str], *, is_complete: bool = False) -> SpokenSentence:
    timed = [{"text": word, "start_s": 1.0 + index, "end_s": 2.0 + index} for index, word in enumerate(words)]
    return SpokenSentence(0, text, 1.0, timed, is_complete)


@pytest.mark.parametrize(
    ("text", "words", "seconds", "heard"),
    [
        ("Well, hello there.", ["Well", "hello", "there"], 2.5, "Well, hello"),
        ("Well, hello there.", ["Well", "hello", "there"], 1.0, ""),
        ("你好，我是 Visavis。", ["你", "好", "我", "是", "Visavis"], 4.5, "你好，我是"),
        ("It costs $5.", ["it", "costs", "five", "dollars"], 3.5, "It costs"),
        ("It costs $5 a day.", ["it", "costs", "five", "dollars", "a", "day"], 5.5, "It costs $5 a"),
        ("No word times.", [], 1.5, "No word times."),
        ("No word times.", [], 0.5, ""),
    ],
)
def test_a_sentence_is_remembered_as_far_as_it_was_heard(
    text: str, words: list[str], seconds: float, heard: str
) -> None:
    assert _sentence(text, words).until(seconds) == heard


def test_a_sentence_of_which_more_words_come_is_not_whole_yet() -> None:
    assert _sentence("Well, hello there.", ["Well", "hello"]).until(9.0) == "Well, hello"
    assert _sentence("Well, hello.", ["Well", "hello"], is_complete=True).until(9.0) == "Well, hello."


def test_a_file_of_speech_says_that_it_is_synthetic(rooms: Any) -> None:
    wav = speech_wav(rooms.services, "Hello there. How are you?")
    with av.open(io.BytesIO(wav)) as container:  # FFmpeg reads it back
        assert container.format.name == "wav"
        assert container.metadata == {"AIGC": '{"Label": "1"}', "comment": "Synthetic, 合成的。"}
        samples = sum(frame.samples for frame in container.decode(audio=0))
    with av.open(io.BytesIO(wav[: -samples // 2])) as container:  # of a part of the file, too
        assert container.metadata["AIGC"]
    assert samples == 5 * 0.4 * 1000
