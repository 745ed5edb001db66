"""Signing in with the gateway's token and out again, and choosing a language."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from gateway import i18n
from gateway.door.paths import ours_or_home
from gateway.refusal import Refusal
from gateway.web import auth, errors

blueprint = Blueprint("session", __name__)


@blueprint.get("/sign-in")
def sign_in_page() -> str:
    return render_template("sign_in.html")


@blueprint.post("/sign-in")
def sign_in() -> Response | tuple[str, int] | tuple[str, int, dict[str, str]]:
    try:
        is_right = auth.token_is_right(request.form.get("token", ""))
    except Refusal as refusal:
        told = render_template("sign_in.html", error=errors.body_of(refusal)["message"])
        return told, refusal.status, errors.headers_of(refusal)
    if not is_right:
        return render_template("sign_in.html", error=i18n.word("sign_in.wrong")), 401
    response = redirect(ours_or_home(request.form.get("next", "")))
    auth.sign_in(response)
    return response


@blueprint.post("/sign-out")
def sign_out() -> Response:
    response = redirect(url_for("session.sign_in_page"))
    auth.sign_out(response)
    return response


@blueprint.get("/language/<name>")
def language(name: str) -> Response:
    response = redirect(ours_or_home(request.args.get("next", "")))
    if name in i18n.LANGUAGES:
        auth.set_cookie(response, i18n.COOKIE, name)
    return response
