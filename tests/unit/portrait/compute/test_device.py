"""Threads are chosen by trying."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from portrait.compute import device
from portrait.compute.device import Crew, bfloat16_is_quick, choose, one_thread


@pytest.fixture
def three_threads() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The time by which steps are judged; it passes when it is told to."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(device, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


@pytest.mark.parametrize("quicker", [1, 3])
def test_the_quicker_number_of_threads_wins(three_threads: None, clock: SimpleNamespace, quicker: int) -> None:
    crew, used = Crew(), []
    for _ in range(10):
        with crew.step():
            used.append(torch.get_num_threads())
            clock.now += 0.001 if used[-1] == quicker else 0.02
    assert used[:6] == [3, 3, 3, 1, 1, 1]
    assert set(used[6:]) == {quicker}
    crew.dismiss()
    assert torch.get_num_threads() == 3


def test_the_choice_is_made_again(three_threads: None, clock: SimpleNamespace) -> None:
    crew, used = Crew(), []
    for _ in range(12):
        with crew.step():
            used.append(torch.get_num_threads())
            clock.now += 1
        if len(used) == 6:
            clock.now += Crew.RETRY_S + 1
    assert used == [3, 3, 3, 1, 1, 1] * 2


def test_one_thread_is_given_back(three_threads: None) -> None:
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3


def test_devices_by_name() -> None:
    assert choose("cpu") == torch.device("cpu")
    assert choose("auto").type in {"cpu", "cuda"}
    assert isinstance(bfloat16_is_quick(torch.device("cpu")), bool)
