"""What is said for the abbreviations and Roman numerals of an English sentence."""

from __future__ import annotations

import re

from services.tts.reading.numbers import English, roman
from services.tts.reading.patterns import DASH, any_of
from services.tts.reading.rules import Rule, rule, stop

_Match = re.Match[str]

_TITLES = {
    "Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "Dr": "Doctor", "Prof": "Professor", "Mt": "Mount", "Ft": "Fort",
    "Gen": "General", "Gov": "Governor", "Sen": "Senator", "Rep": "Representative", "Capt": "Captain",
    "Lt": "Lieutenant", "Sgt": "Sergeant", "Col": "Colonel", "Rev": "Reverend", "Hon": "Honorable",
}  # fmt: skip
_UNDOTTED = {name: _TITLES[name] for name in ("Mr", "Mrs", "Ms", "Dr", "Mt")} | {"St": "Saint"}
_ABBREVIATIONS = {
    "Jr": "Junior", "Sr": "Senior", "Inc": "Incorporated", "Ltd": "Limited", "Co": "Company", "Corp": "Corporation",
    "Ave": "Avenue", "Blvd": "Boulevard", "Rd": "Road", "St": "Street", "Bros": "Brothers", "etc": "et cetera",
    "approx": "approximately", "dept": "department", "Dept": "Department", "vs": "versus", "cf": "compare",
    "e.g": "for example", "E.g": "For example", "i.e": "that is", "I.e": "That is", "a.k.a": "also known as",
    "Ph.D": "PhD",
}  # fmt: skip
_BEFORE_NUMBER = {
    "Fig": "Figure", "fig": "figure", "Vol": "Volume", "vol": "volume", "Nr": "number", "No": "number", "pp": "pages",
    "p": "page", "ch": "chapter", "Ch": "Chapter", "min": "minimum", "max": "maximum", "est": "estimated",
    "tel": "telephone", "Tel": "Telephone", "avg": "average",
}  # fmt: skip
_WEEKDAYS = {
    "Mon": "Monday", "Tue": "Tuesday", "Tues": "Tuesday", "Wed": "Wednesday", "Thu": "Thursday", "Thurs": "Thursday",
    "Fri": "Friday", "Sat": "Saturday", "Sun": "Sunday",
}  # fmt: skip
_WEEKDAY = f"(?:{any_of(_WEEKDAYS)})"
_NEAR_DAYS = re.compile(r"\b(?:on|by|or|until|next|last|this|every|from|to)\s$|[(,/]\s?$")

_REIGNS = (
    r"(?:Henry|Louis|Elizabeth|Charles|George|Edward|Richard|William|James|Philip|Napoleon|Pope(?: [A-Z][a-z]+)+|"
    r"Benedict|Pius|John Paul|Francis|Frederick|Wilhelm|Catherine|Nicholas|Alexander|Peter|Ivan|Leo|Gregory|Mary|"
    r"Victor Emmanuel|Ferdinand|Ramses|Rameses|Ptolemy|Franz Joseph|Harald|Carl|Haakon|Felipe|Juan Carlos)"
)
_PARTS = (
    r"(?:[Cc]hapter|[Pp]art|[Vv]olume|[Vv]ol\.|[Bb]ook|[Ss]ection|[Aa]ct|[Ss]cene|[Pp]hase|[Tt]ype|[Cc]lass|[Ll]evel|"
    r"[Aa]rticle|[Aa]ppendix|[Ff]igure|[Tt]able|[Tt]itle|[Ss]tage|[Gg]rade|[Rr]ound|World War|Super Bowl)"
)
_NUMERAL = r"(?=[IVX]|L[IVX])(?:XL|L?X{0,3})(?:IX|IV|V?I{0,3})"
_LONG_NUMERAL = r"(?:II|III|IV|VI{1,3}|IX|XI{1,3}|XIV|XVI{0,3}|XIX|XXI{0,3})"
_ENDS = r"(?=[,.;:!?)]|$|[’']s\b)"


def _abbreviation(match: _Match) -> str:
    return _ABBREVIATIONS[match["short"]] + stop(match, match[0])


def _saint_or_street(match: _Match) -> str:
    """A street where it follows a name within the sentence, as in `at Baker St. We …`."""
    is_street = re.search(r"\w\S* [A-Z][a-z]+ $", match.string[: match.start()])
    return "Street. " if is_street else "Saint "


def _weekday(match: _Match) -> str | None:
    """`Sat.` may be said of a cat, and `Sun.` shine."""
    day, before, after = match["day"], match.string[: match.start()], match.string[match.end() :]
    is_word = day in ("Sat", "Sun", "Wed")
    if is_word and not _NEAR_DAYS.search(before) and not re.match(r",? (?:\d|[A-Z][a-z]{2}\b)", after):
        return None
    return _WEEKDAYS[day] + stop(match, match[0])


def _reign(match: _Match) -> str:
    return f"{match['name']} the {English.ordinal(str(roman(match['numeral']))).title()}"


def _part(match: _Match) -> str:
    return f"{match['name']} {English.cardinal(str(roman(match['numeral'])))}"


RULES: list[Rule] = [
    rule(
        rf"\b(?P<first>{_WEEKDAY})\.?{DASH}(?P<last>{_WEEKDAY})\b\.?",
        lambda m: f"{_WEEKDAYS[m['first']]} to {_WEEKDAYS[m['last']]}",
    ),
    rule(rf"\b(?P<day>{_WEEKDAY})\.(?!\w)", _weekday),
    rule(
        rf"\b(?P<name>{_REIGNS}) (?P<numeral>{_LONG_NUMERAL}|[IVX](?:{_ENDS}|(?= (?:of|was|died)\b)))(?![A-Za-z])",
        _reign,
    ),
    rule(rf"\b(?P<name>{_PARTS}) (?P<numeral>{_NUMERAL})(?![A-Za-z])", _part),
    rule(rf"\b(?P<name>[A-Z][a-z]+) (?P<numeral>(?!IV|VI\b){_LONG_NUMERAL}|(?:IV|VI){_ENDS})(?![A-Za-z])", _part),
    rule(r"\bAT&T\b", "A.T. and T"),
    rule(rf"(?<![A-Za-z])(?P<short>{any_of(_BEFORE_NUMBER)})\.\s?(?=\d)", lambda m: f"{_BEFORE_NUMBER[m['short']]} "),
    rule(r"(?<!\w)#(?=\d)|№\s?", "number "),
    rule(r"\bca?\.\s?(?=(?:1\d|20)\d\d)", "circa "),
    rule(r"\bSt\.\s(?=[A-Z][a-z])", _saint_or_street),
    rule(rf"\b(?P<short>{any_of(_TITLES)})\.(?=\s?(?:[A-Z&]|and\b))", lambda m: _TITLES[m["short"]]),
    rule(rf"\b(?P<short>{any_of(_ABBREVIATIONS)})\.(?!\w)", _abbreviation),
    rule(rf"\b(?P<short>{any_of(_UNDOTTED)})(?=\s[A-Z][a-z])", lambda m: _UNDOTTED[m["short"]]),
    rule(r"\bvs\b", "versus"),
    rule(r"(?<![\w/])w/o\b", "without"),
    rule(r"(?<![\w/])w/(?=\s?\w)", "with "),
    rule(r"\bC\+\+", "C plus plus"),
    rule(r"\b(?P<letter>[CF])#(?!\w)", lambda m: f"{m['letter']} sharp"),
]
