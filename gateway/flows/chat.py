"""Chat: talk with an avatar, its answer streamed as text and video while it is being made."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flask import Blueprint, Response, jsonify, render_template, request, send_file, stream_with_context

from basics.languages import primary
from client import library
from client.talk import cast
from client.talk.conversation import Conversation, Done, Event, Media, MediaType
from client.talk.live import Transcript
from client.wire.errors import CallError
from gateway import i18n, sse
from gateway.chats import exports
from gateway.chats.registry import Chat
from gateway.context import context, services
from gateway.flows.generate import expression
from gateway.flows.speech import prosody
from gateway.refusal import Refusal
from gateway.web import errors
from gateway.web.downloads import saved_as
from gateway.web.events import described
from gateway.web.fields import Fields, no_choice

blueprint = Blueprint("chat", __name__)
MP4 = "video/mp4"
CLOSING_S = 2.0
"""A page that has read `done` may ask for the video before its file is closed."""


@blueprint.get("/chat")
def page() -> str:
    return render_template("chat.html", most_characters=context().settings.max_message_characters)


@blueprint.post("/api/v1/chats")
def create() -> tuple[Response, int]:
    fields = Fields()
    avatar = fields.required("avatar")
    chosen = cast.known(services(), {**cast.chosen_of(fields.given(cast.NAMES)), "avatar": avatar})
    size = int(fields.number("size", 0, 0, 1024))
    conversation = Conversation(services(), **chosen, size=size, **expression(fields), **prosody(fields))
    words = greeting(conversation.persona, conversation.language or i18n.language())
    chat = context().chats.create(conversation, words)
    return jsonify(_shown(chat.told())), 201


def _shown(told: dict[str, Any]) -> dict[str, Any]:
    """A conversation as REST shows it."""
    chosen = {name: told[name] or None for name in cast.NAMES if name != "avatar"}
    return told | chosen | {"kept_days": context().settings.chat_keep_days}


@blueprint.get("/api/v1/chats/<chat_id>")
def one(chat_id: str) -> Response:
    return jsonify(_shown(context().chats.told(chat_id)))


@blueprint.patch("/api/v1/chats/<chat_id>")
def change(chat_id: str) -> Response:
    """Go on with others, faster or higher; also where the avatar or the voice before is gone."""
    chat, fields = context().chats.get(chat_id), Fields()
    chat.conversation.use(**cast.chosen_of(fields.given(cast.NAMES)), **prosody(fields))
    return jsonify(_shown(chat.told()))


@blueprint.get("/api/v1/chats/<chat_id>/export")
def export(chat_id: str) -> Response:
    """The conversation as a file."""
    told, kind, zone = context().chats.told(chat_id), request.args.get("format", "json"), _time_zone()
    if kind not in exports.TYPES:
        raise no_choice("format", exports.TYPES)
    response = Response(exports.exported(told, kind, zone), content_type=f"{exports.TYPES[kind]}; charset=utf-8")
    return saved_as(response, exports.file_name(told, kind, zone))


def _time_zone() -> tzinfo:
    name = request.args.get("time_zone", "")
    try:
        return ZoneInfo(name) if name else UTC
    except (ZoneInfoNotFoundError, ValueError, OSError):
        message = "There is no time zone of that name. Give one of the IANA database, such as Europe/Berlin."
        raise Refusal(message, reason="TIME_ZONE_UNKNOWN", field="time_zone") from None


def opened(chat_id: str) -> Chat:
    """A chat, ready to go on.

    Raises:
        Refusal: there is none of that id, its avatar or voice is no longer there, or too many chats are in use.
    """
    chats = context().chats
    if not chats.is_open(chat_id):
        _check_cast(chats.told(chat_id))
    return chats.get(chat_id)


def _check_cast(told: dict[str, Any]) -> None:
    """Refuse to go on with a conversation whose avatar or voice has been deleted since, or is damaged."""
    gone = "It can still be read and exported."
    try:
        cast.avatar(services(), told["avatar"])
        if told["voice"]:
            cast.voice(services(), told["voice"])
    except CallError as error:
        if error.reason == "AVATAR_NOT_FOUND":
            text = f"The avatar of this conversation has been deleted. Begin a new one with another avatar. {gone}"
            raise Refusal(text, reason="CHAT_AVATAR_GONE", field="avatar", status=409) from None
        if error.reason == "VOICE_NOT_FOUND":
            text = f"The voice of this conversation has been deleted. Begin a new one with another voice. {gone}"
            raise Refusal(text, reason="CHAT_VOICE_GONE", field="voice", status=409) from None
        raise


def greeting(persona: str, language: str) -> str:
    """The persona's first words in the language, or in any it knows."""
    chosen = library.persona(services(), persona)
    greetings = chosen.greetings if chosen else {}
    wanted = (text for tag, text in greetings.items() if primary(tag) == primary(language))
    return next(wanted, next(iter(greetings.values()), ""))


@blueprint.delete("/api/v1/chats/<chat_id>")
def delete(chat_id: str) -> Response:
    context().chats.delete(chat_id)
    return Response(status=204)


@blueprint.post("/api/v1/chats/<chat_id>/interrupt")
def interrupt(chat_id: str) -> Response:
    """Stop the running reply; `heard_s` says how many seconds of it were heard. Answers with the conversation."""
    fields = Fields()
    heard_s = fields.number("heard_s", 0, 0, 3600) if fields.text("heard_s") else None
    chat = context().chats.get(chat_id)
    chat.interrupt(heard_s)
    return jsonify(_shown(chat.told()))


@blueprint.post("/api/v1/chats/<chat_id>/messages")
def message(chat_id: str) -> Response:
    chat, fields = opened(chat_id), Fields()
    audio = fields.file("audio")
    if audio is None:
        return sse.response(stream_with_context(_events(chat, fields.message("text"))))
    began = time.monotonic()
    text = chat.conversation.listen(audio.stream)
    if not text:
        raise Refusal("Nothing could be understood. Say it again.", reason="NOTHING_HEARD", field="audio")
    return sse.response(stream_with_context(_events(chat, text, {"asr": time.monotonic() - began})))


def _events(chat: Chat, text: str, listened: dict[str, float] | None = None) -> Iterator[str]:
    if listened:
        yield sse.event(*described(Transcript(text)))
    chat.conversation.on_reply = context().metrics.reply_over
    number, reply = chat.answer(text, listened)
    base = f"/api/v1/chats/{chat.id}/replies/{number}"
    try:
        for told in as_page_events(reply.events(), base + "/sentences/{index}", base + "/video"):
            yield sse.event(*told) if told else sse.HEARTBEAT
    finally:
        reply.cancel()  # the reader has everything, or has gone


def as_page_events(
    events: Iterator[Event | CallError | None], sentence_url: str, video_url: str
) -> Iterator[tuple[str, dict[str, Any]] | None]:
    """A reply's events as pages get them. `media` comes once per sentence, with its first fragment.

    None where there is nothing to tell, so that the stream is written to, and a reader who has gone is noticed.

    Args:
        sentence_url: where a sentence's video is, with `{index}` for its number.
        video_url: where the whole reply's video is.
    """
    media: dict[str, Any] = {}
    shown: set[int] = set()
    for event in events:
        match event:
            case None:
                yield None
            case CallError():
                yield "error", errors.body_of(event)
            case MediaType():
                media = described(event)[1]
                yield None
            case Media(sentence_index=index):
                yield (
                    None
                    if index in shown
                    else ("media", {"index": index, "url": sentence_url.format(index=index), **media})
                )
                shown.add(index)
            case Done():
                name, fields = described(event)
                yield name, fields | {"video_url": video_url}
            case _:
                yield described(event)


@blueprint.get("/api/v1/chats/<chat_id>/replies/<int:number>/sentences/<int:index>")
def sentence(chat_id: str, number: int, index: int) -> Response:
    """One sentence's video, streamed while it is being made."""
    reply = context().chats.get(chat_id).reply(number)
    return Response(reply.sentence_blocks(index), mimetype=MP4, headers={"Cache-Control": "no-store"})


@blueprint.get("/api/v1/chats/<chat_id>/replies/<int:number>/video")
def video(chat_id: str, number: int) -> Response:
    """The whole reply as a file."""
    reply = context().chats.get(chat_id).reply(number)
    if not reply.ends_within(CLOSING_S):
        raise Refusal("This reply is still being made.", reason="REPLY_NOT_READY", status=409)
    if not reply.path.exists():
        raise Refusal(
            "This reply has no video: it ended before there was any.", reason="REPLY_WITHOUT_VIDEO", status=404
        )
    return send_file(reply.path, MP4, as_attachment="download" in request.args, download_name=f"reply-{number}.mp4")
