"""Home: what this is, and how the services and the machine are doing; the avatars."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Any

from flask import Blueprint, Response, jsonify, render_template

from client import library
from client.wire import files
from gateway import i18n
from gateway.context import services
from gateway.refusal import Refusal
from gateway.web.downloads import send
from gateway.web.errors import told
from gateway.web.paging import page_or_all

blueprint = Blueprint("home", __name__)
AVATAR_FILES = ("thumbnail", "idle", "comparison", "transcript", "report")
REPORT_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"
"""A report brings its style and pictures with it, and is the one page that an engine writes: no scripts."""


@blueprint.get("/")
def page() -> str:
    return render_template("home.html")


@blueprint.get("/healthz")
def healthz() -> Response:
    """Says that the gateway itself runs, whatever the services do."""
    return jsonify(status="ok")


@blueprint.get("/api/v1/system")
def system() -> Response:
    return jsonify(services={name: _standing(one) for name, one in library.system(services()).items()})


def _standing(one: library.Standing) -> dict[str, Any]:
    return {"state": one.state, **(asdict(one.installation) if one.installation else {})}


@blueprint.get("/api/v1/engines")
def engines() -> Response:
    return jsonify({name: [_engine(one) for one in told] for name, told in library.engines(services()).items()})


def _engine(engine: library.Engine) -> dict[str, Any]:
    """An engine as REST shows it: what it lacks, and what mends that, in the language of this request."""
    shown, lack = asdict(engine), engine.lack
    del shown["lack"]
    if lack is None:
        return shown | {"reason": ""}
    reason, remedy = i18n.lack_texts(lack.reason, lack.message, engine.remedy, lack.values)
    return shown | {"reason": reason, "remedy": remedy}


@blueprint.get("/api/v1/personas")
def personas() -> Response:
    return jsonify(personas=[asdict(one) for one in library.personas(services())])


@blueprint.get("/api/v1/avatars")
def avatars() -> Response:
    page = page_or_all(partial(library.avatar_page, services()), partial(library.avatars, services()))
    return jsonify(avatars=[_shown(avatar) for avatar in page.entries], next_page_token=page.next_page_token or None)


def _shown(avatar: library.Avatar) -> dict[str, Any]:
    """An avatar as REST shows it, what is wrong with it in the language of this request."""
    return asdict(avatar) | {"error": told(avatar.error)}


@blueprint.get("/api/v1/avatars/<name>")
def avatar(name: str) -> Response:
    return jsonify(_shown(library.avatar(services(), name)))


@blueprint.delete("/api/v1/avatars/<name>")
def delete_avatar(name: str) -> Response:
    library.delete_avatar(services(), name)
    return Response(status=204)


@blueprint.get("/api/v1/avatars/<name>/<kind>")
def avatar_file(name: str, kind: str) -> Response:
    if kind not in AVATAR_FILES:
        raise Refusal("An avatar has no such file.", reason="FILE_NOT_FOUND", status=404)
    response = send(lambda offset, limit: files.avatar_file(services(), name, kind, offset, limit))
    if kind == "report":
        response.headers["Content-Security-Policy"] = REPORT_POLICY
    return response
