"""Voices: list, hear, judge, register, correct, take elsewhere and forget."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Any

from flask import Blueprint, Response, jsonify, render_template, request

from client import voices as registered
from client.talk import references
from client.voices import Report, Voice
from client.wire import files
from gateway.context import services
from gateway.web.downloads import saved_as, send, whole
from gateway.web.errors import told
from gateway.web.fields import MAX_CHARACTERS, MAX_TRANSCRIPT, Fields, bounded
from gateway.web.paging import page_or_all

blueprint = Blueprint("voices", __name__)


@blueprint.get("/voices")
def page() -> str:
    return render_template("voices.html")


@blueprint.get("/api/v1/voices")
def voices() -> Response:
    page = page_or_all(partial(registered.page, services()), partial(registered.listed, services()))
    return jsonify(voices=[_shown(voice) for voice in page.entries], next_page_token=page.next_page_token or None)


def _shown(voice: Voice) -> dict[str, Any]:
    """A voice as REST shows it, what is wrong with it in the language of this request."""
    return asdict(voice) | {"report": _report(voice.report), "error": told(voice.error)}


def _report(report: Report | None) -> dict[str, Any] | None:
    return asdict(report) | {"warnings": [told(warning) for warning in report.warnings]} if report else None


@blueprint.post("/api/v1/voices/check")
def check() -> Response:
    return jsonify(_report(registered.judge(services(), Fields().required_file("audio").stream)))


@blueprint.post("/api/v1/voices")
def create() -> tuple[Response, int]:
    fields = Fields()
    name, consent = fields.required("name"), fields.required("consent")
    transcript, audio = fields.text("transcript", most=MAX_TRANSCRIPT), fields.required_file("audio")
    voice = registered.create(services(), audio.stream, name, transcript, consent, fields.text("engine"))
    return jsonify(_shown(voice)), 201


@blueprint.post("/api/v1/voices/import")
def bring() -> tuple[Response, int]:
    fields = Fields()
    archive = fields.required_file("archive")
    voice = registered.bring(services(), archive.stream, fields.text("name"), fields.text("engine"))
    return jsonify(_shown(voice)), 201


@blueprint.get("/api/v1/voices/<name>/archive")
def export(name: str) -> Response:
    return whole(files.voice_archive(services(), name))


@blueprint.patch("/api/v1/voices/<name>")
def correct(name: str) -> Response:
    transcript = Fields().stated("transcript", most=MAX_TRANSCRIPT)
    return jsonify(_shown(registered.set_transcript(services(), name, transcript)))


@blueprint.delete("/api/v1/voices/<name>")
def delete(name: str) -> Response:
    registered.delete(services(), name)
    return Response(status=204)


@blueprint.get("/api/v1/voices/<name>/audio")
def audio(name: str) -> Response:
    return send(lambda offset, limit: files.voice_file(services(), name, offset, limit))


@blueprint.post("/api/v1/voices/<name>/transcription")
def transcribe(name: str) -> Response:
    fields = Fields()
    heard = references.transcribe(services(), name, fields.text("language"), fields.text("engine"))
    return jsonify(asdict(heard))


@blueprint.get("/api/v1/voices/<name>/subtitles")
def subtitles(name: str) -> Response:
    language, engine = (bounded(request.args.get(one, ""), one, MAX_CHARACTERS) for one in ("language", "engine"))
    webvtt = references.subtitles(services(), name, language, engine)
    return saved_as(Response(webvtt, content_type="text/vtt; charset=utf-8"), f"{name}.vtt")
