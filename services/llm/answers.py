"""Answers from a persona's documents: the fitting passage in its own words, as part of a conversation."""

from __future__ import annotations

import re
from collections.abc import Sequence

from services.llm.documents import sentences
from services.llm.engine import Message, Role
from services.llm.knowledge import Found, Knowledge
from services.llm.language import primary
from services.llm.persona import Persona
from services.llm.smalltalk import courteous_reply, split_courtesies

SENTENCES = 3  # of an answer; more cannot be taken in by ear
_ENOUGH = 0.5  # of the question's weight must be covered, else the documents do not answer it
_WORTH_ADDING = 0.3  # of the question's weight makes a second passage worth a sentence
_EARLIER_WEIGHT = 0.5
_FOLLOW_UP = re.compile(
    r"^\s*(and|but|so|or|then|what about|how about|what if)\b|\b(it|its|that|this|them|they|those|these|there|one)\b"
    r"|^\s*(那|那么|还有|如果)|它|他们|这个|那个|这样|那样|呢[？?。\s]*$",
    re.I,
)
_MORE = re.compile(
    r"^\s*((please )?(tell me |say |give me )?(some )?(more|more about (it|that|this))( details)?|go on|continue"
    r"|anything else|what else|else|and then|(in )?more detail|elaborate"
    r"|再多?[说讲]一?[点些说讲]?|继续[说讲]?|还有(吗|呢|什么|别的吗)|详细(说说|讲讲|一点|点)?|然后呢)[\s.?!。？！]*$",
    re.I,
)
_UNKNOWN = {
    "en": ("I do not know that.", "I can tell you about {topics}."),
    "zh": ("这个我不知道。", "我可以讲讲{topics}。"),
}
_NO_MORE = {"en": "That is all I know about it.", "zh": "关于这个，我知道的就是这些。"}


def answer(persona: Persona, dialogue: Sequence[Message], language: str) -> str:
    """What the persona says next.

    Args:
        dialogue: oldest first; the last message is the user's.
    """
    said = [message.text for message in dialogue if message.role is Role.USER]
    courtesies, question = split_courtesies(said[-1])
    if courtesies and not question:
        return courteous_reply(courtesies, language, persona.spoken(persona.greetings, language))
    knowledge = persona.knows(language)
    heard = {s for message in dialogue if message.role is Role.ASSISTANT for s in sentences(message.text)}
    earlier = [split_courtesies(text)[1] for text in said[:-1]]
    if _MORE.match(question) and earlier:
        return _more(knowledge, earlier, heard) or _in(language, _NO_MORE)
    if passage := knowledge.answer_to(question):
        return _run_together(passage.sentences[:SENTENCES], passage.language)
    return _from_passages(knowledge, question, earlier, heard) or _unknown(persona, language)


def passages_for(persona: Persona, dialogue: Sequence[Message], language: str, limit: int = 3) -> list[str]:
    """Passages that ground a language model's reply to the last message."""
    said = [split_courtesies(message.text)[1] for message in dialogue if message.role is Role.USER]
    found = persona.knows(language).search(_weights(persona.knows(language), said[-1], said[:-1]), limit)
    return [f"{one.passage.heading}\n{one.passage.text}".strip() for one in found]


def _from_passages(knowledge: Knowledge, question: str, earlier: list[str], heard: set[str]) -> str:
    weights = _weights(knowledge, question, earlier)
    found = knowledge.search(weights, limit=8)
    if not found or found[0].coverage < _ENOUGH:
        return ""
    best = found[0]
    second = next((one for one in found[1:] if _adds(one, best)), None)
    spoken = knowledge.excerpt(best.passage, weights, SENTENCES - 1 if second else SENTENCES)
    if heard.issuperset(spoken) and (own := knowledge.terms(question)):
        spoken = knowledge.excerpt(best.passage, own, 1)  # said before: now only the point that is asked about
    if second:
        spoken += knowledge.excerpt(second.passage, second.covered - best.covered, 1)
    return _run_together(spoken, best.passage.language)


def _adds(second: Found, best: Found) -> bool:
    """Whether a passage answers a part of the question that the best one leaves open."""
    return best.coverage < 1 and bool(second.covered - best.covered) and second.coverage >= _WORTH_ADDING


def _more(knowledge: Knowledge, earlier: list[str], heard: set[str]) -> str:
    """The next sentences on the same subject that were not said yet."""
    weights = _weights(knowledge, earlier[-1], earlier[:-1])
    found = [one for one in knowledge.search(weights, limit=4) if one.coverage >= _ENOUGH]
    fresh = [sentence for one in found for sentence in one.passage.sentences if sentence not in heard]
    return _run_together(fresh[:SENTENCES], found[0].passage.language) if fresh else ""


def _weights(knowledge: Knowledge, question: str, earlier: list[str]) -> dict[str, float]:
    """The question's terms, and at half weight those of earlier turns when it leans on them."""
    own = knowledge.terms(question)
    weights = dict.fromkeys(own, 1.0)
    if len(own) != 1 and not _FOLLOW_UP.search(question):
        return weights
    for text in reversed(earlier[-3:]):
        terms = knowledge.terms(text)
        weights.update({term: _EARLIER_WEIGHT for term in terms if term not in weights})
        if len(terms) >= 2:
            break
    return weights


def _unknown(persona: Persona, language: str) -> str:
    sorry, offer = _UNKNOWN.get(primary(language), _UNKNOWN["en"])
    topics = persona.spoken(persona.topics, language)
    return _run_together([sorry, offer.format(topics=topics)] if topics else [sorry], primary(language))


def _run_together(spoken: Sequence[str], language: str) -> str:
    return ("" if language == "zh" else " ").join(dict.fromkeys(spoken))


def _in(language: str, texts: dict[str, str]) -> str:
    return texts.get(primary(language), texts["en"])
