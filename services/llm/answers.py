"""Answers from a persona's documents: the fitting passage in its own words, as part of a conversation.

What the documents do not answer is not guessed at: the reply says what they do answer, in other words each time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from services.llm.documents import sentences
from services.llm.engine import Message, Role
from services.llm.knowledge import Found, Query
from services.llm.language import primary
from services.llm.persona import Persona
from services.llm.smalltalk import courteous_reply, split_courtesies

SENTENCES = 3  # of an answer; more cannot be taken in by ear
_AT_LENGTH = 6  # of an answer to somebody who wants to hear everything
_WORTH_ADDING = 0.4  # of the question's weight makes a second passage worth a sentence
_NEARLY = 0.25  # of it makes a passage's question worth asking back
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
_EVERYTHING = re.compile(
    r"\b(everything|all)( that| there is)?( you know| to know)? about\b|\b(overview|summary) (of|about)\b"
    r"|\b(explain|describe)\b.*\b(in detail|everything)\b"
    r"|(讲|说|介绍|告诉|解释|了解).*(全部|所有|一切|完整|详细)|(全部|所有|一切|完整|详细|全面)地?(讲|说|介绍|告诉|解释|了解)",
    re.I,
)
_YES = re.compile(r"^\s*(yes|yeah|yep|sure|right|exactly|correct|ok(ay)?|please|对|是的?|没错|好的?|嗯)\b", re.I)


@dataclass(frozen=True)
class _Phrases:
    """What is said around the documents' own words, in one language."""

    unknown: str
    topics: str
    beyond: str
    no_more: str
    again: str
    meant: str
    examples: str
    alternative: str


_PHRASES = {
    "en": _Phrases(
        unknown="I do not know that.",
        topics="I can tell you about {topics}.",
        beyond="My documents do not say that either.",
        no_more="That is all I know about it.",
        again="As I said:",
        meant="I am not sure that I understand. Do you mean: {question}?",
        examples="You could ask me: {questions}?",
        alternative="? Or: ",
    ),
    "zh": _Phrases(
        unknown="这个我不知道。",
        topics="我可以讲讲{topics}。",
        beyond="这个我的资料里也没有。",
        no_more="关于这个，我知道的就是这些。",
        again="我刚才说过：",
        meant="我不太确定你的意思。你是想问：{question}？",
        examples="你可以问我：{questions}？",
        alternative="？或者：",
    ),
}


def answer(persona: Persona, dialogue: Sequence[Message], language: str) -> str:
    """What the persona says next.

    Args:
        dialogue: oldest first; the last message is the user's.
    """
    return _Turn(persona, dialogue, language).reply()


def passages_for(persona: Persona, dialogue: Sequence[Message], language: str, limit: int = 3) -> list[str]:
    """Passages that ground a language model's reply to the last message."""
    turn = _Turn(persona, dialogue, language)
    found = turn.knowledge.search(turn.query(), limit)
    return [f"{one.passage.heading}\n{one.passage.text}".strip() for one in found]


class _Turn:
    """One reply in the making."""

    def __init__(self, persona: Persona, dialogue: Sequence[Message], language: str) -> None:
        said = [split_courtesies(message.text) for message in dialogue if message.role is Role.USER]
        self.persona, self.language = persona, primary(language)
        self.knowledge = persona.knows(language)
        self.phrases = _PHRASES.get(self.language, _PHRASES["en"])
        self.courtesies, self.question = said[-1]
        self.earlier = [question for _, question in said[:-1]]
        self.replies = [message.text for message in dialogue if message.role is Role.ASSISTANT]
        self.heard = {sentence for reply in self.replies for sentence in sentences(reply)}
        self.confirmed = self._offered() if _YES.match(dialogue[-1].text) else ""

    def reply(self) -> str:
        """What to say."""
        if self.confirmed:
            self.question = self.confirmed
        elif self.courtesies and not self.question:
            greeting = self.persona.spoken(self.persona.greetings, self.language)
            return courteous_reply(self.courtesies, self.language, greeting)
        if _MORE.match(self.question) and self.earlier:
            return self._more()
        if passage := self.knowledge.answer_to(self.question):
            return self._once_more(passage.sentences[:SENTENCES])
        found = self.knowledge.search(self.query(), limit=8)
        answering = [one for one in found if one.answers]
        if not answering:
            return self._unknown(found)
        return self._at_length(answering) if _EVERYTHING.search(self.question) else self._briefly(answering)

    def query(self) -> Query:
        """The question, and what it leans on of earlier turns."""
        question = _EVERYTHING.sub(" ", self.question)
        own = self.knowledge.terms(question)
        if len(own) > 1 and not _FOLLOW_UP.search(question):
            return Query(question, own)
        context: dict[str, float] = {}
        for text in reversed(self.earlier[-3:]):
            terms = self.knowledge.terms(text)
            context.update({term: _EARLIER_WEIGHT * weight for term, weight in terms.items() if term not in own})
            if len(terms) >= 2:
                break
        title = self.knowledge.title_of(sentences(self.replies[-1])) if self.replies else ""
        return Query(question, own or context, context, title)

    def _briefly(self, found: Sequence[Found]) -> str:
        best = found[0]
        terms = self.query().terms
        second = next((one for one in found[1:] if _adds(one, best)), None)
        spoken = self.knowledge.excerpt(best.passage, best.covered, SENTENCES - 1 if second else SENTENCES)
        if self.heard.issuperset(spoken) and terms:
            spoken = self.knowledge.excerpt(best.passage, terms, 1)  # only the point that is asked about now
        if second:
            spoken += self.knowledge.excerpt(second.passage, second.covered - best.covered, 1)
        return self._once_more(spoken)

    def _at_length(self, found: Sequence[Found]) -> str:
        """The best passage, and what the others of its document say about the same."""
        best = found[0].passage
        spoken = list(best.sentences)
        for one in found[1:]:
            if one.passage.title == best.title:
                spoken += self.knowledge.excerpt(one.passage, one.covered, 1)
        return self._joined(spoken[:_AT_LENGTH])

    def _more(self) -> str:
        """The next sentences on the same subject that were not said yet."""
        self.question, *_ = self.earlier[-1:]
        self.earlier = self.earlier[:-1]
        found = [one for one in self.knowledge.search(self.query(), limit=4) if one.answers]
        fresh = [sentence for one in found for sentence in one.passage.sentences if sentence not in self.heard]
        return self._joined(fresh[:SENTENCES] if fresh else [self.phrases.no_more, self._examples()])

    def _unknown(self, found: Sequence[Found]) -> str:
        near = found[0] if found and found[0].coverage >= _NEARLY else None
        if near and _asks(near.passage.heading):
            meant = self.phrases.meant.format(question=near.passage.questions[0])
            if not self.heard.issuperset(sentences(meant)):
                return meant
        topics = self.persona.spoken(self.persona.topics, self.language)
        offer = self.phrases.topics.format(topics=topics) if topics else ""
        if offer in self.heard:
            return self._joined([self.phrases.beyond, self._examples()])
        return self._joined([self.phrases.unknown, offer or self._examples()])

    def _examples(self) -> str:
        """Two questions that the documents answer, others in each turn."""
        questions = [one.questions[0] for one in self.knowledge.passages if _asks(one.heading)]
        if not questions:
            return ""
        step = max(1, len(questions) // 7)
        start = 2 * step * len(self.replies)
        chosen = dict.fromkeys(questions[(start + i * step) % len(questions)] for i in range(2))
        return self.phrases.examples.format(questions=self.phrases.alternative.join(chosen))

    def _offered(self) -> str:
        """The question that the last reply asked back, if it did."""
        last = self.replies[-1] if self.replies else ""
        asked = (one.questions[0] for one in self.knowledge.passages if one.questions)
        return next((one for one in asked if last == self.phrases.meant.format(question=one)), "")

    def _once_more(self, spoken: Sequence[str]) -> str:
        """The sentences, owned to be a repetition if they were all of the last reply."""
        said = self._joined(spoken)
        return self._joined([self.phrases.again, said]) if self.replies[-1:] == [said] else said

    def _joined(self, spoken: Sequence[str]) -> str:
        return ("" if self.language == "zh" else " ").join(dict.fromkeys(filter(None, spoken)))


def _adds(second: Found, best: Found) -> bool:
    """Whether a passage answers a part of the question that the best one leaves open."""
    return best.coverage < 1 and bool(second.covered - best.covered) and second.coverage >= _WORTH_ADDING


def _asks(heading: str) -> bool:
    return "?" in heading or "？" in heading
