"""What the views of one application share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from flask import current_app

from client.wire.services import Services
from gateway.chats.registry import Chats
from gateway.door.guesses import Guesses
from gateway.door.sign_ins import SignIns
from gateway.metrics import Metrics
from gateway.recordings import Recordings
from gateway.settings import GatewaySettings
from gateway.watches import Watches

KEY = "visavis"


@dataclass(frozen=True)
class Context:
    """One application's settings, services and state."""

    settings: GatewaySettings
    services: Services
    chats: Chats
    watches: Watches
    recordings: Recordings
    metrics: Metrics
    sign_ins: SignIns
    guesses: Guesses


def context() -> Context:
    """The context of the application that serves this request."""
    return cast(Context, current_app.extensions[KEY])


def services() -> Services:
    """The services of this application."""
    return context().services
