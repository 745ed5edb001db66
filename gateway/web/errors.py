"""Every failure as `{"error": {"code", "message", "field"}}` with a fitting status, in the reader's language."""

from __future__ import annotations

import contextlib
import logging
import time
from typing import Any

import grpc
from flask import Flask, Response, jsonify, render_template, request
from werkzeug.exceptions import ClientDisconnected, HTTPException, RequestEntityTooLarge
from wsproto.utilities import RemoteProtocolError

from basics.problem import Problem
from client.wire.errors import CallError, from_failure
from gateway import i18n
from gateway.context import context
from gateway.refusal import Refusal
from gateway.web.fields import MAX_JSON_BYTES
from gateway.web.spellings import field_of

logger = logging.getLogger(__name__)
HTTP_STATUS = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.FAILED_PRECONDITION: 409,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.OUT_OF_RANGE: 416,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
NOT_READY = {"UNAVAILABLE": "down", "LOADING": "loading"}
"""Reasons of a service that does not answer yet, and the state that each tells of."""
FIELDS = {
    "consent.given_by": "consent",
    "data": "audio",
    "messages": "text",
    "messages.text": "text",
    "pitch": "pitch_semitones",
    "recording_id": "video",
    "request_id": "Idempotency-Key",
    "volume": "volume_db",
}
"""Fields of the services that REST spells differently."""
DRAIN_S = 20.0


def status_of(error: CallError | Refusal) -> int:
    """The HTTP status that says the same."""
    if isinstance(error, Refusal):
        return error.status
    if error.reason == "STORAGE_FULL":
        return 507
    return HTTP_STATUS.get(error.code, 500)


def headers_of(error: CallError | Refusal) -> dict[str, str]:
    """What the answer's headers say of it."""
    seconds = error.retry_after_s if isinstance(error, Refusal) else 0
    return {"Retry-After": str(seconds)} if seconds else {}


def body_of(error: CallError | Refusal) -> dict[str, Any]:
    """The error as callers see it, in the language of this request."""
    reason, message, values = error.reason, error.message, error.values
    if reason in NOT_READY:
        reason, (message, values) = "UNAVAILABLE", _who_is_missing(error)
    body = {"code": reason, "message": i18n.error_text(reason, message, values), "field": _field_of(error.field)}
    return body | {name: values[name] for name in ("request_id",) if name in values}


def told(problem: Problem | None) -> dict[str, Any] | None:
    """What is wrong with one thing among others, in the language of this request; None when all is well."""
    if problem is None:
        return None
    message = i18n.error_text(problem.reason, problem.message, problem.values)
    return {"code": problem.reason, "message": message, "field": problem.field or None}


def _field_of(spelled: str) -> str | None:
    spelled = spelled.removeprefix("config.")
    return FIELDS.get(spelled, spelled) or None


def _who_is_missing(error: CallError | Refusal) -> tuple[str, dict[str, str]]:
    service = error.service if isinstance(error, CallError) else ""
    if not service:
        return error.message, error.values
    missing = f"{service} ({i18n.word('state.' + NOT_READY[error.reason])})"
    message = (
        f"Not ready: {missing}. Try again in a moment: what loads or has just stopped is back soon. "
        "What stays away is started with `visavis up`."
    )
    return message, error.values | {"services": missing}


def handle_errors(app: Flask) -> None:
    """Answer every exception of a view."""

    @app.errorhandler(CallError)
    @app.errorhandler(Refusal)
    def refused(error: CallError | Refusal) -> tuple[Response | str, int, dict[str, str]]:
        return *_answer(body_of(error), status_of(error)), headers_of(error)

    @app.errorhandler(RemoteProtocolError)
    def no_handshake(_: RemoteProtocolError) -> tuple[Response | str, int, dict[str, str]]:
        text = "This is no WebSocket handshake of version 13. Let a WebSocket library open the connection."
        return refused(Refusal(text, reason="HANDSHAKE_WRONG"))

    @app.errorhandler(RequestEntityTooLarge)
    def too_large(_: RequestEntityTooLarge) -> tuple[Response | str, int, dict[str, str]]:
        _drain()
        most = context().settings.max_upload_bytes
        length = request.content_length
        if not request.is_json and (length is None or length > most):
            limit = f"{context().settings.max_upload_mb} MB"
            text = f"This is larger than {limit}. Cut or compress it."
            return refused(Refusal(text, reason="FILE_TOO_LARGE", status=413, values={"max": limit}))
        limit = f"{(MAX_JSON_BYTES if request.is_json else request.max_form_memory_size or most) // 1000} kB"
        text = f"This holds more than {limit} of text, or too many fields. Shorten it, and send files as files."
        return refused(Refusal(text, reason="TEXTS_TOO_LARGE", status=413, values={"max": limit}))

    @app.errorhandler(ClientDisconnected)
    def stalled(_: ClientDisconnected) -> tuple[Response | str, int, dict[str, str]]:
        text = "The rest of this never came. Send it again."
        return refused(Refusal(text, reason="REQUEST_INCOMPLETE", status=408))

    @app.errorhandler(HTTPException)
    def plain(error: HTTPException) -> tuple[Response | str, int] | HTTPException:
        if error.code is None or error.code < 400:
            return error
        reason = {404: "NO_SUCH_PAGE", 405: "WRONG_METHOD"}.get(error.code, "BAD_REQUEST")
        english = "There is no such page." if reason == "NO_SUCH_PAGE" else error.description or error.name
        return _answer({"code": reason, "message": i18n.error_text(reason, english, {}), "field": None}, error.code)

    @app.errorhandler(Exception)
    def broken(error: Exception) -> tuple[Response | str, int]:
        failure = from_failure(error)
        if failure.reason == "STORAGE_FULL":
            _drain()
        else:
            logger.exception("unexpected", exc_info=error)
        return _answer(body_of(failure), status_of(failure))


def _answer(error: dict[str, Any], status: int) -> tuple[Response | str, int]:
    older = request.blueprint == "older"
    if older:
        return jsonify({"status": "error", **error, "field": field_of(error["field"])}), status
    if request.path.startswith("/api/") or request.accept_mimetypes.best == "application/json":
        return jsonify(error=error), status
    return render_template("error.html", error=error, status=status), status


def _drain() -> None:
    """Read on for a while, so that the sender sees the answer instead of a broken connection."""
    until = time.monotonic() + DRAIN_S
    body = request.environ["wsgi.input"]
    with contextlib.suppress(OSError):  # it sends no more
        while time.monotonic() < until and body.read(2**20):
            pass
