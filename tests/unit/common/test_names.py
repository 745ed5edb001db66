"""Names: every script is welcome, whatever paths give a meaning is not."""

from __future__ import annotations

import unicodedata

import pytest

from services.common.errors import InvalidInput
from services.common.names import checked_name


@pytest.mark.parametrize("name", ["Ada", "Ada Lovelace", "小明", "Ada_1-2.b", "👩‍🚀 Nora", "Ñandú", "名" * 60])
def test_names_that_are_welcome(name: str) -> None:
    assert checked_name(name) == unicodedata.normalize("NFC", name)


def test_names_are_trimmed_and_normalised() -> None:
    assert checked_name("  Jose\u0301 ") == "Jos\u00e9"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "NAME_EMPTY"),
        ("   ", "NAME_EMPTY"),
        ("..", "NAME_FORBIDDEN"),
        (".hidden", "NAME_FORBIDDEN"),
        ("a/b", "NAME_FORBIDDEN"),
        ("a\\b", "NAME_FORBIDDEN"),
        ("../../etc", "NAME_FORBIDDEN"),
        ("a\nb", "NAME_FORBIDDEN"),
        ("a\x00b", "NAME_FORBIDDEN"),
        ("a\u202eb", "NAME_FORBIDDEN"),
        ("a?b", "NAME_FORBIDDEN"),
        ("x" * 61, "NAME_TOO_LONG"),
    ],
)
def test_names_that_are_refused(name: str, reason: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        checked_name(name, "voice")
    assert (caught.value.reason, caught.value.field) == (reason, "voice")
