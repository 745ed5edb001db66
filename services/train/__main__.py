"""`python -m services.train`: serve training."""

from __future__ import annotations

from services.common.server import run
from services.train.servicer import TrainServicer
from services.train.settings import TrainSettings

if __name__ == "__main__":
    run(TrainServicer, TrainSettings)
