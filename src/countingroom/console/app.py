"""Law: the console is put together here: guard outermost, then API, feed and pages; it lives between start and stop."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from os import PathLike, stat_result
from pathlib import Path

from fastapi import FastAPI
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from countingroom.bus.port import Bus
from countingroom.console import answers, api, health
from countingroom.console.guard import Guard
from countingroom.console.pages import Pages
from countingroom.console.room import Room
from countingroom.core.clock import Clock

STATIC = Path(__file__).parent / "static"
_TAGS = [
    {"name": "devices", "description": "What there is, and how it stands."},
    {"name": "commands", "description": "The only way to act. Accepted or refused at once; the outcome is an event."},
    {"name": "history", "description": "The past, reduced to what can be drawn."},
    {"name": "events", "description": "What happened, and who did it."},
    {"name": "simulators", "description": "Faults on demand, where hardware is simulated."},
    {"name": "health", "description": "For supervisors and Prometheus."},
]


def create(bus: Bus, clock: Clock, *, title: str, version: str, tick_s: float = 0.2) -> FastAPI:
    """The ASGI application. `tick_s`: between two messages of the live feed."""
    room = Room(bus, clock, title=title, version=version, tick_s=tick_s)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        async with room.open():
            yield

    app = FastAPI(
        title=f"{title}: countingroom",
        version=version,
        summary="Devices, commands, history and events of one experiment.",
        description='The live feed is a websocket at `/api/v1/live`. Errors are `{"cause": …}`.',
        openapi_tags=_TAGS,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.room = room
    app.state.pages = Pages(room, STATIC)
    answers.install(app)
    app.include_router(api.router)
    app.include_router(health.router)
    app.include_router(app.state.pages.router)
    app.mount("/static", Unhurried(directory=STATIC), name="static")
    app.add_middleware(Guard)
    return app


class Unhurried(StaticFiles):
    """Files that browsers keep but ask about each time: a new version shows at once, an old one costs a 304."""

    def file_response(
        self, full_path: str | PathLike[str], stat_result: stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["Cache-Control"] = "no-cache"
        return response
