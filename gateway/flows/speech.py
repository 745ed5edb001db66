"""Text to speech and back, without an avatar."""

from __future__ import annotations

import dataclasses

from flask import Blueprint, Response, jsonify

from client.talk import hearing, speech
from client.talk.speech import Prosody
from gateway.context import services
from gateway.web.fields import Fields

blueprint = Blueprint("speech", __name__)


@blueprint.post("/api/v1/speech")
def say() -> Response:
    fields = Fields()
    text = fields.spoken("text")
    who = {"voice": fields.text("voice"), "engine": fields.text("engine")}
    volume_db = fields.number("volume_db", 0.0, *speech.VOLUME_DB)
    wav = speech.speech_wav(services(), text, **who, **how(fields), volume_db=volume_db)
    return Response(wav, mimetype="audio/wav")


@blueprint.post("/api/v1/transcriptions")
def transcribe() -> Response:
    fields = Fields()
    audio = fields.required_file("audio")
    hotwords = fields.listed("hotwords", hearing.MOST_HOTWORDS, hearing.MOST_HOTWORD_CHARACTERS)
    heard = speech.transcribe(
        services(),
        audio.stream,
        fields.text("language"),
        fields.text("engine"),
        hotwords,
        languages=fields.listed("languages", hearing.MOST_LANGUAGES, hearing.MOST_LANGUAGE_CHARACTERS),
        spoken_form=fields.choice("form", ("written", "spoken"), "written") == "spoken",
    )
    return jsonify(dataclasses.asdict(heard))


class How(Prosody):
    """How to speak."""

    language: str


def how(fields: Fields) -> How:
    """How to speak: language, rate and pitch."""
    return {"language": fields.text("language"), **prosody(fields)}


def prosody(fields: Fields) -> Prosody:
    """Rate and pitch, those of them that are given."""
    given: Prosody = {}
    for name, bounds in speech.PROSODY.items():
        if fields.text(name):
            given[name] = fields.number(name, 0.0, *bounds)
    return given
