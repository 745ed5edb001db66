"""The application."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

from flask import Flask, Request

from basics import private
from client.wire.services import Services
from gateway import i18n, logs
from gateway.chats.archive import Archive
from gateway.chats.registry import Chats
from gateway.context import KEY, Context
from gateway.door.guesses import Guesses
from gateway.door.proxies import TrustedProxies
from gateway.door.sign_ins import SignIns
from gateway.flows import chat, docs, generate, home, jobs, live, metrics, models, older, session, speech, train, voices
from gateway.metrics import Metrics
from gateway.recordings import Recordings
from gateway.settings import GatewaySettings
from gateway.sweeping import delete_older_than, sweep_forever
from gateway.watches import Watches
from gateway.web import auth, errors
from gateway.web.live import MAX_MESSAGE_BYTES

FLOWS = (home, chat, generate, train, voices, models, speech, jobs, live, older, session, docs, metrics)
"""The pages in the order of the navigation, then what has no page."""

SPOOL_BYTES = 2**20
PING_S = 25
"""A WebSocket whose other end does not answer a ping within this time is closed."""


def create_app(settings: GatewaySettings, services: Services) -> Flask:
    """The gateway for the given services. Uploads and chats live under `settings.data_folder`."""
    app = Flask(__name__)
    folder = settings.data_folder.resolve()
    private.make_folder(folder)
    app.wsgi_app = TrustedProxies(app.wsgi_app, settings.proxies)  # type: ignore[method-assign]  # Flask's own way
    app.request_class = _request_spooling_to(folder / "uploads")
    app.config["MAX_CONTENT_LENGTH"] = settings.max_upload_bytes
    app.config["SOCK_SERVER_OPTIONS"] = {"ping_interval": PING_S, "max_message_size": MAX_MESSAGE_BYTES}
    archive = Archive(folder / "conversations", settings.chat_keep_days)
    chats = Chats(settings, folder / "chats", archive, services)
    recordings = Recordings(folder / "audios", settings.keep_hours)
    sign_ins = SignIns(folder / "sign_ins.json", settings.token.get_secret_value(), settings.sign_in_days)
    figures = Metrics(lambda: chats.open_count, lambda: chats.talk_count)
    app.extensions[KEY] = Context(
        settings, services, chats, Watches(services), recordings, figures, sign_ins, Guesses()
    )
    sweep_forever(chats.sweep, recordings.sweep, partial(delete_older_than, folder / older.VIDEOS, settings.keep_hours))
    logs.log_requests(app)
    errors.handle_errors(app)
    auth.guard(app)
    for flow in FLOWS:
        app.register_blueprint(flow.blueprint)
    app.context_processor(_words)
    return app


def _request_spooling_to(folder: Path) -> type[Request]:
    """Requests whose uploads go to our folder: the system's temporary one may be small, or in memory."""
    folder.mkdir(parents=True, exist_ok=True)

    class SpoolingRequest(Request):
        def _get_file_stream(
            self,
            total_content_length: int | None,
            content_type: str | None,
            filename: str | None = None,
            content_length: int | None = None,
        ) -> IO[bytes]:
            return tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES, dir=str(folder))

    return SpoolingRequest


def _words() -> dict[str, Any]:
    """What every template can use."""
    language = i18n.language()
    word: Callable[..., str] = i18n.word
    return {
        "t": word,
        "language": language,
        "languages": i18n.LANGUAGES,
        "catalogue": i18n.catalogue(language),
        "version": version("visavis"),
        "is_signed_in": auth.is_signed_in(),
    }
