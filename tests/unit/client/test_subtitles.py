"""Cues of speech whose sentences and words have times."""

from __future__ import annotations

from client.speech import SpokenSentence
from client.subtitles import MAX_CUE_CHARACTERS, from_sentences


def _sentence(text: str, start_s: float, timed: bool = True) -> SpokenSentence:
    words = [
        {"text": word, "start_s": start_s + 0.25 * i, "end_s": start_s + 0.25 * (i + 1)}
        for i, word in enumerate(text.split())
    ]
    return SpokenSentence(0, text, start_s, words if timed else [])


def test_each_sentence_lasts_until_the_next() -> None:
    text = from_sentences([_sentence("Good morning.", 0.0), _sentence("How are you?", 1.25)], 2.5)
    assert text == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.250\nGood morning.\n\n00:00:01.250 --> 00:00:02.500\nHow are you?\n"
    )


def test_hours_and_rounding() -> None:
    assert "01:01:01.500 --> 01:01:02.000" in from_sentences([_sentence("Late.", 3661.4996)], 3662.0)


def test_markup_is_escaped() -> None:
    assert "1 &lt; 2 &amp; 3 &gt; 2" in from_sentences([_sentence("1 < 2 & 3 > 2", 0)], 1.0)


def test_a_long_sentence_is_cut_where_a_word_begins() -> None:
    words = [f"word{i:02}" for i in range(40)]
    text = from_sentences([_sentence(" ".join(words), 0)], 10.0)
    cues = text.strip().split("\n\n")[1:]
    shown = [cue.split("\n")[1] for cue in cues]
    assert " ".join(shown).split() == words
    assert all(len(line) <= MAX_CUE_CHARACTERS for line in shown)
    ends = [cue.split("\n")[0].split(" --> ")[1] for cue in cues]
    starts = [cue.split("\n")[0].split(" --> ")[0] for cue in cues]
    assert ends[:-1] == starts[1:], "no gap and no overlap"
    assert starts[1] == "00:00:03.000"  # twelve words of six letters fit, each a quarter of a second
    assert ends[-1] == "00:00:10.000"


def test_a_long_sentence_without_times_stays_whole() -> None:
    text = "很长的句子" * 30
    assert text in from_sentences([_sentence(text, 0, timed=False)], 10.0)


def test_silence_has_no_cue() -> None:
    assert from_sentences([], 0.0) == "WEBVTT\n"
