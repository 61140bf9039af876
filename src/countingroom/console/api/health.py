"""Health checks: alive while the process answers, ready while it is connected to the bus. And the metrics."""

from __future__ import annotations

from fastapi import APIRouter, Response

from countingroom.console.api import metrics
from countingroom.console.api.devices import Console
from countingroom.console.responses import REFUSED, as_json, example, refusal
from countingroom.core.errors import Cause

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="Is the process alive", responses={200: example({"status": "alive"})})
async def healthz() -> Response:
    """Always 200 while the process answers."""
    return as_json({"status": "alive"})


@router.get("/readyz", summary="Does it reach the bus", responses={200: example({"status": "ready"}), 503: REFUSED})
async def readyz(console: Console) -> Response:
    """503, with a cause, while the bus is not reached."""
    if console.latest.connected:
        return as_json({"status": "ready", "devices": len(console.latest.catalogues)})
    cause = Cause(
        code="unreachable",
        message="the bus is not reached",
        source="console",
        suggestion="wait, or see whether the bus server runs",
    )
    return refusal(cause, 503)


@router.get("/metrics", summary="Figures for Prometheus")
async def prometheus(console: Console) -> Response:
    """Prometheus' text format."""
    return Response(metrics.text(console), media_type="text/plain; version=0.0.4; charset=utf-8")
