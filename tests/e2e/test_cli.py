"""The command line against the real stack: every command does its work, refuses plainly, and `up` holds it together."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import wave
from pathlib import Path

import av
import httpx
import psutil
import pytest

pytestmark = pytest.mark.e2e

NAME = "Command line"
TINY = ("--param", "steps=8", "--param", "motion_steps=20", "--param", "size=192", "--param", "loop_seconds=2")


def _lengths(video: Path) -> tuple[float, float]:
    """Seconds of picture and of sound, decoded."""
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        pictures = sum(1 for _ in container.decode(stream)) / float(stream.average_rate)
    with av.open(str(video)) as container:
        sound = sum(frame.samples / frame.rate for frame in container.decode(audio=0))
    return pictures, sound


def _refused(done: subprocess.CompletedProcess[str], words: str) -> None:
    assert done.returncode == 2, done.stdout + done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


@pytest.fixture(scope="session")
def trained(stack, demo_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An avatar and a voice, trained through the command line."""
    preview = tmp_path_factory.mktemp("train") / "preview.jpg"
    done = stack.visavis(
        "train", str(demo_clip), "--name", NAME, "--consent-by", "Nobody: drawn", *TINY, "--preview", str(preview)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PSNR" in done.stdout
    assert "closed mouth" in done.stdout, "the baselines stand beside the result"
    assert preview.stat().st_size > 1000
    return NAME


@pytest.fixture(scope="session")
def hello(stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentence spoken by `say`."""
    path = tmp_path_factory.mktemp("say") / "hello.wav"
    done = stack.visavis("say", "The weather is very nice today.", "--rate", "0.9", "-o", str(path))
    assert done.returncode == 0, done.stderr
    assert b"AIGC" in path.read_bytes()
    return path


@pytest.fixture(scope="session")
def video(stack, trained: str, hello: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `generate` makes of a recording."""
    path = tmp_path_factory.mktemp("generate") / "new" / "hello.mp4"
    done = stack.visavis(
        "generate",
        "--avatar",
        trained,
        "--audio",
        str(hello),
        "--language",
        "en",
        "--subtitles",
        "vtt",
        "-o",
        str(path),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return path


def test_up_serves_the_page(stack) -> None:
    assert f"http://127.0.0.1:{stack.ports['gateway']}" in stack.output.read_text()
    assert httpx.get(f"{stack.url}/").status_code == 200
    logs = {path.stem for path in (stack.data / "logs").glob("*.log")}
    assert logs == {"asr", "llm", "tts", "render", "train", "gateway"}


def test_say_makes_a_wav(hello: Path) -> None:
    with wave.open(str(hello)) as wav:
        assert (wav.getnchannels(), wav.getsampwidth()) == (1, 2)
        assert 1.0 < wav.getnframes() / wav.getframerate() < 6.0


def test_transcribe_in_every_format(stack, hello: Path) -> None:
    text, vtt, srt, whole = (
        stack.visavis("transcribe", str(hello), "--language", "en", "--format", form).stdout
        for form in ("text", "vtt", "srt", "json")
    )
    assert text.strip()
    assert vtt.startswith("WEBVTT")
    assert srt.startswith("1\n00:00:0")
    heard = json.loads(whole)
    assert " ".join(word["text"] for word in heard["words"]) == heard["text"]


def test_training_leaves_avatar_voice_and_job(stack, trained: str) -> None:
    avatars = json.loads(stack.visavis("avatars", "list", "--json").stdout)
    (avatar,) = [one for one in avatars if one["name"] == trained]
    assert avatar["consent"]["given_by"] == "Nobody: drawn"
    assert avatar["voice"] in [voice["name"] for voice in json.loads(stack.visavis("voices", "list", "--json").stdout)]
    jobs = json.loads(stack.visavis("jobs", "list", "--json").stdout)
    assert [job["state"] for job in jobs if job["kind"] == "training" and job["subject"] == trained] == ["succeeded"]
    assert "lips off by" in stack.visavis("avatars", "show", trained).stdout


def test_generate_from_audio(video: Path, hello: Path) -> None:
    with wave.open(str(hello)) as wav:
        seconds = wav.getnframes() / wav.getframerate()
    pictures, sound = _lengths(video)
    assert pictures == pytest.approx(seconds, abs=0.1)
    assert sound == pytest.approx(pictures, abs=0.1)
    assert video.with_suffix(".vtt").read_text().startswith("WEBVTT")


def test_a_voice_is_judged_exported_corrected_and_imported(stack, trained: str, hello: Path, tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        done = stack.visavis("voices", *arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "seconds of speech were heard" in run("check", str(hello))
    avatars = json.loads(stack.visavis("avatars", "list", "--json").stdout)
    voice = next(one["voice"] for one in avatars if one["name"] == trained)
    run("export", voice, "-o", "it.zip")
    run("import", "it.zip", "--name", "Imported")
    assert run("transcript", "Imported", "--set", "What was said.") == "What was said.\n"
    assert "WEBVTT" in run("transcript", "Imported", "--vtt", "--language", "en")
    run("delete", "Imported", "--yes")


def test_generate_from_text_in_the_avatars_own_voice(stack, trained: str, tmp_path: Path) -> None:
    path = tmp_path / "text.mp4"
    done = stack.visavis(
        "generate", "--avatar", trained, "--text", "One. Two.", "--subtitles", "burn", "-o", str(path)
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    pictures, sound = _lengths(path)
    assert pictures == pytest.approx(sound, abs=0.1)
    assert "Two." in path.with_suffix(".vtt").read_text()
    assert not list(tmp_path.glob(".*.part"))


def test_a_job_left_running_can_be_fetched(stack, video: Path, tmp_path: Path) -> None:
    jobs = json.loads(stack.visavis("jobs", "list", "--json").stdout)
    job = next(one for one in jobs if one["kind"] == "generation")
    assert "succeeded" in stack.visavis("jobs", "watch", job["id"]).stdout
    done = stack.visavis("jobs", "fetch", job["id"], "-o", str(tmp_path / "again.mp4"))
    assert done.returncode == 0, done.stderr
    assert _lengths(tmp_path / "again.mp4")[0] > 0


def test_chat_typed(stack, trained: str, tmp_path: Path) -> None:
    done = stack.visavis("chat", "--avatar", trained, "-o", str(tmp_path), input="Who are you?\n")
    assert done.returncode == 0, done.stderr
    assert "Visavis" in done.stdout
    for mark in ("first word", "first sound", "first picture", "all sent"):
        assert mark in done.stdout
    (reply,) = tmp_path.glob("*.mp4")
    pictures, sound = _lengths(reply)
    assert pictures > 1
    assert sound == pytest.approx(pictures, abs=0.15)


def test_chat_spoken(stack, trained: str, hello: Path, tmp_path: Path) -> None:
    done = stack.visavis("chat", "--avatar", trained, "--audio", str(hello), "-o", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("You said: ")
    assert len(list(tmp_path.glob("*.mp4"))) == 1


def test_talk_typed(stack, trained: str, tmp_path: Path) -> None:
    done = stack.visavis("talk", "--avatar", trained, "-o", str(tmp_path), input="Who are you?\nWhat can you do?\n")
    assert done.returncode == 0, done.stderr
    assert "Visavis" in done.stdout
    assert "render_first_fragment" in done.stdout and "transport" in done.stdout
    assert len(list(tmp_path.glob("*.mp4"))) == 2


def test_talk_spoken(stack, trained: str, hello: Path, tmp_path: Path) -> None:
    done = stack.visavis("talk", "--avatar", trained, "--audio", str(hello), "-o", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "You said: " in done.stdout and "vad 0." in done.stdout
    (reply,) = tmp_path.glob("*.mp4")
    pictures, sound = _lengths(reply)
    assert pictures > 0.5
    assert sound == pytest.approx(pictures, abs=0.15)


def test_nobody_talks_without_a_gateway_or_with_a_silent_file(stack, trained: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        nowhere = f"http://127.0.0.1:{probe.getsockname()[1]}"
    _refused(stack.visavis("talk", "--avatar", trained, "--gateway", nowhere), "no gateway at")
    text = tmp_path / "text.wav"
    text.write_text("This is no sound.")
    _refused(stack.visavis("talk", "--avatar", trained, "--audio", str(text)), "no sound")


def test_the_report_card_is_a_page_without_scripts(stack, trained: str) -> None:
    answer = httpx.get(f"{stack.url}/api/v1/avatars/{trained}/report")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert "评测报告" in answer.text


def test_evaluate_a_video_against_itself(stack, video: Path, tmp_path: Path) -> None:
    done = stack.visavis("evaluate", str(video), str(video), "--json", "--html", str(tmp_path / "report.html"))
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["kind"] == "self-driven"
    assert "same-file" in report["warnings"]
    assert "评测报告" in (tmp_path / "report.html").read_text(encoding="utf-8")
    metrics = report["metrics"]
    assert metrics["ssim"] == pytest.approx(1.0)
    assert metrics["lmd_px"] == pytest.approx(0.0, abs=1e-6)


def test_doctor_sees_everything_serving(stack) -> None:
    def serving() -> list[str]:
        return [one["subject"].split(",")[0] for one in findings if one["text"].startswith("serves")]

    for _ in range(5):  # it gives each two seconds to answer, which one may miss on a busy machine
        done = stack.visavis("doctor", "--json", "--data", str(stack.data))
        findings = json.loads(done.stdout)
        if len(serving()) == 6:
            break
    assert serving() == ["asr", "llm", "tts", "render", "train", "gateway"]
    missing = [one for one in findings if one["level"] == "missing"]
    assert done.returncode == (1 if missing else 0), missing
    assert not missing


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("generate", "--avatar", "Nobody", "--text", "Hi.", "-o", "never.mp4"), "no avatar"),
        (("chat", "--avatar", "Nobody"), "no avatar"),
        (("talk", "--avatar", "Nobody"), "no avatar"),
        (("say", "Hi.", "--voice", "Nobody", "-o", "never.wav"), "voice"),
        (("say", "Hi.", "--rate", "9", "-o", "never.wav"), "(--rate)"),
        (("say", "Hi.", "--volume", "13", "-o", "never.wav"), "(--volume)"),
        (("voices", "export", "Nobody"), "no voice"),
        (("say", "  ", "-o", "never.wav"), "nothing to say"),
        (("avatars", "delete", "Nobody", "--yes"), "no avatar"),
        (("jobs", "cancel", "training-0"), "job"),
        (("jobs", "resume", "training-0"), "no such job"),
        (("jobs", "delete", "training-0", "--yes"), "no such job"),
    ],
)
def test_refusals_are_sentences(stack, tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    _refused(stack.visavis(*arguments, cwd=tmp_path), words)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_video_is_refused_before_training(stack, tmp_path: Path) -> None:
    junk = tmp_path / "junk.mp4"
    junk.write_bytes(b"this is not a video" * 100)
    _refused(stack.visavis("train", str(junk), "--name", "Junk", "--consent-by", "Me"), "(VIDEO)")


def test_an_unknown_parameter_is_refused_before_the_upload(stack, demo_clip: Path) -> None:
    options = ("--name", "Odd", "--consent-by", "Me", "--param", "epochs=3")
    _refused(stack.visavis("train", str(demo_clip), *options), "(--param epochs)")


def test_a_killed_service_comes_back(stack) -> None:
    before = stack.pid("llm")
    stack.kill("llm")
    stack.until(lambda: stack.pid("llm") not in (None, before), 180, "llm restarted")
    stack.until(lambda: stack.health()["llm"] == "serving", stack.start_timeout_s, "llm serves again")
    assert "llm was killed by SIGKILL" in stack.output.read_text()


def test_a_taken_port_is_named(stack) -> None:
    done = stack.visavis("up", "--data", str(stack.data / "other"))
    assert done.returncode == 2
    assert "Visavis seems to be running here already." in done.stderr
    for port in stack.ports.values():
        assert f"Port {port}, which " in done.stderr
    assert "VISAVIS_ASR_ADDRESS=127.0.0.1:" in done.stderr
    assert "visavis up --port " in done.stderr


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_up_stops_all_it_started(stack, tmp_path: Path, how: signal.Signals) -> None:
    other = type(stack)(tmp_path / "data")
    other.start("--no-gateway")
    other.wait()
    children = psutil.Process(other.process.pid).children(recursive=True)
    assert len(children) >= 5
    for _ in range(2):  # `timeout` and `make` send it to the process and to its group
        other.process.send_signal(how)
    assert other.process.wait(stack.stop_timeout_s) == 0
    _, alive = psutil.wait_procs(children, timeout=10)  # orphans are buried a moment later
    assert not [child for child in alive if child.status() != psutil.STATUS_ZOMBIE]
    for port in list(other.ports.values())[:5]:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))


def test_a_wrong_setting_is_told_and_given_up(stack, tmp_path: Path) -> None:
    other = type(stack)(tmp_path / "data", settings={"ASR_ENGINE": "no-such-engine"})
    other.start("--no-gateway")
    try:
        other.wait()
        assert "without asr" in other.output.read_text()
        assert "no-such-engine" in other.output.read_text()
    finally:
        assert other.stop() == 0


def test_no_traceback_without_services(tmp_path: Path) -> None:
    """As a user meets it who forgot `visavis up`."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    environment = {"VISAVIS_RENDER_ADDRESS": address, "PATH": "/usr/bin", "PYTHONPATH": ":".join(sys.path)}
    command = [sys.executable, "-m", "cli", "avatars"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    _refused(done, "`visavis doctor` tells")
