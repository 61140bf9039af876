"""Health checks: alive while the process answers, ready while every role of the experiment is. And the metrics."""

from __future__ import annotations

from fastapi import APIRouter, Response

from countingroom.console.api import metrics
from countingroom.console.api.devices import Console
from countingroom.console.present.readiness import not_ready
from countingroom.console.responses import REFUSED, as_json, example, refusal
from countingroom.core import subjects
from countingroom.core.errors import Cause, LinkError

router = APIRouter(tags=["health"])

_HISTORY_S = 2.0
"""Prometheus gives up after 10 s; the console's own figures must come in time."""


@router.get("/healthz", summary="Is the process alive", responses={200: example({"status": "alive"})})
async def healthz() -> Response:
    """Always 200 while the process answers."""
    return as_json({"status": "alive"})


@router.get(
    "/readyz",
    summary="Is every role of the experiment ready",
    responses={
        200: example({"status": "ready", "devices": 5, "roles": [{"role": "console", "ready": True}]}),
        503: REFUSED,
    },
)
async def readyz(console: Console) -> Response:
    """503 while the bus is not reached, a role sends no heartbeat, or a role reports a trouble; with one cause for each
    role that is not ready."""
    if not console.latest.connected:
        cause = Cause(
            code="unreachable",
            message="the bus is not reached",
            source="console",
            suggestion="wait, or see whether the bus server runs",
        )
        return refusal(cause, 503)
    roles = console.readiness()
    if cause := not_ready(roles):
        return refusal(cause, 503)
    return as_json({"status": "ready", "devices": len(console.latest.catalogues), "roles": roles})


@router.get("/metrics", summary="Figures for Prometheus")
async def prometheus(console: Console) -> Response:
    """Prometheus' text format: the figures of the console, and those of the history where it runs."""
    try:
        answer = await console.bus.request(subjects.query("history", "metrics"), b"", timeout_s=_HISTORY_S)
        history = answer.data
    except LinkError:
        history = b""  # countingroom_role_ready tells that it does not run
    return Response(metrics.text(console) + history, media_type="text/plain; version=0.0.4; charset=utf-8")
