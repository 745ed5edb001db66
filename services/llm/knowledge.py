"""Finds what a persona's documents say about a question: BM25 (Robertson and Zaragoza, 2009) in SQLite's FTS5.

English words are stemmed by FTS5's Porter tokenizer. Chinese is indexed as overlapping pairs of characters, which needs
no dictionary and finds names that no dictionary has.
"""

from __future__ import annotations

import math
import re
import sqlite3
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from services.llm import stopwords
from services.llm.documents import Passage

_HEADING_WEIGHT = 3.0
_MOST_SENTENCES = 1000  # of one passage, far more than it can have
_UNIT = re.compile(r"[㐀-鿿豈-﫿]+|[^\W_㐀-鿿豈-﫿]+(?:[.'’][^\W_㐀-鿿豈-﫿]+)*")
_HAN = re.compile(r"[㐀-鿿豈-﫿]")


@dataclass(frozen=True)
class Found:
    """A passage, how well it fits, and how much of the question it covers (0 to 1, by the weight of its words)."""

    passage: Passage
    score: float
    covered: frozenset[str]
    coverage: float


class Vocabulary:
    """Turns text into index terms.

    Args:
        synonyms: groups of words that mean the same; each group counts as its first word.
    """

    def __init__(self, synonyms: Iterable[Sequence[str]] = ()) -> None:
        canonical = {word.lower(): group[0].lower() for group in synonyms for word in group}
        self._canonical = canonical
        words = sorted(canonical, key=len, reverse=True)
        bounded = [f"(?<![a-z]){re.escape(w)}(?:e?s)?(?![a-z])" if w.isascii() else re.escape(w) for w in words]
        self._synonym = re.compile("|".join(bounded)) if words else None

    def terms(self, text: str) -> list[str]:
        """Terms that carry meaning, in order of appearance, each once."""
        found = self.all_terms(stopwords.PHRASES.sub(" ", self._unified(text)))
        found = [term for term in dict.fromkeys(found) if term not in stopwords.WORDS]
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
                found.append(unit)
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
        self._passages = list(passages)
        self._vocabulary = vocabulary
        self._lock = threading.Lock()
        questions = [(part, row) for row, one in enumerate(self._passages) for part in _questions(one.heading)]
        self._rows = {_normalised(part): row for part, row in reversed(questions)}
        self._questions = [(row, len(vocabulary.terms(part))) for part, row in questions]
        self._database = sqlite3.connect(":memory:", check_same_thread=False)
        self._database.execute("CREATE VIRTUAL TABLE passages USING fts5(heading, body, tokenize='porter unicode61')")
        self._database.execute("CREATE VIRTUAL TABLE sentences USING fts5(body, tokenize='porter unicode61')")
        self._database.execute("CREATE VIRTUAL TABLE questions USING fts5(body, tokenize='porter unicode61')")
        with self._database:
            for row, passage in enumerate(self._passages):
                self._insert(row, passage)
            rows = [(number, self._indexed(part)) for number, (part, _) in enumerate(questions)]
            self._database.executemany("INSERT INTO questions(rowid, body) VALUES (?, ?)", rows)

    def __len__(self) -> int:
        return len(self._passages)

    def terms(self, text: str) -> list[str]:
        """The terms of a text that carry meaning, each once."""
        return self._vocabulary.terms(text)

    def answer_to(self, question: str) -> Passage | None:
        """The passage whose heading asks this very question."""
        row = self._rows.get(_normalised(question))
        return None if row is None else self._passages[row]

    def search(self, weights: Mapping[str, float], limit: int = 3) -> list[Found]:
        """Passages that fit the terms best.

        Args:
            weights: terms and how much each matters; coverage counts only those of full weight (1).
        """
        hits = {term: self._hits("passages", term) for term in weights}
        idf = {term: self._idf(len(rows)) for term, rows in hits.items()}
        asked = {term for term, weight in weights.items() if weight >= 1} or set(weights)
        mass = sum(idf[term] for term in asked) or 1.0
        alike = self._alike(weights)
        found = []
        for row, passage in enumerate(self._passages):
            covered = frozenset(term for term in weights if row in hits[term])
            score = sum(weights[term] * hits[term][row] for term in covered) * (1 + 2 * alike.get(row, 0.0))
            if covered:
                found.append(Found(passage, score, covered, sum(idf[term] for term in covered & asked) / mass))
        return sorted(found, key=lambda one: (one.coverage >= 0.5, one.score), reverse=True)[:limit]

    def excerpt(self, passage: Passage, terms: Collection[str], count: int) -> list[str]:
        """The `count` neighbouring sentences of a passage that say most about the terms."""
        number = self._passages.index(passage)
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

    def _alike(self, weights: Mapping[str, float]) -> dict[int, float]:
        """How much the best heading of each passage asks the same (Jaccard index of the terms, 0 to 1)."""
        shared: dict[int, float] = {}
        for term, weight in weights.items():
            for number in self._hits("questions", term):
                shared[number] = shared.get(number, 0.0) + weight
        alike: dict[int, float] = {}
        for number, common in shared.items():
            row, terms = self._questions[number]
            index = common / max(common, sum(weights.values()) + terms - common)
            alike[row] = max(alike.get(row, 0.0), index)
        return alike

    def _insert(self, row: int, passage: Passage) -> None:
        heading, body = self._indexed(passage.heading), self._indexed(passage.text)
        self._database.execute("INSERT INTO passages(rowid, heading, body) VALUES (?, ?, ?)", (row, heading, body))
        self._database.executemany(
            "INSERT INTO sentences(rowid, body) VALUES (?, ?)",
            [(row * _MOST_SENTENCES + i, self._indexed(sentence)) for i, sentence in enumerate(passage.sentences)],
        )

    def _indexed(self, text: str) -> str:
        return " ".join(self._vocabulary.all_terms(text))

    def _hits(self, table: str, term: str, column: str = "") -> dict[int, float]:
        """Rows that hold the term, with their BM25. It is a sum over terms, so one term at a time loses nothing."""
        rank = f"bm25({table}, {_HEADING_WEIGHT}, 1.0)" if table == "passages" else f"bm25({table})"
        phrase = f'{column}"{term}"'
        with self._lock:
            rows = self._database.execute(f"SELECT rowid, -{rank} FROM {table} WHERE {table} MATCH ?", (phrase,))
            return dict(rows.fetchall())

    def _idf(self, rows: int) -> float:
        rows = max(rows, 1)  # a word that no document holds weighs no more than the rarest that one does
        return math.log(1 + (len(self._passages) - rows + 0.5) / (rows + 0.5))


def _questions(heading: str) -> list[str]:
    """A heading may ask the same thing in several ways, one question after the other."""
    return [part for part in re.split(r"[?？]", heading) if _normalised(part)]


def _normalised(question: str) -> str:
    return " ".join(re.findall(r"\w+", question.lower()))
