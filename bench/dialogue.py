"""How well the embedded dialogue answers what people ask: the shipped persona, `bench/questions`, no network, no audio.

    python -m bench.dialogue                     # a table of both halves in both languages
    python -m bench.dialogue --failures tuned    # and what went wrong in one half

*first*: the reply begins with a section that answers the question. *within*: one of its sentences is of such a section.
*wrong*: it says something else. *asked back*: it asks whether that is what is meant, rightly. *gave up*: it says what
it can answer, although a section would have answered, or asks back something else.
*declined*: the share of questions that no section answers to which it says so.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.llm.answers import answer
from services.llm.documents import sentences
from services.llm.engine import Message, Role
from services.llm.language import language_of, reply_language
from services.llm.persona import SHIPPED, Persona, Personas

QUESTIONS = Path(__file__).parent / "questions"
HALVES = ("tuned", "held-out")


@dataclass(frozen=True)
class Case:
    """What somebody says, and the sections that answer the last of it (none: there is no answer)."""

    turns: tuple[str, ...]
    sections: frozenset[str]

    @property
    def language(self) -> str:
        """`en` or `zh`."""
        return language_of(self.turns[0])


@dataclass(frozen=True)
class Outcome:
    """What was said to a case, from which sections its sentences are, and how long the last reply took."""

    case: Case
    reply: str
    sections: tuple[str, ...]
    asked_back: frozenset[str]
    milliseconds: float

    @property
    def kind(self) -> str:
        """One of first, within, wrong, asked back, gave up, declined, made up."""
        if not self.case.sections:
            return "made up" if self.sections else "declined"
        if not self.sections:
            return "asked back" if self.case.sections & self.asked_back else "gave up"
        if self.sections[0] in self.case.sections:
            return "first"
        return "within" if self.case.sections.intersection(self.sections) else "wrong"


def read(half: str) -> list[Case]:
    """The cases of one half of the questions."""
    lines = (QUESTIONS / f"{half}.txt").read_text("utf-8").splitlines()
    return [_case(line) for line in lines if line and not line.startswith("#")]


def tried(persona: Persona, cases: Sequence[Case]) -> Iterator[Outcome]:
    """Say each case to the persona."""
    known = _sections_of_sentences(persona)
    for case in cases:
        reply, seconds = _said_to(persona, case.turns)
        spoken = tuple(known[sentence] for sentence in sentences(reply) if sentence in known)
        asked = frozenset(one.section for one in persona.knowledge[case.language].passages if one.questions[0] in reply)
        yield Outcome(case, reply, spoken, asked, seconds * 1000)


def accuracy(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Shares of what can be answered (first, within, wrong, asked back, gave up) and of what cannot (declined)."""
    kinds = [outcome.kind for outcome in outcomes if outcome.case.sections]
    beyond = [outcome.kind for outcome in outcomes if not outcome.case.sections]
    shares = {kind: kinds.count(kind) / len(kinds) for kind in ("first", "within", "wrong", "asked back", "gave up")}
    shares["within"] += shares["first"]
    return shares | {"declined": beyond.count("declined") / len(beyond)}


def _case(line: str) -> Case:
    sections, _, said = line.partition("|")
    expected = frozenset(sections.split()) - {"none"}
    return Case(tuple(turn.strip() for turn in said.split(" > ")), expected)


def _sections_of_sentences(persona: Persona) -> dict[str, str]:
    """Sentences that only one section has; "Yes." tells nothing."""
    having: dict[str, set[str]] = {}
    for knowledge in persona.knowledge.values():
        for passage in knowledge.passages:
            for sentence in passage.sentences:
                having.setdefault(sentence, set()).add(passage.section)
    return {sentence: sections.pop() for sentence, sections in having.items() if len(sections) == 1}


def _said_to(persona: Persona, turns: Sequence[str]) -> tuple[str, float]:
    """The last reply of a conversation, and the seconds that it took."""
    dialogue: list[Message] = []
    for text in turns:
        dialogue.append(Message(Role.USER, text))
        language = reply_language("", [message.text for message in dialogue if message.role is Role.USER])
        began = time.perf_counter()
        reply = answer(persona, dialogue, language)
        seconds = time.perf_counter() - began
        dialogue.append(Message(Role.ASSISTANT, reply))
    return reply, seconds


def _row(name: str, outcomes: Sequence[Outcome]) -> str:
    shares = " | ".join(f"{share:.0%}" for share in accuracy(outcomes).values())
    beyond = sum(not outcome.case.sections for outcome in outcomes)
    return f"| {name} | {len(outcomes) - beyond} + {beyond} | {shares} |"


def main() -> None:
    """Ask everything and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--failures", choices=HALVES, help="also print what went wrong in this half")
    chosen = parser.parse_args()
    persona = Personas(SHIPPED).get("visavis")
    outcomes = {half: list(tried(persona, read(half))) for half in HALVES}
    print("| questions | answerable + not | first | within | wrong | asked back | gave up | declined |")
    print("|---|---|---|---|---|---|---|---|")
    for half in HALVES:
        for language in ("en", "zh"):
            print(_row(f"{half}, {language}", [one for one in outcomes[half] if one.case.language == language]))
    print(_row("all", [one for half in HALVES for one in outcomes[half]]))
    times = [one.milliseconds for half in HALVES for one in outcomes[half]]
    print(f"\nA reply takes {statistics.median(times):.1f} ms, {statistics.quantiles(times, n=20)[-1]:.1f} ms at p95.")
    for one in outcomes[chosen.failures] if chosen.failures else []:
        if one.kind not in ("first", "declined"):
            print(f"\n{one.kind}: {' > '.join(one.case.turns)}\n  {' '.join(sorted(one.case.sections)) or 'none'}")
            print(f"  {' '.join(one.sections)}: {one.reply}")


if __name__ == "__main__":
    main()
