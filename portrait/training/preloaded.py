"""What the processes of a training share: imported once, by the server that they are forked from."""

from __future__ import annotations

import portrait.training  # noqa: F401 - for the import's sake
from portrait.tracking.faces import solutions

solutions()
