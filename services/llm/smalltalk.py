"""What people say besides questions, and what to say to it."""

from __future__ import annotations

import re
from enum import Enum

from services.llm.language import primary


class Courtesy(Enum):
    """Kinds of small talk."""

    GREETING = "greeting"
    WELLBEING = "wellbeing"
    THANKS = "thanks"
    FAREWELL = "farewell"
    ASSENT = "assent"


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
    Courtesy.ASSENT: r"ok(ay)?|alright|all right|great|nice|cool|perfect|fine|i see|got it|wow|(very )?good|yes|yeah|no"
    r"|好的?|行|明白了?|知道了|懂了|太好了|不错|嗯|原来如此|不用了?|没事了?",
}
_ADDRESS = r"([\s,，.。!！~、?？]*(there|visavis|friend|everyone|朋友|呀|啊|哦|啦))?"
_OPENINGS = {
    kind: re.compile(rf"^\s*({pattern}){_ADDRESS}(?=$|[\s,，.。!！~、?？;；:：]|[㐀-鿿])", re.I)
    for kind, pattern in _PATTERNS.items()
}
_EDGES = " \t\r\n,，.。!！~、?？;；:：-—…"

_REPLIES = {
    Courtesy.WELLBEING: {
        "en": "I am very well, thank you. What would you like to know?",
        "zh": "我很好，谢谢。你想了解什么？",
    },
    Courtesy.THANKS: {"en": "You are welcome.", "zh": "不客气。"},
    Courtesy.FAREWELL: {"en": "Goodbye. It was nice talking with you.", "zh": "再见，和你聊天很开心。"},
    Courtesy.ASSENT: {
        "en": "Good. Ask me anything else you would like to know.",
        "zh": "好的，还想了解什么，尽管问我。",
    },
}


def split_courtesies(text: str) -> tuple[list[Courtesy], str]:
    """The courtesies that an utterance opens with, and the rest of it."""
    courtesies: list[Courtesy] = []
    rest = text.strip(_EDGES)
    while rest:
        kind, match = next(((kind, m) for kind, p in _OPENINGS.items() if (m := p.match(rest))), (None, None))
        if kind is None or match is None or not _stands_alone(kind, rest[match.end() :]):
            break
        courtesies.append(kind)
        rest = rest[match.end() :].strip(_EDGES)
    return courtesies, rest


def courteous_reply(courtesies: list[Courtesy], language: str, greeting: str) -> str:
    """What to say to small talk: the last kind decides, because people say goodbye last and thanks before it."""
    if courtesies[-1] is Courtesy.GREETING:
        return greeting
    replies = _REPLIES[courtesies[-1]]
    return replies.get(primary(language), replies["en"])


def _stands_alone(kind: Courtesy, rest: str) -> bool:
    """Chinese needs no space after a word, so 你好 may begin another word; only greetings and thanks may run on."""
    if not rest or rest[0] in _EDGES:
        # "No audio, why?" and "good video" are no assent: what follows one must be set off by punctuation.
        return kind is not Courtesy.ASSENT or not rest.strip(_EDGES) or rest[0] in ",，.。!！;；"
    return kind in (Courtesy.GREETING, Courtesy.THANKS)
