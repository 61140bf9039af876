"""Law: the public API is the only way to act and to ask; the pages use it like anybody else."""

from __future__ import annotations

from fastapi import APIRouter

from countingroom.console.api import archive, commands, devices, events, history, live, login, simulators, users

router = APIRouter(prefix="/api/v1")
for part in (devices, commands, simulators, history, archive, events, live, login, users):
    router.include_router(part.router)
