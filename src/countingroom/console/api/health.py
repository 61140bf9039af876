"""Health checks: alive while the process answers, ready while every role of the experiment is. And the metrics."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Response

from countingroom.console.api import metrics
from countingroom.console.api.devices import Console
from countingroom.console.context import ConsoleContext
from countingroom.console.present.readiness import not_ready
from countingroom.console.responses import REFUSED, as_json, example, refusal
from countingroom.core import subjects
from countingroom.core.alarms.queries import EngineFigures
from countingroom.core.errors import Cause, LinkError
from countingroom.core.messages import Malformed, decode

router = APIRouter(tags=["health"])

_ANSWER_S = 2.0
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
    """Prometheus' text format: the figures of the console, and those of the alarm engine and the history where they
    run."""
    history, engine = await asyncio.gather(_ask(console, "history"), _ask(console, "alarms"))
    try:
        figures = decode(engine, EngineFigures) if engine else None
    except Malformed:
        figures = None  # an engine of another version
    return Response(metrics.text(console, figures) + history, media_type="text/plain; version=0.0.4; charset=utf-8")


async def _ask(console: ConsoleContext, department: str) -> bytes:
    try:
        return (await console.bus.request(subjects.query(department, "metrics"), b"", timeout_s=_ANSWER_S)).data
    except LinkError:
        return b""  # countingroom_role_ready tells that it does not run
