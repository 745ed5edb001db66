"""What every made video says about itself: that it is synthetic, and by what it was made."""

from __future__ import annotations

import json

STATEMENT = "Synthetic media: the person shown did not say this. Made with Visavis."


def metadata(produce_id: str) -> dict[str, str]:
    """Container metadata with the implicit label of GB 45438-2025 (annex E: field AIGC, Label 1 is "made by AI").

    Args:
        produce_id: the content's own id, so that a copy can be traced to the job that made it.
    """
    label = {
        "Label": "1",
        "ContentProducer": "Visavis",
        "ProduceID": produce_id,
        "ReservedCode1": "",
        "ContentPropagator": "",
        "PropagateID": "",
        "ReservedCode2": "",
    }
    return {"AIGC": json.dumps(label), "comment": STATEMENT, "description": STATEMENT}
