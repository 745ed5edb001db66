"""Numbers as words, in English and in Chinese."""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction

from num2words import num2words

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_ENGLISH_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_CHINESE_DIGITS = "零一二三四五六七八九"
_ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
VULGAR = "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"
_GROUPS = ("", "万", "亿", "万亿", "亿亿")
_LONGEST = 16  # digits of a number that is read as one; more are read digit by digit


def bare(number: str) -> str:
    """A number without what separates its thousands."""
    return re.sub(r"(?<=\d)[,， ](?=\d{3})", "", number)


def vulgar(sign: str) -> tuple[str, str]:
    """The numerator and the denominator of a sign such as ¾."""
    value = Fraction(unicodedata.numeric(sign)).limit_denominator(10)
    return str(value.numerator), str(value.denominator)


class English:
    """English words."""

    @staticmethod
    def cardinal(number: str) -> str:
        """`1,234` or `-3.14`; leading zeros, and what is too long for a number, digit by digit."""
        number = bare(number)
        if number[:1] in "-−+":
            return f"{'plus' if number[0] == '+' else 'minus'} {English.cardinal(number[1:])}"
        whole, point, decimals = number.partition(".")
        if point and decimals:
            return f"{English.cardinal(whole or '0')} point {English.digits(decimals)}"
        if len(whole) > _LONGEST or (len(whole) > 1 and whole[0] == "0"):
            return English.digits(whole)
        return str(num2words(int(whole or 0))).replace(",", "")

    @staticmethod
    def ordinal(number: str) -> str:
        """`21` as twenty-first."""
        return str(num2words(int(bare(number)), to="ordinal")).replace(",", "")

    @staticmethod
    def year(number: str) -> str:
        """`1999` as nineteen ninety-nine."""
        return str(num2words(int(number), to="year")) if 1000 <= int(number) < 2100 else English.cardinal(number)

    @staticmethod
    def digits(number: str) -> str:
        """One by one."""
        return " ".join(_ENGLISH_DIGITS[int(digit)] for digit in number if digit.isdecimal())

    @staticmethod
    def fraction(numerator: str, denominator: str) -> str:
        """`3/4` as three quarters, `7/120` as seven over one hundred and twenty."""
        above, below = int(numerator), int(denominator)
        if below < 2 or below > 100 or above > 100:
            return f"{English.cardinal(numerator)} over {English.cardinal(denominator)}"
        part = {2: "half", 4: "quarter"}.get(below) or English.ordinal(denominator)
        parts = part if above == 1 else "halves" if below == 2 else f"{part}s"
        return f"{English.cardinal(numerator)} {parts}"


class Chinese:
    """Chinese words, in simplified characters."""

    @staticmethod
    def cardinal(number: str) -> str:
        """`13800` as 一万三千八百; leading zeros, and what is too long for a number, digit by digit."""
        number = bare(number)
        if number[:1] in "-−+":
            return ("正" if number[0] == "+" else "负") + Chinese.cardinal(number[1:])
        whole, point, decimals = number.partition(".")
        if point and decimals:
            return f"{Chinese.cardinal(whole or '0')}点{Chinese.digits(decimals)}"
        if len(whole) > _LONGEST or (len(whole) > 1 and whole[0] == "0"):
            return Chinese.digits(whole)
        return _chinese(int(whole or 0))

    @staticmethod
    def counted(number: str) -> str:
        """Before a measure word, where two is 两."""
        return "两" if number == "2" else Chinese.cardinal(number)

    @staticmethod
    def digits(number: str, one: str = "一") -> str:
        """One by one; on the telephone one is 幺."""
        told = "".join(_CHINESE_DIGITS[int(digit)] for digit in number if digit.isdecimal())
        return told.replace("一", one)

    @staticmethod
    def fraction(numerator: str, denominator: str) -> str:
        """`1/2` as 二分之一."""
        return f"{Chinese.cardinal(denominator)}分之{Chinese.cardinal(numerator)}"


def roman(numeral: str) -> int:
    """The number that a Roman numeral means."""
    values = [_ROMAN[letter] for letter in numeral]
    return sum(-value if value < max(values[at:]) else value for at, value in enumerate(values))


def _chinese(number: int) -> str:
    if not number:
        return "零"
    text, has_gap = "", False
    for group in _GROUPS:
        number, part = divmod(number, 10_000)
        if part:
            text = _four(part) + group + ("零" if has_gap else "") + text
        has_gap = bool(text) and part < 1000
    text = text.removeprefix("零")
    return re.sub("^二(?=[千万亿])", "两", text.removeprefix("一") if text.startswith("一十") else text)


def _four(part: int) -> str:
    """A number below ten thousand."""
    text, has_gap = "", False
    for value, unit in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit, part = divmod(part, value)
        if digit:
            text += ("零" if has_gap and text else "") + _CHINESE_DIGITS[digit] + unit
        has_gap = not digit
    return text
