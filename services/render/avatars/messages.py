"""Avatars as messages."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp
from visavis.common.v1 import media_pb2
from visavis.render.v1 import render_pb2

from services.common import limits
from services.common.avatars import Avatar, Avatars, File
from services.common.describe import error_message
from services.common.errors import Conflict, NotFound
from services.common.times import timestamp

FILES = {render_pb2.AvatarFile.Value(f"AVATAR_FILE_{file.name}"): file for file in File}
NOT_REPORT = ("consent", "format")
MOST_REPORT_BYTES = 512 * 1024


def every(avatars: Avatars, after: str | None = None) -> Iterator[render_pb2.Avatar]:
    """All behind a name, by name, damaged ones too."""
    for name in avatars.names(after):
        try:
            yield described(avatars, name)
        except NotFound:
            continue  # being made, or being forgotten


def described(avatars: Avatars, name: str) -> render_pb2.Avatar:
    """An avatar; of a damaged one, its name and what is wrong.

    Raises:
        NotFound: there is none of that name.
    """
    try:
        return _message(avatars, avatars.find(name, "name"))
    except Conflict as error:
        return render_pb2.Avatar(name=avatars.known(name), error=error_message(error.problem))


def file_of(avatars: Avatars, name: str, kind: render_pb2.AvatarFile.ValueType) -> tuple[str, str]:
    """The storage key of one of an avatar's files, and a name to offer when it is saved.

    Raises:
        NotFound: the avatar or the file does not exist.
        Conflict: the avatar is damaged.
    """
    name = avatars.find(name, "name").name
    if kind not in FILES or not (key := avatars.file(name, FILES[kind])):
        raise NotFound("This avatar has no such file.", reason="FILE_NOT_FOUND", field="file")
    return key, f"{name}-{Path(key).name}"


def _message(avatars: Avatars, avatar: Avatar) -> render_pb2.Avatar:
    told = avatar.manifest
    return render_pb2.Avatar(
        name=avatar.name,
        engine=told.engine,
        width=told.width or told.size,
        height=told.height or told.size,
        fps=told.fps,
        voice=told.voice,
        consent=media_pb2.Consent(given_by=told.consent.given_by, time=_moment(told.consent.time)),
        create_time=_moment(told.created_at),
        report=_report({key: value for key, value in avatar.card.items() if key not in NOT_REPORT}),
        files=[kind for kind, file in FILES.items() if avatars.file(avatar.name, file)],
    )


def _report(card: dict[str, Any]) -> Struct:
    """The report card; of one that no list could carry, what is short in it."""
    report = Struct()
    report.update(card)
    if report.ByteSize() > MOST_REPORT_BYTES:
        report = Struct()
        report.update({key: value for key, value in card.items() if len(str(value)) <= limits.MOST_CHARACTERS})
    return report


def _moment(time: datetime | None) -> Timestamp | None:
    return timestamp(time.isoformat() if time else "")
