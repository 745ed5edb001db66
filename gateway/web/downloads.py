"""Files from the services to the browser, whole or in ranges, without holding them in memory."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from flask import Response, request
from werkzeug.http import parse_range_header

from client.wire.files import Download

Open = Callable[[int, int], Download]
"""Opens a file at an offset for at most so many bytes; 0 for all."""


def send(open_at: Open) -> Response:
    """The file, or the one range of it that the request asks for.

    `?download` makes browsers save it instead of showing it.
    """
    wanted = _wanted_range(open_at)
    if wanted is None:
        download = open_at(0, 0)
        return _response(download, 200, download.size)
    start, stop, size = wanted
    if not 0 <= start < stop:
        return Response(status=416, headers={"Content-Range": f"bytes */{size}"})
    response = _response(open_at(start, stop - start), 206, stop - start)
    response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return response


def whole(download: Download) -> Response:
    """All of a file, for browsers to save."""
    response = Response(download.blocks, mimetype=download.content_type)
    response.headers["Content-Length"] = str(download.size)
    return saved_as(response, download.file_name)


def saved_as(response: Response, file_name: str) -> Response:
    """The response, of which browsers make a file of that name."""
    response.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(file_name)}"
    return response


def _wanted_range(open_at: Open) -> tuple[int, int, int] | None:
    """First byte, byte after the last and the file's size; None when the whole file is wanted."""
    parsed = parse_range_header(request.headers.get("Range"))
    if parsed is None or parsed.units != "bytes" or len(parsed.ranges) != 1 or request.method != "GET":
        return None  # several ranges at once may be answered with the whole, RFC 9110 §14.2
    peek = open_at(0, 1)
    peek.blocks.close()
    start, stop = parsed.ranges[0]
    if start < 0:
        start, stop = max(0, peek.size + start), peek.size
    return start, min(stop if stop is not None else peek.size, peek.size), peek.size


def _response(download: Download, status: int, length: int) -> Response:
    response = Response(download.blocks, status=status, mimetype=download.content_type)
    response.headers["Content-Length"] = str(length)
    response.headers["Accept-Ranges"] = "bytes"
    response.headers["Cache-Control"] = "private, no-cache"
    return saved_as(response, download.file_name) if "download" in request.args else response
