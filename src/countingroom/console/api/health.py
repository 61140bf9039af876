"""Law: alive means this process turns; ready means it reaches the bus, so what it shows is true."""

from __future__ import annotations

from fastapi import APIRouter, Response

from countingroom.console.api import metrics
from countingroom.console.api.devices import Here
from countingroom.console.responses import REFUSED, as_json, example, refusal
from countingroom.core.errors import Cause

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="Is the process alive", responses={200: example({"status": "alive"})})
async def healthz() -> Response:
    """Always 200 while it can answer at all."""
    return as_json({"status": "alive"})


@router.get("/readyz", summary="Does it reach the bus", responses={200: example({"status": "ready"}), 503: REFUSED})
async def readyz(here: Here) -> Response:
    """503, with a cause, while the bus is not reached."""
    if here.latest.connected:
        return as_json({"status": "ready", "devices": len(here.latest.catalogues)})
    cause = Cause(
        code="unreachable", message="the bus is not reached", source="console", suggestion="wait, or look at it"
    )
    return refusal(cause, 503)


@router.get("/metrics", summary="Figures for Prometheus")
async def prometheus(here: Here) -> Response:
    """Prometheus' text format."""
    return Response(metrics.text(here), media_type="text/plain; version=0.0.4; charset=utf-8")
