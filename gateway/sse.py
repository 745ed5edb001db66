"""Server-sent events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from flask import Response

HEARTBEAT = ": \n\n"  # a comment: keeps proxies awake, and writing it shows when the reader has gone
HEARTBEAT_S = 0.5


def event(name: str, data: dict[str, Any]) -> str:
    """One event. JSON holds no raw line break, so the data is always one line."""
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


def response(events: Iterator[str]) -> Response:
    """A stream of events, never buffered or cached. The iterator is closed when the reader goes."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return Response(events, mimetype="text/event-stream", headers=headers)
