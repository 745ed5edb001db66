"""What a presenter's face and head do in one frame."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Expression:
    """The moving parts of the face; everything is 0…1 unless it says otherwise.

    jaw: opening. width: lip corners, −1 rounded … +1 spread. press: lips held against each other. upper, lower: lip
    drawn away from the teeth. tuck: lower lip under the upper teeth (f, v). tongue: its tip raised behind the teeth.
    gaze: design units to the viewer's right and down. brow: raise, −1…1.
    """

    jaw: float = 0.0
    width: float = 0.0
    press: float = 0.0
    upper: float = 0.0
    lower: float = 0.0
    tuck: float = 0.0
    tongue: float = 0.0
    smile: float = 0.7
    blink: float = 0.0
    gaze: tuple[float, float] = (0.0, 0.0)
    brow: float = 0.0


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the head is: rotations in degrees, shifts in design units; `breath` 0…1 lifts chest and shoulders."""

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    x: float = 0.0
    y: float = 0.0
    scale: float = 1.0
    breath: float = 0.0
