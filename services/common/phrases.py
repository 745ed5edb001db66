"""Where a text may be broken into lines, and how well it may there.

As the style guides of broadcasters have it (BBC Subtitle Guidelines, "Break at natural points"; Netflix Timed Text
Style Guide, "Line Treatment"): after punctuation, before a conjunction or a preposition; never between an article and
its noun, within a name, or between a number and its unit. Chinese is broken between words, of which a dictionary knows
the kind. Of other languages that have spaces only the punctuation is known.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from types import ModuleType

from basics.scripts import EAST_ASIAN, HAN

SENTENCE, CLAUSE, ENUMERATION = 0.0, 1.0, 2.0
"""What a break costs after the punctuation of each …"""
CONJUNCTION, PREPOSITION, ANYWHERE, NEAR, BAD, NEVER = 3.0, 4.0, 6.0, 8.0, 12.0, 100.0
"""… before such a word; between any two; between two that belong together, probably or surely; where none should be."""
_UNEVEN = 0.08  # what a column costs that one line is longer than another

_CLOSING = ",.;:?!%)\\]}…，。；：？！、）】》〉」』”’％‰°·ー～"
_OPENING = "(\\[{“‘（【《〈「『"
_WIDE_MARKS = "，。；：？！、）】》〉」』（【《〈「『…“”‘’～·"
_PIECE = re.compile(rf"[{_WIDE_MARKS}]|[{EAST_ASIAN}]+|[^\s{EAST_ASIAN}{_WIDE_MARKS}]+")
_IS_CLOSING, _IS_OPENING = re.compile(f"[{_CLOSING}]+"), re.compile(f"[{_OPENING}]")
_IS_EAST_ASIAN, _IS_HAN = re.compile(f"[{EAST_ASIAN}]"), re.compile(f"[{HAN}]")
_QUOTES = "\"'”’」』)）】》]"

_NUMBER = re.compile(r"[-+–]?[$€£¥]?\d[\d.,:/]*%?$")


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_NUMBERS = _set("""zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion
    point""")
_UNITS = _set("""percent % ° °c degrees mm cm m km g kg t l ml s ms min h hz khz mhz ghz kb mb gb tb fps px w kw v a.m.
    p.m. am pm seconds minutes hours days weeks months years second minute hour day week month year times metres meters
    kilometres kilometers miles feet inches pounds dollars euros cents yuan hundred thousand million billion""")
_ARTICLES = _set("""a an the my your his its our their this these those some any no every each both another which whose
    mr mrs ms dr prof st mr. mrs. ms. dr. prof. st.""")
_CONJUNCTIONS = _set("""and but or nor so yet because although though while when whenever where whereas if unless until
    since after before that which who whom whose as whether""")
_PREPOSITIONS = _set("""in on at to for from with without by about into onto over under between among through during
    against across behind beyond near of off upon within towards toward around along despite like per via""")
_OBJECTS = _set("it you me him them us there")
_LEANING = _CONJUNCTIONS | _PREPOSITIONS
_LEANING |= _set("""i you he she it we they i'm you're he's she's it's we're they're i've we've they've i'll you'll
    he'll we'll they'll there there's am is are was were be been being have has had do does did will would shall should
    can could may might must not don't doesn't didn't isn't aren't wasn't can't cannot won't wouldn't never very more
    most quite too really let's what how her than""")
"""Words that lean on the next one, and do not end a line well."""
_SHUNNED = (_OBJECTS - {"there"}) | {"than"}
"""Words that lean on the one before, and do not begin one."""
_TITLES = _set("mr. mrs. ms. dr. prof. st. e.g. i.e. vs. cf.")
_PARTICLES = frozenset("的了着著过過得们們吗嗎呢吧啊呀嘛哦啦")
_DATE = frozenset("年月日号點点时時分秒岁歲块塊第")
_NO_NUMBERS = frozenset(("一起", "一些", "一样", "一樣", "一直", "一下", "一定", "许多", "許多", "很多", "不少"))
_RESULTS = frozenset("完好到掉住开開起来來去出成")
_ADDRESSES = frozenset(("先生", "女士", "小姐", "老师", "老師", "教授", "博士", "医生", "總理", "总理", "主席"))
_CHINESE_LINKING = frozenset("也却就还還又而才并並且但则則仍或")
_CHINESE_LEANING = frozenset(("这", "那", "每", "各", "某", "这个", "那个", "哪", "不", "没", "很", "最", "更", "太"))


@dataclass(frozen=True)
class Unit:
    """What no line break may split: a word with the punctuation that belongs to it.

    Attributes:
        start: index of its first character in the text.
        end: index after its last.
        cost: of a break before it.
    """

    start: int
    end: int
    cost: float


@dataclass(frozen=True)
class _Word:
    start: int
    end: int
    kind: str = ""  # what the Chinese dictionary says that it is, as PKU's tags have it


def units(text: str, widest: int = 40) -> list[Unit]:
    """A text in the pieces between which it may be broken.

    Args:
        widest: columns of a line; a word that is longer is cut.
    """
    words = list(_words(text))
    found: list[Unit] = []
    for index, word in enumerate(words):
        if index and _is_one(text, words[index - 1], word):
            found[-1] = Unit(found[-1].start, word.end, found[-1].cost)
        else:
            found.append(Unit(word.start, word.end, _cost(text, words, index) if index else NEVER))
    return [piece for unit in found for piece in _cut(text, unit, widest)]


def columns(text: str) -> int:
    """Width of the text on a screen: a full-width character, such as a Chinese one, fills two."""
    return sum(2 if is_wide(character) else 1 for character in text)


def is_wide(character: str) -> bool:
    """Whether a character is full-width."""
    return unicodedata.east_asian_width(character) in "WF"


def joined(parts: Iterable[str]) -> str:
    """Parts of a text as one: spaces between Latin words, none between Chinese ones or before punctuation."""
    text = ""
    for part in filter(None, parts):
        is_tight = not text or is_closing(part[0]) or (is_wide(text[-1]) and is_wide(part[0]))
        text += part if is_tight else f" {part}"
    return text


def is_closing(mark: str) -> bool:
    """Whether a character is punctuation that belongs to the word before it."""
    return bool(_IS_CLOSING.match(mark))


def lines(text: str, fits: Callable[[str], bool], most: int) -> list[str] | None:
    """A text in as few lines as fit, broken where that costs least; None if it does not fit in that many."""
    pieces = units(text)

    def line(first: int, last: int) -> str:
        return text[pieces[first].start : pieces[last - 1].end]

    def room(first: int, last: int) -> bool:
        return fits(line(first, last))

    for count in range(1, most + 1):
        if found := breaks(pieces, 0, len(pieces), room, count):
            edges = [0, *found[1], len(pieces)]
            return [line(first, last) for first, last in zip(edges, edges[1:], strict=False) if last > first]
    return None


def breaks(
    pieces: list[Unit], first: int, last: int, room: Callable[[int, int], bool], count: int
) -> tuple[float, tuple[int, ...]] | None:
    """Before which of the units [first, last) to begin the second and later ones of so many lines, and what that costs.

    Args:
        room: whether the units [first, last) fit in one line.
    """
    if count == 1:
        return (0.0, ()) if first == last or room(first, last) else None
    best: tuple[float, tuple[int, ...]] | None = None
    for at in range(last - 1, first, -1):
        if not room(at, last):
            break
        if best and pieces[at].cost >= best[0]:
            continue
        if above := breaks(pieces, first, at, room, count - 1):
            begun = pieces[above[1][-1] if above[1] else first].start
            uneven = abs((pieces[at - 1].end - begun) - (pieces[last - 1].end - pieces[at].start))
            cost = above[0] + pieces[at].cost + _UNEVEN * uneven
            if best is None or cost < best[0]:
                best = cost, (*above[1], at)
    return best


def _words(text: str) -> Iterator[_Word]:
    for piece in _PIECE.finditer(text):
        if not _IS_HAN.match(piece[0]):
            yield _Word(piece.start(), piece.end())
            continue
        at = piece.start()
        for word, kind in _dictionary().tag(piece[0]):
            yield _Word(at, at + len(word), kind)
            at += len(word)


@cache
def _dictionary() -> ModuleType:
    """Takes half a second and 30 MiB: only where Chinese is written."""
    import rjieba

    rjieba.add_word("数字人", 10_000, "n")
    return rjieba


def _is_one(text: str, left: _Word, right: _Word) -> bool:
    """Whether no break may come between: a mark belongs to a word, or no space parts two that are not Chinese."""
    if left.end < right.start:
        return bool(_IS_CLOSING.fullmatch(text[right.start : right.end]))
    before, after = text[left.end - 1], text[right.start]
    if is_closing(after) or _IS_OPENING.match(before):
        return True
    return not (_IS_EAST_ASIAN.match(before) or _IS_EAST_ASIAN.match(after) or is_closing(before))


def _cut(text: str, unit: Unit, widest: int) -> Iterator[Unit]:
    start, cost = unit.start, unit.cost
    while columns(text[start : unit.end]) > widest:
        end = start + 1
        while columns(text[start : end + 1]) <= widest:
            end += 1
        yield Unit(start, end, cost)
        start, cost = end, NEVER
    yield Unit(start, unit.end, cost)


def _cost(text: str, words: list[_Word], index: int) -> float:
    """Of a break before the word at this index, which is not the first."""
    left, right = words[index - 1], words[index]
    before, after = text[left.start : left.end], text[right.start : right.end]
    if (cost := _after_marks(before, text[max(0, left.end - 8) : left.end].rstrip(_QUOTES)[-1:], after)) is not None:
        return cost
    if left.kind or right.kind:
        return _chinese(before, left.kind, after, right.kind)
    return _spaced([text[word.start : word.end] for word in words[max(0, index - 2) : index + 2]], min(index, 2))


def _after_marks(before: str, mark: str, after: str) -> float | None:
    """What a break costs that follows punctuation; None if it follows none.

    Args:
        mark: the last character that is no quotation mark or bracket.
    """
    if before.lower() in _TITLES or re.fullmatch(r"[A-Z]\.", before):
        return NEVER
    if mark == "." and after[0].islower():  # of an abbreviation
        return None
    if mark and mark in ".?!。？！…":
        return SENTENCE
    if mark and mark in ",;:，；：—–":
        return CLAUSE
    if mark == "、":
        return ENUMERATION
    return CLAUSE if before[-1] in _QUOTES and before[-1] != "'" else None


def _spaced(words: list[str], at: int) -> float:
    """Between two words of a language with spaces, seen with one more on either side.

    Args:
        at: index of the right one.
    """
    left, right = words[at - 1].lower(), words[at].lower()
    is_number = [bool(_NUMBER.match(word)) or word.lower() in _NUMBERS for word in words]
    if is_number[at - 1] and (is_number[at] or right.rstrip(_CLOSING) in _UNITS):
        return NEVER
    if right == "and" and left in ("hundred", "thousand", "million") and is_number[at + 1 : at + 2] == [True]:
        return NEVER
    if left == "and" and is_number[at] and at > 1 and words[at - 2].lower() in ("hundred", "thousand", "million"):
        return NEVER
    if left in _ARTICLES or (_is_name(words[at - 1]) and _is_name(words[at])):
        return NEVER
    begins = right in _CONJUNCTIONS or right in _PREPOSITIONS
    if is_number[at - 1] or (left in _LEANING and not (begins and left in _OBJECTS)):
        return BAD
    if right in _CONJUNCTIONS:
        return CONJUNCTION
    if right in _PREPOSITIONS:
        return PREPOSITION
    is_adjective = at > 1 and words[at - 2].lower() in _ARTICLES  # probably, before the article's noun
    return NEAR if is_adjective or right in _SHUNNED or right[0].isdigit() else ANYWHERE


def _is_name(word: str) -> bool:
    return word[:1].isupper() and word.lower() not in _LEANING and not _NUMBER.match(word)


def _chinese(before: str, left: str, after: str, right: str) -> float:
    """Between two words of which one is Chinese at least; a kind is "" where a word is not."""
    is_number = bool(_NUMBER.match(before)) or (left == "m" and before not in _NO_NUMBERS and before not in _DATE)
    if right[:1] in ("u", "y", "k") or after in _PARTICLES or left == "h":
        return NEVER
    if is_number and (right in ("m", "q") or len(after) == 1 or after[0] in _DATE or not right):
        return NEVER
    if before in _DATE and (right == "m" or _NUMBER.match(after)):
        return NEVER
    if (left == "nr" and (right == "nr" or len(before) == 1)) or (len(before) == 1 and after in _ADDRESSES):
        return NEVER
    if (left == right == "n" and len(after) == 1) or (left[:1] == "v" and after in _RESULTS):
        return NEVER
    if is_number or left in ("q", "p", "c", "d", "zg") or before in _CHINESE_LEANING or right == "f":
        return BAD
    if right == "c" or after in _CHINESE_LINKING:
        return CONJUNCTION
    if right == "p":
        return PREPOSITION
    return NEAR if left == "uj" else ANYWHERE
