"""Which hardware to compute on, and in which precision it is quick."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import torch


def choose(name: str = "auto") -> torch.device:
    """`auto` takes a CUDA device when there is one; otherwise any torch device name."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


@cache
def bfloat16_is_quick(device: torch.device) -> bool:
    """Whether convolutions gain from bfloat16: on GPUs, and on processors with AMX or AVX-512 BF16 instructions."""
    if device.type != "cpu":
        return True
    try:
        flags = Path("/proc/cpuinfo").read_text().split("flags", 2)[1].split("\n", 1)[0].split()
    except (OSError, IndexError):
        return False
    return bool({"amx_bf16", "avx512_bf16"} & set(flags))


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Compute small things on one thread: on a busy machine, threads that wait for each other cost fifty times more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
