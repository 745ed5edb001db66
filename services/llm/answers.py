"""Answers from a persona's documents: the fitting passage in its own words, as part of a conversation.

What the documents do not answer is not guessed at: the reply says what they do answer, in other words each time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from basics.languages import primary
from services.llm.documents import Passage, sentences
from services.llm.engine import Message, Role
from services.llm.knowledge import Found, Query
from services.llm.persona import Persona
from services.llm.phrases import phrases_in
from services.llm.smalltalk import Courtesy, courteous_reply, split_courtesies

SENTENCES = 3  # of an answer; more cannot be taken in by ear
_LOOKED_AT = 12  # passages
_AT_LENGTH = 6  # of an answer to somebody who wants to hear everything
_NEARLY = 0.25  # of the question's information makes a passage's question worth asking back
_EITHER = 0.7  # of the best one's score makes a second question worth asking back
_EARLIER_WEIGHT = 0.5
_SAID = 0.3  # of its score keeps a passage in a follow-up if it was said already
_FOLLOW_UP = re.compile(
    r"^\s*(and|but|so|or|then|what about|how about|what if)\b|\b(it|its|that|this|them|they|those|these|there|one)\b"
    r"|^\s*(那|那么|还有|如果)|它|他们|这个|那个|这样|那样|呢[？?。\s]*$",
    re.I,
)
_OTHER_SUBJECT = re.compile(r"\b(what|how) about\b|呢[？?。\s]*$", re.I)  # a follow-up, but on something else
_MORE = re.compile(
    r"^\s*((please )?((can you )?tell me |say |give me )?(some |a bit )?(more|more about (it|that|this))( details)?"
    r"|go on|continue|(is there )?anything else|(and )?what else( (can|could|should) I (do|try))?|else|and then"
    r"|(in )?more detail|elaborate"
    r"|再多?[说讲]一?[点些说讲]?|继续[说讲]?|还有(吗|呢|什么|别的吗|(别的|什么)?(办法|方法|建议)吗?)"
    r"|详细(说说|讲讲|一点|点)?|然后呢)[\s.?!。？！]*$",
    re.I,
)
_EVERYTHING = re.compile(
    r"\b(everything|all)( that| there is)?( you know| to know)? about\b|\b(overview|summary) (of|about)\b"
    r"|\b(explain|describe)\b.*\b(in detail|everything)\b"
    r"|(讲|说|介绍|告诉|解释|了解).*(全部|所有|一切|完整|详细)|(全部|所有|一切|完整|详细|全面)地?(讲|说|介绍|告诉|解释|了解)",
    re.I,
)
_ALL = re.compile(  # the words of it that say nothing of its subject
    r"\b(everything|all)( that| there is)?( you know| to know)?\b|\b(overview|summary) (of|about)\b|\bin detail\b"
    r"|(全部|所有|一切|完整|详细|全面)(的?(内容|信息))?地?",
    re.I,
)
_ASKED = re.compile(  # questions about the user's own ones
    r"^\s*((do|can) you (still )?(remember|recall|know|tell me) )?"
    r"(what (did|have) (i|we) (just |first |already )?(been )?(ask(ed)?|say|said|talk(ed|ing)?|discuss(ed)?)\b"
    r"|what (i|we) (just |first |already )?(asked|said|talked|discussed)\b"
    r"|what (was|were) my (very )?(\w+ )?questions?\b)"
    r"([\s,]+(about|(to )?you|so far|just now|first|before|earlier|last|until now|at the (beginning|start)))*[.?!\s]*$"
    r"|^\s*(你?还?(记得|知道))?(我们?|咱们)(刚才|刚刚|之前|前面|一开始|最开始|最初|都)*(第一[个次句]|上一[个次句]|最后一?[个次句])?"
    r"(问题?|说|聊|谈|讨论)(了|过|的)*你?(的?是)?(些|哪些)?(什么|啥|内容|问题)*[吗呢？?。\s]*$",
    re.I,
)
_FIRST = re.compile(r"\b(first|beginning|start)\b|第一|一开始|最开始|最初", re.I)
_ALL_OF_THEM = re.compile(r"\b(we|so far|questions|have i|already)\b|我们|咱们|都|些", re.I)
_BETWEEN = re.compile(r"[,，;；?？.。]\s*(?:and\b)?|\band\b|以及|还有|另外", re.I)  # two things that are asked
_YES = re.compile(
    r"\s*(yes|yeah|yep|sure|right|exactly|correct|ok(ay)?|the first( one)?|对|是的?|没错|好的?|嗯|第一个)"
    r"([\s,，]*(please|i do|that|the first( one)?|对|是的?|第一个))*[\s.!。！]*",
    re.I,
)
_SECOND = re.compile(r"\s*(the (second|other|latter|last)( one)?|the latter|第二个|后面?一?个|另一个)[\s.!。！]*", re.I)


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
        self.phrases = phrases_in(language)
        self.courtesies, self.question = said[-1]
        self.earlier = [question for _, question in said[:-1]]
        self.replies = [message.text for message in dialogue if message.role is Role.ASSISTANT]
        self.heard = {sentence for reply in self.replies for sentence in sentences(reply)}
        self.offered = self._offered()
        self.question = self._chosen(dialogue[-1].text) or self.question

    def reply(self) -> str:
        """What to say."""
        if self.courtesies and not self.question:
            return self._courteous(self.courtesies[-1])
        if _MORE.match(self.question) and self.earlier:
            return self._more()
        if _ASKED.match(self.question):
            return self._what_was_asked()
        if passage := self.knowledge.answer_to(self.question):
            return self._once_more(passage.sentences[:SENTENCES])
        if twofold := self._twofold():
            return twofold
        found = self.knowledge.search(self.query(), limit=_LOOKED_AT)
        answering = self._news_first([one for one in found if one.answers])
        if not answering:
            return self._unknown(found)
        if _EVERYTHING.search(self.question):
            return self._at_length(answering[0].passage, found)
        return self._briefly(answering[0])

    def _courteous(self, courtesy: Courtesy) -> str:
        if courtesy is Courtesy.GREETING:
            return self.persona.spoken(self.persona.greetings, self.language)
        if courtesy is Courtesy.PARDON and self.replies:
            return self.replies[-1]
        if courtesy in (Courtesy.CONFUSION, Courtesy.PARDON):
            return self._joined([self.phrases.simpler, self._examples()])
        return courteous_reply(courtesy, self.language)

    def query(self) -> Query:
        """The question, and what it leans on of earlier turns."""
        question = _ALL.sub(" ", self.question).strip() if _EVERYTHING.search(self.question) else self.question
        own = self.knowledge.terms(question)
        if len(own) > 1 and not _FOLLOW_UP.search(question):
            return Query(question, own)
        context: dict[str, float] = {}
        for text in [*self.offered[:1], *reversed(self.earlier[-3:])]:
            terms = self.knowledge.terms(text)
            context.update({term: _EARLIER_WEIGHT * weight for term, weight in terms.items() if term not in own})
            if len(terms) >= 2:
                break
        goes_on = self.replies and not _OTHER_SUBJECT.search(question)
        title = self.knowledge.title_of(sentences(self.replies[-1])) if goes_on else ""
        return Query(question, own or context, context, title)

    def _news_first(self, found: Sequence[Found]) -> list[Found]:
        """Those that answer a follow-up, what was said already only after what nearly fits as well."""
        if not found or not _FOLLOW_UP.search(self.question):
            return list(found)
        return sorted(found, key=lambda one: one.score * (_SAID if self._said(one) else 1.0), reverse=True)

    def _said(self, found: Found) -> bool:
        return self.heard.issuperset(found.passage.sentences[:SENTENCES])

    def _twofold(self) -> str:
        """An answer to each of two questions, if that is what was asked."""
        parts = [part for part in _BETWEEN.split(self.question) if self.knowledge.terms(part)]
        if len(parts) != 2:
            return ""
        best = [self.knowledge.search(Query(part, self.knowledge.terms(part)), limit=1) for part in parts]
        first, second = (found[0] if found and found[0].answers else None for found in best)
        if not first or not second or first.passage == second.passage:
            return ""
        return self._joined([*first.passage.sentences[: SENTENCES - 1], second.passage.sentences[0]])

    def _briefly(self, best: Found) -> str:
        terms = self.query().terms
        spoken = self.knowledge.excerpt(best.passage, best.covered, SENTENCES)
        if self.heard.issuperset(spoken) and terms:
            spoken = self.knowledge.excerpt(best.passage, terms, 1)  # only the point that is asked about now
        return self._once_more(spoken)

    def _at_length(self, best: Passage, found: Sequence[Found]) -> str:
        """The best passage, and what the others of its document say about the same."""
        spoken = list(best.sentences)
        for one in found:
            if one.passage.title == best.title and one.coverage == 1:
                spoken += self.knowledge.excerpt(one.passage, one.covered, 1)
        return self._joined(list(dict.fromkeys(spoken))[:_AT_LENGTH])

    def _more(self) -> str:
        """The next sentences on the same subject that were not said yet."""
        asked = [question for question in self.earlier if not _MORE.match(question)]
        self.question, self.earlier = asked[-1] if asked else "", asked[:-1]
        found = [one.passage for one in self.knowledge.search(self.query(), limit=4) if one.answers]
        following = self.knowledge.following(found[0]) if found else []
        fresh = next((one for one in [*found[:1], *following] if not self.heard.issuperset(one.sentences)), None)
        if not fresh:
            return self._joined([self.phrases.no_more, self._examples()])
        return self._joined([one for one in fresh.sentences if one not in self.heard][:SENTENCES])

    def _what_was_asked(self) -> str:
        """The user's own questions that this one is about: the first, the last, or the latest."""
        asked = list(filter(None, self.earlier))
        if not asked:
            return self.phrases.asked_nothing
        if _FIRST.search(self.question):
            asked = asked[:1]
        elif not _ALL_OF_THEM.search(self.question):
            asked = asked[-1:]
        return self.phrases.asked.format(questions=self.phrases.between.join(asked[-SENTENCES:]))

    def _unknown(self, found: Sequence[Found]) -> str:
        near = [one for one in found if one.coverage >= _NEARLY and one.passage.asks]
        questions = [one.passage.questions[0] for one in near[:2] if one.score >= _EITHER * near[0].score]
        meant = self.phrases.meant.format(questions=self.phrases.alternative.join(questions)) if near else ""
        if not self.heard.issuperset(sentences(meant)):
            return meant
        topics = self.persona.spoken(self.persona.topics, self.language)
        offer = self.phrases.topics.format(topics=topics) if topics else ""
        if offer in self.heard:
            return self._joined([self.phrases.beyond, self._examples()])
        return self._joined([self.phrases.unknown, offer or self._examples()])

    def _examples(self) -> str:
        """Two questions that the documents answer, others in each turn."""
        questions = [one.questions[0] for one in self.knowledge.passages if one.asks]
        if not questions:
            return ""
        step = max(1, len(questions) // 7)
        start = 2 * step * len(self.replies)
        chosen = dict.fromkeys(questions[(start + i * step) % len(questions)] for i in range(2))
        return self.phrases.examples.format(questions=self.phrases.alternative.join(chosen))

    def _offered(self) -> list[str]:
        """The questions that the last reply asked back, if it did."""
        before, _, after = self.phrases.meant.partition("{questions}")
        last = self.replies[-1] if self.replies else ""
        if not last.startswith(before):
            return []
        return last.removeprefix(before).removesuffix(after).split(self.phrases.alternative)

    def _chosen(self, said: str) -> str:
        """Which of the questions that were asked back is meant, if the user says so."""
        if self.offered and _YES.fullmatch(said):
            return self.offered[0]
        return self.offered[-1] if self.offered and _SECOND.fullmatch(said) else ""

    def _once_more(self, spoken: Sequence[str]) -> str:
        """The sentences, owned to be a repetition if they were all of the last reply."""
        said = self._joined(spoken)
        return self._joined([self.phrases.again, said]) if self.replies[-1:] == [said] else said

    def _joined(self, spoken: Sequence[str]) -> str:
        return ("" if self.language == "zh" else " ").join(dict.fromkeys(filter(None, spoken)))
