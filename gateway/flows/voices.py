"""Voices: list, hear, register and forget."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Any

from flask import Blueprint, Response, jsonify, render_template

from client import library
from client.wire import files
from gateway.context import services
from gateway.web.downloads import send
from gateway.web.errors import told
from gateway.web.fields import MAX_TRANSCRIPT, Fields
from gateway.web.paging import page_or_all

blueprint = Blueprint("voices", __name__)


@blueprint.get("/voices")
def page() -> str:
    return render_template("voices.html")


@blueprint.get("/api/v1/voices")
def voices() -> Response:
    page = page_or_all(partial(library.voice_page, services()), partial(library.voices, services()))
    return jsonify(voices=[_shown(voice) for voice in page.entries], next_page_token=page.next_page_token or None)


def _shown(voice: library.Voice) -> dict[str, Any]:
    """A voice as REST shows it, what is wrong with it in the language of this request."""
    return asdict(voice) | {"error": told(voice.error)}


@blueprint.post("/api/v1/voices")
def create() -> tuple[Response, int]:
    fields = Fields()
    name, consent = fields.required("name"), fields.required("consent")
    transcript, audio = fields.text("transcript", most=MAX_TRANSCRIPT), fields.required_file("audio")
    voice = library.create_voice(services(), audio.stream, name, transcript, consent, fields.text("engine"))
    return jsonify(_shown(voice)), 201


@blueprint.delete("/api/v1/voices/<name>")
def delete(name: str) -> Response:
    library.delete_voice(services(), name)
    return Response(status=204)


@blueprint.get("/api/v1/voices/<name>/audio")
def audio(name: str) -> Response:
    return send(lambda offset, limit: files.voice_file(services(), name, offset, limit))
