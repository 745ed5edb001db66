"""A voice as one file, to take elsewhere: `python -m services.tts.archives` opens one, a process of its own.

A ZIP archive of `voice.json` and `reference.wav`, and nothing else. The manifest says what it is (`format`), in which
`version`, and the voice's `name`, `transcript` and `consent` (`given_by`, and `time` in seconds since 1970). What
engines have learnt is left out: where the voice is brought to, they learn it anew. What a hostile archive makes its
reader do cannot be foreseen, so that process has little memory, and takes nothing with it but itself.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError

from models.archives import copy, entries
from models.errors import BadArchive
from services.common.errors import InvalidInput
from services.common.files import too_large
from services.common.jobs import child
from services.tts.voices import REFERENCE, Seconds, Voice

MANIFEST, VERSION = "voice.json", 1
MOST_MANIFEST = 2**20
MOST_BYTES = 512 * 2**20  # of memory
_FIELD = "archive"


class Consent(BaseModel):
    """Who allowed it, and when."""

    given_by: str = Field(max_length=200)
    time: Seconds


class Manifest(BaseModel):
    """What an archive says of its voice."""

    format: Literal["visavis-voice"] = "visavis-voice"
    version: int = VERSION
    name: str = Field(max_length=200)
    transcript: str = Field(max_length=60_000)
    consent: Consent


def pack(voice: Voice, reference: Path, archive: Path) -> None:
    """Write a voice as an archive."""
    consent = Consent(given_by=voice.consent_by, time=voice.consent_at)
    manifest = Manifest(name=voice.name, transcript=voice.transcript, consent=consent)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(MANIFEST, manifest.model_dump_json(indent=1))
        file.write(reference, REFERENCE)


def unpack(archive: Path, folder: Path, most_bytes: int) -> Manifest:
    """Put an archive's recording into `folder` as `REFERENCE`; returns what is said of it.

    Args:
        most_bytes: that the recording may have.

    Raises:
        InvalidInput: it is damaged, no voice's, of a version that is not known here, larger than it may be, or holds
            what does not belong there.
    """
    limits = {MANIFEST: MOST_MANIFEST, REFERENCE: most_bytes}
    try:
        if not zipfile.is_zipfile(archive):
            raise _wrong()
        for entry in entries(archive):
            most = limits.pop(entry.name, None)
            if most is None:
                raise _wrong()
            copy(entry.stream, folder / entry.name, most)
            if (folder / entry.name).stat().st_size > most:
                raise too_large(most, _FIELD)
    except (BadArchive, MemoryError) as error:
        raise _wrong() from error
    if limits:
        raise _wrong()
    return _manifest((folder / MANIFEST).read_bytes())


def _manifest(data: bytes) -> Manifest:
    try:
        manifest = Manifest.model_validate_json(data)
    except ValidationError as error:
        raise _lacking(error) from error
    if manifest.version != VERSION:
        values = {"version": str(manifest.version)[:10], "known": str(VERSION)}
        message = (
            f"This voice was exported in version {values['version']} of the format; only {VERSION} is known here. "
            "Update Visavis, or export it again from an older one."
        )
        raise InvalidInput(message, reason="ARCHIVE_VERSION", field=_FIELD, values=values)
    return manifest


def _lacking(error: ValidationError) -> InvalidInput:
    if any(one["loc"][:1] == ("consent",) for one in error.errors()):
        message = (
            "This archive does not say who allowed the voice, so it is not used. Export it again from where it is."
        )
        return InvalidInput(message, reason="ARCHIVE_CONSENT", field=_FIELD)
    return _wrong()


def _wrong() -> InvalidInput:
    message = (
        "This file is no exported voice, or is damaged. Choose one that was exported here or elsewhere as a whole."
    )
    return InvalidInput(message, reason="ARCHIVE_WRONG", field=_FIELD)


def work(task: child.Task, _report: child.Report) -> dict[str, Any]:
    """Unpack."""
    archive, folder = (Path(task.spec[name]) for name in ("archive", "folder"))
    return unpack(archive, folder, task.spec["most_bytes"]).model_dump()


if __name__ == "__main__":
    sys.exit(child.run("archives", work, most_bytes=MOST_BYTES))
