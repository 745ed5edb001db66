"""What is said for the numbers, signs and abbreviations of an English sentence."""

from __future__ import annotations

import re
import unicodedata

from services.tts.reading import abbreviations, addresses
from services.tts.reading.numbers import MONTHS, VULGAR, English, bare, vulgar
from services.tts.reading.patterns import DASH, INSTANT, NUMBER, SIGN, START, any_of, initials
from services.tts.reading.rules import Rule, rule, stop
from services.tts.reading.units import CURRENCIES, ONLY_CLOSE, TEMPERATURES, UNITS

_Match = re.Match[str]

MINUS = r"(?:(?<![\w)\]%°])[-−–](?=[\d.]))?"

cardinal, digits, ordinal, year = English.cardinal, English.digits, English.ordinal, English.year

_MONTH_NAMES = {name[:3].lower(): name for name in MONTHS} | {"sept": "September"}
_MONTH = "(?:" + "|".join(f"{name[:3]}(?:{name[3:]})?" for name in MONTHS if name != "May") + r"|Sept|May)\b\.?"
_DAY = r"(?:3[01]|[12]\d|0?[1-9])"
_YEAR = r"(?:1\d|20)\d\d"
_SCALES = {"k": "thousand", "K": "thousand", "m": "million", "M": "million", "mn": "million", "bn": "billion"}
_SCALES |= {"B": "billion", "b": "billion", "T": "trillion", "tn": "trillion"}
_SCALE = r"(?:\s?(?P<scale>thousand|million|billion|trillion|mn|bn|tn|[kKmMbBT])\b)?"
_UNIT = any_of(UNITS)

_ADDRESS_MARKS = {
    ".": "dot", "/": "slash", "@": "at", "-": "dash", "_": "underscore", "+": "plus", ":": "colon", "~": "tilde",
    "=": "equals", "%": "percent", "&": "and",
}  # fmt: skip
_SHARP = " o'clock"
_POWERS = {"²": " squared", "³": " cubed", "2": " squared", "3": " cubed"}
_GREEK = {letter: unicodedata.name(letter).split()[-1].lower() for letter in "αβγδεζηθικμνξπρστυφχψωΔΣΩΠΦΘΓ"}
_GREEK |= {"λ": "lambda", "Λ": "lambda"}  # whose name Unicode spells otherwise
_OPERATORS = {
    "=": "equals", "+": "plus", "×": "times", "⋅": "times", "·": "times", "÷": "divided by", "±": "plus or minus",
    "≠": "does not equal", "≈": "is about", "≤": "is at most", "≥": "is at least", "≡": "is equivalent to",
    "∞": "infinity", "√": "the square root of", "∑": "the sum of", "∫": "the integral of", "∂": "partial", "∈": "in",
    "∝": "is proportional to", "→": "to", "⇒": "implies", "∇": "nabla", "∏": "the product of", "−": "minus",
}  # fmt: skip
_SIGNS = {"&": "and", "@": "at", "%": "percent", "°": "degrees", "§": "section", "¢": "cents", "№": "number"}


def date(day: str, month: int, of_year: str = "") -> str:
    """`May twelfth, twenty twenty-three`."""
    told = f"{MONTHS[month - 1]} {ordinal(day)}"
    return f"{told}, {year(of_year)}" if of_year else told


def amount(number: str, sign: str, scale: str = "") -> str:
    """An amount of money, its hundredths by their own name."""
    currency = CURRENCIES[sign]
    number = bare(number)
    if scale:
        return f"{cardinal(number)} {_SCALES.get(scale, scale)} {currency.many}"
    whole, _, decimals = number.partition(".")
    if len(decimals) > 2:
        return f"{cardinal(number)} {currency.many}"
    cents = int(decimals.ljust(2, "0") or 0)
    told = [f"{cardinal(whole)} {currency.one if int(whole) == 1 else currency.many}"] if int(whole or 0) else []
    if cents or not told:
        cent = (currency.cent if cents == 1 else currency.cents) if cents else currency.many
        told.append(f"{cardinal(str(cents))} {cent}")
    return " and ".join(told)


def measure(number: str, sign: str) -> str:
    """A number and its unit."""
    unit = UNITS[sign]
    return f"{cardinal(number)} {unit.one if bare(number).lstrip('-−–') == '1' else unit.many}"


def _signed(sign: str | None, told: str) -> str:
    return f"minus {told}" if sign else told


def _version(match: _Match) -> str | None:
    parts = match["parts"].split(".")
    if len(parts) == 4 and not match["v"]:
        return " dot ".join(map(digits, parts))
    told = " point ".join(map(cardinal, parts))
    return f"version {told}" if match["v"] else told


def _dotted_date(match: _Match) -> str | None:
    day, month, of_year = match[0].split(".")
    return date(day, int(month), of_year) if 1 <= int(month) <= 12 and 1 <= int(day) <= 31 else None


def _iso_date(match: _Match) -> str | None:
    of_year, month, day = re.split(r"[-/.]", match["date"])
    if not (1 <= int(month) <= 12 and 1 <= int(day) <= 31):
        return None
    told = date(day, int(month), of_year)
    return f"{told} at {clock(match['hour'], match['minute'])}" if match["hour"] else told


def _slash_date(match: _Match) -> str | None:
    month, day, of_year = (int(part) for part in match[0].split("/"))
    if month > 12:
        month, day = day, month
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    return date(str(day), month, str(of_year + 2000 if of_year < 50 else of_year + 1900 if of_year < 100 else of_year))


def _month_name(text: str) -> str:
    return _MONTH_NAMES.get(text.rstrip(".").lower()[:3], text)


def _month_first(match: _Match) -> str:
    told = f"{_month_name(match['month'])} {ordinal(match['day'])}"
    if match["last"]:
        told += f" to {ordinal(match['last'])}"
    return f"{told}, {year(match['year'])}" if match["year"] else told


def _day_first(match: _Match) -> str:
    told = f"{'' if match['the'] else 'the '}{ordinal(match['day'])} of {_month_name(match['month'])}"
    told = (match["the"] or "") + told
    return f"{told} {year(match['year'])}" if match["year"] else told


def clock(hour: str, minute: str, second: str = "") -> str:
    """`ten thirty`, `ten oh five`, `ten o'clock`."""
    past = "o'clock" if not int(minute) else f"oh {cardinal(minute[1:])}" if minute[0] == "0" else cardinal(minute)
    told = f"{cardinal(str(int(hour)))} {past}"
    return f"{told} and {cardinal(str(int(second)))} seconds" if second else told


def _time(match: _Match) -> str | None:
    hour, minute, half = match["hour"], match["minute"] or "00", match["half"]
    if int(hour) > 24 or int(minute) > 59:
        return None
    told = clock(hour, minute, match["second"] or "")
    if half:
        told = f"{told.removesuffix(_SHARP)} {'AM' if half[0] in 'aA' else 'PM'}"
    return told + stop(match, half or "")


def _phone(match: _Match) -> str:
    groups = re.findall(r"\d+", match[0])
    return ("plus " if match[0].startswith("+") else "") + ", ".join(map(digits, groups))


def _money_before(match: _Match) -> str:
    told = amount(match["number"], match["sign"], match["scale"] or "")
    if match["last"]:
        first = cardinal(match["number"]) if match["scale"] else amount(match["number"], match["sign"])
        told = f"{first} to {amount(match['last'], match['sign'], match['scale'] or '')}"
    return _signed(match["minus"], told)


def _money_after(match: _Match) -> str:
    told = amount(match["number"], match["sign"], match["scale"] or "")
    if match["first"]:
        told = f"{cardinal(match['first'])} to {told}"
    return _signed(match["minus"], told)


def _measure(match: _Match) -> str | None:
    sign = match["unit"]
    if sign in ONLY_CLOSE and match["gap"] and re.match(r"\s*\w", match.string[match.end() :]):
        return None
    if match["last"]:
        told = f"{cardinal(match['number'])} to {measure(match['last'], sign)}"
    else:
        told = measure(match["number"], sign)
    if not match["minus"]:
        return told
    return f"minus {told}" if sign in TEMPERATURES or not match["last"] else told


def _fraction(match: _Match) -> str | None:
    whole, above, below = match["whole"], match["above"], match["below"]
    if (above, below) in (("24", "7"), ("9", "11"), ("50", "50")):
        return f"{cardinal(above)} {cardinal(below)}"
    if not int(below):
        return None
    if re.match(r"\s?(?:stars?|points?|rating)\b", match.string[match.end() :]):
        return f"{cardinal(above)} out of {cardinal(below)}"
    return _signed(match["minus"], _mixed(whole, above, below))


def _mixed(whole: str | None, above: str, below: str) -> str:
    told = English.fraction(above, below)
    return f"{cardinal(whole)} and {re.sub('^one ', 'a ', told)}" if whole else told


def _vulgar(match: _Match) -> str:
    return _mixed(match["whole"], *vulgar(match["part"]))


def _range(match: _Match) -> str:
    first, last = match["first"], match["last"]
    if re.fullmatch(_YEAR, first) and re.fullmatch(_YEAR, last):
        return f"{year(first)} to {year(last)}"
    if re.fullmatch(r"(?:19|20)\d\d", first) and re.fullmatch(r"\d\d", last):
        return f"{year(first)} to {cardinal(last)}"
    return _signed(match["minus"], f"{cardinal(first)} to {cardinal(last)}")


def _decade(match: _Match) -> str:
    number = match["year"]
    if len(number) == 2:
        return _several(cardinal(number))
    if number.endswith("00"):
        return f"{year(number)}s"
    return _several(year(number))


def _several(told: str) -> str:
    return told[:-1] + "ies" if told.endswith("y") else f"{told}s"


def _number(match: _Match) -> str | None:
    number = match["number"]
    if re.fullmatch(_YEAR, number) and not match["minus"] and _is_year(match):
        return year(number)
    if len(number) > 9 and number.isdecimal():
        return digits(number)
    plus = match["plus"]
    told = ("plus " if plus else "") + cardinal(number)
    return _signed(match["minus"], told)


_YEAR_BEFORE = re.compile(
    r"(?:in|since|from|until|till|during|before|after|year|late|early|mid|circa|ca?\.|©|class of|"
    r"Spring|Summer|Autumn|Fall|Winter|" + _MONTH + r")[\s(,]*$",
    re.IGNORECASE,
)
_COUNTED = re.compile(
    r"\s+(?:[a-z]+\s+)?(?!(?:was|is|has|as|does|this|its|his|us|less|across)\b)[a-z]+s\b|"
    r"\s*(?:people|men|women|children|percent|feet)\b"
)


def _is_year(match: _Match) -> bool:
    number, before, after = match["number"], match.string[: match.start()], match.string[match.end() :]
    return bool(_YEAR_BEFORE.search(before)) or ("1900" <= number < "2100" and not _COUNTED.match(after))


def _power(match: _Match) -> str:
    exponent = match["power"].strip("{}()")
    told = _POWERS.get(exponent) or f" to the power of {_GREEK.get(exponent) or plain_number(exponent)}"
    return told.strip()


def plain_number(text: str) -> str:
    """A number or a letter."""
    if re.fullmatch(r"[-−]?\d+(?:\.\d+)?", text):
        return cardinal(text)
    return " ".join(text.replace("-", " minus ").replace("+", " plus ").split())


def _variables(match: _Match) -> str:
    return " ".join(match[0])


def _operator(match: _Match) -> str:
    return _OPERATORS[match[0].strip()]


def _times(match: _Match) -> str:
    """`1920x1080` as nineteen twenty by ten eighty, `3x4` as three by four, `3 × 4` as three times four."""
    sides = match["a"], match["b"]
    if min(map(int, sides)) < 32:
        return f"{cardinal(sides[0])} {'by' if 'x' in match[0] else 'times'} {cardinal(sides[1])}"
    return " by ".join(year(side) if len(side) == 4 and not side.endswith("000") else cardinal(side) for side in sides)


def _code(match: _Match) -> str:
    """`ISO9001`: short capitals and the digits one by one, but for a year."""
    letters, number = match["letters"], match["digits"]
    return f"{initials(letters)} {year(number) if re.fullmatch(r'(?:19|20)[0-9][0-9]', number) else digits(number)}"


def _scaled(match: _Match) -> str | None:
    """`10k` and `3.4M`; a single capital is a name as in `4K` and `221B`."""
    number, scale = match["number"], match["scale"]
    is_name = (scale == "K" and float(number) < 10) or (scale == "B" and "." not in number)
    return None if is_name else f"{cardinal(number)} {_SCALES[scale]}"


RULES: list[Rule] = [
    *addresses.rules(_ADDRESS_MARKS, digits),
    rule(r"^(?P<number>\d{1,3})(?:[.)、](?=\s))", lambda m: f"{cardinal(m['number'])},"),
    rule(rf"{START}(?P<date>\d{{4}}([-/.])\d{{1,2}}\2\d{{1,2}}){INSTANT}(?![\d-])", _iso_date),
    rule(rf"{START}\d{{1,2}}/\d{{1,2}}/(?:\d{{4}}|\d\d)(?![\d/])", _slash_date),
    rule(rf"{START}\d{{1,2}}\.\d{{1,2}}\.\d{{4}}(?![\d.])", _dotted_date),
    rule(r"(?<![\w.])(?P<v>[vV]\.?)?(?P<parts>\d+(?:\.\d+){2,})(?!\d)", _version),
    rule(r"(?<![\w.])(?P<v>[vV])(?P<parts>\d+(?:\.\d+)*)(?![\w%])", _version),
    rule(
        rf"\b(?P<month>{_MONTH})\s?(?P<day>{_DAY})(?:st|nd|rd|th)?(?!\d|[.:]\d)(?:{DASH}(?P<last>{_DAY})(?:st|nd|rd|th)?"
        rf"(?!\d))?(?:,?\s(?P<year>{_YEAR})(?!\d))?",
        _month_first,
    ),
    rule(
        rf"{START}(?P<the>[Tt]he )?(?P<day>{_DAY})(?:st|nd|rd|th)?(?: of)? (?P<month>{_MONTH})"
        rf"(?:,? (?P<year>{_YEAR})(?!\d))?",
        _day_first,
    ),
    rule(r"\b(?P<short>Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\.", lambda m: _month_name(m[0]) + stop(m, m[0])),
    rule(
        rf"{START}(?P<hour>\d{{1,2}}):(?P<minute>\d\d)(?::(?P<second>\d\d))?(?!\d|:\d)"
        r"(?:\s?(?P<half>[aApP]\.\s?[mM]\.|[aApP][mM]\b))?",
        _time,
    ),
    rule(rf"{START}(?P<hour>\d{{1,2}})(?P<minute>)(?P<second>)\s?(?P<half>[aApP]\.\s?[mM]\.|[aApP][mM]\b)", _time),
    rule(rf"{START}(?P<first>\d{{1,3}}):(?P<last>\d{{1,5}})(?!\d|:\d)(?P<minus>)", _range),
    rule(
        rf"(?<=[mM\d.]){DASH}(?=\d{{1,2}}(?::\d\d)?\s?[aApP]\.?[mM]\b)|(?<=:\d\d){DASH}(?=\d{{1,2}}:\d\d)",
        " to ",
    ),
    rule(r"(?<![\w])\+\d{1,3}(?:[ -.]?\(?\d{1,4}\)?){2,6}(?!\d)", _phone),
    rule(r"(?<![\w-])(?:1[ -.])?\(?\d{3}\)?[ -.]\d{3}[-. ]\d{4}(?![\w-])", _phone),
    rule(r"(?<![\w-])(?:\d{3}-\d{4}|0\d{2,3}-\d{7,8}|1[3-9]\d{9}|1[3-9]\d-\d{4}-\d{4})(?![\w-])", _phone),
    rule(
        rf"(?P<minus>(?<![\w)])[-−–])?(?<![A-Za-z])(?P<sign>{SIGN})\s?(?:(?P<more>[-−–])(?=\d))?(?P<number>{NUMBER})"
        rf"(?:{DASH}(?:{SIGN})?(?P<last>{NUMBER}))?{_SCALE}",
        lambda m: _signed(m["more"], _money_before(m)),
    ),
    rule(
        rf"(?P<minus>{MINUS}){START}(?:(?P<first>{NUMBER}){DASH})?(?P<number>{NUMBER}){_SCALE}\s?(?P<sign>{SIGN})(?![A-Za-z\d])",
        _money_after,
    ),
    rule(
        rf"{START}(?P<number>\d+)\s?(?:¢|￠)",
        lambda m: f"{cardinal(m['number'])} {'cent' if m['number'] == '1' else 'cents'}",
    ),
    rule(rf"(?:{START}|['’])(?P<year>(?:1\d|20)\d0|[2-9]0)['’]?s\b", _decade),
    rule(
        rf"(?P<minus>{MINUS}){START}(?P<number>{NUMBER})(?:\s?(?:%|％)?{DASH}(?P<last>{NUMBER}))?(?P<gap>[ \u202f]?)"
        rf"(?P<unit>{_UNIT}|％)(?![A-Za-z\d²³^])",
        _measure,
    ),
    rule(
        rf"(?P<minus>{MINUS}){START}(?:(?P<whole>\d+) )?(?P<above>\d+)[/⁄](?P<below>\d+)(?![\d/])",
        _fraction,
    ),
    rule(rf"(?:(?P<whole>\d+)\s?)?(?P<part>[{VULGAR}])", _vulgar),
    rule(
        rf"{START}(?P<first>{NUMBER})\s?[-−–]\s?(?P<last>{NUMBER})(?=\s*[=≈<>])(?!\w)",
        lambda m: f"{cardinal(m['first'])} minus {cardinal(m['last'])}",
    ),
    rule(rf"{START}\d+(?:-\d+){{2,}}(?![\w-])", _phone),
    rule(rf"(?P<minus>{MINUS}){START}(?P<first>{NUMBER}){DASH}(?P<last>{NUMBER})(?![\w-])", _range),
    rule(rf"{START}(?P<number>\d{{1,3}}(?:,\d{{3}})+|\d+)(?:st|nd|rd|th)\b", lambda m: ordinal(m["number"])),
    rule(rf"{START}(?P<a>\d+)\s?[x×✕*]\s?(?P<b>\d+)(?!\w)", _times),
    rule(rf"{START}(?P<number>{NUMBER})[x×](?!\w|\s*[-+−=*/^)])", lambda m: f"{cardinal(m['number'])} times"),
    rule(rf"{START}(?P<number>\d+(?:\.\d+)?)(?P<scale>[kKMB])(?![A-Za-z\d])", _scaled),
    rule(
        rf"{START}(?P<number>\d+(?:\.\d+)?)[eE](?P<power>[-+−]?\d+)(?!\w)",
        lambda m: f"{cardinal(m['number'])} times ten to the power of {cardinal(m['power'].lstrip('+'))}",
    ),
    rule(
        rf"{START}(?P<feet>\d)['’′](?P<inches>\d{{1,2}})[\"”″]?(?!\w)",
        lambda m: f"{measure(m['feet'], 'ft')} {measure(m['inches'], 'in')}",
    ),
    *abbreviations.RULES,
    rule(r"(?<![A-Za-z])(?P<letters>[A-Za-z]+)[-–]?(?P<digits>\d{3,})(?!\w)", _code),
    rule(r"\b[A-Za-z]{2,3}(?=\^|[²³])", _variables),
    rule(
        r"[²³]|\^\s?(?P<power>\{[^{}]*\}|\([^()]*\)|[-−]?[A-Za-z0-9]+(?:\.\d+)?)",
        lambda m: _power(m) if m["power"] else _POWERS[m[0]].strip(),
    ),
    rule(rf"[{''.join(_GREEK)}](?![\u0370-\u03ff])", lambda m: _GREEK[m[0]]),
    rule(r"(?<=[\w)²³])\s?−\s?(?=[\w(])|(?<=[\dxyzabc)²³]) [-–] (?=[\dxyzabc(](?!\w*[a-z]{2}))", "minus"),
    rule(r"(?<=[\w)%])\s?[<＜]\s?(?=[\w(.-])", "is less than"),
    rule(r"(?<=[\w)%])\s?[>＞]\s?(?=[\w(.-])", "is greater than"),
    rule(r"<=|=<", "is at most"),
    rule(r">=", "is at least"),
    rule(r"!=", "does not equal"),
    rule(r"==", "equals"),
    rule(r"->|=>", "to"),
    rule(rf"[{re.escape(''.join(_OPERATORS))}]", _operator),
    rule(r"(?<=\d)\s?\*\s?(?=[\d(])|(?<=\w) \* (?=\w)", "times"),
    rule(r"(?<=\d)\s?/\s?(?=[A-Za-z])", " per "),
    rule(r"(?<=[A-Za-z])\s?/\s?(?=[A-Za-z])", " "),
    rule(r"(?<=[\w)])\s?/\s?(?=[\d(])", "over"),
    rule(r"(?<!\w)[~～≈]\s?(?=\d)", "about "),
    rule(
        rf"(?P<minus>{MINUS})(?P<plus>(?<!\w)\+)?(?P<number>(?<!\d)(?<!\d\.)(?:{NUMBER}))",
        _number,
    ),
    rule(rf"[{re.escape(''.join(_SIGNS))}]", lambda m: _SIGNS[m[0]]),
    rule(r"[①-⑳]", lambda m: cardinal(str(int(unicodedata.numeric(m[0]))))),
    rule(r"/", " "),
]
