"""Parameters describe and defend themselves."""

from __future__ import annotations

import dataclasses

import pytest

from portrait import STAGES, TrainingParameters
from portrait.progress import SHARE


@pytest.mark.parametrize(
    "wrong", [{"quality": "best"}, {"size": 500}, {"size": 64}, {"minutes": -1}, {"seconds": 1}, {"steps": -1}]
)
def test_a_wrong_value_is_named(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TrainingParameters(**wrong)  # type: ignore[arg-type]


def test_every_field_can_be_shown_in_a_form() -> None:
    for each in dataclasses.fields(TrainingParameters):
        assert each.metadata["description"].endswith(".")
        assert each.metadata.keys() & {"choices", "minimum", "pattern"}


def test_quality_sets_the_budget_unless_told_otherwise() -> None:
    assert TrainingParameters(quality="draft").face_seconds < TrainingParameters(quality="high").face_seconds
    assert TrainingParameters(minutes=2).face_seconds == 120
    assert TrainingParameters(steps=30).face_steps == 30


def test_stages_share_the_whole() -> None:
    assert tuple(SHARE) == STAGES
    assert sum(SHARE.values()) == pytest.approx(1)
