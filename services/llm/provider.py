"""What can go wrong with a language model's provider, said the same way for every engine.

Nothing of the provider's own answer is passed on: it may quote the user's words or part of the key.
"""

from __future__ import annotations

import logging

from services.common.errors import Busy, InvalidInput, ServiceError, Unavailable


def key_missing() -> ServiceError:
    """No key is set."""
    return Unavailable("The language model needs a key. Set LLM_API_KEY and restart the service.", reason="KEY_MISSING")


def key_refused() -> ServiceError:
    """The provider does not accept the key, or it may not use this model."""
    message = "The language model's provider refused the key. Check LLM_API_KEY, and that it may use LLM_MODEL."
    return Unavailable(message, reason="KEY_REFUSED")


def model_missing() -> ServiceError:
    """The provider has no such model or no such address."""
    message = "The provider does not know this model or address. Check LLM_MODEL and LLM_BASE_URL."
    return Unavailable(message, reason="MODEL_NOT_FOUND")


def rate_limited() -> ServiceError:
    """Too many requests, or no credit is left."""
    message = "The language model's provider takes no more requests now: too many, or the account is empty. Try later."
    return Busy(message, reason="PROVIDER_LIMIT")


def timed_out() -> ServiceError:
    """No answer in time."""
    message = "The language model did not answer in time. Try again, or raise LLM_READ_SECONDS."
    return Unavailable(message, reason="PROVIDER_TIMEOUT")


def unreachable() -> ServiceError:
    """No connection."""
    message = "The language model's provider cannot be reached. Check the network and LLM_BASE_URL."
    return Unavailable(message, reason="PROVIDER_UNREACHABLE")


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


def by_status(status: int) -> ServiceError:
    """The error that an HTTP status stands for."""
    known = {400: refused, 401: key_refused, 402: rate_limited, 403: key_refused, 404: model_missing, 408: timed_out}
    return {**known, 422: refused, 429: rate_limited}.get(status, failing)()


def keep_logs_clean() -> None:
    """The SDKs and HTTP libraries log whole requests, keys and all, at their lower levels."""
    for name in ("openai", "zhipuai", "httpx", "httpx2", "httpcore", "httpcore2"):
        logging.getLogger(name).setLevel(logging.WARNING)
