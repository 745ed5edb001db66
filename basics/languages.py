"""What a language tag says."""

from __future__ import annotations

import re


def primary(tag: str) -> str:
    """The language of a BCP 47 tag, without script and region: `zh-Hans-CN` → `zh`; empty of an empty one."""
    return re.split("[-_]", tag.lower())[0]
