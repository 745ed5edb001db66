"""The engine that talks to FunASR's runtime, over a real WebSocket, with each kind of server that there is."""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from services.asr.engine import AsrEngine, Hypothesis
from services.asr.engines.funasr import Engine, Settings
from services.asr.funasr.transcript import Transcript
from services.common.engine import Capability
from services.common.errors import ServiceError, Unavailable, Unsupported
from services.common.subtitles import Word
from tests.recognisers import running_runtime

LONGEST_S = 30  # only ends what would hang
STEP = bytes(600 * 32)  # what the streaming model takes at once: 600 ms
STAMPS = [
    {"text_seg": "hello there", "punc": ",", "start": 100, "end": 400, "ts_list": [[100, 200], [300, 400]]},
    {"text_seg": "world", "punc": ".", "start": 500, "end": 900, "ts_list": [[500, 900]]},
]


def make_engine(url: str, **changes: object) -> AsrEngine:
    engine = Engine(Settings(url=url, **changes))
    engine.load()
    return engine


def fail(engine: AsrEngine) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        engine.recognise(STEP, "")
    return caught.value


def heard_so_far(recognition, text: str) -> None:
    """Feed until a text is known; the runtime answers when it likes."""
    for _ in range(2000):
        if recognition.feed(bytes(2)) == text:
            return
        threading.Event().wait(0.005)
    raise TimeoutError(f"never heard: {text}")


@pytest.mark.parametrize("manner", ["c++", "python", "python with is_end"])
def test_the_text_grows_and_is_corrected_at_the_end(runtime, manner):
    runtime.manner, runtime.texts, runtime.stamps = manner, ["hello there world"], STAMPS
    recognition = make_engine(runtime.url).open("en")
    recognition.feed(STEP)
    heard_so_far(recognition, "hello")
    recognition.feed(STEP)
    heard_so_far(recognition, "hello there")
    runtime.stamps = STAMPS
    heard = recognition.finish()
    recognition.close()
    times = (Word("hello", 0.1, 0.2), Word("there", 0.3, 0.4), Word("world", 0.5, 0.9))
    assert heard == Hypothesis("hello there world", times, "en")
    assert set(runtime.pieces) == {60 * 32} | {runtime.pieces[-1]}  # the runtime counts them
    assert runtime.gone.wait(LONGEST_S)


def test_it_is_told_what_it_is_to_hear(runtime):
    engine = make_engine(runtime.url, mode="2pass", itn=False, hotword_weight=30)
    engine.recognise(STEP, "zh-CN", ["薇拉", "Visavis"])
    opening = runtime.openings[0]
    assert json.loads(opening["hotwords"]) == {"薇拉": 30, "Visavis": 30}
    assert [opening[name] for name in ("mode", "chunk_size", "chunk_interval")] == ["2pass", [5, 10, 5], 10]
    assert [opening[name] for name in ("audio_fs", "wav_format", "is_speaking")] == [16_000, "pcm", True]
    assert (opening["itn"], opening["svs_lang"]) == (False, "zh")
    assert runtime.ended[0]["is_speaking"] is False
    assert sum(runtime.pieces) == len(STEP)


def test_a_server_of_whole_recordings_answers_once(runtime):
    runtime.manner = "offline"
    engine = make_engine(runtime.url, mode="offline")
    assert engine.recognise(STEP * 3, "en").text == "hello there"
    assert Capability.STREAMING not in engine.info().capabilities
    assert Capability.STREAMING in make_engine(runtime.url).info().capabilities


def test_a_text_is_the_last_where_nothing_follows_and_nobody_says_so(runtime):
    runtime.manner = "python"
    assert make_engine(runtime.url).recognise(bytes(3200), "en").text == "hello there"


def test_sense_voice_tells_the_language(runtime):
    runtime.texts = ["<|zh|><|NEUTRAL|><|Speech|><|woitn|>现在"]
    assert make_engine(runtime.url).recognise(STEP, "") == Hypothesis("现在", (), "zh")
    assert make_engine(runtime.url).recognise(STEP, "zh-TW").text == "現在"


def test_two_sentences_are_one_utterance():
    transcript = Transcript()
    told = [
        {"mode": "2pass-online", "text": "你好", "is_final": False},
        {"mode": "2pass-offline", "text": "你好，", "is_final": False, "timestamp": "[[0, 200], [200, 400]]"},
        {"mode": "2pass-online", "text": "世", "is_final": False},
        {"mode": "2pass-offline", "text": "世界。", "is_final": True, "timestamp": "[[600, 800], [800, 990]]"},
    ]
    assert [transcript.add(message, is_over=at > 0) for at, message in enumerate(told)] == [False, False, False, True]
    heard = transcript.hypothesis("zh")
    assert heard.text == "你好，世界。"
    assert heard.words[1:3] == (Word("好，", 0.2, 0.4), Word("世", 0.6, 0.8))


def test_a_python_server_that_still_speaks_of_before_is_waited_for():
    transcript = Transcript()
    transcript.add({"mode": "2pass-online", "text": "a", "is_final": True}, is_over=False)
    assert transcript.add({"mode": "2pass-offline", "text": "a.", "is_final": True}, is_over=True) is False
    assert transcript.add({"mode": "2pass-offline", "text": "b.", "is_final": False}, is_over=True) is True


@pytest.mark.parametrize("times", ["[[0, " + "9" * 400 + "]]", "[" * 10**5, "[[0]]", "5"])
def test_times_that_are_none_do_not_cost_the_text(times):
    transcript = Transcript()
    transcript.add({"mode": "2pass-offline", "text": "hello", "is_final": True, "timestamp": times}, is_over=True)
    assert transcript.hypothesis("en") == Hypothesis("hello", (), "en")


def test_silence_is_no_text(runtime):
    runtime.answer = json.dumps({"text": "", "wav_name": "speech", "is_final": True})
    assert make_engine(runtime.url).recognise(bytes(3200), "zh") == Hypothesis("", (), "zh")


# What goes wrong


@pytest.mark.parametrize("answer", ["<html>", "[1]", '"text"', '{"text": 5, "is_final": true}', "[" * 10**5])
def test_what_is_no_answer_is_told(runtime, answer):
    runtime.answer = answer
    assert fail(make_engine(runtime.url)).reason == "PROVIDER_GARBLED"


def test_a_server_that_speaks_another_protocol(transcriber):
    error = fail(make_engine(transcriber.url.replace("http", "ws")))
    assert (error.reason, "ASR_FUNASR_URL" in error.message) == ("PROVIDER_GARBLED", True)


def test_nobody_listens():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        error = fail(make_engine(f"ws://127.0.0.1:{unused.getsockname()[1]}"))
    assert (type(error), error.reason) == (Unavailable, "PROVIDER_UNREACHABLE")
    assert "ASR_FUNASR_URL" in error.message


def test_a_server_that_takes_calls_and_says_nothing():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = fail(make_engine(f"ws://127.0.0.1:{silent.getsockname()[1]}", connect_seconds=0.2))
    assert error.reason == "PROVIDER_UNREACHABLE"


def test_no_text_in_time(runtime):
    runtime.is_silent = True
    error = fail(make_engine(runtime.url, read_seconds=0.2))
    assert (error.reason, "ASR_FUNASR_READ_SECONDS" in error.message) == ("PROVIDER_TIMEOUT", True)


def test_a_text_that_does_not_end_is_not_waited_for(runtime):
    runtime.talks_on = True
    assert fail(make_engine(runtime.url, read_seconds=0.1)).reason == "PROVIDER_TIMEOUT"


@pytest.mark.parametrize("words", ["a" * 2**19, "a" * 2**21], ids=["in pieces", "in one piece"])
def test_a_text_without_end_is_not_kept(runtime, words):
    runtime.talks_on, runtime.words, runtime.pause_s = True, words, 0
    error = fail(make_engine(runtime.url))
    assert (error.reason, "ASR_FUNASR_URL" in error.message) == ("ANSWER_TOO_LARGE", True)
    assert runtime.gone.wait(LONGEST_S)


def test_a_runtime_that_takes_no_more_sound_is_not_waited_for(runtime):
    runtime.is_deaf = True
    with pytest.raises(ServiceError) as caught:
        make_engine(runtime.url, read_seconds=0.1).recognise(bytes(16_000_000), "")  # more than a connection holds
    runtime.heard_enough.set()
    assert caught.value.reason == "REPLY_BROKEN_OFF"


def test_a_connection_that_ends_in_mid_sentence(runtime):
    runtime.break_after = 3
    assert fail(make_engine(runtime.url)).reason == "REPLY_BROKEN_OFF"


def test_who_leaves_hangs_up(runtime):
    runtime.is_silent = True
    recognition = make_engine(runtime.url).open("en")
    recognition.feed(STEP)
    ended: list[Hypothesis] = []
    thread = threading.Thread(target=lambda: ended.append(recognition.finish()))
    thread.start()
    assert runtime.over.wait(LONGEST_S)
    recognition.interrupt()
    thread.join(LONGEST_S)
    assert len(ended) == 1
    assert runtime.gone.wait(LONGEST_S)
    recognition.close()


def test_who_leaves_before_the_runtime_greets_does_not_wait_for_it():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"ws://127.0.0.1:{silent.getsockname()[1]}"
        recognition = make_engine(url, connect_seconds=10 * LONGEST_S).open("en")
        thread = threading.Thread(target=recognition.feed, args=(STEP,), daemon=True)
        thread.start()
        accepted, _ = silent.accept()
        with accepted:
            assert accepted.recv(3) == b"GET"
            recognition.interrupt()
            thread.join(LONGEST_S)
            assert not thread.is_alive()
        recognition.close()


def test_closing_in_mid_sentence_hangs_up(runtime):
    recognition = make_engine(runtime.url).open("en")
    recognition.feed(STEP)
    recognition.close()
    assert runtime.gone.wait(LONGEST_S)


def test_a_language_that_its_models_do_not_know(runtime):
    with pytest.raises(Unsupported, match="zh, en"):
        make_engine(runtime.url).open("ja")
    make_engine(runtime.url, languages=("zh", "ja")).open("ja").close()
    assert not runtime.openings


def test_it_says_what_it_lacks_and_whether_sound_leaves_the_machine():
    lack = make_engine("").lack()
    assert lack.code == "ADDRESS_MISSING"
    assert "ASR_FUNASR_URL" in lack.remedy
    lack = Engine(Settings(url="wss://127.0.0.1:10095", certificate="/none/such.pem")).lack()
    assert (lack.code, "ASR_FUNASR_CERTIFICATE" in lack.remedy) == ("CERTIFICATE_MISSING", True)
    assert Capability.OFFLINE in make_engine("ws://127.0.0.1:10095").info().capabilities
    assert Capability.OFFLINE not in make_engine("wss://asr.example.org").info().capabilities


def test_words_do_not_get_into_the_log(runtime, caplog):
    runtime.texts = ["a secret word"]
    engine = make_engine(runtime.url)
    with caplog.at_level(logging.DEBUG):
        engine.recognise(STEP, "en", ["secret name"])
    assert not [record for record in caplog.records if "secret" in record.getMessage()]


def test_a_runtime_with_a_certificate_of_its_own_is_trusted_when_it_is_named(tmp_path: Path):
    file = tmp_path / "server.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=funasr"]
    subprocess.run([*command, "-keyout", file, "-out", tmp_path / "cert.pem"], check=True, capture_output=True)
    file.write_bytes(file.read_bytes() + (tmp_path / "cert.pem").read_bytes())
    with running_runtime(file) as runtime:
        named = make_engine(runtime.url, certificate=str(tmp_path / "cert.pem"))
        (tmp_path / "cert.pem").unlink()  # it is read once, not at every utterance
        assert named.recognise(STEP, "en").text == "hello there"
        assert fail(make_engine(runtime.url)).reason == "PROVIDER_DISTRUSTED"


def test_a_file_without_a_certificate_is_told_before_anybody_speaks(tmp_path: Path):
    (tmp_path / "cert.pem").write_text("none")
    with pytest.raises(Unavailable) as caught:
        make_engine("wss://127.0.0.1:10095", certificate=str(tmp_path / "cert.pem"))
    assert caught.value.reason == "PROVIDER_DISTRUSTED"
