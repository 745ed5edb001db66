"""Which frames of two voices say the same sound, when the voices never said the same words.

Frames are paired by entropic optimal transport (M. Cuturi: "Sinkhorn Distances", NeurIPS 2013): every frame of either
voice has to be used about equally often, so a few average frames cannot answer for all. In between, the source is moved
toward the target by a linear map fitted to the pairs, and paired again, as in INCA (D. Erro et al., IEEE TASLP 2010).
"""

from __future__ import annotations

import numpy as np

from services.common.arrays import Flags, Floats, Indices

CONTEXT = 3  # frames to each side that are compared along
_ROUNDS = 3
_SMOOTHNESS = 0.1  # of the transport, in units of the mean squared distance per coefficient
_SINKHORN_STEPS = 60
_VOICING_COST = 1.0
_RIDGE = 50.0
_NEIGHBOURS = 4
_TINY = 1e-20


def in_context(frames: Floats) -> Floats:
    """Each frame beside its neighbours: (n, d) to (n, (2 * CONTEXT + 1) * d)."""
    padded = np.pad(frames, ((CONTEXT, CONTEXT), (0, 0)), "edge")
    return np.concatenate([padded[shift : shift + len(frames)] for shift in range(2 * CONTEXT + 1)], axis=1)


def squared_distances(one: Floats, other: Floats) -> Floats:
    """(n, d) and (m, d) to (n, m)."""
    square: Floats = (one**2).sum(1)[:, None] + (other**2).sum(1)[None] - 2 * one @ other.T
    return np.asarray(np.maximum(square, 0))


def pair(source: Floats, target: Floats, source_voiced: Flags, target_voiced: Flags) -> tuple[Indices, Floats]:
    """For each source frame its target frames and how much each counts: two (n, 4) arrays, indices and weights.

    Args:
        source: (n, d) normalised features; target: (m, d).
        source_voiced: (n,) whether the frame has a pitch; frames of unlike voicing are paired with reluctance.
    """
    mismatch = _VOICING_COST * (source_voiced[:, None] != target_voiced[None]).astype(np.float32)
    moved = source
    for remaining in reversed(range(_ROUNDS)):
        plan = _transport(squared_distances(moved, target) / source.shape[1] + mismatch)
        if remaining:
            moved = _moved(source, plan @ target, target)
    nearest = np.argpartition(-plan, _NEIGHBOURS, axis=1)[:, :_NEIGHBOURS]
    weights = np.take_along_axis(plan, nearest, axis=1) + _TINY
    return nearest, weights / weights.sum(1, keepdims=True)


def _transport(cost: Floats) -> Floats:
    """The plan that spreads every source frame over target frames; rows sum to one."""
    kernel = np.exp(-(cost - cost.min(1, keepdims=True)) / _SMOOTHNESS).astype(np.float32)
    rows, columns = kernel.shape
    left = np.ones(rows, np.float32)
    for _ in range(_SINKHORN_STEPS):
        right = 1 / columns / (kernel.T @ left + _TINY)
        left = 1 / rows / (kernel @ right + _TINY)
    plan = kernel * left[:, None] * right[None]
    return np.asarray(plan / (plan.sum(1, keepdims=True) + _TINY), np.float32)


def _moved(source: Floats, wanted: Floats, target: Floats) -> Floats:
    """The source after the linear map that best brings it to what is wanted, with the target's spread restored."""
    design = np.concatenate([source, np.ones((len(source), 1), source.dtype)], axis=1)
    regular = design.T @ design + _RIDGE * np.eye(design.shape[1], dtype=source.dtype)
    moved = design @ np.linalg.solve(regular, design.T @ wanted)
    return np.asarray((moved - moved.mean(0)) / (moved.std(0) + 1e-6) * target.std(0) + target.mean(0), np.float32)
