"""A voice as one file: what it holds, and what is refused."""

from __future__ import annotations

import io
import json
import struct
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from services.common.errors import InvalidInput
from services.tts.archives import MANIFEST, MOST_MANIFEST, pack, unpack
from services.tts.voices import REFERENCE, Voice

SOUND = b"RIFF and so on" * 1000
MOST = len(SOUND)
TOLD: dict[str, Any] = {
    "format": "visavis-voice", "version": 1, "name": "Ada", "transcript": "Hello.",
    "consent": {"given_by": "Ada L., in writing", "time": 1.7e9},
}  # fmt: skip
VOICE = Voice("Ada 测试", "espeak", 3.0, "你好。", "Ada L.", 1.7e9, 1.8e9, "0" * 64)


def archive(folder: Path, *files: tuple[str, bytes], told: dict[str, Any] | None = None) -> Path:
    """An archive of a manifest, a recording and whatever else."""
    path = folder / "voice.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in ((MANIFEST, json.dumps(TOLD if told is None else told).encode()), (REFERENCE, SOUND), *files):
            file.writestr(name, data)
    return path


def reason(folder: Path, path: Path, most: int = MOST) -> str:
    """Why it is refused; nothing has been written but what belongs there."""
    place = folder / "inner" / "place"
    place.mkdir(parents=True)
    with pytest.raises(InvalidInput) as refused:
        unpack(path, place, most)
    written = {file.relative_to(folder) for file in folder.rglob("*") if file.is_file()} - {Path(path.name)}
    assert written <= {Path("inner/place") / name for name in (MANIFEST, REFERENCE)}
    assert all((folder / one).stat().st_size <= max(most, MOST_MANIFEST) + 1 for one in written)
    assert refused.value.problem.field == "archive"
    return refused.value.problem.reason


def test_what_is_packed_is_unpacked(tmp_path: Path) -> None:
    (tmp_path / "said.wav").write_bytes(SOUND)
    pack(VOICE, tmp_path / "said.wav", tmp_path / "voice.zip")
    (tmp_path / "new").mkdir()
    told = unpack(tmp_path / "voice.zip", tmp_path / "new", MOST)
    assert (told.name, told.transcript) == (VOICE.name, VOICE.transcript)
    assert (told.consent.given_by, told.consent.time) == (VOICE.consent_by, VOICE.consent_at)
    assert (tmp_path / "new" / REFERENCE).read_bytes() == SOUND
    with zipfile.ZipFile(tmp_path / "voice.zip") as file:
        assert file.namelist() == [MANIFEST, REFERENCE]
        assert json.loads(file.read(MANIFEST))["version"] == 1


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "..\\evil", "more.txt", "inner/voice.json"])
def test_what_does_not_belong_there_is_refused(tmp_path: Path, name: str) -> None:
    assert reason(tmp_path, archive(tmp_path, (name, b"x"))) == "ARCHIVE_WRONG"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_file_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    assert reason(tmp_path, archive(tmp_path, (REFERENCE, b"x"))) == "ARCHIVE_WRONG"


def test_a_link_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path)
    with zipfile.ZipFile(path, "w") as file:
        link = zipfile.ZipInfo(REFERENCE)
        link.external_attr = 0o120777 << 16
        file.writestr(link, "/etc/passwd")
        file.writestr(MANIFEST, json.dumps(TOLD))
    assert reason(tmp_path, path) == "ARCHIVE_WRONG"


def test_a_file_without_a_name_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path)
    path.write_bytes(path.read_bytes().replace(MANIFEST.encode(), bytes(len(MANIFEST))))  # a name ends at a zero byte
    assert reason(tmp_path, path) == "ARCHIVE_WRONG"


def test_what_swells_is_given_up_where_it_is_too_large(tmp_path: Path) -> None:
    """A bomb tells less than it holds, too: what is written counts."""
    path = archive(tmp_path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(MANIFEST, json.dumps(TOLD))
        file.writestr(REFERENCE, bytes(50 * 2**20))
    assert path.stat().st_size < 100_000
    assert reason(tmp_path, path) == "FILE_TOO_LARGE"


def test_a_size_that_is_a_lie_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path)
    data = bytearray(path.read_bytes())
    for at in (data.index(b"PK\x01\x02") + 24, data.index(b"PK\x03\x04") + 22):  # how long the first file becomes
        data[at : at + 4] = struct.pack("<I", 3)
    path.write_bytes(data)
    assert reason(tmp_path, path) == "ARCHIVE_WRONG"


def test_a_manifest_without_end_is_given_up(tmp_path: Path) -> None:
    told = TOLD | {"more": "x" * (MOST_MANIFEST + 1)}
    assert reason(tmp_path, archive(tmp_path, told=told)) == "FILE_TOO_LARGE"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"version": 2}, "ARCHIVE_VERSION"),
        ({"version": "new"}, "ARCHIVE_WRONG"),
        ({"format": "visavis-avatar"}, "ARCHIVE_WRONG"),
        ({"name": 7}, "ARCHIVE_WRONG"),
        ({"transcript": "x" * 60_001}, "ARCHIVE_WRONG"),
        ({"consent": None}, "ARCHIVE_CONSENT"),
        ({"consent": {"time": 1.7e9}}, "ARCHIVE_CONSENT"),
        ({"consent": {"given_by": "Ada L.", "time": 1e300}}, "ARCHIVE_CONSENT"),
    ],
)
def test_a_manifest_that_will_not_do_is_refused(tmp_path: Path, changes: dict[str, Any], why: str) -> None:
    assert reason(tmp_path, archive(tmp_path, told=TOLD | changes)) == why


def test_an_archive_without_consent_or_recording_is_refused(tmp_path: Path) -> None:
    told = {name: value for name, value in TOLD.items() if name != "consent"}
    assert reason(tmp_path, archive(tmp_path, told=told)) == "ARCHIVE_CONSENT"
    path = tmp_path / "voice.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(MANIFEST, json.dumps(TOLD))
    with pytest.raises(InvalidInput, match="no exported voice"):
        unpack(path, tmp_path / "inner" / "place", MOST)


def test_what_is_no_archive_or_half_of_one_is_refused(tmp_path: Path) -> None:
    whole = archive(tmp_path).read_bytes()
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w:gz") as file:
        file.addfile(tarfile.TarInfo(MANIFEST), io.BytesIO())
    broken = bytearray(whole)
    broken[len(whole) // 3] ^= 0xFF
    for number, data in enumerate((b"", b"RIFF", whole[: len(whole) // 2], tar.getvalue(), bytes(broken))):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "voice.zip").write_bytes(data)
        assert reason(folder, folder / "voice.zip") == "ARCHIVE_WRONG", number
