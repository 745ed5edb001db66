"""Models: what engines load; fetch, verify and remove it."""

from __future__ import annotations

from dataclasses import asdict

from flask import Blueprint, Response, jsonify, render_template

from client.work import models
from gateway import i18n
from gateway.context import context, services
from gateway.flows.jobs import accepted
from gateway.web.fields import Fields

blueprint = Blueprint("models", __name__)


@blueprint.get("/models")
def page() -> str:
    return render_template("models.html", max_upload_bytes=context().settings.max_upload_bytes)


@blueprint.get("/api/v1/models")
def listed() -> Response:
    return jsonify(models=[asdict(model) for model in models.all_models(services(), i18n.language())])


@blueprint.post("/api/v1/models/<name>/pull")
def pull(name: str) -> tuple[Response, int, dict[str, str]]:
    return accepted(models.pull(services(), name))


@blueprint.post("/api/v1/models/import")
def bring() -> Response:
    files = [(file.filename or "", file.stream) for file in Fields().files("files")]
    return jsonify(models=[asdict(model) for model in models.bring(services(), files)])


@blueprint.post("/api/v1/models/<name>/verify")
def verify(name: str) -> Response:
    return jsonify(wrong_files=models.verify(services(), name))


@blueprint.delete("/api/v1/models/<name>")
def remove(name: str) -> Response:
    models.remove(services(), name)
    return Response(status=204)
