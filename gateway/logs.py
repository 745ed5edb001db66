"""A line per request. Paths are logged as their pattern, so no name, id or text that a user gave is among them."""

from __future__ import annotations

import logging
import time

from flask import Flask, Response, g, request

from client.wire import request_id

logger = logging.getLogger(__name__)


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
