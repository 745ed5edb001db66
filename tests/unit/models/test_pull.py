"""Pulling from a server that does everything wrong that servers do."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from models.errors import NoSpace, NotPulled
from models.folder import ModelFolder, State
from models.progress import Progress, Stage
from models.pull import pull, pull_all
from tests.unit.models.conftest import CONTENTS, REPOSITORY, until, write_catalogue

SIZE = len(CONTENTS["model.bin"])
BIG = REPOSITORY + "model.bin"


def run(model, folder, settings, report=lambda _: None) -> Path:
    return asyncio.run(pull(model, folder, settings, report))


def assert_whole(folder: ModelFolder, model) -> None:
    assert folder.state(model) is State.WHOLE
    assert {path: (folder.path(model) / path).read_bytes() for path in CONTENTS} == CONTENTS
    assert not folder.begun_bytes(model)


def assert_nothing_half(folder: ModelFolder, model) -> None:
    assert not folder.path(model).exists()


def ranges(server, path: str = BIG) -> list[str]:
    return [asked for told, asked in server.asked if told == path]


def test_a_model_is_pulled_and_found_whole(model, folder, settings) -> None:
    assert run(model, folder, settings) == folder.path(model) == folder.get(model)
    assert_whole(folder, model)
    assert folder.verify(model) == []


def test_one_that_is_here_is_not_asked_for_again(model, folder, settings, server) -> None:
    run(model, folder, settings)
    server.asked.clear()
    run(model, folder, settings)
    assert server.asked == []


def test_a_download_that_breaks_off_goes_on_where_it_was(model, folder, settings, server) -> None:
    server.break_after = [200_000, 150_000]
    run(model, folder, settings)
    assert_whole(folder, model)
    first, second, third = ranges(server)
    assert first == "" and second.startswith("bytes=") and third.startswith("bytes=")
    assert 0 < int(second[6:-1]) < int(third[6:-1]) < SIZE


def test_a_server_that_knows_no_ranges_sends_it_anew(model, folder, settings, server) -> None:
    server.break_after, server.knows_ranges = [200_000], False
    run(model, folder, settings)
    assert_whole(folder, model)
    assert len(ranges(server)) == 2


def test_one_that_always_breaks_off_at_the_same_place_is_given_up(model, folder, settings, server) -> None:
    server.break_after, server.knows_ranges = [200_000] * 20, False
    with pytest.raises(NotPulled, match="127.0.0.1.*breaks off"):
        run(model, folder, settings)
    assert_nothing_half(folder, model)
    assert len(ranges(server)) <= 7
    server.break_after = []
    run(model, folder, settings)
    assert_whole(folder, model)


@pytest.mark.parametrize(("told", "reason"), [(SIZE - 1, "a file of"), (SIZE + 5, "a file of")])
def test_one_that_has_another_size_is_not_downloaded(model, folder, settings, server, told: int, reason: str) -> None:
    server.told_length = told
    with pytest.raises(NotPulled, match=f"{reason}.*{SIZE} are expected"):
        run(model, folder, settings)
    assert_nothing_half(folder, model)


def test_one_that_tells_no_size_and_never_ends_is_cut_off(model, folder, settings, server) -> None:
    server.is_chunked = True
    server.files[BIG] += bytes(10_000_000)
    with pytest.raises(NotPulled, match="more bytes than"):
        run(model, folder, settings)
    assert folder.begun_bytes(model) < SIZE + 1_000_000


def test_one_that_tells_no_size_and_is_honest_will_do(model, folder, settings, server) -> None:
    server.is_chunked = True
    run(model, folder, settings)
    assert_whole(folder, model)


def test_wrong_bytes_are_not_taken(model, folder, settings, server) -> None:
    server.files[BIG] = CONTENTS["model.bin"][:-1] + b"!"
    with pytest.raises(NotPulled, match=r"another model\.bin.*SHA-256"):
        run(model, folder, settings)
    assert_nothing_half(folder, model)
    server.files[BIG] = CONTENTS["model.bin"]
    run(model, folder, settings)
    assert_whole(folder, model)


def test_a_beginning_from_a_liar_is_thrown_away_when_the_rest_does_not_fit(
    make_model, folder, settings, server
) -> None:
    hosts = {"kind": "huggingface", "repository": "liar/name"}, {"kind": "huggingface", "repository": "owner/name"}
    server.files["/liar/name/resolve/main/model.bin"] = bytes(SIZE)
    server.break_after = [300_000] + [0] * 5
    model = make_model(*hosts)
    run(model, folder, settings)
    assert_whole(folder, model)
    assert ranges(server)[-1] == "", "begun anew"


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_is_busy_is_asked_again(model, folder, settings, server, status: int) -> None:
    server.statuses = [status, status]
    run(model, folder, settings)
    assert_whole(folder, model)


@pytest.mark.parametrize(("status", "reason"), [(404, "does not have it"), (401, "sign-in"), (403, "refuses")])
def test_a_refusal_is_told_at_once(model, folder, settings, server, status: int, reason: str) -> None:
    server.statuses = [status]
    with pytest.raises(NotPulled, match=reason):
        run(model, folder, settings)
    assert len(server.asked) == 1


def test_silence_is_not_waited_for(model, folder, settings, server) -> None:
    server.stall_after = 300_000
    impatient = settings.model_copy(update={"stall_seconds": 0.5})
    told: list[Progress] = []

    def notice(progress: Progress) -> None:
        told.append(progress)
        if server.stalled.is_set():  # it has fallen silent once, which must have been noticed for it to go on
            server.stall_after = None

    run(model, folder, impatient, notice)
    assert_whole(folder, model)
    assert len(ranges(server)) > 1


def test_sources_are_tried_in_order_and_the_reasons_of_all_are_told(make_model, folder, settings, server) -> None:
    model = make_model(
        {"kind": "huggingface", "repository": "nobody/here"},
        {"kind": "url", "url": "http://127.0.0.1:9/"},
        {"kind": "path", "path": "/nowhere/at/all"},
        {"kind": "modelscope", "repository": "owner/name"},
    )
    with pytest.raises(NotPulled) as failure:
        run(model, folder, settings)
    told = str(failure.value)
    for reason in ("nobody/here does not have it (HTTP 404)", "127.0.0.1:9 cannot be reached", "all is not there"):
        assert reason in told
    server.files |= {f"/models/owner/name/resolve/master/{path}": data for path, data in CONTENTS.items()}
    run(model, folder, settings)
    assert_whole(folder, model)


def test_what_one_source_lacks_another_may_have(make_model, folder, settings, server) -> None:
    del server.files[REPOSITORY + "words/vocabulary.txt"]
    server.files["/own/words.txt"] = CONTENTS["words/vocabulary.txt"]
    other = {"kind": "url", "url": f"{server.url}/own/", "files": {"words/vocabulary.txt": "words.txt"}}
    model = make_model({"kind": "huggingface", "repository": "owner/name"}, other)
    run(model, folder, settings)
    assert_whole(folder, model)
    assert len(ranges(server)) == 1


def test_parts_are_joined(make_model, folder, settings, server) -> None:
    data = CONTENTS["model.bin"]
    server.files |= {"/p/1": data[:400_000], "/p/2": data[400_000:], "/p/c": CONTENTS["config.json"]}
    server.files["/p/v"] = CONTENTS["words/vocabulary.txt"]
    places = {"model.bin": ["1", "2"], "config.json": "c", "words/vocabulary.txt": "v"}
    server.break_after = [100_000]
    model = make_model({"kind": "url", "url": f"{server.url}/p/", "files": places})
    run(model, folder, settings)
    assert_whole(folder, model)


def test_progress_is_told(model, folder, settings, server) -> None:
    told: list[Progress] = []
    run(model, folder, settings, told.append)
    assert {one.stage for one in told} >= {Stage.DOWNLOADING, Stage.CHECKING}
    downloading = [one for one in told if one.stage is Stage.DOWNLOADING]
    assert all(one.total_bytes == model.size and one.model == "little" for one in downloading)
    assert all(one.source.endswith("/owner/name") for one in downloading)
    assert told[-1].done_bytes == model.size


def test_the_last_bytes_before_a_silence_are_told(model, folder, settings, server) -> None:
    server.stall_after = 400_000

    def go_on_when_told(progress: Progress) -> None:
        if progress.done_bytes >= 300_000:
            server.go_on.set()

    run(model, folder, settings, go_on_when_told)
    assert_whole(folder, model)
    assert len(ranges(server)) == 1, "not only when the silence was given up"


def test_time_left_follows_the_rate() -> None:
    assert Progress("little", done_bytes=20, total_bytes=100, bytes_per_s=40.0).eta_s == 2.0
    assert Progress("little", total_bytes=100).eta_s is None


CHILD = """
import asyncio, sys
from pathlib import Path
from models.catalogue import read
from models.folder import ModelFolder
from models.pull import pull
from models.settings import ModelSettings
model = read(Path(sys.argv[1]))["little"]
asyncio.run(pull(model, ModelFolder(Path(sys.argv[2])), ModelSettings(huggingface_url=sys.argv[3])))
"""


def test_a_pull_that_is_killed_leaves_nothing_half_and_the_next_goes_on(
    model, folder, settings, server, tmp_path: Path
) -> None:
    server.stall_after = 400_000
    catalogue = write_catalogue(tmp_path / "own.toml")
    child = subprocess.Popen([sys.executable, "-c", CHILD, catalogue, folder.root, server.url])
    assert server.stalled.wait(60)
    until(lambda: folder.begun_bytes(model) >= 300_000)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert_nothing_half(folder, model)
    assert folder.state(model) is State.BEGUN
    server.stall_after = None
    run(model, folder, settings)
    assert_whole(folder, model)
    assert ranges(server)[0] == "" and int(ranges(server)[1][6:-1]) >= 300_000


def test_a_pull_that_is_cancelled_ends_at_once_and_the_next_goes_on(model, folder, settings, server) -> None:
    server.stall_after = 400_000

    async def cancel() -> None:
        task = asyncio.create_task(pull(model, folder, settings))
        await asyncio.to_thread(server.stalled.wait, 60)
        await asyncio.to_thread(until, lambda: folder.begun_bytes(model) >= 300_000)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 10)  # not the half minute after which silence is given up

    asyncio.run(cancel())
    assert_nothing_half(folder, model)
    server.stall_after = None
    run(model, folder, settings)
    assert_whole(folder, model)


def test_two_pulls_of_the_same_model_fetch_it_once(model, folder, settings, server, tmp_path: Path) -> None:
    server.stall_after = 400_000
    catalogue = write_catalogue(tmp_path / "own.toml")
    child = subprocess.Popen([sys.executable, "-c", CHILD, catalogue, folder.root, server.url])
    assert server.stalled.wait(60)

    def let_it_go_on(progress: Progress) -> None:
        if progress.stage is Stage.WAITING:
            server.go_on.set()

    run(model, folder, settings, let_it_go_on)
    assert child.wait(60) == 0
    assert_whole(folder, model)
    assert len(server.asked) == len(CONTENTS)


def test_several_are_pulled_at_once_and_one_that_fails_keeps_none_from_coming(
    make_model, folder, settings, server
) -> None:
    good, bad = make_model(), make_model({"kind": "huggingface", "repository": "nobody/here"}, name="nowhere")
    failed = asyncio.run(pull_all([bad, good], folder, settings))
    assert list(failed) == ["nowhere"] and isinstance(failed["nowhere"], NotPulled)
    assert_whole(folder, good)


def test_a_disk_that_is_too_full_is_told_before_anything_is_asked_for(
    model, folder, settings, server, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(NoSpace, match="needs .* MB, 1 kB are free"):
        run(model, folder, settings)
    assert server.asked == []


@pytest.fixture
def small_disk(tmp_path: Path):
    """A disk of 512 kB."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "none", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a disk")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_disk_that_fills_up_on_the_way_is_told_and_leaves_nothing_half(
    model, settings, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)  # others take the room meanwhile
    folder = ModelFolder(small_disk / "models")
    with pytest.raises(NoSpace, match="too full"):
        run(model, folder, settings)
    assert_nothing_half(folder, model)
    folder.remove(model)
    assert folder.begun_bytes(model) == 0


def test_a_damaged_model_is_mended_with_what_is_wrong_in_it_only(model, folder, settings, server) -> None:
    run(model, folder, settings)
    (folder.path(model) / "config.json").write_bytes(b'{"layers": 3}')
    assert folder.state(model) is State.WHOLE, "the sizes are right: only reading shows it"
    assert folder.verify(model) == ["config.json"]
    assert folder.state(model) is State.DAMAGED
    server.asked.clear()
    run(model, folder, settings)
    assert_whole(folder, model)
    assert [path for path, _ in server.asked] == [REPOSITORY + "config.json"]
