"""Who may come in: the token, the sign-in cookie, requests forged by other sites, and what pages may load."""

from __future__ import annotations

import hmac
from math import ceil
from urllib.parse import urlsplit

from flask import Flask, Response, redirect, request, url_for
from werkzeug.urls import iri_to_uri
from werkzeug.wrappers import Response as AnyResponse

from gateway.context import context
from gateway.refusal import Refusal
from gateway.settings import is_loopback
from gateway.worker import SMALL_BODY_BYTES

SIGN_IN_COOKIE = "visavis_session"
YEAR_S = 365 * 24 * 3600
OPEN_ENDPOINTS = {
    "static",
    "session.sign_in_page",
    "session.sign_in",
    "session.sign_out",
    "session.language",
    "home.healthz",
}
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
    """Nothing here reads a body: a stranger's would fill the disk, or hold a thread by not coming."""
    _check_host()
    if request.endpoint in OPEN_ENDPOINTS and request.method in SAFE_METHODS:
        return None
    if _bearer_is_right():
        return None  # a page of another site cannot know the token, so nothing can be forged
    _check_origin()
    if request.endpoint in OPEN_ENDPOINTS:
        _check_size()
        return None
    if not _token() or is_signed_in():
        return None
    if request.method == "GET" and request.accept_mimetypes.accept_html and not request.path.startswith("/api/"):
        asked = iri_to_uri(request.full_path.removesuffix("?"))
        return redirect(url_for("session.sign_in_page", next=asked))
    message = "Sign in first, or send the token as `Authorization: Bearer …`."
    raise Refusal(message, reason="TOKEN_REQUIRED", status=401)


def _check_size() -> None:
    if "Transfer-Encoding" in request.headers or (request.content_length or 0) > SMALL_BODY_BYTES:
        values = {"max": str(SMALL_BODY_BYTES)}
        message = f"A sign-in has at most {SMALL_BODY_BYTES} bytes, and says how many."
        raise Refusal(message, reason="SIGN_IN_TOO_LARGE", status=413, values=values)


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
    return scheme.lower() == "bearer" and token_is_right(given.strip())


def token_is_right(given: str) -> bool:
    """Whether this is the gateway's token.

    Raises:
        Refusal: its address gave too many wrong ones and has to wait.
    """
    if not _token() or not given:
        return False
    is_right = hmac.compare_digest(given.encode(), _token().encode())
    seconds = ceil(context().guesses.judge(request.remote_addr or "", is_right=is_right))
    if seconds:
        message = f"Too many wrong tokens came from your address. Try again in {seconds} s."
        values = {"seconds": str(seconds)}
        raise Refusal(message, reason="TOO_MANY_GUESSES", status=429, values=values, retry_after_s=seconds)
    return is_right


def is_signed_in() -> bool:
    """Whether this request has the cookie of a sign-in that lasts."""
    return bool(_token()) and context().sign_ins.is_valid(request.cookies.get(SIGN_IN_COOKIE, ""))


def sign_in(response: AnyResponse) -> None:
    """Give whoever gets this answer a cookie of their own."""
    sign_ins = context().sign_ins
    set_cookie(response, SIGN_IN_COOKIE, sign_ins.begin(), max_age=int(sign_ins.seconds))


def sign_out(response: AnyResponse) -> None:
    """End the sign-in of this request."""
    context().sign_ins.end(request.cookies.get(SIGN_IN_COOKIE, ""))
    response.delete_cookie(SIGN_IN_COOKIE)


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
