"""Train: a recording of someone talking, or a photo, becomes an avatar."""

from __future__ import annotations

from flask import Blueprint, Response, render_template

from client.work import training
from gateway import i18n
from gateway.context import context, services
from gateway.flows.jobs import accepted, request_id
from gateway.web.fields import Fields

blueprint = Blueprint("train", __name__)


@blueprint.get("/train")
def page() -> str:
    return render_template("train.html", max_upload_bytes=context().settings.max_upload_bytes)


@blueprint.post("/api/v1/trainings")
def create() -> tuple[Response, int, dict[str, str]]:
    fields = Fields()
    name, consent = fields.required("name"), fields.required("consent")
    video = fields.required_file("video")
    job = training.train(
        services(),
        video.stream,
        file_name=video.filename or "",
        name=name,
        consent_by=consent,
        voice=fields.text("voice"),
        language=fields.text("language") or i18n.language(),
        engine=fields.text("engine"),
        parameters=fields.mapping("params"),
        device=fields.text("device"),
        asr_engine=fields.text("asr_engine"),
        tts_engine=fields.text("tts_engine"),
        request_id=request_id(),
    )
    return accepted(job)
