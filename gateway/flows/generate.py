"""Generate: an avatar and some speech become a video."""

from __future__ import annotations

from typing import TypedDict

from flask import Blueprint, Response, render_template

from client.work import generation
from gateway.context import services
from gateway.flows.jobs import accepted, request_id
from gateway.flows.speech import how
from gateway.refusal import Refusal
from gateway.web.fields import Fields

blueprint = Blueprint("generate", __name__)
MAX_SIZE = 1024


@blueprint.get("/generate")
def page() -> str:
    return render_template("generate.html")


class Expression(TypedDict):
    """How lively an avatar is."""

    mouth_amplitude: float
    head_motion: float


def expression(fields: Fields) -> Expression:
    """How lively the avatar is."""
    return {
        "mouth_amplitude": fields.number("mouth_amplitude", 1.0, 0.5, 1.5),
        "head_motion": fields.number("head_motion", 1.0, 0.0, 1.0),
    }


@blueprint.post("/api/v1/generations")
def create() -> tuple[Response, int, dict[str, str]]:
    fields = Fields()
    avatar, audio = fields.required("avatar"), fields.file("audio")
    text = fields.spoken("text", required=False)
    if (audio is None) == (not text):
        raise Refusal("Give either a recording or a text.", reason="AUDIO_OR_TEXT", field="text")
    job = generation.generate(
        services(),
        avatar=avatar,
        audio=audio.stream if audio else None,
        file_name=audio.filename or "" if audio else "",
        text=text,
        voice=fields.text("voice"),
        subtitles=fields.choice("subtitles", generation.SUBTITLES, "none"),
        size=int(fields.number("size", 0, 0, MAX_SIZE)),
        device=fields.text("device"),
        asr_engine=fields.text("asr_engine"),
        tts_engine=fields.text("tts_engine"),
        parameters=fields.mapping("params"),
        **expression(fields),
        request_id=request_id(),
        **how(fields),
    )
    return accepted(job)
