"""What people write of an engine's parameters."""

from __future__ import annotations

import pytest

from client.wire.errors import CallError
from client.work import parameters


@pytest.mark.parametrize("text", ["maybe", "2", ""])
def test_yes_or_no_is_never_guessed(text: str) -> None:
    with pytest.raises(CallError) as caught:
        parameters._yes_or_no("fast", text)
    assert (caught.value.reason, caught.value.field) == ("NOT_YES_OR_NO", "params.fast")
    assert (parameters._yes_or_no("fast", "On"), parameters._yes_or_no("fast", "0")) == (True, False)
