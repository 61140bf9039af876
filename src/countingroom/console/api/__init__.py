"""Law: the public API is the only way to act and to ask; the pages use it like anybody else."""

from __future__ import annotations

from fastapi import APIRouter

from countingroom.console.api import (
    commands,
    configurations,
    devices,
    events,
    experiment,
    history,
    history_archive,
    live,
    login,
    partitions,
    runs,
    simulators,
    systems,
    users,
)

router = APIRouter(prefix="/api/v1")
_PARTS = (
    *(devices, commands, simulators, history, history_archive, events, live),
    *(partitions, systems, experiment, configurations, runs, login, users),
)
for part in _PARTS:
    router.include_router(part.router)
