"""Signing in with the gateway's token, and choosing a language."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from gateway import auth, i18n

blueprint = Blueprint("session", __name__)


@blueprint.route("/sign-in", methods=["GET", "POST"])
def sign_in() -> Response | str | tuple[str, int]:
    if request.method == "GET":
        return render_template("sign_in.html", wrong=False)
    if not auth.token_matches(request.form.get("token", "")):
        return render_template("sign_in.html", wrong=True), 401
    response = redirect(_local(request.form.get("next", "")))
    auth.set_cookie(response, auth.SIGN_IN_COOKIE, auth.sign_in_value())
    return response


@blueprint.get("/language/<name>")
def language(name: str) -> Response:
    response = redirect(_local(request.args.get("next", "")))
    if name in i18n.LANGUAGES:
        auth.set_cookie(response, i18n.COOKIE, name)
    return response


def _local(path: str) -> str:
    """The path, unless it leads to another site."""
    is_local = path.startswith("/") and not path.startswith("//") and "\\" not in path
    return path if is_local else url_for("home.page")
