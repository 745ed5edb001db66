"""Threads are chosen by trying."""

from __future__ import annotations

import time

import pytest
import torch

from portrait.device import Crew, bfloat16_is_quick, choose, one_thread


@pytest.fixture
def three_threads() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("quicker", [1, 3])
def test_the_quicker_number_of_threads_wins(three_threads: None, quicker: int) -> None:
    crew, used = Crew(), []
    for _ in range(10):
        with crew.step():
            used.append(torch.get_num_threads())
            time.sleep(0.001 if used[-1] == quicker else 0.02)
    assert used[:6] == [3, 3, 3, 1, 1, 1]
    assert set(used[6:]) == {quicker}
    crew.dismiss()
    assert torch.get_num_threads() == 3


def test_the_choice_is_made_again(three_threads: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Crew, "RETRY_S", 0.0)
    crew, used = Crew(), []
    for _ in range(12):
        with crew.step():
            used.append(torch.get_num_threads())
            time.sleep(0.001)
    assert used == [3, 3, 3, 1, 1, 1] * 2


def test_one_thread_is_given_back(three_threads: None) -> None:
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3


def test_devices_by_name() -> None:
    assert choose("cpu") == torch.device("cpu")
    assert choose("auto").type in {"cpu", "cuda"}
    assert isinstance(bfloat16_is_quick(torch.device("cpu")), bool)
