"""How Zhipu's own SDK, `zhipuai`, is used: it blocks, so each request has a connection that can be hung up."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from services.common.bounds import PLAIN, AnswerTooLarge, Bounded, is_too_large
from services.common.line import Line
from services.common.provider import MISSHAPEN, Failures, ProviderSettings, keep_logs_clean

if TYPE_CHECKING:
    import zhipuai

REQUIRES = ("httpx", "sniffio", "zhipuai")
LICENCE = "MIT (the SDK); the model has its own"


class Zhipu:
    """The way to Zhipu's API, or to another at `…_BASE_URL` that speaks its protocol."""

    def __init__(self, settings: ProviderSettings, failures: Failures) -> None:
        self._settings, self._failures = settings, failures
        self._tls: ssl.SSLContext | bool = True

    def load(self) -> None:
        """Read the certificates; nothing is sent yet, so that the service starts without the provider."""
        import httpx
        import zhipuai  # noqa: F401 - it takes a second, which the first caller shall not wait

        keep_logs_clean()
        self._tls = httpx.create_ssl_context()

    @contextmanager
    def client(self, line: Line) -> Generator[zhipuai.ZhipuAI, None, None]:
        """A client for one request. What goes wrong inside is raised as our errors, unless nobody listens any more."""
        import httpx
        import zhipuai

        settings = self._settings
        timeout = httpx.Timeout(settings.read_seconds, connect=settings.connect_seconds)
        hooks: dict[str, list[Callable[..., Any]]] = {"request": [line.watch], "response": [Bounded(httpx).hook]}
        with (
            httpx.Client(verify=self._tls, timeout=timeout, event_hooks=hooks, headers=PLAIN) as http,
            self._translated(line),
        ):
            yield zhipuai.ZhipuAI(
                api_key=settings.api_key.get_secret_value(),
                base_url=settings.base_url or None,
                http_client=http,
                timeout=timeout,
                max_retries=0,
            )

    @contextmanager
    def _translated(self, line: Line) -> Generator[None, None, None]:
        """One table from the SDK's errors, and those of the HTTP library that it lets through, to ours."""
        import httpx
        from zhipuai.core import APIConnectionError, APIResponseError, APIStatusError, APITimeoutError, ZhipuAIError

        failures = self._failures
        try:
            yield
        except (ZhipuAIError, httpx.HTTPError, AnswerTooLarge, *MISSHAPEN) as error:
            if line.hung_up:
                return
            if line.is_late:
                raise failures.timed_out() from error
            if is_too_large(error):
                raise failures.endless() from error
            if isinstance(error, APIStatusError):
                response = error.response
                raise failures.by_status(error.status_code, _code(response), response.headers) from error
            if isinstance(error, APITimeoutError | httpx.TimeoutException):
                is_slow_to_connect = isinstance(error.__cause__, httpx.ConnectTimeout)
                raise (failures.unreachable() if is_slow_to_connect else failures.timed_out()) from error
            if isinstance(error, APIConnectionError):
                is_unheard = isinstance(error.__cause__, httpx.ConnectError)
                raise (failures.unreachable() if is_unheard else failures.broken_off()) from error
            if isinstance(error, httpx.HTTPError):
                raise failures.broken_off() from error
            if isinstance(error, APIResponseError):  # in the middle of a stream that had begun well
                raise failures.by_status(400, _inner(error.json_data)) from error
            raise failures.garbled() from error


def _code(response: Any) -> object:
    try:
        return _inner(response.json()["error"])
    except MISSHAPEN:
        return None


def _inner(error: Any) -> object:
    return error.get("code") if isinstance(error, dict) else None
