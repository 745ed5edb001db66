"""What people say besides questions, and what to say to it."""

from __future__ import annotations

import re
from enum import Enum

from basics.languages import primary
from basics.scripts import HAN


class Courtesy(Enum):
    """Kinds of small talk."""

    GREETING = "greeting"
    WELLBEING = "wellbeing"
    THANKS = "thanks"
    FAREWELL = "farewell"
    ASSENT = "assent"
    PARDON = "pardon"
    CONFUSION = "confusion"


# Each matches at the start of an utterance; what follows is what the person really wants, if anything does.
_PATTERNS = {
    Courtesy.WELLBEING: r"how are you( doing)?( today)?|how's it going|how do you do"
    r"|你好吗|你怎么样|最近(怎么样|好吗)|还好吗",
    Courtesy.GREETING: r"hello|hi|hey|hiya|greetings|good (morning|afternoon|evening|day)|nice to meet you"
    r"|你好呀?|您好|哈[喽啰]|嗨|早上好|上午好|下午好|晚上好|大家好|很高兴认识你|早",
    Courtesy.THANKS: r"((many )?thanks|thank you|cheers)( a lot| so much| very much)?"
    r"|多谢|(非常|十分)?感谢你?|谢谢[你您啦]?|谢啦",
    Courtesy.FAREWELL: r"good ?bye|bye( bye)?|see you( later| soon| tomorrow)?|good night|take care"
    r"|再见|拜拜|回头见|下次见|晚安",
    Courtesy.PARDON: r"pardon( me)?|come again|what did you say"
    r"|((can|could) you )?(please )?(say|repeat) (that|it)( again)?( please)?"
    r"|再说一[遍次]|没听[清见到]|刚才说(的是)?什么|你说什么",
    Courtesy.CONFUSION: r"(uh |um |sorry )?(what|huh)|(sorry )?i (don't|do not) (understand|get it)( (that|you|it))?"
    r"|what do(es that| you) mean|i'?m (lost|confused)"
    r"|[我还]?没?[听不]?(不懂|没懂|不明白|没明白)|什么意思|[啊嗯]?什么|[啊额呃]",
    Courtesy.ASSENT: r"ok(ay)?|alright|all right|great|nice|cool|perfect|fine|i see|got it|wow|(very )?good|yes|yeah|no"
    r"|好的?|行|明白了?|知道了|懂了|太好了|不错|嗯|原来如此|不用了?|不要了?|没事了?",
}
_ADDRESS = r"([\s,，.。!！~、?？]*(there|visavis|friend|everyone|朋友|呀|啊|哦|啦))?"
_OPENINGS = {
    kind: re.compile(rf"^\s*({pattern}){_ADDRESS}(?=$|[\s,，.。!！~、?？;；:：]|[{HAN}])", re.I)
    for kind, pattern in _PATTERNS.items()
}
_SET_OFF = (Courtesy.ASSENT, Courtesy.PARDON, Courtesy.CONFUSION)
_EDGES = " \t\r\n,，.。!！~、?？;；:：-—…"

_REPLIES = {
    Courtesy.WELLBEING: {
        "en": "I am very well, thank you. What would you like to know?",
        "zh": "我很好，谢谢。你想了解什么？",
    },
    Courtesy.THANKS: {"en": "You are welcome.", "zh": "不客气。"},
    Courtesy.FAREWELL: {"en": "Goodbye. It was nice talking with you.", "zh": "再见，和你聊天很开心。"},
    Courtesy.ASSENT: {
        "en": "All right. Ask me anything else you would like to know.",
        "zh": "好的，还想了解什么，尽管问我。",
    },
}


def split_courtesies(text: str) -> tuple[list[Courtesy], str]:
    """The courtesies that an utterance opens with, and the rest of it; the last kind decides what to reply."""
    courtesies: list[Courtesy] = []
    rest = text.strip(_EDGES)
    while rest:
        kind, after = _opening(rest)
        if kind is None or not _stands_alone(kind, after):
            break
        courtesies.append(kind)
        rest = after.strip(_EDGES)
    return courtesies, rest


def _opening(text: str) -> tuple[Courtesy | None, str]:
    """The courtesy that a text begins with, and what follows it."""
    matches = ((kind, pattern.match(text)) for kind, pattern in _OPENINGS.items())
    return next(((kind, text[match.end() :]) for kind, match in matches if match), (None, text))


def courteous_reply(courtesy: Courtesy, language: str) -> str:
    """What to say to small talk that needs no knowledge of the persona or the conversation."""
    replies = _REPLIES[courtesy]
    return replies.get(primary(language), replies["en"])


def _stands_alone(kind: Courtesy, rest: str) -> bool:
    """Whether a courtesy is one, before the rest of the utterance.

    "No audio, why?", "what voices" and "good video" are none: what follows must be set off, or be polite too. Chinese
    needs no space after a word, so 好 may begin another one; only greetings and thanks may run on.
    """
    if not rest.strip(_EDGES) or _is_polite(rest.strip(_EDGES)):
        return True
    if rest[0] in _EDGES:
        return kind not in _SET_OFF or rest[0] in ",，.。!！;；"
    return kind in (Courtesy.GREETING, Courtesy.THANKS)


def _is_polite(text: str) -> bool:
    """Whether a text is nothing but courtesies."""
    return not split_courtesies(text)[1]
