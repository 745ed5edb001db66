"""What the processes of `Workers` share: imported once, by the server that they are forked from."""

import portrait.training  # noqa: F401 - for the import's sake
from portrait.tracking import solutions

solutions()
