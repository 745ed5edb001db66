"""Files by HTTP: a download goes on where it broke off, and is over when all bytes that it should have are there."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from urllib.parse import quote, urljoin

import httpx

from models import catalogue
from models.disk import require_space
from models.errors import BadArchive, NoSpace, SourceFailed
from models.folder import Staging
from models.progress import Meter, Stage
from models.settings import ModelSettings
from models.sources import unpacking
from models.threads import in_thread

CONNECT_S = 10.0
TRIES = 5  # in a row, without getting further
PAUSE_S = 0.5  # before the second try; twice as long before each further one
BLOCK = 2**17
UNREACHABLE = "cannot be reached"
_TEMPORARY = (408, 425, 429, 500, 502, 503, 504)


def base_of(source: catalogue.HuggingFace | catalogue.ModelScope | catalogue.Web, settings: ModelSettings) -> str:
    """The address below which a source's files lie."""
    match source:
        case catalogue.HuggingFace():
            return f"{settings.huggingface_url.rstrip('/')}/{source.repository}/resolve/{quote(source.revision)}/"
        case catalogue.ModelScope():
            host = settings.modelscope_url.rstrip("/")
            return f"{host}/models/{source.repository}/resolve/{quote(source.revision)}/"
        case catalogue.Web():
            return source.url


async def fetch_files(
    source: catalogue.Source, base: str, staging: Staging, settings: ModelSettings, meter: Meter, told: str
) -> None:
    """Bring the missing files of a model, one after the other.

    Raises:
        SourceFailed: one cannot be had, or is something else.
    """
    missing = staging.missing()
    here = sum(_size(staging.part(place)) for file in missing for place in source.places(file))
    meter.begin(told, here, sum(file.size for file in missing))
    async with _client(settings) as client:
        for file in missing:
            while not await _fetch_file(client, source, base, staging, file, meter):
                meter.add(-file.size)


async def _fetch_file(
    client: httpx.AsyncClient, source: catalogue.Source, base: str, staging: Staging, file: catalogue.File, meter: Meter
) -> bool:
    """Whether it is the right one; False where the beginning, which had come before, may have been at fault."""
    places = source.places(file)
    was_begun = any(_size(staging.part(place)) for place in places)
    size = file.size if len(places) == 1 else None  # of parts only the sum is known
    for place in places:
        url = urljoin(base, quote(place, safe="/:?=&%"))
        await Download(client, url, staging.part(place), size, meter).run()
    is_right = await in_thread(unpacking.join, staging, source, file)
    if not is_right and not was_begun:
        raise SourceFailed(f"sent another {file.path} than it should (its SHA-256 differs)")
    return is_right


async def fetch_archive(
    source: catalogue.WebArchive, staging: Staging, settings: ModelSettings, meter: Meter, told: str
) -> None:
    """Bring the missing files of a model out of an archive.

    Raises:
        SourceFailed: it cannot be had, or lacks a file.
    """
    archive = staging.parts / Path(source.url).name  # its name tells what kind of archive it is
    try:
        require_space(staging.root, source.size - _size(archive))
    except NoSpace as error:
        raise SourceFailed(f"needs more room: {error}") from error
    meter.begin(told, _size(archive), source.size)
    async with _client(settings) as client:
        await Download(client, source.url, archive, source.size, meter).run()
    meter.enter(Stage.CHECKING)
    try:
        await in_thread(unpacking.take, staging, source, [archive])
    except BadArchive as error:
        raise SourceFailed(f"sent what cannot be used: {error}") from error
    finally:
        archive.unlink(missing_ok=True)


def _client(settings: ModelSettings) -> httpx.AsyncClient:
    timeout = httpx.Timeout(settings.stall_seconds, connect=min(CONNECT_S, settings.stall_seconds))
    headers = {"Accept-Encoding": "identity", "User-Agent": "visavis"}
    return httpx.AsyncClient(timeout=timeout, follow_redirects=True, headers=headers)


class Download:
    """One address into one file, which may hold the beginning already.

    Args:
        size: bytes that it should have; None when that is not known.
    """

    def __init__(self, client: httpx.AsyncClient, url: str, part: Path, size: int | None, meter: Meter) -> None:
        self._client, self._url, self._part, self._size, self._meter = client, url, part, size, meter

    async def run(self) -> None:
        """Raises:
        SourceFailed: it cannot be had, or has another size.
        """
        if self._size is not None and _size(self._part) > self._size:
            self._part.unlink()
        most, tries = _size(self._part), 0
        while trouble := await self._trouble():
            reached = _size(self._part)
            tries = 0 if reached > most else tries + 1
            most = max(most, reached)
            if tries >= (1 if trouble == UNREACHABLE and not most else TRIES):
                raise SourceFailed(trouble)
            await asyncio.sleep(PAUSE_S * 2 ** max(0, tries - 1))

    async def _trouble(self) -> str:
        """Ask for what is missing: what went wrong and may go right the next time; empty when all has come."""
        if self._size is not None and _size(self._part) == self._size:
            return ""
        try:
            await self._go_on()
        except httpx.TransportError as error:
            return _in_words(error)
        except _Temporary as error:
            return str(error)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise SourceFailed(f"answers in a way that is not understood ({type(error).__name__})") from error
        is_short = self._size is not None and _size(self._part) < self._size
        return "ends too early" if is_short else ""

    async def _go_on(self) -> None:
        """Ask for the rest, and write what comes of it."""
        begin = _size(self._part)
        asked = {"Range": f"bytes={begin}-"} if begin else {}
        async with self._client.stream("GET", self._url, headers=asked) as response:
            self._check_status(response)
            offset = _offset(response)
            if offset not in (0, begin):
                raise SourceFailed("sends another part of a file than it was asked for")
            self._check_length(response, offset)
            if offset < begin:  # it does not know ranges
                self._meter.add(-begin)
            with self._part.open("r+b" if begin else "wb") as file:
                file.truncate(offset)
                file.seek(offset)
                async for block in response.aiter_raw(BLOCK):
                    file.write(block)
                    self._meter.add(len(block))
                    if self._size is not None and file.tell() > self._size:
                        raise SourceFailed("sends more bytes than the file should have")

    def _check_status(self, response: httpx.Response) -> None:
        status = response.status_code
        if status in (200, 206):
            return
        if status == 416:  # what we have is no beginning of what it has
            self._meter.add(-_size(self._part))
            self._part.unlink(missing_ok=True)
            raise _Temporary("has less of a file than came before")
        if status in _TEMPORARY:
            raise _Temporary(f"is out of order (HTTP {status})")
        known = {401: "asks for a sign-in", 403: "refuses access", 404: "does not have it", 451: "may not give it"}
        raise SourceFailed(f"{known.get(status, 'does not give it')} (HTTP {status})")

    def _check_length(self, response: httpx.Response, offset: int) -> None:
        told = response.headers.get("Content-Length", "")
        if self._size is not None and told.isdigit() and offset + int(told) != self._size:
            raise SourceFailed(f"has a file of {offset + int(told)} bytes where {self._size} are expected")


class _Temporary(Exception):
    """May be over the next time."""


def _offset(response: httpx.Response) -> int:
    """The position of the first byte of an answer in the whole file."""
    if response.status_code != 206:
        return 0
    told = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(told[1]) if told else -1


def _in_words(error: httpx.TransportError) -> str:
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
        return UNREACHABLE
    if isinstance(error, httpx.UnsupportedProtocol):
        return "has an address that is not understood"
    return "falls silent" if isinstance(error, httpx.TimeoutException) else "breaks off"


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
