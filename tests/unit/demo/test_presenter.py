"""The drawn presenter is a face to a face tracker, and its mouth does what it is told."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from demo import presenter
from demo.expression import Expression, Pose
from demo.scene import Scene

# mediapipe still calls a descriptor method that newer protobuf releases warn about.
pytestmark = pytest.mark.filterwarnings("ignore:.*label:DeprecationWarning")

Frame = NDArray[np.uint8]
UPPER_LIP, LOWER_LIP, EYES = 13, 14, (33, 263)


@functools.cache
def scene(faces: int) -> Scene:
    return Scene((512, 512), faces)


def draw(expression: Expression | None = None, pose: Pose | None = None, faces: int = 1) -> Frame:
    return scene(faces).draw([(expression or Expression(), pose or Pose())] * faces)


def landmarks(frames: list[Frame]) -> Iterator[list[NDArray[np.float64]]]:
    """Every face found in each frame, as points in pixels, tracked from frame to frame."""
    import mediapipe

    with mediapipe.solutions.face_mesh.FaceMesh(max_num_faces=2, refine_landmarks=True) as mesh:
        for frame in frames:
            faces = mesh.process(frame).multi_face_landmarks or []
            yield [np.array([(p.x, p.y) for p in face.landmark]) * frame.shape[1::-1] for face in faces]


def aperture(points: NDArray[np.float64]) -> float:
    opening = np.linalg.norm(points[UPPER_LIP] - points[LOWER_LIP])
    return float(opening / np.linalg.norm(points[EYES[0]] - points[EYES[1]]))


@pytest.fixture(scope="module")
def talking() -> list[tuple[float, list[NDArray[np.float64]]]]:
    """Jaw openings with the faces found, over a sweep of mouth shapes, blinks and head turns."""
    jaws, frames = [], []
    for i in range(32):
        jaw = 0.5 - 0.5 * math.cos(0.55 * i)
        expression = Expression(jaw=jaw, width=math.sin(0.8 * i), lower=0.3 * (i % 3), blink=float(i % 10 == 0))
        pose = Pose(
            yaw=7 * math.sin(0.2 * i), pitch=4 * math.cos(0.17 * i), roll=5 * math.sin(0.13 * i), x=6 * math.sin(i / 5)
        )
        jaws.append(jaw)
        frames.append(draw(expression, pose))
    return list(zip(jaws, landmarks(frames), strict=True))


def test_one_face_is_found_in_every_frame(talking: list[tuple[float, list[NDArray[np.float64]]]]) -> None:
    assert [len(faces) for _, faces in talking] == [1] * len(talking)


def test_measured_aperture_follows_the_drawn_jaw(talking: list[tuple[float, list[NDArray[np.float64]]]]) -> None:
    measured = [aperture(faces[0]) for _, faces in talking]
    assert np.corrcoef([jaw for jaw, _ in talking], measured)[0, 1] > 0.9


def test_two_presenters_are_two_faces_and_a_bare_wall_is_none() -> None:
    assert len(next(landmarks([draw(faces=2)]))) == 2
    assert next(landmarks([draw(faces=0)])) == []


def test_pressed_lips_are_shut() -> None:
    pressed, opened = (next(landmarks([draw(e)]))[0] for e in (Expression(press=1.0), Expression(jaw=0.6)))
    assert aperture(pressed) < 0.02 < 0.06 < aperture(opened)


def test_teeth_show_only_when_the_mouth_opens() -> None:
    def pale(expression: Expression) -> int:
        """Bright pixels without colour around the middle of the mouth: enamel, never skin or lip."""
        mouth = draw(expression)[300:345, 230:282].astype(int)
        return int(((np.ptp(mouth, axis=2) < 45) & (mouth.max(axis=2) > 150)).sum())

    assert pale(Expression(jaw=0.5)) > 60
    assert pale(Expression()) == pale(Expression(press=0.8)) == 0


def test_expressions_leave_no_trace_on_the_next_frame() -> None:
    before = draw()
    draw(Expression(jaw=1.0, width=-1.0, blink=1.0, brow=1.0, gaze=(4, 2)), Pose(yaw=8, roll=-5, x=8))
    assert np.array_equal(draw(), before)


def test_the_same_seed_draws_the_same_person() -> None:
    before = draw()
    presenter.layers.cache_clear()
    assert np.array_equal(Scene((512, 512)).draw([(Expression(), Pose())]), before)


def test_a_turned_head_moves_by_parallax() -> None:
    """The nose, being nearer, travels further than the ears."""
    straight, turned = landmarks([draw()]), landmarks([draw(pose=Pose(yaw=8))])
    shift = next(turned)[0] - next(straight)[0]
    nose, temples = shift[1, 0], shift[[127, 356], 0].mean()
    assert nose > temples + 4


@pytest.mark.parametrize("size", [(320, 180), (180, 320)])
def test_any_frame_shape_shows_the_face(size: tuple[int, int]) -> None:
    frame = Scene(size).draw([(Expression(), Pose())])
    assert frame.shape == (size[1], size[0], 3)
    assert len(next(landmarks([frame]))) == 1


def test_blinking_changes_only_the_eyes() -> None:
    rows = np.abs(draw(Expression(blink=1)).astype(int) - draw()).sum(axis=(1, 2)).nonzero()[0]
    assert rows.min() > 175
    assert rows.max() < 260
    assert all(b - a == 1 for a, b in itertools.pairwise(rows))
