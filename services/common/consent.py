"""Who allowed the use of a face or a voice, in words that still say so when somebody asks years later."""

from __future__ import annotations

import unicodedata

from services.common.errors import InvalidInput

LEAST_LETTERS = 2
NOBODY = frozenset(
    [
        *("true", "false", "yes", "no", "y", "n", "ok", "okay", "on", "off", "none", "null", "nil", "undefined"),
        *("unknown", "n/a", "na", "agreed", "agree", "i agree", "consent", "consented", "given"),
        *("是的", "好的", "同意", "我同意", "已同意", "没有"),
    ]
)
"""Answers of programs, and to a question that was not asked."""


def checked_consent(given_by: str, field: str = "consent") -> str:
    """Who consented, trimmed and in Unicode normal form.

    Raises:
        InvalidInput: nothing is said, or nobody is named.
    """
    given_by = unicodedata.normalize("NFC", given_by).strip()
    if not given_by:
        message = "Say who agreed, and how: for example 'Anna Berg, in writing'."
        raise InvalidInput(message, reason="CONSENT_MISSING", field=field)
    letters = sum(character.isalpha() for character in given_by)
    if letters < LEAST_LETTERS or given_by.strip(" .!。！").casefold() in NOBODY:
        message = "This does not say who agreed. Write who it was, and how: for example 'Anna Berg, in writing'."
        raise InvalidInput(message, reason="CONSENT_UNCLEAR", field=field)
    return given_by
