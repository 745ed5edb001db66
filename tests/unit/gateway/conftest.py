"""A gateway whose services are all down: enough for what it decides by itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from pydantic import SecretStr

from client.wire.services import NAMES, Services
from client.wire.settings import ClientSettings
from gateway.app import create_app
from gateway.settings import GatewaySettings

NOBODY = "127.0.0.1:1"
TOKEN = "open sesame, open sesame"


@pytest.fixture
def make_gateway(tmp_path: Path) -> Callable[..., Flask]:
    """A factory of gateways; `token` and other settings as keywords."""

    def make(token: str = "", **settings: object) -> Flask:
        services = Services(ClientSettings(**{f"{name}_address": NOBODY for name in NAMES}))
        return create_app(GatewaySettings(data_folder=tmp_path, token=SecretStr(token), **settings), services)

    return make


@pytest.fixture
def closed(make_gateway: Callable[..., Flask]) -> Flask:
    """A gateway with a token."""
    return make_gateway(token=TOKEN)


@pytest.fixture
def gateway(make_gateway: Callable[..., Flask]) -> Flask:
    """A gateway with the default settings."""
    return make_gateway()
