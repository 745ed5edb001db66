from __future__ import annotations

import json

import pytest

from gateway import sse


@pytest.mark.parametrize("text", ["plain", "two\nlines", "a\r\nb", "\n\nevent: forged", "你好 🙂", "\u2028"])
def test_data_is_one_line_whatever_it_holds(text: str) -> None:
    block = sse.event("delta", {"text": text})
    name, data, *rest = block.split("\n")
    assert name == "event: delta"
    assert rest == ["", ""]
    assert json.loads(data.removeprefix("data: ")) == {"text": text}
    assert "\r" not in block


def test_a_heartbeat_is_a_comment() -> None:
    assert sse.HEARTBEAT.startswith(":") and sse.HEARTBEAT.endswith("\n\n")
