"""URLs, e-mail addresses and names of files: how they are read out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from services.tts.reading.rules import Rule, rule

_ADDRESS = r"[^\s<>\"'“”‘’「」《》（），。；：！？、\u3400-\u9fff]"
_NO_STOP = r"(?<![.,;:!?)\]])"
_DOMAINS = r"(?:com|org|net|edu|gov|io|ai|cn|dev|app|uk|de|fr|jp|me|info|xyz)"
_FILES = (
    r"(?:py|js|ts|json|md|txt|pdf|mp3|mp4|wav|csv|html?|css|ya?ml|toml|zip|png|jpe?g|gif|exe|docx?|xlsx?|pptx?|sh|cpp)"
)
_URL = rf"(?i:https?://|ftp://|www\.){_ADDRESS}+{_NO_STOP}"
_EMAIL = r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"
_DOMAIN = rf"(?<![A-Za-z0-9_@.-])(?:[A-Za-z0-9-]+\.)+{_DOMAINS}(?![A-Za-z0-9_-])(?:/{_ADDRESS}*{_NO_STOP})?"
_FILE = rf"(?<![A-Za-z0-9_.])[A-Za-z][A-Za-z0-9_-]*\.{_FILES}(?![A-Za-z0-9_])"


def rules(names: Mapping[str, str], digits: Callable[[str], str]) -> list[Rule]:
    """The rules of a language.

    Args:
        names: what the marks in an address are called.
        digits: reads digits one by one.
    """

    def spelled(address: str) -> str:
        parts = re.findall(r"[A-Za-z]+|\d+|[^\W\d_]+|[\W_]", address)
        told = (digits(part) if part.isdecimal() else part if part.isalpha() else names.get(part, "") for part in parts)
        return " ".join(part for part in told if part)

    return [
        rule(_URL, lambda match: spelled(_place(match[0]))),
        rule(_EMAIL, lambda match: spelled(match[0])),
        rule(_DOMAIN, lambda match: spelled(_place(match[0]))),
        rule(_FILE, lambda match: spelled(match[0])),
    ]


def _place(url: str) -> str:
    """What is said of a URL: its host and its path."""
    return re.sub(r"^(?:\w+://)?(?:www\.)?", "", re.split(r"[?#]", url)[0]).rstrip("/")
