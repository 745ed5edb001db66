"""Names that users give to avatars and voices."""

from __future__ import annotations

import unicodedata

from services.common.errors import InvalidInput

MAX_LENGTH = 60
_FORBIDDEN = set('/\\:*?"<>|#%[]{}')


def checked_name(name: str, field: str = "name") -> str:
    """The name, in Unicode normal form, safe as one part of a path or an object key in any storage.

    Letters of every script, digits, spaces, emoji and `. _ -` are welcome.

    Raises:
        InvalidInput: it is empty, too long, begins with a dot, or holds a character that paths give a meaning.
    """
    name = unicodedata.normalize("NFC", name).strip()
    if not name:
        raise InvalidInput("Give it a name.", reason="NAME_EMPTY", field=field)
    if len(name.encode()) > 4 * MAX_LENGTH or len(name) > MAX_LENGTH:
        message = f"The name is too long; use at most {MAX_LENGTH} characters."
        raise InvalidInput(message, reason="NAME_TOO_LONG", field=field, values={"max": str(MAX_LENGTH)})
    # "Cf" holds the joiners of emoji families, but also direction overrides; only the joiners pass.
    bad = [c for c in name if c in _FORBIDDEN or (unicodedata.category(c) in {"Cc", "Cf", "Cs"} and c != "\u200d")]
    if bad or name.startswith("."):
        message = 'The name may not begin with a dot or hold any of / \\ : * ? " < > | # % [ ] { }. Choose another.'
        raise InvalidInput(message, reason="NAME_FORBIDDEN", field=field)
    return name
