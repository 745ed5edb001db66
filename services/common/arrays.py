"""What the arrays that go from hand to hand hold, by name."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
"""Sound, mono: (n,) in [-1, 1]."""
Frame = NDArray[np.uint8]
"""(height, width, 3) RGB."""
Floats = NDArray[np.float32]
"""Features, weights."""
Doubles = NDArray[np.float64]
"""Measurements that are computed with further."""
Flags = NDArray[np.bool_]
"""Whether, for each."""
Indices = NDArray[np.intp]
"""Which of the others, for each."""
