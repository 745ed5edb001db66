"""`python -m services.train.evaluation`: compare a generated video with the true one, in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from services.common.errors import InvalidInput
from services.common.jobs import child


def work(task: child.Task, _report: child.Report) -> dict[str, Any]:
    """Measure the two files that the service wrote down.

    Raises:
        InvalidInput: they cannot be compared.
    """
    import portrait

    try:
        report = portrait.evaluate(Path(task.spec["true_video"]), Path(task.spec["generated_video"]))
    except portrait.RecordingError as error:
        raise InvalidInput(str(error), reason="UNREADABLE_MEDIA", field="video") from error
    except ValueError as error:
        message = f"These videos cannot be compared: {error}."
        raise InvalidInput(message, reason="NOT_COMPARABLE", field="generated_video") from error
    return {name: float(value) for name, value in report.items() if value == value}  # without NaN


if __name__ == "__main__":
    sys.exit(child.run("train", work))
