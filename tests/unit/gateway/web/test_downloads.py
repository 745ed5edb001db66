from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from client.wire.files import Download
from gateway.web.downloads import send

CONTENT = bytes(range(100))


class Source:
    """A file that notes how it was opened and that it was closed."""

    def __init__(self) -> None:
        self.opened: list[tuple[int, int]] = []
        self.closed = 0

    def __call__(self, offset: int, limit: int) -> Download:
        self.opened.append((offset, limit))
        return Download("video/mp4", len(CONTENT), "May 梅.mp4", self._blocks(offset, limit))

    def _blocks(self, offset: int, limit: int) -> Iterator[bytes]:
        try:
            part = CONTENT[offset : offset + limit] if limit else CONTENT[offset:]
            for start in range(0, len(part), 7):
                yield part[start : start + 7]
        finally:
            self.closed += 1


def ask(source: Source, header: str | None, query: str = "") -> tuple[int, bytes, dict[str, str]]:
    headers = {"Range": header} if header else {}
    with Flask("test").test_request_context(f"/{query}", headers=headers):
        response = send(source)
        body = b"".join(response.iter_encoded())
        response.close()
    return response.status_code, body, dict(response.headers)


def test_the_whole() -> None:
    status, body, headers = ask(Source(), None)
    assert (status, body, headers["Content-Length"]) == (200, CONTENT, "100")
    assert headers["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize(
    ("header", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=10-19", 10, 19),
        ("bytes=90-", 90, 99),
        ("bytes=-5", 95, 99),
        ("bytes=50-5000", 50, 99),
        ("bytes=-5000", 0, 99),
        ("bytes=0-", 0, 99),
    ],
)
def test_a_range(header: str, first: int, last: int) -> None:
    status, body, headers = ask(Source(), header)
    assert status == 206
    assert body == CONTENT[first : last + 1]
    assert headers["Content-Range"] == f"bytes {first}-{last}/100"
    assert headers["Content-Length"] == str(len(body))


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=500-600"])
def test_a_range_beyond_the_end(header: str) -> None:
    status, body, headers = ask(Source(), header)
    assert (status, body, headers["Content-Range"]) == (416, b"", "bytes */100")


@pytest.mark.parametrize("header", ["bytes=0-1,5-6", "lines=1-2", "bytes=x-y", "bytes=9-3"])
def test_what_is_no_single_range_gets_the_whole(header: str) -> None:
    assert ask(Source(), header)[:2] == (200, CONTENT)


def test_the_size_is_asked_for_with_a_call_that_is_closed() -> None:
    source = Source()
    ask(source, "bytes=-5")
    assert source.opened == [(0, 1), (95, 5)]


def test_saving_offers_the_name_in_any_script() -> None:
    headers = ask(Source(), None, "?download")[2]
    assert headers["Content-Disposition"] == "attachment; filename*=UTF-8''May%20%E6%A2%85.mp4"
