"""What the arrays that go from hand to hand hold, by name."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
"""Positions, features, weights."""
Doubles = NDArray[np.float64]
"""Where rounding would be seen."""
Affine = NDArray[np.floating[Any]]
"""(2, 3) from one picture's pixels into another's."""
Samples = NDArray[np.float32]
"""Sound, mono: (n,) in [-1, 1]."""
Frame = NDArray[np.uint8]
"""A picture: (height, width, 3) RGB; crops come as (n, height, width, 3)."""
Indices = NDArray[np.int32]
"""Frames of the recording, by number."""
Arrays = dict[str, NDArray[Any]]
"""What a file of arrays holds, by name."""
