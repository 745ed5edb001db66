"""Serve the gateway: `python -m gateway`."""

from __future__ import annotations

from typing import Any

from flask import Flask

from basics import logs, private, startup
from client.wire.services import Services
from client.wire.settings import ClientSettings
from gateway.app import create_app
from gateway.settings import GatewaySettings
from gateway.worker import BUSY, MOST_IDLE, Application, Worker


class Server(Application):
    """Gunicorn with one process, because chats live in its memory, and a thread per request."""

    def __init__(self, settings: GatewaySettings) -> None:
        self.settings = settings
        super().__init__()

    def load_config(self) -> None:
        settings = self.settings
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        options: dict[str, Any] = {
            "bind": f"{host}:{settings.port}",
            "workers": 1,
            "worker_class": Worker,
            "threads": settings.threads,
            "worker_connections": settings.threads + MOST_IDLE + BUSY,
            "timeout": 0,  # no request is too long: trainings are waited for and events streamed
            "graceful_timeout": 5,
            "keepalive": 30,
            "control_socket_disable": True,
            "forwarded_allow_ips": "",
            "loglevel": "warning",
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:  # type: ignore[override]  # a WSGI application, whatever typeshed calls its environment
        """Runs in the worker, after the fork: gRPC channels must not cross one."""
        logs.configure("gateway", self.settings.log_level)
        return create_app(self.settings, Services(ClientSettings()))


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    private.from_now_on()
    Server(startup.settings(GatewaySettings)).run()


if __name__ == "__main__":
    main()
