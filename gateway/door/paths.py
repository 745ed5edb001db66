"""Where a page may lead after it was asked to go on somewhere."""

from __future__ import annotations

import re

LONGEST = 2000
_OURS = re.compile(r"/(?![/\\])[A-Za-z0-9/._~!$&'()*+,;=:@?%-]*")
"""A path and a query as RFC 3986 writes them. Browsers drop tabs and line breaks and read a backslash as a slash, so
what they would take for `//another.site` must not match."""


def ours_or_home(target: str) -> str:
    """`target` if it is a path on this site, with or without a query; else the home page."""
    return target if len(target) <= LONGEST and _OURS.fullmatch(target) else "/"
