from __future__ import annotations

import pytest

from services.common.consent import checked_consent
from services.common.errors import InvalidInput


@pytest.mark.parametrize(
    "given_by",
    ["Anna", "Li", "张三", "Anna Berg, in writing", "Nobody: drawn", "not stated (sent by an older script)", "某人"],
)
def test_whoever_is_named_will_do(given_by: str) -> None:
    assert checked_consent(f" {given_by} ") == given_by


@pytest.mark.parametrize(
    "given_by", ["true", "True", "yes.", "x", "字", "A.", "1", "12345", "...", "N/A", "同意", "OK!"]
)
def test_who_is_asked_for_where_nobody_is_named(given_by: str) -> None:
    with pytest.raises(InvalidInput, match="for example 'Anna Berg") as caught:
        checked_consent(given_by)
    assert (caught.value.reason, caught.value.field) == ("CONSENT_UNCLEAR", "consent")


@pytest.mark.parametrize("given_by", ["", " \n"])
def test_silence_is_no_consent(given_by: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        checked_consent(given_by)
    assert caught.value.reason == "CONSENT_MISSING"
