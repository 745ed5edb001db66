"""JSON lines on stdout. Paths are logged as their pattern, so no name, id or text that a user gave is among them."""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from datetime import UTC, datetime
from typing import Any

from flask import Flask, Response, g, request

from client import request_id

logger = logging.getLogger(__name__)


class JsonFormatter(logging.Formatter):
    """One JSON object per record."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "service": "gateway",
            "event": record.getMessage().partition("\n")[0],
            "request_id": request_id.current(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)

    def formatException(self, info: Any) -> str:  # noqa: N802 - logging's name
        """Type and frames. Not what the exception says: it may quote a user or name a person."""
        return "".join([f"{type(info[1]).__qualname__}\n", *traceback.format_tb(info[2])])


def configure(level: str) -> None:
    """Send every log record of this process to stdout as JSON."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def log_requests(app: Flask) -> None:
    """One line per request."""

    @app.before_request
    def start() -> None:
        g.started, g.request_id = time.monotonic(), request_id.begin()

    @app.after_request
    def finish(response: Response) -> Response:
        if request.endpoint == "static":
            return response
        fields = {
            "method": request.method,
            "route": request.url_rule.rule if request.url_rule else None,
            "status": response.status_code,
            "ms": round((time.monotonic() - g.get("started", time.monotonic())) * 1000),
        }
        logger.info("request", extra={"fields": fields})
        response.headers["X-Request-Id"] = g.get("request_id", "")
        return response
