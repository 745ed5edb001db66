"""Does a face tracker see what was drawn? `python -m demo.measure [--seconds 60]` prints the answer as JSON."""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time

import mediapipe
import numpy as np

from demo.motion import perform
from demo.scene import Scene
from demo.script import SENTENCES
from demo.speech import recite

_UPPER_LIP, _LOWER_LIP, _EYES = 13, 14, (33, 263)


def measure(seconds: float, seed: int = 0, fps: float = 25) -> dict[str, float]:
    """Draw a speaking clip and track it: share of frames with exactly one face, and how the lips follow the jaw."""
    course = perform(recite(itertools.cycle(SENTENCES), seconds), round(seconds * fps), fps, seed)
    scene, mesh = Scene((512, 512)), mediapipe.solutions.face_mesh.FaceMesh(max_num_faces=2, refine_landmarks=True)
    drawn, seen, single, drawing = [], [], 0, 0.0
    for expression, pose in course:
        start = time.process_time()
        frame = scene.draw([(expression, pose)])
        drawing += time.process_time() - start
        faces = mesh.process(frame).multi_face_landmarks or []
        single += len(faces) == 1
        if faces:
            points = np.array([(p.x, p.y) for p in faces[0].landmark])
            opening = np.linalg.norm(points[_UPPER_LIP] - points[_LOWER_LIP])
            seen.append(opening / np.linalg.norm(points[_EYES[0]] - points[_EYES[1]]))
            drawn.append(expression.jaw)
    return {
        "frames": len(course),
        "one_face": single / len(course),
        "aperture_correlation": float(np.corrcoef(drawn, seen)[0, 1]),
        "aperture_p95": float(np.percentile(seen, 95)),
        "draw_cpu_fps": len(course) / drawing,
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m demo.measure", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    sys.stdout.write(json.dumps(measure(arguments.seconds, arguments.seed), indent=2) + "\n")


if __name__ == "__main__":
    main()
