"""Lists in pages that no entry makes too large."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from visavis.tts.v1 import tts_pb2

from services.common import pages
from services.common.errors import InvalidInput

Request = tts_pb2.ListVoicesRequest
NAMES = [f"voice {number:04}" for number in range(1200)]


def listed(request: Request, transcript: str = "") -> pages.Page:
    names = pages.after(NAMES, pages.position(request.page_token, str))
    voices = ((tts_pb2.Voice(name=name, transcript=transcript), pages.token(name)) for name in names)
    return pages.page(voices, pages.size_of(request))


def walked(size: int, transcript: str = "") -> Iterator[pages.Page]:
    request = Request(page_size=size)
    while True:
        page = listed(request, transcript)
        yield page
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


@pytest.mark.parametrize(("asked", "given"), [(0, 100), (7, 7), (500, 500), (100_000, 500)])
def test_pages_have_the_size_that_is_asked_for_up_to_a_limit(asked: int, given: int) -> None:
    told = [*walked(asked)]
    assert {len(page.entries) for page in told[:-1]} == {given}
    assert [voice.name for page in told for voice in page.entries] == NAMES


def test_large_entries_make_short_pages_and_none_is_lost() -> None:
    told = [*walked(500, "字" * 10**6)]
    assert all(sum(voice.ByteSize() for voice in page.entries) < 2 * 2**20 for page in told)
    assert [voice.name for page in told for voice in page.entries] == NAMES


def test_a_list_goes_on_though_the_entry_it_stood_at_is_gone() -> None:
    names = pages.after(["a", "c"], pages.position(pages.token("b"), str))
    assert [*names] == ["c"]


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "!",
        "bm90aGluZw",
        pages.token(3),
        pages.token(["a"]),
        pages.token(None),
        pages.token("a")[:-2],
        pages.token("a\0"),
        pages.token("\ud800"),
    ],
)
def test_a_token_that_is_none_of_ours_is_refused(token: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        pages.position(token, str)
    assert (caught.value.reason, caught.value.field) == ("PAGE_TOKEN_WRONG", "page_token")


@pytest.mark.parametrize(
    "place",
    [[1.5], [1.5, "a", "b"], ["a", 1.5], [True, "a"], {"a": 1}, "a", [math.nan, "a"], [-math.inf, "a"], [1.5, "\0"]],
)
def test_a_place_of_another_kind_is_refused(place: object) -> None:
    assert pages.position(pages.token([1.5, "a"]), (float, str)) == [1.5, "a"]
    with pytest.raises(InvalidInput):
        pages.position(pages.token(place), (float, str))


def test_fewer_than_none_is_refused() -> None:
    with pytest.raises(InvalidInput) as caught:
        pages.size_of(Request(page_size=-1))
    assert caught.value.field == "page_size"
