"""What engines that ask a language model's provider have in common: their settings, and what can go wrong.

Nothing of the provider's own answer is passed on: it may quote the user's words or part of the key.
"""

from __future__ import annotations

import logging

from pydantic import Field, SecretStr

from services.common.engine import EngineSettings, Lack
from services.common.errors import Busy, InvalidInput, ServiceError, Unavailable


class ProviderSettings(EngineSettings):
    """How a provider is reached. An engine's own class adds the prefix."""

    api_key: SecretStr = SecretStr("")
    """Key of the language model's provider. Local servers such as Ollama need none."""

    base_url: str = ""
    """Address of the language model's API, e.g. `http://127.0.0.1:11434/v1`; empty for the provider's own."""

    model: str = ""
    """Name of the language model; empty for the engine's default."""

    connect_seconds: float = Field(5.0, gt=0)
    """How long to wait for the provider to accept a connection."""

    read_seconds: float = Field(30.0, gt=0)
    """How long to wait for the next piece of a reply."""


class Failures:
    """What can go wrong with one provider, said the same way for every engine; `settings` name the variables."""

    def __init__(self, settings: ProviderSettings) -> None:
        self._key, self._model, self._url, self._patience = (
            settings.variable(name) for name in ("api_key", "model", "base_url", "read_seconds")
        )

    def key_refused(self) -> ServiceError:
        """The provider does not accept the key, or it may not use this model."""
        message = f"The provider refused the key. Check {self._key}, and that it may use {self._model}."
        return Unavailable(message, reason="KEY_REFUSED", values={"key": self._key, "model": self._model})

    def model_missing(self) -> ServiceError:
        """The provider has no such model or no such address."""
        message = f"The provider does not know this model or address. Check {self._model} and {self._url}."
        return Unavailable(message, reason="MODEL_NOT_FOUND", values={"model": self._model, "url": self._url})

    def timed_out(self) -> ServiceError:
        """No answer in time."""
        message = f"The language model did not answer in time. Try again, or raise {self._patience}."
        return Unavailable(message, reason="PROVIDER_TIMEOUT", values={"setting": self._patience})

    def unreachable(self) -> ServiceError:
        """No connection."""
        message = f"The language model's provider cannot be reached. Check the network and {self._url}."
        return Unavailable(message, reason="PROVIDER_UNREACHABLE", values={"url": self._url})

    def by_status(self, status: int) -> ServiceError:
        """The error that an HTTP status stands for."""
        known = {
            400: refused, 401: self.key_refused, 402: rate_limited, 403: self.key_refused, 404: self.model_missing,
            408: self.timed_out, 422: refused, 429: rate_limited,
        }  # fmt: skip
        return known.get(status, failing)()


def key_lack(settings: ProviderSettings) -> Lack | None:
    """That no key is set."""
    if settings.api_key.get_secret_value():
        return None
    key = settings.variable("api_key")
    return Lack("KEY_MISSING", "It needs a key of its provider.", f"Set {key} and restart the service.", {"key": key})


def rate_limited() -> ServiceError:
    """Too many requests, or no credit is left."""
    message = "The language model's provider takes no more requests now: too many, or the account is empty. Try later."
    return Busy(message, reason="PROVIDER_LIMIT")


def broken_off() -> ServiceError:
    """The connection ended in the middle of a reply."""
    message = "The language model's reply broke off. Try again."
    return Unavailable(message, reason="REPLY_BROKEN_OFF")


def refused() -> ServiceError:
    """The provider does not want to answer this, e.g. its content filter stepped in."""
    return InvalidInput("The language model's provider refused this message. Say it differently.", reason="REFUSED")


def failing() -> ServiceError:
    """The provider is broken."""
    return Unavailable("The language model's provider has a problem. Try again later.", reason="PROVIDER_FAILING")


def keep_logs_clean() -> None:
    """The SDKs and HTTP libraries log whole requests, keys and all, at their lower levels."""
    for name in ("openai", "zhipuai", "httpx", "httpx2", "httpcore", "httpcore2"):
        logging.getLogger(name).setLevel(logging.WARNING)
