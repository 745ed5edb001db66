"""Live: talk with an avatar by voice, over one WebSocket."""

from __future__ import annotations

from flask import Blueprint, request
from flask_sock import Sock
from simple_websocket import Server

from client.live import HANGOVER_MS, LiveTalk
from gateway.context import context, services
from gateway.live import VERSION, Live, refuse
from gateway.refusal import Refusal

blueprint = Blueprint("live", __name__)
sock = Sock()


@sock.route("/api/v1/chats/<chat_id>/live", bp=blueprint)
def live(ws: Server, chat_id: str) -> None:
    """Speak docs/live-protocol.md. A chat has one connection at a time: a newer one takes its place."""
    try:
        _check_version(request.args.get("version", str(VERSION)))
        chat = context().chats.get(chat_id)
    except Refusal as refusal:
        refuse(ws, refusal)
        return
    talk = LiveTalk(services(), chat.conversation)
    with chat.live(talk):
        Live(ws, talk, chat.id, HANGOVER_MS, context().settings.max_message_characters).run()


def _check_version(asked: str) -> None:
    if asked != str(VERSION):
        text = f"This gateway speaks version {VERSION} of the live protocol."
        raise Refusal(text, reason="VERSION_UNKNOWN", field="version", values={"version": str(VERSION)})
