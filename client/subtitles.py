"""Subtitles of speech that we synthesised ourselves: its sentences and their times are known."""

from __future__ import annotations

import itertools

from client.speech import SpokenSentence

MAX_CUE_CHARACTERS = 84  # two lines of 42


def from_sentences(sentences: list[SpokenSentence], duration_s: float) -> str:
    """WebVTT with one cue per sentence, or several where a sentence is long and its words are timed."""
    cues = []
    for sentence, following in itertools.zip_longest(sentences, sentences[1:]):
        end_s = following.start_s if following else duration_s
        cues += _cues(sentence, end_s)
    blocks = [f"{_clock(start)} --> {_clock(end)}\n{_escape(text)}" for start, end, text in cues]
    return "\n\n".join(["WEBVTT", *blocks]) + "\n"


def _cues(sentence: SpokenSentence, end_s: float) -> list[tuple[float, float, str]]:
    if len(sentence.text) <= MAX_CUE_CHARACTERS or not sentence.words:
        return [(sentence.start_s, end_s, sentence.text)]
    groups: list[list[dict]] = [[]]
    for word in sentence.words:
        if sum(len(one["text"]) + 1 for one in groups[-1]) + len(word["text"]) > MAX_CUE_CHARACTERS:
            groups.append([])
        groups[-1].append(word)
    starts = [group[0]["start_s"] for group in groups]
    ends = [*starts[1:], end_s]
    return [
        (start, end, " ".join(word["text"] for word in group))
        for start, end, group in zip(starts, ends, groups, strict=True)
    ]


def _clock(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}.{rest % 1000:03}"


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
