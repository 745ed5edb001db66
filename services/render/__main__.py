"""`python -m services.render`: serve rendering."""

from __future__ import annotations

from services.common.server import run
from services.render.servicer import RenderServicer
from services.render.settings import RenderSettings

if __name__ == "__main__":
    run(RenderServicer, RenderSettings)
