"""Metrics: figures of the gateway for Prometheus. Whoever reads them needs the token like anybody else."""

from __future__ import annotations

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST

from gateway.context import context

blueprint = Blueprint("metrics", __name__)


@blueprint.get("/metrics")
def metrics() -> Response:
    return Response(context().metrics.exposition(), content_type=CONTENT_TYPE_LATEST)
