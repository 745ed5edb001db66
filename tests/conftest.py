"""Fixtures that every kind of test uses."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real recordings that lie beside the checkout on some machines; they are never part of the project."""
    if not SHARED_DATA.is_dir():
        pytest.skip("no real recordings beside this checkout")
    return SHARED_DATA
