"""What is judged by is never learned from, in whatever fold."""

from __future__ import annotations

import numpy as np
import pytest

from portrait.training.split import GAP, Split


@pytest.mark.parametrize(("fold", "start"), [("last", 170), ("middle", 85), ("first", 0)])
def test_a_fold_holds_out_fifteen_per_cent_and_a_margin(fold: str, start: int) -> None:
    split = Split(fold)
    held_out, training = split.held_out(200), split.training(200)
    assert (held_out.start, len(held_out)) == (start, 30)
    distance = np.abs(np.flatnonzero(training)[:, None] - np.array(held_out)[None]).min()
    assert distance == GAP + 1
    assert training.sum() == 200 - 30 - GAP * (2 if fold == "middle" else 1)


def test_folds_do_not_overlap_and_have_names() -> None:
    first, middle, last = (set(Split(fold).held_out(1779)) for fold in ("first", "middle", "last"))
    assert not first & middle
    assert not middle & last
    assert str(Split()) == "last 15%"
    with pytest.raises(ValueError, match="fold: 'second' is not one of last, middle, first"):
        Split("second")
