"""The engines that send an utterance to an API of transcriptions, each with its real SDK against a local server."""

from __future__ import annotations

import gzip
import importlib
import io
import logging
import socket
import threading
import wave
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from services.asr.engine import AsrEngine, Hypothesis
from services.asr.remote import sent
from services.common.bounds import ANSWER_BYTES
from services.common.engine import Capability
from services.common.errors import Busy, InvalidInput, ServiceError, Unavailable, Unsupported
from services.common.line import Line
from services.common.provider import retry_after_s
from services.common.subtitles import Word

LONGEST_S = 30  # only ends what would hang; the server is silent for longer
SPEECH = bytes(range(256)) * 63  # half a second; what it sounds like does not matter here
WORDS = [{"word": "hello", "start": 0.1, "end": 0.2}, {"word": "there", "start": 0.3, "end": 0.4}]

STREAM, WHOLE = "gpt-4o-transcribe", "whisper-1"
both = pytest.mark.parametrize("name", ["zhipu", "openai"])


def make_engine(name: str, url: str, **changes: object) -> AsrEngine:
    values = {"base_url": url, "model": "test-model", "api_key": "secret-key", **changes}
    engine_type = importlib.import_module(f"services.asr.engines.{name}").Engine
    engine = engine_type(engine_type.settings_type(**values))
    engine.load()
    return engine


def fail(engine: AsrEngine) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        engine.recognise(SPEECH, "")
    assert "secret-key" not in caught.value.message
    return caught.value


@both
def test_sends_a_wav_file_and_reads_the_text(name, transcriber):
    transcriber.texts = ["Hello there."]
    heard = make_engine(name, transcriber.url).recognise(SPEECH, "")
    assert (heard.text, heard.language) == ("Hello there.", "en")
    assert transcriber.forms[0]["model"] == ["test-model"]
    assert transcriber.authorizations == ["Bearer secret-key"]
    with wave.open(io.BytesIO(transcriber.sounds[0])) as file:
        assert (file.getframerate(), file.getnchannels(), file.readframes(file.getnframes())) == (16_000, 1, SPEECH)


@both
def test_nothing_is_sent_of_an_utterance_that_goes_on(name, transcriber):
    recognition = make_engine(name, transcriber.url).open("en")
    assert [recognition.feed(SPEECH), recognition.pause(SPEECH), transcriber.forms] == ["", "", []]
    assert recognition.finish().text == "hello there"
    assert len(transcriber.sounds[0]) == 44 + 2 * len(SPEECH)
    assert Capability.STREAMING not in make_engine(name, transcriber.url).info().capabilities


@both
def test_silence_without_sound_is_not_sent(name, transcriber):
    assert make_engine(name, transcriber.url).open("").finish() == Hypothesis("")
    assert not transcriber.forms


@both
def test_chinese_is_written_as_its_readers_write_it(name, transcriber):
    transcriber.texts = ["现在这个部门"]
    engine = make_engine(name, transcriber.url)
    heard = [engine.recognise(SPEECH, language) for language in ("zh-TW", "zh-CN", "")]
    assert [one.text for one in heard] == ["現在這個部門", "现在这个部门", "现在这个部门"]
    assert [one.language for one in heard] == ["zh-TW", "zh-CN", "zh"]


@both
def test_an_unknown_language_is_refused_before_anything_is_sent(name, transcriber):
    with pytest.raises(Unsupported, match="ASR_ENGINE"):
        make_engine(name, transcriber.url).open("tlh")
    assert not transcriber.forms


def test_glm_is_told_the_hot_words_one_by_one(transcriber):
    make_engine("zhipu", transcriber.url).recognise(SPEECH, "zh", ["薇拉", "Visavis"])
    assert transcriber.forms[0]["hotwords"] == ["薇拉", "Visavis"]


def test_openai_is_told_hot_words_language_and_subject(transcriber):
    make_engine("openai", transcriber.url, prompt="A talk").recognise(SPEECH, "zh-CN", ["Vera", "Visavis"])
    form = transcriber.forms[0]
    assert (form["prompt"], form["language"]) == (["A talk, Vera, Visavis"], ["zh"])


@pytest.mark.parametrize(("name", "model"), [("zhipu", "glm-asr-2512"), ("openai", "gpt-4o-transcribe")])
def test_the_text_streams_once_the_utterance_is_over(name, model, transcriber):
    transcriber.texts = ["one two three"]
    recognition = make_engine(name, transcriber.url, model=model).open("en")
    recognition.feed(SPEECH)
    assert list(dict.fromkeys(recognition.finishing())) == ["one", "one two", "one two three"]
    assert recognition.finish().text == "one two three"
    assert transcriber.forms[0]["stream"] == ["true"]
    assert len(transcriber.forms) == 1


@pytest.mark.parametrize(("name", "model"), [("zhipu", "glm-asr-2512"), ("openai", "gpt-4o-transcribe")])
def test_a_server_that_does_not_stream_is_understood(name, model, transcriber):
    transcriber.is_streaming = False
    assert make_engine(name, transcriber.url, model=model).recognise(SPEECH, "en").text == "hello there"


def test_glm_may_stream_as_its_chat_does(transcriber):
    events = (f'data: {{"choices": [{{"delta": {{"content": "{word}"}}}}]}}\n\n' for word in ("现在", "这个"))
    last = 'data: {"choices": [{"delta": {"content": ""}, "finish_reason": "stop"}]}\n\n'
    transcriber.body = "".join((*events, last, "data: [DONE]\n\n")).encode()
    assert make_engine("zhipu", transcriber.url).recognise(SPEECH, "zh").text == "现在这个"


# What Whisper tells beside the text


def test_words_have_their_times_and_the_spelling_of_the_text(transcriber):
    transcriber.texts, transcriber.extra = ["Hello, there."], {"words": WORDS, "language": "english"}
    engine = make_engine("openai", transcriber.url)
    heard = engine.recognise(SPEECH, "")
    assert heard.words == (Word("Hello,", 0.1, 0.2), Word("there.", 0.3, 0.4))
    assert heard.language == "en"
    assert transcriber.forms[0]["timestamp_granularities"] == ["word", "segment"]
    assert Capability.WORD_TIMES in engine.info().capabilities


def test_words_that_the_text_writes_otherwise_are_left_out(transcriber):
    transcriber.texts, transcriber.extra = ["Hello, 2."], {"words": WORDS, "language": "en"}
    assert make_engine("openai", transcriber.url).recognise(SPEECH, "") == Hypothesis("Hello, 2.", (), "en")


def test_a_server_that_tells_no_times_is_asked_for_less_from_then_on(transcriber):
    transcriber.refuses = "verbose_json"
    engine = make_engine("openai", transcriber.url)
    assert [engine.recognise(SPEECH, "en").text for _ in range(2)] == ["hello there"] * 2
    assert [form["response_format"] for form in transcriber.forms] == [["verbose_json"], ["json"], ["json"]]
    assert Capability.WORD_TIMES not in engine.info().capabilities


@pytest.mark.parametrize(
    ("measures", "text"),
    [
        ({"no_speech_prob": 0.9, "avg_logprob": -1.3, "compression_ratio": 1}, "hello"),
        ({"no_speech_prob": 0.9, "avg_logprob": -0.2, "compression_ratio": 1}, "hello there"),
        ({"no_speech_prob": 0.0, "avg_logprob": -0.2, "compression_ratio": 9}, "hello"),
        ({}, "hello there"),
    ],
)
def test_what_whisper_invents_of_noise_is_not_said(transcriber, measures, text):
    said = {"text": "hello", "no_speech_prob": 0.1, "avg_logprob": -0.1, "compression_ratio": 1}
    transcriber.extra = {"segments": [said, {"text": " there", **measures}]}
    assert make_engine("openai", transcriber.url).recognise(SPEECH, "en").text == text


# What goes wrong


@both
@pytest.mark.parametrize(
    ("status", "code", "kind", "reason", "remedy"),
    [
        (401, "", Unavailable, "KEY_REFUSED", "ASR_{}_API_KEY"),
        (404, "", Unavailable, "MODEL_NOT_FOUND", "ASR_{}_MODEL"),
        (402, "", Unavailable, "QUOTA_SPENT", "Top it up"),
        (429, "insufficient_quota", Unavailable, "QUOTA_SPENT", "Top it up"),
        (429, "1113", Unavailable, "QUOTA_SPENT", "Top it up"),
        (400, "1301", InvalidInput, "REFUSED", "differently"),
        (413, "", Unavailable, "SPEECH_TOO_LONG", "ASR_MAX_UTTERANCE_MS"),
        (415, "", Unavailable, "SPEECH_NOT_TAKEN", "ASR_{}_MODEL"),
        (400, "1214", Unavailable, "SPEECH_NOT_TAKEN", "ASR_{}_MODEL"),
        (500, "", Unavailable, "PROVIDER_FAILING", "later"),
        (504, "", Unavailable, "PROVIDER_TIMEOUT", "ASR_{}_READ_SECONDS"),
    ],
)
def test_refusals_name_the_remedy_and_are_not_tried_again(name, transcriber, status, code, kind, reason, remedy):
    transcriber.statuses, transcriber.code = [status] * 9, code
    error = fail(make_engine(name, transcriber.url, model="gpt-4o-transcribe"))
    assert (type(error), error.reason) == (kind, reason)
    assert remedy.format(name.upper()) in error.message
    assert len(transcriber.forms) == 1


@both
@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_provider_is_asked_again_but_not_for_ever(name, transcriber, status, monkeypatch):
    monkeypatch.setattr(sent, "RECORDED_PAUSES_S", (0.01, 0.01))
    transcriber.statuses = [status] * 2
    assert make_engine(name, transcriber.url).recognise(SPEECH, "en").text == "hello there"
    transcriber.statuses = [status] * 3
    error = fail(make_engine(name, transcriber.url))
    assert (type(error), error.reason, len(transcriber.forms)) == (Busy, "PROVIDER_LIMIT", 6)


def test_whoever_speaks_is_told_sooner_than_a_recording():
    assert sum(sent.LIVE_PAUSES_S) < 1 < 60 <= sum(sent.RECORDED_PAUSES_S)
    assert sent.LIVE_PATIENCE_S < 5 < sent.RECORDED_PATIENCE_S


@both
@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_provider_says_when_to_ask_again(name, transcriber, status, monkeypatch):
    monkeypatch.setattr(sent, "RECORDED_PAUSES_S", (0.01, 0.01))
    waits: list[float] = []
    monkeypatch.setattr(Line, "wait", lambda self, seconds: waits.append(seconds))
    transcriber.statuses, transcriber.retry_after = [status] * 2, "7"
    assert make_engine(name, transcriber.url).recognise(SPEECH, "en").text == "hello there"
    assert waits == [7.0, 7.0]


@both
@pytest.mark.parametrize("retry_after", ["3", "Fri, 01 Jan 2100 00:00:00 GMT"])
def test_whoever_speaks_does_not_wait_as_long_as_a_busy_provider_likes(name, transcriber, retry_after):
    transcriber.statuses, transcriber.retry_after = [429] * 9, retry_after
    recognition = make_engine(name, transcriber.url).open("en")
    recognition.feed(SPEECH)
    with pytest.raises(Busy):
        recognition.finish()
    assert len(transcriber.forms) == 1


@pytest.mark.parametrize(
    ("told", "seconds"),
    [("", 0), ("12", 12), (" 12 ", 12), ("-3", 0), ("soon", 0), ("Wed, 01 Jan 2020 00:00:00 GMT", 0), ("９", 0)],
)
def test_when_to_ask_again_is_a_number_or_a_date(told, seconds):
    assert retry_after_s({"Retry-After": told}) == seconds


def test_a_date_to_ask_again_is_counted_from_now():
    soon = format_datetime(datetime.now(UTC) + timedelta(minutes=5), usegmt=True)
    assert 200 < retry_after_s({"Retry-After": soon}) <= 300


@both
@pytest.mark.parametrize("model", ["test-model", "gpt-4o-transcribe"])
@pytest.mark.parametrize(
    "body",
    [
        b"<html>Sign in</html>",
        b'{"text": "hel',
        b'["hello"]',
        b'{"texts": []}',
        b'data: {"type": "trans\n\n',
    ],
)
def test_what_is_no_answer_is_told(name, transcriber, body, model):
    transcriber.body = body
    error = fail(make_engine(name, transcriber.url, model=model))
    assert error.reason == "PROVIDER_GARBLED"
    assert f"ASR_{name.upper()}_BASE_URL" in error.message


@both
def test_events_that_are_none(name, transcriber):
    transcriber.body = b"data: []\n\n"
    error = fail(make_engine(name, transcriber.url, model="gpt-4o-transcribe"))
    assert error.reason in ("PROVIDER_GARBLED", "REPLY_BROKEN_OFF")


@pytest.mark.parametrize(
    ("name", "model", "body"),
    [
        ("zhipu", STREAM, b'data: {"text": 5}\n\n'),
        ("zhipu", STREAM, b'data: {"choices": {"0": 1}}\n\n'),
        ("zhipu", STREAM, b'data: {"choices": [{"delta": "hello"}]}\n\n'),
        ("zhipu", STREAM, b'data: {"choices": [{"delta": {"content": ["hello"]}}]}\n\n'),
        ("openai", STREAM, b'data: {"type": "transcript.text.delta", "delta": 5}\n\n'),
        ("openai", STREAM, b'data: {"type": "transcript.text.done"}\n\n'),
        ("openai", STREAM, b"data: \xff\n\n"),
        ("openai", WHOLE, b'{"text": "hello", "segments": 5}'),
        ("openai", WHOLE, b'{"text": "hello", "segments": [{"text": 5}, {"text": "a", "compression_ratio": 9}]}'),
        ("zhipu", WHOLE, b'{"text": ' + b"[" * 10**5),
        ("openai", WHOLE, b'{"text": ' + b"[" * 10**5),
        ("openai", STREAM, b'data: {"type": "transcript.text.done", "text": ' + b"9" * 5000 + b"}\n\n"),
    ],
)
def test_an_answer_of_another_shape_is_told_and_no_fault_of_ours(name, model, body, transcriber):
    transcriber.body = body
    assert fail(make_engine(name, transcriber.url, model=model)).reason == "PROVIDER_GARBLED"


def test_numbers_that_are_none_do_not_cost_the_text(transcriber):
    transcriber.body = b'{"text": "hello", "words": [{"word": "hello", "start": 0, "end": ' + b"9" * 400 + b"}]}"
    assert make_engine("openai", transcriber.url).recognise(SPEECH, "en") == Hypothesis("hello", (), "en")


@both
def test_half_a_character_is_none(name, transcriber):
    transcriber.body = b'{"text": "hello \\ud83d"}'
    assert make_engine(name, transcriber.url, model="m").recognise(SPEECH, "en").text == "hello \ufffd"


@pytest.mark.parametrize(("name", "model"), [("zhipu", "glm-asr-2512"), ("openai", "gpt-4o-transcribe")])
def test_an_answer_that_breaks_off(name, model, transcriber):
    transcriber.texts, transcriber.break_after = ["one two three"], 2
    assert fail(make_engine(name, transcriber.url, model=model)).reason == "REPLY_BROKEN_OFF"
    assert len(transcriber.forms) == 1


def test_a_glm_answer_that_just_ends_is_not_taken_for_whole(transcriber):
    transcriber.texts, transcriber.ends_unmarked = ["one two three"], True
    assert fail(make_engine("zhipu", transcriber.url)).reason == "REPLY_BROKEN_OFF"


MUCH = b"a" * 2**16


@pytest.mark.parametrize(
    ("name", "model", "piece"),
    [
        ("zhipu", STREAM, b'data: {"type": "transcript.text.delta", "delta": "' + MUCH + b'"}\n\n'),
        ("zhipu", STREAM, b"data: " + MUCH),
        ("zhipu", WHOLE, b" " + MUCH),
        ("openai", STREAM, b'data: {"type": "transcript.text.delta", "delta": "' + MUCH + b'"}\n\n'),
        ("openai", STREAM, b"data: " + MUCH),
        ("openai", WHOLE, b" " + MUCH),
    ],
)
def test_an_answer_without_end_is_ended_and_told(name, model, piece, transcriber):
    transcriber.floods = piece
    error = fail(make_engine(name, transcriber.url, model=model))
    assert (error.reason, f"ASR_{name.upper()}_BASE_URL" in error.message) == ("ANSWER_TOO_LARGE", True)
    assert transcriber.gone.wait(LONGEST_S)
    assert transcriber.flooded < 4 * ANSWER_BYTES  # what fits into the buffers of a connection included
    assert len(transcriber.forms) == 1


@both
@pytest.mark.parametrize("model", [STREAM, WHOLE])
def test_an_answer_that_is_packed_is_not_unpacked(name, model, transcriber):
    transcriber.packs = True
    transcriber.body = gzip.compress(b'{"text": "' + b"a" * 2**24 + b'"}')
    assert fail(make_engine(name, transcriber.url, model=model)).reason == "ANSWER_TOO_LARGE"


@both
def test_nobody_listens(name, monkeypatch):
    monkeypatch.setattr(sent, "RECORDED_PAUSES_S", (0.01,))
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        error = fail(make_engine(name, f"http://127.0.0.1:{unused.getsockname()[1]}/v1"))
    assert error.reason == "PROVIDER_UNREACHABLE"
    assert f"ASR_{name.upper()}_BASE_URL" in error.message


@both
def test_no_answer_in_time(name, transcriber):
    transcriber.stall_after = 0
    error = fail(make_engine(name, transcriber.url, read_seconds=1.0))
    assert error.reason == "PROVIDER_TIMEOUT"
    assert len(transcriber.forms) == 1  # it may be at work


@pytest.mark.parametrize(
    ("name", "model", "piece"),
    [
        ("zhipu", STREAM, b'data: {"type": "transcript.text.delta", "delta": "a"}\n\n'),
        ("openai", STREAM, b'data: {"type": "transcript.text.delta", "delta": "a"}\n\n'),
        ("openai", STREAM, b"data\n"),
        ("openai", WHOLE, b" "),
    ],
)
def test_an_answer_that_trickles_in_for_ever_is_ended(name, model, piece, transcriber):
    transcriber.trickles = piece
    error = fail(make_engine(name, transcriber.url, model=model, read_seconds=0.5))
    assert (error.reason, len(transcriber.forms)) == ("PROVIDER_TIMEOUT", 1)


@both
@pytest.mark.parametrize("stall_after", [0, 1], ids=["before the answer", "in mid-answer"])
def test_who_leaves_hangs_up(name, transcriber, stall_after):
    transcriber.stall_after = stall_after
    recognition = make_engine(name, transcriber.url, model="gpt-4o-transcribe").open("en")
    recognition.feed(SPEECH)
    ended: list[Hypothesis] = []
    thread = threading.Thread(target=lambda: ended.append(recognition.finish()))
    thread.start()
    assert transcriber.stalled.wait(LONGEST_S)
    recognition.interrupt()
    assert transcriber.gone.wait(LONGEST_S)
    thread.join(LONGEST_S)
    assert len(ended) == 1


@both
def test_who_leaves_does_not_wait_for_a_busy_provider(name, transcriber):
    transcriber.statuses = [429] * 9
    recognition = make_engine(name, transcriber.url).open_recorded("en")
    recognition.feed(SPEECH)
    recognition.interrupt()
    assert recognition.finish() == Hypothesis("")
    assert not transcriber.forms


@both
def test_a_filter_that_steps_in_in_mid_answer(name, transcriber):
    transcriber.body = b'data: {"error": {"code": "1301", "message": "said: secret-key"}}\n\n'
    assert fail(make_engine(name, transcriber.url, model="gpt-4o-transcribe")).reason == "REFUSED"


@both
def test_neither_keys_nor_words_get_into_the_log(name, transcriber, caplog):
    transcriber.texts = ["a secret word"]
    engine = make_engine(name, transcriber.url)  # which quiets what it uses
    with caplog.at_level(logging.DEBUG):
        engine.recognise(SPEECH, "en", ["hot word"])
        transcriber.statuses = [401]
        fail(engine)
    assert not [record for record in caplog.records if "secret" in record.getMessage() or "hot" in record.getMessage()]


@both
def test_it_says_what_it_lacks_and_whether_sound_leaves_the_machine(name, transcriber):
    lack = make_engine(name, "", api_key="").lack()
    assert (lack.code, lack.remedy) == ("KEY_MISSING", f"Set ASR_{name.upper()}_API_KEY and restart the service.")
    assert Capability.OFFLINE not in make_engine(name, "").info().capabilities
    assert Capability.OFFLINE not in make_engine(name, "http://10.0.0.1/v1").info().capabilities
    assert Capability.OFFLINE in make_engine(name, transcriber.url).info().capabilities


def test_a_server_of_ones_own_needs_a_models_name_but_no_key():
    assert make_engine("openai", "http://127.0.0.1:8000/v1", api_key="").lack() is None
    assert make_engine("openai", "http://127.0.0.1:8000/v1", api_key="", model="").lack().code == "MODEL_UNNAMED"


def test_glm_takes_half_a_minute_at_most(transcriber):
    assert make_engine("zhipu", transcriber.url).longest_s < 30
