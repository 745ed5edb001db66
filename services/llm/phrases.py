"""What the embedded dialogue says around its documents' own words."""

from __future__ import annotations

from dataclasses import dataclass

from basics.languages import primary


@dataclass(frozen=True)
class Phrases:
    """They are in one language; `{…}` is filled in."""

    unknown: str
    topics: str
    beyond: str
    no_more: str
    again: str
    simpler: str
    meant: str
    examples: str
    alternative: str
    asked: str
    asked_nothing: str
    between: str


_PHRASES = {
    "en": Phrases(
        unknown="I do not know that.",
        topics="I can tell you about {topics}.",
        beyond="My documents do not say that either.",
        no_more="That is all I know about it.",
        again="As I said:",
        simpler="Let us try a simpler question.",
        meant="I am not sure that I understand. Do you mean: {questions}?",
        examples="You could ask me: {questions}?",
        alternative="? Or: ",
        asked="You asked: “{questions}”.",
        asked_nothing="You have not asked me anything before.",
        between="”, then “",
    ),
    "zh": Phrases(
        unknown="这个我不知道。",
        topics="我可以讲讲{topics}。",
        beyond="这个我的资料里也没有。",
        no_more="关于这个，我知道的就是这些。",
        again="我刚才说过：",
        simpler="我们换个简单的问题吧。",
        meant="我不太确定你的意思。你是想问：{questions}？",
        examples="你可以问我：{questions}？",
        alternative="？或者：",
        asked="你问的是：“{questions}”。",
        asked_nothing="你之前还没有问过我问题。",
        between="”，然后是“",
    ),
}


def phrases_in(language: str) -> Phrases:
    """The phrases in a language, or else in English."""
    return _PHRASES.get(primary(language), _PHRASES["en"])
