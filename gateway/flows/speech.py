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
    wav = speech.speech_wav(services(), text, voice=fields.text("voice"), **how(fields))
    return Response(wav, mimetype="audio/wav")


@blueprint.post("/api/v1/transcriptions")
def transcribe() -> Response:
    fields = Fields()
    audio = fields.required_file("audio")
    return jsonify(speech.transcribe(services(), audio.stream, fields.text("language")))


def how(fields: Fields) -> dict[str, str | float]:
    """How to speak: language, rate and pitch."""
    return {
        "language": fields.text("language"),
        "rate": fields.number("rate", 1.0, 0.5, 2.0),
        "pitch_semitones": fields.number("pitch_semitones", 0.0, -12.0, 12.0),
    }
