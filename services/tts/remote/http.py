"""Speech over HTTP: asked for, read as it comes, hung up when nobody listens."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, aclosing
from typing import TYPE_CHECKING, Any, cast

from services.common import provider
from services.common.bounds import PLAIN, AnswerTooLarge, Bounded
from services.common.errors import ServiceError
from services.tts.remote.patience import Patience
from services.tts.remote.settings import SpeakerFailures, SpeakerSettings

if TYPE_CHECKING:
    import httpx

_MOST_WORDS = 64 * 1024  # bytes of an answer that is no sound
_NO_SOUND = ("text/", "application/json", "application/xml")  # what pages and errors call themselves

Explain = Callable[[int, bytes], ServiceError | None]
"""What a server's refusal, by its status and body, stands for; None if that is not known."""


class HttpSpeaker:
    """A server that answers requests with sound.

    Args:
        explain: what this kind of server says of what went wrong.
    """

    def __init__(
        self,
        settings: SpeakerSettings,
        failures: SpeakerFailures,
        explain: Explain = lambda status, body: None,
    ) -> None:
        self._settings, self._failures, self._explain = settings, failures, explain
        self._tls: ssl.SSLContext | bool = True

    def load(self) -> None:
        """Read the certificates; nothing is sent yet, so that the service starts without the server."""
        import httpx

        provider.keep_logs_clean()
        self._tls = httpx.create_ssl_context()

    async def told(self, method: str, path: str, **request: Any) -> bytes:
        """A short answer that is no sound; raises as `ask`."""
        answer = b""
        async with aclosing(self.ask(method, path, is_sound=False, **request)) as pieces:
            async for piece in pieces:
                answer += piece
                if len(answer) > _MOST_WORDS:
                    raise self._failures.endless()
        return answer

    async def ask(
        self,
        method: str,
        path: str,
        *,
        fallen: Callable[[], ServiceError] | None = None,
        is_sound: bool = True,
        **request: Any,
    ) -> AsyncGenerator[bytes, None]:
        """The answer's body as it arrives; closing the iterator closes the connection.

        Args:
            fallen: the error of an answer that ends before its first sound, if that means something.
            is_sound: whether a page or JSON is no answer.
            request: what `httpx` is to send: `data`, `files`, `json`, `params`.

        Raises:
            Unavailable, Busy, InvalidInput: no answer, another than sound, or one that breaks off.
        """
        import httpx

        has_begun = has_sound = False
        patience, read_s = Patience(self._settings.answer_seconds), self._settings.answer_seconds
        try:
            async with self._client() as client, AsyncExitStack() as open_:
                url = self._settings.url.rstrip("/") + path
                answer = client.stream(method, url, **request)
                response = await patience.with_(open_.enter_async_context(answer), read_s)
                has_begun = True
                if response.status_code != httpx.codes.OK:
                    raise await patience.with_(self._refusal(response), read_s)
                if is_sound and response.headers.get("Content-Type", "").startswith(_NO_SOUND):
                    raise self._failures.garbled()
                pieces = await open_.enter_async_context(_closing(response))
                while piece := await patience.with_(anext(pieces, b""), read_s):
                    has_sound = True
                    yield piece
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.InvalidURL) as error:
            raise self._failures.unreachable() from error
        except AnswerTooLarge as error:
            raise self._failures.endless() from error
        except (httpx.TimeoutException, TimeoutError) as error:
            raise self._failures.timed_out() from error
        except httpx.NetworkError as error:
            raise (self._failures.broken_off if has_sound or not fallen else fallen)() from error
        except httpx.HTTPError as error:
            is_end = isinstance(error, httpx.RemoteProtocolError) and (has_begun or "disconnected" in str(error))
            if not is_end:
                raise self._failures.garbled() from error
            raise (self._failures.broken_off if has_sound or not fallen else fallen)() from error

    def _client(self) -> httpx.AsyncClient:
        import httpx

        settings = self._settings
        key = settings.api_key.get_secret_value()
        return httpx.AsyncClient(
            verify=self._tls,
            timeout=httpx.Timeout(settings.read_seconds, connect=settings.connect_seconds),
            headers=PLAIN | ({"Authorization": f"Bearer {key}"} if key else {}),
            event_hooks={"response": [Bounded(httpx).async_hook]},
        )

    async def _refusal(self, response: httpx.Response) -> ServiceError:
        body = b""
        async with _closing(response) as pieces:
            async for piece in pieces:
                body += piece
                if len(body) > _MOST_WORDS:
                    break
        explained = self._explain(response.status_code, body)
        return explained or self._failures.by_status(response.status_code, headers=response.headers)


def _closing(response: httpx.Response) -> aclosing[AsyncGenerator[bytes, None]]:
    return aclosing(cast("AsyncGenerator[bytes, None]", response.aiter_bytes()))  # as it is, though not declared
