"""Voices: list, hear, register and forget."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, render_template

from client import files, library
from gateway.context import services
from gateway.downloads import send
from gateway.fields import Fields

blueprint = Blueprint("voices", __name__)


@blueprint.get("/voices")
def page() -> str:
    return render_template("voices.html")


@blueprint.get("/api/v1/voices")
def voices() -> Response:
    return jsonify(voices=library.voices(services()))


@blueprint.post("/api/v1/voices")
def create() -> tuple[Response, int]:
    fields = Fields()
    name, consent = fields.required("name"), fields.required("consent")
    audio = fields.required_file("audio")
    voice = library.create_voice(services(), audio.stream, name, fields.text("transcript"), consent)
    return jsonify(voice), 201


@blueprint.delete("/api/v1/voices/<name>")
def delete(name: str) -> Response:
    library.delete_voice(services(), name)
    return Response(status=204)


@blueprint.get("/api/v1/voices/<name>/audio")
def audio(name: str) -> Response:
    return send(lambda offset, limit: files.voice_file(services(), name, offset, limit))
