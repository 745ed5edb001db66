"""What is said for the numbers and signs of a Chinese sentence."""

from __future__ import annotations

import re
import unicodedata

from services.tts.reading import addresses
from services.tts.reading.numbers import VULGAR, Chinese, bare, roman, vulgar
from services.tts.reading.patterns import DASH, INSTANT, NUMBER, SIGN, START, any_of, initials
from services.tts.reading.rules import Rule, rule
from services.tts.reading.units import CURRENCIES, TEMPERATURES, UNITS

_Match = re.Match[str]

cardinal, counted, digits = Chinese.cardinal, Chinese.counted, Chinese.digits

_UNIT = any_of(sign for sign in UNITS if sign not in ("%", "‰"))
_SCALE = r"(?P<scale>[百千万亿]+)?"
_HUNDREDTHS = {"%": "百分之", "％": "百分之", "‰": "千分之"}
_MEASURE_WORDS = (
    "个|只|本|张|条|件|位|名|天|年(?!级)|周|岁|次|遍|趟|场|台|辆|部|杯|瓶|碗|块|片|颗|粒|支|根|把|双|对|套|份|种|类|样|家|间|座|"
    "层|步|句|段|篇|首|门|节课|组|批|口|头|匹|朵|棵|小时|分钟|秒|点(?!\\d)|个月|星期|倍|元|块|美元|欧元|英镑|人|米|公里|千米|厘米|"
    "毫米|千克|公斤|克|斤|吨|升|毫升|平方|立方|公顷|亩|万|亿|千|字节|瓦|伏|度|页|项|代|方面|者"
)
_ADDRESS_MARKS = {
    ".": "点", "/": "斜杠", "@": "艾特", "-": "杠", "_": "下划线", "+": "加", ":": "冒号", "~": "波浪号",
}  # fmt: skip
_POWERS = {"²": "的平方", "³": "的立方", "2": "的平方", "3": "的立方"}
_GREEK = {
    "α": "阿尔法", "β": "贝塔", "γ": "伽马", "δ": "德尔塔", "ε": "艾普西龙", "ζ": "泽塔", "η": "伊塔", "θ": "西塔",
    "λ": "兰姆达", "μ": "缪", "π": "派", "ρ": "柔", "σ": "西格玛", "τ": "陶", "φ": "斐", "ψ": "普西", "ω": "欧米伽",
    "Δ": "德尔塔", "Σ": "西格玛", "Ω": "欧米伽",
}  # fmt: skip
_OPERATORS = {
    "=": "等于", "＝": "等于", "+": "加", "＋": "加", "×": "乘以", "⋅": "乘以", "÷": "除以", "±": "正负", "≠": "不等于",
    "≈": "约等于", "≤": "小于等于", "≥": "大于等于", "∞": "无穷大", "√": "根号", "∑": "求和", "∫": "积分", "∈": "属于",
    "→": "到", "−": "减", "∝": "正比于",
}  # fmt: skip
_SIGNS = {
    "&": "和",
    "＆": "和",
    "@": "艾特",
    "%": "百分号",
    "°": "度",
    "№": "第",
    "¥": "元",
    "￥": "元",
    "$": "美元",
    "€": "欧元",
    "£": "英镑",
}


def amount(number: str, sign: str, scale: str = "") -> str:
    """An amount of money; two decimals by the names of the tenth and the hundredth."""
    currency = CURRENCIES[sign]
    number = bare(number)
    whole, _, decimals = number.partition(".")
    if scale or len(decimals) != 2:
        number = f"{whole}.{decimals}" if decimals else whole
        return (counted(number) if not scale else counted(number) + scale) + currency.chinese
    told = counted(whole) + currency.chinese if int(whole or 0) else ""
    return told + (_fen(decimals, told) if currency.chinese == "元" else _cents(decimals, currency.chinese_cent))


def _fen(decimals: str, told: str) -> str:
    ten, one = decimals[0], decimals[1]
    parts = (cardinal(ten) + "角" if ten != "0" else "零" if one != "0" and told else "") + (
        cardinal(one) + "分" if one != "0" else ""
    )
    return parts if parts or told else "零元"


def _cents(decimals: str, name: str) -> str:
    return counted(str(int(decimals))) + name if int(decimals) else ""


def _signed(minus: str | None, told: str) -> str:
    return f"负{told}" if minus else told


def _date(match: _Match) -> str | None:
    told = date(*re.split(r"[-/.]", match["date"]))
    return told + clock(match["hour"], match["minute"]) if told and match["hour"] else told


def date(of_year: str, month: str, day: str) -> str | None:
    """`二零二三年五月十二日`; None if there is no such day."""
    if not (1 <= int(month) <= 12 and 1 <= int(day) <= 31):
        return None
    return f"{digits(of_year)}年{cardinal(str(int(month)))}月{cardinal(str(int(day)))}日"


def _slash_date(match: _Match) -> str | None:
    month, day, of_year = re.split(r"[/.]", match[0])
    return date(of_year, month, day)


def _version(match: _Match) -> str:
    parts = match["parts"].split(".")
    if len(parts) == 4 and not match["v"]:
        return "点".join(map(digits, parts))
    told = "点".join(map(cardinal, parts))
    is_named = re.match(r"\s?版", match.string[match.end() :]) or re.search(
        r"版本?号?\s?$", match.string[: match.start()]
    )
    return told if is_named or not match["v"] else f"版本{told}"


def clock(hour: str, minute: str, second: str = "") -> str:
    """`十点三十分`."""
    told = f"{counted(str(int(hour)))}点"
    if int(minute) or second:
        told += ("零" if minute[0] == "0" and int(minute) else "") + f"{cardinal(str(int(minute)))}分"
    return f"{told}{cardinal(str(int(second)))}秒" if second else told


def _time(match: _Match) -> str | None:
    hour, minute = match["hour"], match["minute"]
    if int(hour) > 24 or int(minute) > 59:
        return None
    half = {"a": "上午", "p": "下午"}.get((match["half"] or " ")[0].lower(), "")
    told = half + clock(hour, minute, match["second"] or "")
    return f"{told}到{clock(match['hour2'], match['minute2'])}" if match["hour2"] else told


def _phone(match: _Match) -> str:
    groups = re.findall(r"\d+", match[0])
    return ("加" if match[0].startswith("+") else "") + "，".join(digits(group, "幺") for group in groups)


def _money_before(match: _Match) -> str:
    number, sign, scale = match["number"], match["sign"], match["scale"] or ""
    told = amount(number, sign, scale)
    if match["last"]:
        told = f"{counted(number)}到{amount(match['last'], sign, scale)}"
    return _signed(match["minus"] or match["more"], told)


def _money_after(match: _Match) -> str:
    told = amount(match["number"], match["sign"], match["scale"] or "")
    return _signed(match["minus"], f"{cardinal(match['first'])}到{told}" if match["first"] else told)


def _yuan(match: _Match) -> str:
    told = amount(match["number"], {"元": "¥", "块": "¥", "美元": "$", "欧元": "€", "英镑": "£"}[match["sign"]])
    return _signed(match["minus"], told)


def _percent(match: _Match) -> str:
    kind = _HUNDREDTHS[match["unit"]]
    told = _signed(match["minus"], kind + cardinal(match["number"]))
    return f"{told}到{kind}{cardinal(match['last'])}" if match["last"] else told


def _measure(match: _Match) -> str | None:
    sign, number, last = match["unit"], match["number"], match["last"]
    if sign == "A" and re.match(r"[级景]", match.string[match.end() :]):
        return None
    name = UNITS[sign].chinese
    told = f"{counted(number)}到{counted(last)}{name}" if last else counted(number) + name
    if not match["minus"]:
        return told
    return f"零下{told}" if sign in TEMPERATURES else f"负{told}"


def _fraction(match: _Match) -> str | None:
    if not int(match["below"]):
        return None
    return _signed(match["minus"], _mixed(match["whole"], match["above"], match["below"]))


def _mixed(whole: str | None, above: str, below: str) -> str:
    told = Chinese.fraction(above, below)
    return f"{cardinal(whole)}又{told}" if whole else told


def _vulgar(match: _Match) -> str:
    return _mixed(match["whole"], *vulgar(match["part"]))


def _range(match: _Match) -> str:
    first, last = match["first"], match["last"]
    if all(re.fullmatch(r"(?:1\d|20)\d\d", end) for end in (first, last)) and (
        re.match(r"\s?[年赛学财]", match.string[match.end() :]) or min(first, last) >= "1900"
    ):
        return f"{digits(first)}到{digits(last)}"
    is_counted = re.match(rf"\s?(?:{_MEASURE_WORDS})", match.string[match.end() :])
    return _signed(
        match["minus"], f"{(counted if is_counted else cardinal)(first)}到{(counted if is_counted else cardinal)(last)}"
    )


def _number(match: _Match) -> str:
    number = match["number"]
    before, after = match.string[: match.start()], match.string[match.end() :]
    if len(number) > 10 and number.isdecimal():
        return digits(number)
    if re.match(rf"\s?(?:{_MEASURE_WORDS})", after) and not before.endswith(("第", "初")):
        return _signed(match["minus"], counted(number))
    return _signed(match["minus"], ("正" if match["plus"] else "") + cardinal(number))


def _power(match: _Match) -> str:
    exponent = match["power"].strip("{}()")
    told = cardinal(exponent) if re.fullmatch(r"[-−]?\d+(?:\.\d+)?", exponent) else exponent
    return _POWERS.get(exponent) or f"的{told}次方"


def _code(match: _Match) -> str:
    """`ISO9001`: short capitals and the digits one by one."""
    return f"{initials(match['letters'])} {digits(match['digits'])}"


RULES: list[Rule] = [
    *addresses.rules(_ADDRESS_MARKS, digits),
    rule(rf"{START}(?P<date>\d{{4}}([-/.])\d{{1,2}}\2\d{{1,2}}){INSTANT}(?![\d-])日?", _date),
    rule(r"^(?P<number>\d{1,3})(?:[.)](?=\s)|、)", lambda m: f"{cardinal(m['number'])}，"),
    rule(rf"{START}\d{{1,2}}[/.]\d{{1,2}}[/.]\d{{4}}(?!\d)", _slash_date),
    rule(r"(?<![A-Za-z0-9.])(?P<v>[vV])?(?P<parts>\d+(?:\.\d+){2,})(?!\d)", _version),
    rule(r"(?<![A-Za-z0-9.])(?P<v>[vV])(?P<parts>\d+(?:\.\d+)*)(?![A-Za-z0-9%])", _version),
    rule(
        rf"{START}(?P<hour>\d{{1,2}})[:：](?P<minute>\d\d)(?:[:：](?P<second>\d\d))?(?!\d)"
        rf"(?:{DASH}(?P<hour2>\d{{1,2}})[:：](?P<minute2>\d\d)(?!\d))?(?:\s?(?P<half>[aApP]\.?[mM]\b\.?))?",
        _time,
    ),
    rule(
        rf"{START}(?P<first>\d{{1,4}})[:：](?P<last>\d{{1,4}})(?!\d)",
        lambda m: f"{cardinal(m['first'])}比{cardinal(m['last'])}",
    ),
    rule(r"(?<![A-Za-z0-9])\+\d{1,3}(?:[ -]?\d{2,5}){2,5}(?!\d)", _phone),
    rule(
        r"(?<![\d-])(?:0\d{2,3}-\d{7,8}|1[3-9]\d{9}|1[3-9]\d[- ]\d{4}[- ]\d{4}|[48]00-\d{3}-\d{4}|[48]00\d{7})"
        r"(?![\d-])",
        _phone,
    ),
    rule(
        r"(?:(?<=电话)|(?<=拨打)|(?<=热线)|(?<=致电)|(?<=号码))[：: ]?\d{3,8}(?!\d|[个人元天年月日点次台部名位])",
        _phone,
    ),
    rule(
        rf"(?P<minus>(?<![\w)])[-−–])?(?<![A-Za-z])(?P<sign>{SIGN})\s?(?:(?P<more>[-−–])(?=\d))?(?P<number>{NUMBER})"
        rf"(?:{DASH}(?:{SIGN})?(?P<last>{NUMBER}))?{_SCALE}(?:元|美元|欧元)?",
        _money_before,
    ),
    rule(
        rf"(?P<minus>(?<![A-Za-z0-9)])[-−–])?{START}(?:(?P<first>{NUMBER}){DASH})?(?P<number>{NUMBER})\s?{_SCALE}\s?(?P<sign>{SIGN})(?![A-Za-z\d])",
        _money_after,
    ),
    rule(
        rf"(?P<minus>(?<![A-Za-z0-9)])[-−–])?{START}(?P<number>\d[\d,]*\.\d\d)(?P<sign>元|块|美元|欧元|英镑)(?!钱)",
        _yuan,
    ),
    rule(
        rf"(?P<minus>(?<![A-Za-z0-9)])[-−–])?{START}(?P<number>{NUMBER})(?:\s?[%％]?{DASH}(?P<last>{NUMBER}))?\s?(?P<unit>[%％‰])",
        _percent,
    ),
    rule(
        rf"(?P<minus>(?<![A-Za-z0-9)])[-−–])?{START}(?P<number>{NUMBER})(?:{DASH}(?P<last>{NUMBER}))?\s?(?P<unit>{_UNIT})(?![A-Za-z\d²³^])",
        _measure,
    ),
    rule(
        rf"(?P<minus>(?<![A-Za-z0-9)])[-−–])?{START}(?:(?P<whole>\d+) )?(?P<above>\d+)[/⁄](?P<below>\d+)(?![\d/])",
        _fraction,
    ),
    rule(rf"(?:(?P<whole>\d+)\s?)?(?P<part>[{VULGAR}])", _vulgar),
    rule(
        rf"{START}(?P<first>{NUMBER})\s?[-−–]\s?(?P<last>{NUMBER})(?=\s*[=＝≈])",
        lambda m: f"{cardinal(m['first'])}减{cardinal(m['last'])}",
    ),
    rule(
        rf"(?P<minus>(?<![A-Za-z0-9)])[-−–])?{START}(?P<first>{NUMBER}){DASH}(?P<last>{NUMBER})(?![A-Za-z0-9-])(?!{DASH}\d)",
        _range,
    ),
    rule(
        rf"{START}(?P<number>(?:1[1-9]|20)\d\d)(?=\s?年)(?!\s?年(?:[前后来间]|的?历史))", lambda m: digits(m["number"])
    ),
    rule(rf"{START}(?P<number>[0-9][05]|9[0-9])(?=后(?![来面天]))", lambda m: digits(m["number"])),
    rule(rf"{START}(?P<number>\d+)(?:st|nd|rd|th)\b", lambda m: f"第{cardinal(m['number'])}"),
    rule(r"第(?P<numeral>[IVXLC]+)(?![A-Za-z])", lambda m: f"第{cardinal(str(roman(m['numeral'])))}"),
    rule(r"(?P<letters>(?<![A-Za-z])[A-Za-z]+)[-–]?(?P<digits>\d{3,})(?![A-Za-z0-9])", _code),
    rule(
        r"(?P<numeral>(?<=[\u4e00-\u9fff])(?:II|III|IV|VI{1,3}|IX|XI{1,3}|XIV|XV|XVI{1,3}))(?![A-Za-z])(?=世|期|型|类|级|章|卷|部)",
        lambda m: cardinal(str(roman(m["numeral"]))),
    ),
    rule(
        rf"{START}(?P<a>{NUMBER})\s?[x×✕*]\s?(?P<b>{NUMBER})(?![A-Za-z0-9])",
        lambda m: f"{cardinal(m['a'])}乘{cardinal(m['b'])}",
    ),
    rule(rf"{START}(?P<number>{NUMBER})[x×](?![A-Za-z0-9])", lambda m: f"{counted(m['number'])}倍"),
    rule(r"C\+\+", "C 加加"),
    rule(r"C#(?![A-Za-z0-9])", "C sharp"),
    rule(r"(?<![A-Za-z])[A-Za-z]{2,3}(?=\^|[²³])", lambda m: " ".join(m[0])),
    rule(
        r"[²³]|\^\s?(?P<power>\{[^{}]*\}|\([^()]*\)|[-−]?[A-Za-z0-9]+)",
        lambda m: _power(m) if m["power"] else _POWERS[m[0]],
    ),
    rule(rf"[{''.join(_GREEK)}](?![\u0370-\u03ff])", lambda m: _GREEK[m[0]]),
    rule(r"(?<=[A-Za-z0-9)²³]) [-–−] (?=[A-Za-z0-9(])", "减"),
    rule(r"(?<=[\w)%])\s?[<＜]\s?(?=[\w(.-])", "小于"),
    rule(r"(?<=[\w)%])\s?[>＞]\s?(?=[\w(.-])", "大于"),
    rule(r"<=", "小于等于"),
    rule(r">=", "大于等于"),
    rule(r"!=", "不等于"),
    rule(r"==", "等于"),
    rule(r"->|=>", "到"),
    rule(r"(?<=\d)[+＋](?![A-Za-z0-9])", "多"),
    rule(rf"[{re.escape(''.join(_OPERATORS))}]", lambda m: _OPERATORS[m[0]]),
    rule(r"(?<=[A-Za-z0-9)])\s?/\s?(?=[\d(])", "除以"),
    rule(r"(?<!\w)[~～≈]\s?(?=\d)", "大约"),
    rule(r"№|(?<!\w)#(?=\d)|(?<![A-Za-z])No\.\s?(?=\d)", "第"),
    rule(
        rf"(?P<minus>(?<![A-Za-z0-9)\]])[-−–](?=\d))?(?P<plus>(?<!\w)\+)?(?P<number>(?<!\d)(?<!\d\.)(?:{NUMBER}))",
        _number,
    ),
    rule(rf"[{re.escape(''.join(_SIGNS))}]", lambda m: _SIGNS[m[0]]),
    rule(r"[①-⑳]", lambda m: cardinal(str(int(unicodedata.numeric(m[0]))))),
    rule(r"/", " "),
]
