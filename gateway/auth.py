"""Who may come in: the token, the sign-in cookie, requests forged by other sites, and what pages may load."""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import urlsplit

from flask import Flask, Response, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from gateway.context import context
from gateway.refusal import Refusal
from gateway.settings import is_loopback

SIGN_IN_COOKIE = "visavis_session"
YEAR_S = 365 * 24 * 3600
OPEN_ENDPOINTS = {"static", "session.sign_in", "session.language", "home.healthz"}
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
CONTENT_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)


def guard(app: Flask) -> None:
    """Check every request before a view sees it, and mark every answer."""
    app.before_request(_refuse_strangers)
    app.after_request(_mark)


def _refuse_strangers() -> AnyResponse | None:
    _check_host()
    if request.endpoint in OPEN_ENDPOINTS and request.method in SAFE_METHODS:
        return None
    if _bearer_is_right():
        return None  # a page of another site cannot know the token, so nothing can be forged
    _check_origin()
    if request.endpoint in OPEN_ENDPOINTS or not _token() or _is_signed_in():
        return None
    if request.method == "GET" and request.accept_mimetypes.accept_html and not request.path.startswith("/api/"):
        return redirect(url_for("session.sign_in", next=request.path))
    message = "Sign in first, or send the token as `Authorization: Bearer …`."
    raise Refusal(message, reason="TOKEN_REQUIRED", status=401)


def _check_host() -> None:
    """Without a token, a name that another site points at loopback (DNS rebinding) must not open the door."""
    if not _token() and not is_loopback(urlsplit(f"//{request.host}").hostname):
        message = "Only this machine may use the gateway. To open it to others, set GATEWAY_TOKEN."
        raise Refusal(message, reason="NOT_THIS_MACHINE", status=403)


def _check_origin() -> None:
    if request.method in SAFE_METHODS and "Upgrade" not in request.headers:  # any site may try to open a WebSocket
        return
    origin = request.headers.get("Origin")
    foreign = urlsplit(origin).netloc != request.host if origin else False
    if foreign or request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
        raise Refusal("Another site tried to use the gateway in your name.", reason="FOREIGN_ORIGIN", status=403)


def _token() -> str:
    return context().settings.token.get_secret_value()


def _bearer_is_right() -> bool:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    return bool(_token()) and scheme.lower() == "bearer" and token_matches(given.strip())


def token_matches(given: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(given.encode(), _token().encode())


def sign_in_value() -> str:
    """What the sign-in cookie holds: proof of the token, from which the token cannot be had."""
    return hmac.new(_token().encode(), b"visavis sign-in", hashlib.sha256).hexdigest()


def _is_signed_in() -> bool:
    return hmac.compare_digest(request.cookies.get(SIGN_IN_COOKIE, "").encode(), sign_in_value().encode())


def set_cookie(response: AnyResponse, name: str, value: str, max_age: int = YEAR_S) -> None:
    """A cookie that scripts cannot read and other sites cannot send."""
    response.set_cookie(name, value, max_age=max_age, httponly=True, samesite="Lax", secure=request.is_secure)


def _mark(response: Response) -> Response:
    response.headers.setdefault("Content-Security-Policy", CONTENT_POLICY)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    response.headers["Permissions-Policy"] = "microphone=(self), camera=(), geolocation=()"
    if request.endpoint != "static":
        response.headers.setdefault("Cache-Control", "no-store")
    return response
