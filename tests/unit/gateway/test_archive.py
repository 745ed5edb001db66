"""Conversations on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.archive import Archive
from gateway.refusal import Refusal


def test_a_damaged_conversation_is_refused_in_words_and_can_be_deleted(tmp_path: Path) -> None:
    archive = Archive(tmp_path, days=30)
    archive.write("one", {"messages": []})
    (file,) = tmp_path.iterdir()
    file.write_text('{"messages": [')
    with pytest.raises(Refusal, match="Delete it") as refused:
        archive.read("one")
    assert refused.value.reason == "CHAT_DAMAGED"
    assert archive.delete("one")
    assert archive.read("one") is None
