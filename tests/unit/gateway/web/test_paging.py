"""Which page is asked for."""

from __future__ import annotations

import pytest
from flask import Flask

from client.wire.pages import Page
from gateway.refusal import Refusal
from gateway.web.paging import asked, page_or_all


@pytest.mark.parametrize(
    ("query", "expected"),
    [("", (100, "")), ("page_size=7", (7, "")), ("page_size=500&page_token=abc", (500, "abc"))],
)
def test_a_page_that_can_be(gateway: Flask, query: str, expected: tuple[int, str]) -> None:
    with gateway.test_request_context(f"/?{query}"):
        assert asked(100) == expected


@pytest.mark.parametrize("size", ["0", "-1", "501", "1.5", "many", "9" * 5000, "²"])
def test_sizes_that_cannot_be(gateway: Flask, size: str) -> None:
    with gateway.test_request_context("/", query_string={"page_size": size}), pytest.raises(Refusal) as caught:
        asked(100)
    assert (caught.value.reason, caught.value.field) == ("NUMBER_OUT_OF_RANGE", "page_size")


def test_a_token_that_is_far_too_long(gateway: Flask) -> None:
    with gateway.test_request_context("/", query_string={"page_token": "x" * 401}), pytest.raises(Refusal) as caught:
        asked(100)
    assert caught.value.field == "page_token"


def test_who_knows_no_pages_gets_everything(gateway: Flask) -> None:
    def page(size: int, token: str) -> Page:
        return Page([size, token], "next")

    with gateway.test_request_context("/"):
        assert page_or_all(page, lambda: [1, 2, 3]) == Page([1, 2, 3], "")
    with gateway.test_request_context("/?page_token=x"):
        assert page_or_all(page, lambda: []) == Page([0, "x"], "next")
