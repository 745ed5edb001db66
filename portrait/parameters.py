"""What a training run can be told, with the words a form shows."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

Quality = Literal["draft", "standard", "high"]
STAGES = ("preprocess", "track", "align", "motion", "face", "evaluate", "package")
LEAST_STEPS = {"draft": 200, "standard": 1200, "high": 4000}
MINUTES = {"draft": 1.2, "standard": 5.0, "high": 20.0}
STEPS = {"draft": 700, "standard": 2500, "high": 10_000}


def _parameter(default: Any, description: str, **limits: Any) -> Any:
    return field(default=default, metadata={"description": description} | limits)


@dataclass(frozen=True)
class TrainingParameters:
    """Every field's metadata has a description, and `choices` or `minimum` and `maximum`.

    Raises:
        ValueError: a value, whose field is named, is none of the choices or out of bounds.
    """

    quality: Quality = _parameter(
        "standard",
        "Effort for the image: draft takes about three minutes in all, standard eight, high thirty, barely "
        "distinguishable from standard.",
        choices=("draft", "standard", "high"),
    )  # fmt: skip
    minutes: float = _parameter(
        0.0, "Longest time for training the image, in minutes; 0 leaves it to the quality.", minimum=0.0, maximum=600.0
    )
    steps: int = _parameter(
        0, "Most batches for training the image; 0 leaves it to the quality.", minimum=0, maximum=1_000_000
    )
    motion_steps: int = _parameter(
        200,
        "Batches for each of the four nets that learn the mouth's motion; more do not help.",
        minimum=1,
        maximum=5000,
    )
    width: float = _parameter(
        1.0, "Width of the image network; narrower is quicker to show and smaller on disk.", minimum=0.25, maximum=2.0
    )
    size: int = _parameter(512, "Width and height of the avatar's video in pixels.", minimum=128, maximum=1024, step=16)
    seconds: float = _parameter(
        300.0, "How much of the recording is used at most, from its beginning.", minimum=10.0, maximum=3600.0
    )
    loop_seconds: float = _parameter(
        60.0, "Most seconds of footage that the avatar keeps and replies play on.", minimum=1.0, maximum=120.0
    )
    seed: int = _parameter(0, "Seed of everything random.", minimum=0, maximum=2**31 - 1)
    device: str = _parameter(
        "auto", "Where to compute: auto, cpu, or cuda with its number.", pattern=r"auto|cpu|cuda(:\d+)?"
    )

    def __post_init__(self) -> None:
        for each in dataclasses.fields(self):
            value, limits = getattr(self, each.name), each.metadata
            if value not in limits.get("choices", (value,)):
                raise ValueError(f"{each.name}: {value!r} is not one of {', '.join(limits['choices'])}")
            if "minimum" in limits and not limits["minimum"] <= value <= limits["maximum"]:
                raise ValueError(f"{each.name}: {value} is not between {limits['minimum']} and {limits['maximum']}")
        if self.size % 16:
            raise ValueError(f"size: {self.size} is not a multiple of 16")

    @property
    def face_seconds(self) -> float:
        """Time allowed for the image network."""
        return 60 * (self.minutes or MINUTES[self.quality])

    @property
    def least_face_steps(self) -> int:
        """Batches that are waited for on a busy machine."""
        return 0 if self.minutes or self.steps else LEAST_STEPS[self.quality]

    @property
    def face_steps(self) -> int:
        """Batches allowed for the image network."""
        return self.steps or (10**9 if self.minutes else STEPS[self.quality])
