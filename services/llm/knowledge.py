"""Finds what a persona's documents say about a question: BM25 (Robertson and Zaragoza, 2009) in SQLite's FTS5.

English words are stemmed by FTS5's Porter tokenizer. Chinese is indexed as overlapping pairs of characters, which needs
no dictionary and finds names that no dictionary has.
"""

from __future__ import annotations

import difflib
import math
import re
import sqlite3
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from basics.scripts import HAN
from services.llm import stopwords
from services.llm.documents import Passage

_TABLES = {"passages": "heading, also, body", "sentences": "body", "questions": "body"}
_WEIGHTS = "3.0, 1.0, 0.5"  # of a passage's heading, the other ways to ask for it, and what it says
_ALIKE = 2.0  # how much more a passage counts whose question is the very one that is asked
_SAME_TITLE = 1.6  # how much more it counts in a follow-up if it is of the document that was talked about
_ENOUGH = 0.5  # of a query's information must be in a passage, else it does not answer it
_SURE = 0.95  # of coverage and likeness together must be had by one whose heading is a question
_RELATED = 0.2  # of likeness must be had by it too: words from here and there are not yet the question
_SAME = 0.55  # likeness from which two questions are the same
_ALIKE_SPELT = 0.85  # share of letters in common, below which a word is another word
_MOST_SENTENCES = 1000  # of one passage, far more than it can have
_UNIT = re.compile(rf"[{HAN}]+|[^\W_{HAN}]+(?:[.'’][^\W_{HAN}]+)*")
_WORD = re.compile(r"[a-z]{5,}", re.I)  # one that may be misspelt; shorter ones are like too many others
_HAN = re.compile(rf"[{HAN}]")


@dataclass(frozen=True)
class Query:
    """What is looked for.

    Attributes:
        text: the question as it was asked.
        terms: what it is about, each with its weight; 1 for a word.
        context: terms of what was said before that it leans on, with theirs.
        title: of the document that it goes on about, if any.
    """

    text: str
    terms: Mapping[str, float]
    context: Mapping[str, float] = field(default_factory=dict)
    title: str = ""


@dataclass(frozen=True)
class Found:
    """A passage and how well it answers a query.

    Attributes:
        covered: the terms of the query that it holds.
        coverage: their share of the query's information, 0 to 1.
        likeness: of the query and the nearest of the passage's own questions, 0 to 1.
    """

    passage: Passage
    score: float
    covered: frozenset[str]
    coverage: float
    likeness: float

    @property
    def answers(self) -> bool:
        """Whether it surely is about what is asked."""
        if self.likeness >= _SAME:
            return True
        sure = not self.passage.asks or (self.likeness >= _RELATED and self.coverage + self.likeness >= _SURE)
        return sure and self.coverage >= _ENOUGH


class Vocabulary:
    """Turns text into index terms.

    Args:
        synonyms: groups of words that mean the same; each group counts as its first word.
    """

    def __init__(self, synonyms: Iterable[Sequence[str]] = ()) -> None:
        canonical = {word.lower(): group[0].lower() for group in synonyms for word in group}
        self._canonical = canonical
        self.words = tuple(canonical)
        words = sorted(canonical, key=len, reverse=True)
        bounded = [f"(?<![a-z]){re.escape(w)}(?:e?s)?(?![a-z])" if w.isascii() else re.escape(w) for w in words]
        self._synonym = re.compile("|".join(bounded)) if words else None

    def terms(self, text: str) -> list[str]:
        """Terms that carry meaning, in order of appearance, each once."""
        found = self.all_terms(stopwords.PHRASES.sub(" ", self._unified(text)))
        found = [term for term in dict.fromkeys(found) if term not in stopwords.WORDS]
        found = [term for term in found if not stopwords.LIGHT.issuperset(term)]
        # A single Chinese character is mostly what is left of a phrase; it counts only when it is all there is.
        return [term for term in found if not (len(term) == 1 and _HAN.match(term))] or found

    def all_terms(self, text: str) -> list[str]:
        """Every term of a text: lower-case words, and pairs of Chinese characters."""
        found: list[str] = []
        for unit in _UNIT.findall(self._unified(text)):
            unit = unit.replace("’", "'")
            if _HAN.match(unit) and len(unit) > 1:
                found += [unit[i : i + 2] for i in range(len(unit) - 1)]
            else:
                found.append(unit if unit in stopwords.WORDS else unit.removesuffix("'s"))
        return found

    def _unified(self, text: str) -> str:
        text = text.lower()
        if not self._synonym:
            return text
        return self._synonym.sub(lambda match: f" {self._canonical_of(match.group())} ", text)

    def _canonical_of(self, word: str) -> str:
        stems = (word, word.removesuffix("s"), word.removesuffix("es"))
        return next(self._canonical[stem] for stem in stems if stem in self._canonical)


class Knowledge:
    """The searchable passages of one persona in one language. Safe to use from several threads."""

    def __init__(self, passages: Sequence[Passage], vocabulary: Vocabulary) -> None:
        self.passages = tuple(passages)
        self._vocabulary = vocabulary
        self._lock = threading.Lock()
        asked = [(question, row) for row, one in enumerate(self.passages) for question in one.questions]
        self._rows = {_normalised(question): row for question, row in reversed(asked)}
        self._titles = {sentence: one.title for one in self.passages for sentence in one.sentences}
        self._database = sqlite3.connect(":memory:", check_same_thread=False)
        for table, columns in _TABLES.items():
            self._database.execute(f"CREATE VIRTUAL TABLE {table} USING fts5({columns}, tokenize='porter unicode61')")
        with self._database:
            for row, passage in enumerate(self.passages):
                self._insert(row, passage)
            rows = [(number, " ".join(self._worded(question))) for number, (question, _) in enumerate(asked)]
            self._database.executemany("INSERT INTO questions(rowid, body) VALUES (?, ?)", rows)
        self._spellings = self._by_initial()
        self._asked = [(row, 0.0) for _, row in asked]
        self._asked = [(row, self._mass(question)) for question, row in asked]

    def __len__(self) -> int:
        return len(self.passages)

    def terms(self, text: str) -> dict[str, float]:
        """The terms of a text that carry meaning, slips of the pen put right, with their weights."""
        found = dict.fromkeys(self._vocabulary.terms(self._spelt(text)), 1.0)
        pairs = [term for term in found if len(term) == 2 and _HAN.match(term)]
        strange = [pair for pair in pairs if not self._hits("passages", pair)]
        known = set("".join(pair for pair in pairs if pair not in strange))
        for pair in strange:
            # It may be the end of one word and the beginning of the next: strange is what is in no known word.
            del found[pair]
            found.update(dict.fromkeys(set(pair) - known - stopwords.LIGHT, 0.5))
        return found

    def answer_to(self, question: str) -> Passage | None:
        """The passage that says it answers this very question."""
        row = self._rows.get(_normalised(question), self._rows.get(_normalised(stopwords.FILLERS.sub("", question))))
        return None if row is None else self.passages[row]

    def search(self, query: Query, limit: int = 3) -> list[Found]:
        """Passages that fit a query, the best first."""
        terms = {**query.context, **query.terms}
        hits = {term: self._hits("passages", term) for term in terms}
        mass = {term: weight * self._idf(term) for term, weight in query.terms.items()}
        likeness = self._likeness(query.text)
        found = []
        for row in likeness.keys() | {row for rows in hits.values() for row in rows}:
            covered = frozenset(term for term in terms if row in hits[term])
            coverage = sum(mass.get(term, 0.0) for term in covered) / (sum(mass.values()) or 1.0)
            like = likeness.get(row, 0.0)
            score = sum(terms[term] * hits[term][row] for term in covered) * (1 + _ALIKE * like) + like
            if query.title and self.passages[row].title == query.title:
                score *= _SAME_TITLE
            found.append(Found(self.passages[row], score, covered, coverage, like))
        return sorted(found, key=lambda one: (one.answers, one.score), reverse=True)[:limit]

    def title_of(self, spoken: Iterable[str]) -> str:
        """The title of the document that the first of some sentences is from, if one is from any."""
        return next((self._titles[sentence] for sentence in spoken if sentence in self._titles), "")

    def following(self, passage: Passage) -> list[Passage]:
        """What comes after a passage in its document."""
        after = self.passages[self.passages.index(passage) + 1 :]
        return [one for one in after if passage.title and one.title == passage.title]

    def excerpt(self, passage: Passage, terms: Collection[str], count: int) -> list[str]:
        """The `count` neighbouring sentences of a passage that say most about the terms."""
        number = self.passages.index(passage)
        # A word of the heading is about the whole passage and does not tell its sentences apart.
        telling = [term for term in terms if number not in self._hits("passages", term, "heading : ")] or terms
        scores = [0.0] * len(passage.sentences)
        for term in telling:
            for row, score in self._hits("sentences", term).items():
                if row // _MOST_SENTENCES == number:
                    scores[row % _MOST_SENTENCES] += score
        starts = range(max(1, len(scores) - count + 1))
        best = max(starts, key=lambda start: sum(scores[start : start + count]))
        return list(passage.sentences[best : best + count])

    def _likeness(self, text: str) -> dict[int, float]:
        """How much the nearest question of each passage is the same (Jaccard index weighted by IDF, 0 to 1).

        Here little words count too: often they alone tell what is asked about a thing.
        """
        mass = 0.0
        shared: dict[int, float] = {}
        for term in self._worded(self._spelt(text)):
            numbers = self._questions_with(term)
            weight = self._rarity(len(numbers))
            mass += weight
            for number in numbers:
                shared[number] = shared.get(number, 0.0) + weight
        likeness: dict[int, float] = {}
        for number, common in shared.items():
            row, other = self._asked[number]
            likeness[row] = max(likeness.get(row, 0.0), common / (mass + other - common))
        return likeness

    def _insert(self, row: int, passage: Passage) -> None:
        fields = [row, *(self._indexed(text) for text in (passage.heading, " . ".join(passage.also), passage.text))]
        self._database.execute("INSERT INTO passages(rowid, heading, also, body) VALUES (?, ?, ?, ?)", fields)
        self._database.executemany(
            "INSERT INTO sentences(rowid, body) VALUES (?, ?)",
            [(row * _MOST_SENTENCES + i, self._indexed(sentence)) for i, sentence in enumerate(passage.sentences)],
        )

    def _indexed(self, text: str) -> str:
        return " ".join(self._vocabulary.all_terms(text))

    def _hits(self, table: str, term: str, column: str = "") -> dict[int, float]:
        """Rows that hold the term, with their BM25. It is a sum over terms, so one term at a time loses nothing."""
        rank = f"bm25({table}, {_WEIGHTS})" if table == "passages" else f"bm25({table})"
        phrase = f'{column}"{term}"'
        with self._lock:
            rows = self._database.execute(f"SELECT rowid, -{rank} FROM {table} WHERE {table} MATCH ?", (phrase,))
            return dict(rows.fetchall())

    def _questions_with(self, term: str) -> list[int]:
        with self._lock:
            rows = self._database.execute("SELECT rowid FROM questions WHERE questions MATCH ?", (f'"{term}"',))
            return [row for (row,) in rows.fetchall()]

    def _idf(self, term: str) -> float:
        """What a term tells: much if few passages have it, most if none does, for that is what is asked about."""
        rows = len(self._hits("passages", term))
        return math.log(1 + (len(self.passages) - rows + 0.5) / (rows + 0.5))

    def _mass(self, question: str) -> float:
        return sum(self._rarity(len(self._questions_with(term))) for term in self._worded(question))

    def _worded(self, question: str) -> list[str]:
        return list(dict.fromkeys(self._vocabulary.all_terms(stopwords.FILLERS.sub(" ", question))))

    def _rarity(self, questions: int) -> float:
        return math.log(1 + (len(self._asked) - questions + 0.5) / (questions + 0.5))

    def _by_initial(self) -> dict[str, list[str]]:
        """The words of the documents and their synonyms, by their first letter."""
        texts = [text for one in self.passages for text in (one.heading, *one.also, one.text)]
        words = {word for text in [*texts, *self._vocabulary.words] for word in _WORD.findall(text.lower())}
        found: dict[str, list[str]] = {}
        for word in sorted(words - stopwords.WORDS):
            found.setdefault(word[0], []).append(word)
        return found

    def _spelt(self, text: str) -> str:
        """The text, its words that no passage has replaced by those that they are most likely slips for."""
        return _WORD.sub(lambda match: self._nearest(match.group().lower()), text)

    def _nearest(self, word: str) -> str:
        spellings = self._spellings.get(word[0], [])
        if word in stopwords.WORDS or any(self._hits("passages", term) for term in self._vocabulary.all_terms(word)):
            return word
        like = difflib.get_close_matches(word, spellings, 1, _ALIKE_SPELT)
        return like[0] if like else word


def _normalised(question: str) -> str:
    return " ".join(re.findall(r"\w+", question.lower()))
