"""The form routes that older scripts use. They wait until the work is done.

`model_choice` and `api_choice` choose the engines that train and answer; left out, the services' default ones do.
`model_name` is not needed, since an avatar is shown by the engine that trained it; what it names must be that engine.
"""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from flask import Blueprint, Response, jsonify, redirect, request, send_from_directory, url_for
from werkzeug.wrappers import Response as AnyResponse

from basics.problem import Problem
from client import library
from client.library import Avatar, Engine
from client.talk import cast
from client.talk.conversation import Apology, Conversation, Done, Media, MediaType
from client.wire import files
from client.wire.errors import CallError
from client.wire.files import Download
from client.work import generation, jobs, training
from client.work.jobs import Job
from gateway import i18n
from gateway.context import context, services
from gateway.refusal import Refusal
from gateway.settings import is_loopback
from gateway.web import auth
from gateway.web.fields import Fields
from gateway.web.spellings import avatar_of, device_of, engine_of, parameters_of

blueprint = Blueprint("older", __name__)
VIDEOS = "videos"
AUDIO_COOKIE = "visavis_audio"
UNSTATED_CONSENT = "not stated (sent by an older script)"
MAX_PARAMETERS = 10_000
"""Characters of `custom_params`."""
NO = ("", "false", "0", "no", "off", "none")


@blueprint.get("/video_generation", endpoint="to_generate", defaults={"page": "generate.page"})
@blueprint.get("/model_training", endpoint="to_train", defaults={"page": "train.page"})
@blueprint.get("/chat_system", endpoint="to_chat", defaults={"page": "chat.page"})
def to_page(page: str) -> AnyResponse:
    return redirect(url_for(page))


@blueprint.post("/save_audio")
def save_audio() -> Response:
    audio = Fields().required_file("audio")
    audio_id = context().recordings.save(audio.stream, by_script=_is_script())
    response = jsonify(status="success", audio_id=audio_id, path=f"static/audios/{audio_id}.wav")
    auth.set_cookie(response, AUDIO_COOKIE, audio_id)
    return response


@blueprint.post("/video_generation")
def video_generation() -> Response:
    fields = Fields()
    device, text = device_of(fields.text("gpu_choice")), fields.spoken("target_text", required=False)
    avatar = _avatar(fields)
    if text:
        voice = avatar.voice or ""
        job = generation.generate(services(), avatar=avatar.name, text=text, voice=voice, device=device)
    else:
        with _recording(fields, "ref_audio") as audio:
            job = generation.generate(services(), avatar=avatar.name, audio=audio, device=device)
    _wait(job)
    return _success(video_path=_keep(jobs.read_file(services(), job.id, "video")))


@blueprint.post("/model_training")
def model_training() -> Response:
    fields = Fields()
    device, epoch = device_of(fields.text("gpu_choice")), _epoch(fields)
    parameters = parameters_of(fields.text("custom_params", most=MAX_PARAMETERS))
    engine = _engine(fields)
    if epoch:
        known = {parameter.name for parameter in engine.parameters}
        parameters = {name: epoch for name in ("epoch", "epochs") if name in known} | parameters
    video, file_name = _training_video(fields)
    with video:
        job = training.train(
            services(),
            video,
            file_name=file_name,
            name=fields.text("name") or Path(file_name).stem,
            consent_by=fields.text("consent") or UNSTATED_CONSENT,
            engine=engine.name,
            parameters=parameters,
            device=device,
        )
    ended = _wait(job)
    shown = _keep(files.avatar_file(services(), ended.subject, "idle"))
    return _success(video_path=shown, model=ended.subject, engine=engine.name, task_id=job.id)


@blueprint.post("/chat_system")
def chat_system() -> Response:
    fields = Fields()
    avatar = _avatar(fields)
    dialogue = _dialogue_engine(fields)
    is_cloned = fields.text("voice_clone").lower() not in NO
    voice = avatar.voice or "" if is_cloned else ""
    conversation = Conversation(services(), avatar=avatar.name, voice=voice, llm_engine=dialogue)
    with _recording(fields, "audio") as audio:
        heard = conversation.listen(audio)
    if not heard:
        raise Refusal("Nothing could be understood. Say it again.", reason="NOTHING_HEARD", field="audio")
    blocks, answer = _video_of(conversation, heard)
    return _success(video_path=_keep_blocks(blocks), recognized_text=heard, ai_text=answer)


@blueprint.get("/static/videos/<file_name>")
def kept_video(file_name: str) -> Response:
    return send_from_directory(_folder(VIDEOS), file_name)


@blueprint.get("/static/audios/<file_name>")
def kept_audio(file_name: str) -> Response:
    if file_name == "input.wav":
        return send_from_directory(_folder("audios"), _choose("").name)
    return send_from_directory(_folder("audios"), file_name)


def _success(**told: Any) -> Response:
    return jsonify(status="success", **told)


def _is_script() -> bool:
    """Whether the caller is on this machine, directly, and is no browser: browsers say where a request comes from."""
    is_browser = "Origin" in request.headers or "Sec-Fetch-Site" in request.headers or bool(request.cookies)
    is_forwarded = any(name in request.headers for name in ("Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"))
    is_here = is_loopback(request.remote_addr) or context().settings.has_only_local_callers
    return is_here and not is_browser and not is_forwarded


def _choose(given: str) -> Path:
    cookie = request.cookies.get(AUDIO_COOKIE, "")
    return context().recordings.choose(given=given, cookie=cookie, is_script=_is_script())


def _recording(fields: Fields, name: str) -> IO[bytes]:
    """The caller's recording: in this request, by id or old path under `name`, or the last one it saved."""
    file = fields.file(name)
    if file:
        return file.stream
    spelled = fields.text("audio_id") or fields.text(name).replace("\\", "/").rpartition("/")[2]
    return _choose("" if spelled == "input.wav" else spelled.removesuffix(".wav")).open("rb")


def _training_video(fields: Fields) -> tuple[Any, str]:
    """The recording in this request, or the one of that name in the gateway's folder `videos-to-train`."""
    file = fields.file("ref_video")
    if file:
        return file.stream, Path(file.filename or "").name
    name = fields.required("ref_video").replace("\\", "/").rpartition("/")[2]
    path = _folder("videos-to-train") / name
    if name.startswith(".") or not path.is_file():
        message = "Send the video as a file in 'ref_video', or put it into the gateway's folder 'videos-to-train'."
        raise Refusal(message, reason="VIDEO_MISSING", field="ref_video")
    return path.open("rb"), name


def _avatar(fields: Fields) -> Avatar:
    """The avatar that `model_param` names; `model_name`, if it is there, must name the engine that shows it."""
    name, engine = avatar_of(fields.text("model_param")), fields.text("model_name")
    try:
        avatar = cast.avatar(services(), name)
    except CallError as error:
        error.about(error.field and "model_param")
        raise
    engine_of(engine, [avatar.engine], "model_name")
    return avatar


def _dialogue_engine(fields: Fields) -> str:
    """The dialogue engine that `api_choice` names, itself or by its language model; empty for the default."""
    choice = fields.text("api_choice")
    if not choice:
        return ""
    told = library.service_engines(services(), "llm")
    named = {one.name: one.name for one in told}
    named |= {one.version: one.name for one in told if "language_model" in one.capabilities}
    return _usable(told, named[engine_of(choice, named, "api_choice")], "api_choice").name


def _engine(fields: Fields) -> Engine:
    """The training engine that `model_choice` names, or the default one."""
    choice, told = fields.text("model_choice"), library.service_engines(services(), "train")
    name = engine_of(choice, [one.name for one in told], "model_choice")
    return _usable(told, name, "model_choice")


def _usable(told: list[Engine], name: str, field: str) -> Engine:
    """One of a service's engines, the first if none is named.

    Raises:
        CallError: it is missing; the message says what it lacks.
    """
    engine = next((one for one in told if one.name == name), told[0])
    engine.check_usable(field)
    return engine


def _epoch(fields: Fields) -> str:
    """`epoch`, which only engines that count in epochs use."""
    text = fields.text("epoch")
    if text and not re.fullmatch(r"[1-9]\d{0,6}", text):
        message, values = "'epoch' must be a whole number, 1 or more.", {"name": "epoch"}
        raise Refusal(message, reason="NOT_A_NUMBER", field="epoch", values=values)
    return text


def _wait(job: Job) -> Job:
    """Watch a job to its end; anything but success is refused with what the job says."""
    for snapshot in jobs.watch(services(), job.id):
        job = snapshot
    if job.state == "succeeded":
        return job
    error = job.error or Problem("CANCELLED", "This was cancelled.")
    message = i18n.error_text(error.reason, error.message, error.values)
    raise Refusal(message, reason=error.reason, field=error.field, status=400 if error.field else 500)


def _video_of(conversation: Conversation, text: str) -> tuple[list[bytes], str]:
    blocks, answer = [], ""
    with contextlib.closing(conversation.reply(text)) as reply:
        for event in reply:
            if isinstance(event, Apology):
                raise event.error  # a script wants an answer or a failure
            if isinstance(event, MediaType):
                blocks.append(event.init_segment)
            elif isinstance(event, Media):
                blocks.append(event.data)
            elif isinstance(event, Done):
                answer = event.text
    return blocks, answer


def _keep(download: Download) -> str:
    return _keep_blocks(download.blocks)


def _keep_blocks(blocks: Iterable[bytes]) -> str:
    """Write a video under a name that nobody can guess; returns its path as older scripts spell it."""
    folder, name = _folder(VIDEOS), f"{secrets.token_urlsafe(16)}.mp4"
    with (folder / name).open("wb") as file:
        file.writelines(blocks)
    return f"static/videos/{name}"


def _folder(name: str) -> Path:
    folder = context().settings.data_folder.resolve() / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder
