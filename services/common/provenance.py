"""What every made video and sound says about itself: that it is synthetic, and by what it was made."""

from __future__ import annotations

import json

STATEMENT = "Synthetic media: the person shown or heard did not say this. Made with Visavis."


def metadata(produce_id: str) -> dict[str, str]:
    """Container metadata: the implicit label, and the statement where players show it."""
    return {"AIGC": label(produce_id), "comment": STATEMENT, "description": STATEMENT}


def label(produce_id: str) -> str:
    """The implicit label of GB 45438-2025 (annex E: value of the field AIGC, Label 1 is "made by AI").

    Args:
        produce_id: the content's own id, so that a copy can be traced to the job that made it.
    """
    told = {
        "Label": "1",
        "ContentProducer": "Visavis",
        "ProduceID": produce_id,
        "ReservedCode1": "",
        "ContentPropagator": "",
        "PropagateID": "",
        "ReservedCode2": "",
    }
    return json.dumps(told)
