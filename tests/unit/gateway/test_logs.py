"""What the gateway's log may hold."""

from __future__ import annotations

import json
import logging
import sys

from gateway.logs import JsonFormatter


def test_what_an_exception_says_does_not_reach_the_log() -> None:
    path = "voices/Ada Lovelace/reference.wav"
    try:
        raise FileNotFoundError(path)
    except FileNotFoundError:
        record = logging.LogRecord("gateway", logging.ERROR, "here", 1, "broke", (), sys.exc_info())
    line = json.loads(JsonFormatter().format(record))
    assert line["event"] == "broke"
    assert "FileNotFoundError" in line["trace"]
    assert "test_logs.py" in line["trace"]
    assert "Lovelace" not in json.dumps(line)
