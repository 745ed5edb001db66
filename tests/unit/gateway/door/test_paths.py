from __future__ import annotations

from urllib.parse import quote, unquote, urljoin, urlsplit

import pytest
from flask import Flask

from gateway.door.paths import LONGEST, ours_or_home

OURS = [
    "/",
    "/chat",
    "/chat?avatar=Vera",
    "/chat?avatar=%E6%9D%8E&x=1",
    "/jobs?at=a/b//c",
    "/%2f%2fevil.example",
    "/@x",
]
FOREIGN = [
    "",
    "chat",
    "?x=1",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "\\/evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "/\r\n/evil.example",
    "/\r\nSet-Cookie: x=1",
    "\t//evil.example",
    " //evil.example",
    "/ /evil.example",
    "/\0/evil.example",
    "/\x7f/evil.example",
    "/chat\n",
    "/chat\\",
    "/\u2028/evil.example",
    "/\uff0f/evil.example",
    "/\u3002evil.example",
    "/\ud800",
    "https://evil.example",
    "https:evil.example",
    "https:/evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "//user@evil.example",
    "user:x@evil.example",
    "/#//evil.example",
    "/" + "a" * LONGEST,
]


@pytest.mark.parametrize("path", OURS)
def test_ours(path: str) -> None:
    assert ours_or_home(path) == path
    assert urlsplit(urljoin("http://ours.example/", path)).netloc == "ours.example"


@pytest.mark.parametrize("target", FOREIGN)
def test_foreign(target: str) -> None:
    assert ours_or_home(target) == "/"


@pytest.mark.parametrize(
    "target", [*FOREIGN, *(quote(unquote(path), safe="") for path in FOREIGN if "\ud800" not in path)]
)
def test_no_page_leads_elsewhere(closed: Flask, target: str) -> None:
    client = closed.test_client()
    encoded = quote(target, safe="%", errors="surrogatepass")
    token = "open sesame, open sesame"
    for answer in (
        client.get(f"/language/en?next={encoded}"),
        client.post("/sign-in", data={"token": token, "next": target.encode(errors="surrogatepass")}),
    ):
        assert answer.status_code == 302
        assert answer.location.startswith("/") and not answer.location.startswith(("//", "/\\", "/\t"))
        assert urlsplit(urljoin("http://ours.example/", answer.location)).netloc == "ours.example"
