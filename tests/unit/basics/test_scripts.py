"""Chinese characters, wherever Unicode keeps them."""

from __future__ import annotations

import re

import pytest

from basics.scripts import EAST_ASIAN, HAN


@pytest.mark.parametrize("character", "一鿿㐀豈𠀀𰀀")
def test_chinese_characters(character: str) -> None:
    assert re.fullmatch(rf"[{HAN}]", character)
    assert re.fullmatch(rf"[{EAST_ASIAN}]", character)


@pytest.mark.parametrize("character", "aé1 か。한")
def test_all_others(character: str) -> None:
    assert not re.fullmatch(rf"[{HAN}]", character)


@pytest.mark.parametrize("character", "か。「")
def test_what_is_written_with_them(character: str) -> None:
    assert re.fullmatch(rf"[{EAST_ASIAN}]", character)
