"""What engines that ask somebody else's server have in common: their settings, and what can go wrong.

Nothing of the provider's own answer is passed on: it may quote the user's words or part of the key.
"""

from __future__ import annotations

import ipaddress
import logging
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Protocol
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from services.common.engine import Capability, EngineSettings, Lack
from services.common.errors import Busy, InvalidInput, ServiceError, Unavailable

NOT_BEGUN = ("PROVIDER_UNREACHABLE", "PROVIDER_LIMIT")
"""Reasons of requests on which the provider did no work: they may be sent again, and cost nothing twice."""
MISSHAPEN = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What reading an answer raises that has another shape than the protocol says."""
_SPENT = ("insufficient_quota", "billing_hard_limit_reached", "1113", "1304", "1308", "1309", "1310")
_BARRED = ("1110", "1111", "1112", "1121", "1220", "1311")
_UNSAFE = ("content_filter", "content_policy_violation", "sensitive", "1300", "1301")
_UNKNOWN_MODEL = ("model_not_found", "1211", "1221", "1222")


class ProviderSettings(EngineSettings):
    """How a provider is reached. An engine's own class adds the prefix."""

    api_key: SecretStr = SecretStr("")
    """Key of the provider. A server of your own may need none."""

    base_url: str = ""
    """Address of the API, e.g. `http://127.0.0.1:8000/v1`; empty for the provider's own."""

    model: str = ""
    """Name of the model; empty for the engine's default."""

    connect_seconds: float = Field(5.0, gt=0)
    """How long to wait for the provider to accept a connection."""

    read_seconds: float = Field(30.0, gt=0)
    """How long to wait for the next piece of an answer."""


class Modelled(Protocol):
    """Settings that name a model."""

    model: str

    def variable(self, name: str) -> str: ...


class Addressed(Protocol):
    """Settings that name a server."""

    url: str

    def variable(self, name: str) -> str: ...


class Failures:
    """What can go wrong with one provider, said the same way for every engine; `settings` name the variables."""

    def __init__(self, settings: EngineSettings, url: str = "base_url") -> None:
        self.engine = settings.model_config["env_prefix"].split("_", 1)[1].strip("_").lower()
        self.key, self.model, self.url, self.patience = (
            settings.variable(name) for name in ("api_key", "model", url, "read_seconds")
        )

    def key_refused(self) -> ServiceError:
        """The provider does not accept the key, or it may not use this model."""
        message = (
            f"The provider of '{self.engine}' refused the key. Check {self.key}, and that it may use {self.model}."
        )
        values = {"engine": self.engine, "key": self.key, "model": self.model}
        return Unavailable(message, reason="KEY_REFUSED", values=values)

    def model_missing(self) -> ServiceError:
        """The provider has no such model or no such address."""
        message = (
            f"The provider of '{self.engine}' does not know this model or address. Check {self.model} and {self.url}."
        )
        values = {"engine": self.engine, "model": self.model, "url": self.url}
        return Unavailable(message, reason="MODEL_NOT_FOUND", values=values)

    def timed_out(self) -> ServiceError:
        """No answer in time."""
        message = f"The provider of '{self.engine}' did not answer in time. Try again, or raise {self.patience}."
        values = {"engine": self.engine, "setting": self.patience}
        return Unavailable(message, reason="PROVIDER_TIMEOUT", values=values)

    def unreachable(self) -> ServiceError:
        """No connection."""
        message = f"The provider of '{self.engine}' cannot be reached. Check the network and {self.url}."
        values = {"engine": self.engine, "url": self.url}
        return Unavailable(message, reason="PROVIDER_UNREACHABLE", values=values)

    def limited(self) -> ServiceError:
        """Too many requests."""
        message = f"The provider of '{self.engine}' takes no more requests now: there are too many. Try again later."
        return Busy(message, reason="PROVIDER_LIMIT", values={"engine": self.engine})

    def spent(self) -> ServiceError:
        """No credit is left."""
        message = f"The account with the provider of '{self.engine}' has used up its credit or quota. Top it up."
        return Unavailable(message, reason="QUOTA_SPENT", values={"engine": self.engine})

    def broken_off(self) -> ServiceError:
        """The connection ended in the middle of an answer."""
        message = f"The answer of '{self.engine}' broke off. Try again."
        return Unavailable(message, reason="REPLY_BROKEN_OFF", values={"engine": self.engine})

    def refused(self) -> ServiceError:
        """The provider does not want to answer this, e.g. its content filter stepped in."""
        message = f"The provider of '{self.engine}' refused what was said. Say it differently."
        return InvalidInput(message, reason="REFUSED", values={"engine": self.engine})

    def not_taken(self) -> ServiceError:
        """The provider cannot do anything with the request."""
        return self.refused()

    def too_large(self) -> ServiceError:
        """The request is larger than the provider takes."""
        return self.not_taken()

    def garbled(self) -> ServiceError:
        """What answers speaks another protocol, or breaks its rules."""
        message = f"What answers at {self.url} does not speak the protocol of '{self.engine}'. Check the address."
        return Unavailable(message, reason="PROVIDER_GARBLED", values={"engine": self.engine, "url": self.url})

    def endless(self) -> ServiceError:
        """The answer is larger than any is."""
        message = f"What answers at {self.url} sent far more than '{self.engine}' ever does. Check the address."
        return Unavailable(message, reason="ANSWER_TOO_LARGE", values={"engine": self.engine, "url": self.url})

    def failing(self) -> ServiceError:
        """The provider is broken."""
        message = f"The provider of '{self.engine}' has a problem. Try again later."
        return Unavailable(message, reason="PROVIDER_FAILING", values={"engine": self.engine})

    def by_status(self, status: int, code: object = None, headers: Mapping[str, str] | None = None) -> ServiceError:
        """The error that an HTTP status stands for, or the provider's own code in the body, where that tells more."""
        error = (self._by_code(str(code)) or self._by_status(status))()
        error.retry_after_s = retry_after_s(headers or {})
        return error

    def _by_status(self, status: int) -> Failure:
        known: dict[int, Failure] = {
            400: self.not_taken, 401: self.key_refused, 402: self.spent, 403: self.key_refused,
            404: self.model_missing, 405: self.model_missing, 408: self.timed_out, 413: self.too_large,
            415: self.not_taken, 422: self.not_taken, 429: self.limited, 451: self.refused, 503: self.limited,
            504: self.timed_out,
        }  # fmt: skip
        return known.get(status, self.failing)

    def _by_code(self, code: str) -> Failure | None:
        named = (
            (_SPENT, self.spent), (_BARRED, self.key_refused), (_UNSAFE, self.refused),
            (_UNKNOWN_MODEL, self.model_missing),
        )  # fmt: skip
        return next((failure for codes, failure in named if code in codes), None)


Failure = Callable[[], ServiceError]


def retry_after_s(headers: Mapping[str, str]) -> float:
    """When a provider wants to be asked again, in seconds from now; 0 where it does not say so understandably.

    Source: RFC 9110, 10.2.3: a number of seconds, or a date.
    """
    told = headers.get("Retry-After", "").strip()
    try:
        if told.isascii() and told.isdigit():
            return float(told)
        return max(0.0, parsedate_to_datetime(told).timestamp() - time.time())
    except (OverflowError, TypeError, ValueError):
        return 0.0


def pause_s(error: ServiceError, own_s: float | None, most_s: float) -> float | None:
    """How long to wait before the provider is asked again; None where that is no use.

    Args:
        own_s: how long it would be waited if the provider did not say; None after the last time.
        most_s: the longest that whoever waits for the answer can be made to wait.
    """
    if error.reason not in NOT_BEGUN or own_s is None:
        return None
    wait_s = max(own_s, error.retry_after_s)
    return wait_s if wait_s <= most_s else None


def key_lack(settings: ProviderSettings) -> Lack | None:
    """That no key is set."""
    if settings.api_key.get_secret_value():
        return None
    key = settings.variable("api_key")
    return Lack("KEY_MISSING", "It needs a key of its provider.", f"Set {key} and restart the service.", {"key": key})


def endpoint_lack(settings: ProviderSettings) -> Lack | None:
    """What is needed besides an address: a key for the provider's own models, a model's name for anybody else's."""
    return model_lack(settings) if settings.base_url else key_lack(settings)


def model_lack(settings: Modelled) -> Lack | None:
    """That no model is named."""
    if settings.model:
        return None
    model, reason = settings.variable("model"), "It is not told which of the endpoint's models to use."
    return Lack("MODEL_UNNAMED", reason, f"Set {model} and restart the service.", {"model": model})


def address_lack(settings: Addressed, example: str) -> Lack | None:
    """That no address is set, e.g. `ws://127.0.0.1:10095`, of a server that has none of its own."""
    if settings.url:
        return None
    url = settings.variable("url")
    remedy = f"Set {url}, e.g. to {example}, and restart the service."
    return Lack("ADDRESS_MISSING", "It is not told where its server is.", remedy, {"url": url, "example": example})


def whereabouts(url: str) -> frozenset[Capability]:
    """`OFFLINE` where what is sent to an address stays on this machine."""
    host = urlsplit(url).hostname or ""
    try:
        is_here = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_here = host == "localhost"
    return frozenset({Capability.OFFLINE} if is_here else ())


def keep_logs_clean() -> None:
    """The SDKs and HTTP libraries log whole requests, keys and all, at their lower levels."""
    for name in ("openai", "zhipuai", "httpx", "httpx2", "httpcore", "httpcore2", "websockets"):
        logging.getLogger(name).setLevel(logging.WARNING)
