"""Markdown, HTML and LaTeX without their marks, as the text arrives: what is left is what is shown and read out.

A Markdown parser needs a whole block before it says anything of it, and so would hold the first sentence of every
reply back. What is decided here is decided as soon as the text allows, and in favour of the reader: a mark that is
never closed is taken away as well.
"""

from __future__ import annotations

import html
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass

from pylatexenc.latex2text import LatexNodes2Text

from basics.scripts import HAN

_LONGEST_LINK, _LONGEST_CODE, _LONGEST_TAG, _LONGEST_FORMULA, _LONGEST_LINE = 400, 300, 200, 600, 4000
_DEEPEST = 8  # brackets in brackets
_CODE = {"en": "Code.", "zh": "代码。"}

_SPECIAL = re.compile(r"[\\`*_~\[!<$\n&=#-]|【")
_FENCE = re.compile(r"(`{3,}|~{3,}(?=[ \t]*[A-Za-z]))[^\n`]*(?:\n|$)")
_HEADING = re.compile(r"#{1,6}[ \t]+")
_QUOTE = re.compile(r"(?:>[ \t]?)+")
_ITEM = re.compile(r"[-*+•◦▪‣][ \t]+(?:\[[ xX]\][ \t]+)?")
_NUMBERED = re.compile(r"\d{1,3}[.)、](?=[ \t])")
_UNDECIDED = re.compile(r"(?:#{1,6}|>[ \t>]*|[-*+•◦▪‣][ \t]*(?:\[[ xX]?\]?)?|\d{1,3}[.)、]?|`{1,2}|~{1,3}|=+)[ \t]*$")
_RULE = re.compile(r"[ \t]*(?:[-*_=~+#][ \t]*){3,}$")
_DEFINITION = re.compile(r"\[[^\]\n]{1,80}\]:[ \t]")
_TABLE_RULE = re.compile(r"[|:\- \t+=]+$")
_CELL = re.compile(r"(?<!\\)\|")
_TAG = re.compile(r"<(?:!--.*?-->|/?[A-Za-z][^<>\n]*>)")
_LINE_TAG = re.compile(r"</?(?:br|p|li|ul|ol|div|tr|h[1-6]|table|blockquote)\b", re.IGNORECASE)
_AUTOLINK = re.compile(r"<((?:https?://|mailto:)?[^\s<>]+[.@][^\s<>]+)>")
_ENTITY = re.compile(r"&(?:[A-Za-z]{2,8}|#\d{1,6}|#x[0-9A-Fa-f]{1,5});")
_CITATION = re.compile(r"\^?\d{1,3}(?:\s*[,–-]\s*\d{1,3})*$|\^[^\]\s]{1,40}$")
_ENDS = re.compile(r"[.!?。！？：:;；…][\"'”’)）」』]*$")
_HAN = re.compile(rf"[{HAN}]")
_COMMAND = re.compile(r"\\[A-Za-z]+|[{}\\]|%s")
_SPACES = re.compile(r"\s+")

_latex = LatexNodes2Text(math_mode="text")
logging.getLogger("pylatexenc").setLevel(logging.CRITICAL)  # it would log what it cannot read, which is the user's


@dataclass(frozen=True)
class Plain:
    """A piece of text without marks.

    Attributes:
        end: how many characters of what was written lie behind it.
        is_copy: whether it is there as it was written, so that each of its characters is one of those.
    """

    text: str
    end: int
    is_copy: bool


class MarkRemover:
    """Collects pieces of text and gives them back without marks; how they were cut makes no difference."""

    def __init__(self, language: str = "") -> None:
        """
        Args:
            language: in which code is announced: `en`, `zh`, empty for that of the text before it; none in another.
        """
        self._language = language
        self._pending = ""
        self._read = 0  # characters of what was written that lie before `_pending`
        self._is_line_start = True
        self._is_heading = False
        self._fence = ""
        self._before = "\n"  # the last character that was given back
        self._is_chinese = False

    def push(self, text: str) -> Iterator[Plain]:
        """Take the next piece of text; yield what is certain now."""
        self._pending += text
        yield from self._all(final=False)

    def flush(self) -> Iterator[Plain]:
        """The text is over; yield what is left of it."""
        yield from self._all(final=True)

    def _all(self, *, final: bool) -> Iterator[Plain]:
        while self._pending:
            found = self._line_start(final) if self._is_line_start else self._inline(final)
            if found is None:
                return
            length, text = found
            is_copy = text == self._pending[:length]
            self._pending = self._pending[length:]
            self._read += length
            if text:
                self._before = text[-1]
                if letters := [character for character in text if character.isalpha()]:
                    self._is_chinese = any(map(_HAN.match, letters))
                yield Plain(text, self._read, is_copy)

    # Each of what follows says how many characters it takes and what is left of them, or None to wait for more.

    def _line_start(self, final: bool) -> tuple[int, str] | None:
        text = self._pending
        indent = len(text) - len(text.lstrip(" \t"))
        line_end = text.find("\n")
        line = text[indent:] if line_end < 0 else text[indent:line_end]
        is_whole = line_end >= 0 or final or len(text) > _LONGEST_LINE
        if self._fence:
            return self._fenced(line, is_whole)
        if not line and line_end >= 0:
            return line_end + 1, "\n"
        if not line or (_UNDECIDED.match(line) and not is_whole):
            return (len(text), "") if final else None
        return self._block(indent, line, is_whole)

    def _fenced(self, line: str, is_whole: bool) -> tuple[int, str] | None:
        """A line of code, which ends where the fence closes."""
        if not is_whole:
            return None
        if line.strip().startswith(self._fence) and not line.strip().strip(self._fence[0]):
            self._fence = ""
        end = self._pending.find("\n")
        return (end + 1 if end >= 0 else len(self._pending)), ""

    def _block(self, indent: int, line: str, is_whole: bool) -> tuple[int, str] | None:
        if _may_be_line_of_its_own(line):
            if not is_whole:
                return None
            if taken := self._whole_line(indent, line):
                return taken
        for kind in (_HEADING, _QUOTE, _ITEM):
            if match := kind.match(line):
                self._is_heading |= kind is _HEADING
                self._is_line_start = kind is _QUOTE
                return indent + match.end(), "" if kind is _QUOTE else self._new_block()
        self._is_line_start = False
        if _NUMBERED.match(line):
            return indent, self._new_block()
        return indent, ""

    def _new_block(self) -> str:
        """What ends the block before."""
        return "\n" if self._before == "\n" else "\n\n"

    def _whole_line(self, indent: int, line: str) -> tuple[int, str] | None:
        """A line that is no text: a fence, a table's row, a rule, a definition."""
        length = min(indent + len(line) + 1, len(self._pending))
        if match := _FENCE.match(line):
            self._fence = match[1]
            return length, f"{self._new_block()}{self._announced()}\n\n"
        if _RULE.match(line) or _DEFINITION.match(line) or (line[0] == "|" and _TABLE_RULE.match(line)):
            return length, self._new_block()
        if line[0] == "|":
            return length, f"{self._new_block()}{self._row(line)}\n\n"
        return None

    def _announced(self) -> str:
        return _CODE.get(self._language or ("zh" if self._is_chinese else "en"), "")

    def _row(self, line: str) -> str:
        cells = [plain(cell.strip().replace("\\|", "|")) for cell in _CELL.split(line)]
        told = [cell.strip() for cell in cells if cell.strip()]
        is_chinese = any(map(_HAN.search, told))
        row = ("，" if is_chinese else ", ").join(told)
        return row if not row or _ENDS.search(row) else row + ("。" if is_chinese else ".")

    def _inline(self, final: bool) -> tuple[int, str] | None:
        text = self._pending
        match = _SPECIAL.search(text)
        if match is None:
            return len(text), text
        if match.start():
            return match.start(), text[: match.start()]
        return _INLINE[text[0]](self, text, final)

    def _newline(self, text: str, final: bool) -> tuple[int, str] | None:
        self._is_line_start = True
        ended, self._is_heading = self._is_heading, False
        return 1, "\n\n" if ended else "\n"

    def _backslash(self, text: str, final: bool) -> tuple[int, str] | None:
        if len(text) < 2:
            return (1, "") if final else None
        if text[1] in "([":
            return _formula(text, 2, "\\)" if text[1] == "(" else "\\]", final)
        if text[1] == "\n":
            return 1, ""
        return (2, text[1]) if text[1] in "!\"#$%&'*+,-./:;<=>?@]^_`{|}~\\)" else (1, "\\")

    def _backtick(self, text: str, final: bool) -> tuple[int, str] | None:
        run = _run(text)
        if run == len(text) and not final:
            return None
        mark = "`" * run
        window, is_over = _window(text, _LONGEST_CODE, final)
        if found := re.compile(rf"(?<!`){mark}(?!`)").search(window, run):
            if found.end() == len(window) and not is_over:
                return None
            return found.end(), text[run : found.start()].strip().replace("\n", " ")
        return (run, "") if is_over else None

    def _emphasis(self, text: str, final: bool) -> tuple[int, str] | None:
        run = _run(text)
        if run == len(text) and not final:
            return None
        before, after = self._before, text[run : run + 1] or " "
        if run > 2 or (text[0] == "~" and run > 1):
            return run, ""
        if text[0] == "~":
            return run, "~"
        is_word = [each.isalnum() and (each.isascii() or text[0] == "_") for each in (before, after)]
        if text[0] == "_":
            return run, "_" * run if all(is_word) and run == 1 else ""
        is_product = before.isdigit() and after.isdigit()
        is_apart = before.isspace() and after.isspace()
        return run, "*" * run if is_product or (is_apart and before != "\n") or (run == 1 and all(is_word)) else ""

    def _ornament(self, text: str, final: bool) -> tuple[int, str] | None:
        """Three or more in a row are drawn, not meant."""
        run = _run(text)
        if run == len(text) and not final:
            return None
        if run > 2:
            return run, " — " if text[0] == "-" else ""
        return run, text[:run]

    def _image(self, text: str, final: bool) -> tuple[int, str] | None:
        if len(text) < 2:
            return (1, "!") if final else None
        if text[1] != "[":
            return 1, "!"
        found = self._bracket(text[1:], final)
        if found and found[1].startswith("["):  # no image
            return 1, "!"
        return (found[0] + 1, found[1]) if found else None

    def _bracket(self, text: str, final: bool) -> tuple[int, str] | None:
        window, is_over = _window(text, _LONGEST_LINK, final)
        close = _closing(window)
        following = window[close + 1 : close + 2]
        if close < 0 or not following:
            if not is_over:
                return None
            return (close + 1, "") if close > 0 and _CITATION.match(text[1:close]) else (1, "[")
        label = text[1:close]
        if _CITATION.match(label) and following != "(":
            return close + 1, ""
        if following not in "([":
            return 1, "["
        end = _closing(window[close + 1 :], "()" if following == "(" else "[]")
        if end < 0:
            return (1, "[") if is_over else None
        return close + end + 2, plain(label).strip()

    def _lens(self, text: str, final: bool) -> tuple[int, str] | None:
        """Where a model says what it quotes: 【4†source】."""
        window, is_over = _window(text, _LONGEST_TAG, final, "\n")
        end = window.find("】")
        if end < 0:
            return (1, "【") if is_over else None
        return (end + 1, "") if "†" in text[:end] else (1, "【")

    def _angle(self, text: str, final: bool) -> tuple[int, str] | None:
        if len(text) < 2 and not final:
            return None
        if not re.match(r"<[A-Za-z/!]", text):
            return 1, "<"
        window, is_over = _window(text, _LONGEST_TAG, final, "\n")
        if match := _AUTOLINK.match(window):
            return match.end(), match[1].removeprefix("mailto:")
        if match := _TAG.match(window):
            return match.end(), "\n\n" if _LINE_TAG.match(match[0]) else ""
        return (1, "<") if is_over else None

    def _dollar(self, text: str, final: bool) -> tuple[int, str] | None:
        if len(text) < 2:
            return (1, "$") if final else None
        if text[1] == "$":
            return _formula(text, 2, "$$", final)
        if not (text[1].isalpha() or text[1] in "\\({[|") or self._before.isalnum():
            return 1, "$"
        window, is_over = _window(text, _LONGEST_TAG, final, "\n")
        end = window.find("$", 1)
        if end < 0:
            return (1, "$") if is_over else None
        if text[end - 1].isspace():
            return 1, "$"
        return end + 1, _without_latex(text[1:end])

    def _ampersand(self, text: str, final: bool) -> tuple[int, str] | None:
        if match := _ENTITY.match(text):
            return match.end(), html.unescape(match[0]).replace("\xa0", " ")
        return None if re.fullmatch(r"&[A-Za-z#0-9]{0,8}", text) and not final else (1, "&")

    def _hash(self, text: str, final: bool) -> tuple[int, str] | None:
        """Marks at the end of a heading are no part of it."""
        if not self._is_heading:
            return 1, "#"
        run = _run(text)
        if not text[run:].strip(" \t") and not final:
            return None
        return run, "" if text[run:].strip(" \t")[:1] in ("", "\n") else text[:run]


_INLINE = {
    "\n": MarkRemover._newline,
    "\\": MarkRemover._backslash,
    "`": MarkRemover._backtick,
    "*": MarkRemover._emphasis,
    "_": MarkRemover._emphasis,
    "~": MarkRemover._emphasis,
    "=": MarkRemover._ornament,
    "-": MarkRemover._ornament,
    "[": MarkRemover._bracket,
    "!": MarkRemover._image,
    "【": MarkRemover._lens,
    "<": MarkRemover._angle,
    "$": MarkRemover._dollar,
    "&": MarkRemover._ampersand,
    "#": MarkRemover._hash,
}


def plain(text: str) -> str:
    """A whole text without marks."""
    remover = MarkRemover()
    return "".join(piece.text for source in (remover.push(text), remover.flush()) for piece in source)


def _may_be_line_of_its_own(line: str) -> bool:
    """Whether more of the line may show that it is no text."""
    return bool(re.match(r"\||`{3}|~{3}|\[[^\]\n]{0,80}$|\[[^\]\n]{1,80}\]:|(?:[-*_=~+#][ \t]*){2,}$", line)) or (
        bool(_RULE.match(line))
    )


def _window(text: str, longest: int, final: bool, end: str = "\n\n") -> tuple[str, bool]:
    """Where a mark may close: up to the end of its line or paragraph, and not too far; whether all of that is there."""
    at = text.find(end, 0, longest)
    return text[: at if at >= 0 else longest], final or at >= 0 or len(text) >= longest


def _run(text: str) -> int:
    """How often the first character is repeated at the beginning."""
    return len(text) - len(text.lstrip(text[0]))


def _closing(text: str, pair: str = "[]") -> int:
    """Where the bracket that the text begins with closes; -1 if it does not, or holds more than anybody writes."""
    depth = 0
    for index, character in enumerate(text):
        if character == pair[0]:
            depth += 1
            if depth > _DEEPEST:
                return -1
        elif character == pair[1]:
            depth -= 1
            if not depth:
                return index
    return -1


def _formula(text: str, start: int, mark: str, final: bool) -> tuple[int, str] | None:
    window, is_over = _window(text, _LONGEST_FORMULA, final)
    end = window.find(mark, start)
    if end < 0:
        return (start, "") if is_over else None
    return end + len(mark), _without_latex(text[start:end])


def _without_latex(formula: str) -> str:
    """A formula as it would be written without LaTeX: `\\frac{1}{2}` as 1/2."""
    formula = formula.strip()
    try:
        text = _latex.latex_to_text(formula)
    except Exception:  # noqa: BLE001 - whatever it is that cannot be parsed, it is a user's text and no fault
        text = formula
    if "%s" in text or "\\" in text:
        text = _COMMAND.sub(" ", formula)
    return _SPACES.sub(" ", text.replace("^∘", "°")).strip()
