"""Text to speech and back, without an avatar."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from client import speech
from gateway.context import services
from gateway.fields import Fields

blueprint = Blueprint("speech", __name__)


@blueprint.post("/api/v1/speech")
def say() -> Response:
    fields = Fields()
    text = fields.spoken("text")
    wav = speech.speech_wav(services(), text, voice=fields.text("voice"), engine=fields.text("engine"), **how(fields))
    return Response(wav, mimetype="audio/wav")


@blueprint.post("/api/v1/transcriptions")
def transcribe() -> Response:
    fields = Fields()
    audio = fields.required_file("audio")
    return jsonify(speech.transcribe(services(), audio.stream, fields.text("language"), fields.text("engine")))


def how(fields: Fields) -> dict[str, str | float]:
    """How to speak: language, rate and pitch."""
    return {"language": fields.text("language"), **prosody(fields)}


def prosody(fields: Fields) -> dict[str, float]:
    """Rate and pitch, those of them that are given."""
    given = {name: bounds for name, bounds in speech.PROSODY.items() if fields.text(name)}
    return {name: fields.number(name, 0.0, *bounds) for name, bounds in given.items()}
