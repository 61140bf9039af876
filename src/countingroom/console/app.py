"""Builds the console as an ASGI application: middleware, API, live feed and pages.

The origin check is outermost, then the session, then the routes. What runs in the background lives between start and
stop of the application.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence, Set
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import Depends, FastAPI
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from countingroom.bus.port import Bus
from countingroom.console import responses
from countingroom.console.api import api_router, health, route_permissions
from countingroom.console.auth.passwords import Passwords
from countingroom.console.auth.sessions import SessionLifetime
from countingroom.console.context import ConsoleContext
from countingroom.console.middleware.audit import RequestAudit
from countingroom.console.middleware.origin import LOOPBACK_NAMES, OriginMiddleware
from countingroom.console.middleware.proxy import ProxyMiddleware
from countingroom.console.middleware.session import SessionMiddleware
from countingroom.console.pages.pages import Pages
from countingroom.console.route_permissions import RouteTable, permitted
from countingroom.console.static_files import VersionedFiles
from countingroom.console.synoptic_files import SynopticFile
from countingroom.core.clock import Clock
from countingroom.core.results import ResultDesk
from countingroom.core.snapshots.rules import SnapshotRules
from countingroom.departments import DEPARTMENTS, Department
from countingroom.storage.database import Database

STATIC = Path(__file__).parent / "static"
_TAGS = [
    {"name": "devices", "description": "Devices, with their points, states and readings."},
    {"name": "commands", "description": "The only way to act. Accepted or refused at once; the outcome is an event."},
    {"name": "history", "description": "Series of the past, reduced to what can be drawn."},
    {"name": "results", "description": "What calibration programs found: documents, arrays and logs."},
    {"name": "events", "description": "What happened, and which user caused it."},
    {"name": "snapshots", "description": "Setpoints as they were: take, compare, restore."},
    {"name": "simulators", "description": "Faults on demand, where hardware is simulated."},
    {"name": "login", "description": "Sessions of browsers. Programs send a token instead: `Authorization: Bearer …`."},
    {"name": "users", "description": "Accounts, roles and the audit; for administrators."},
    {"name": "mqtt", "description": "What the embedded server keeps for MQTT clients."},
    {"name": "health", "description": "For supervisors and Prometheus."},
]


class Login(Struct, frozen=True, kw_only=True):
    """Login by accounts in the database."""

    life: SessionLifetime = SessionLifetime(idle_s=8 * 3600.0, whole_s=3 * 86_400.0)
    passwords: Passwords | None = None


def create(
    bus: Bus,
    clock: Clock,
    *,
    title: str,
    version: str,
    tick_s: float = 0.2,
    database: Database | None = None,
    login: Login | None = None,
    names: Set[str] = LOOPBACK_NAMES,
    behind_proxy: Sequence[str] = (),
    insecure: bool = False,
    departments: tuple[Department, ...] = DEPARTMENTS,
    beside: tuple[str, ...] = (),
    audit_folder: Path | None = None,
    sessions_file: Path | None = None,
    synoptics: Sequence[SynopticFile] = (),
    snapshot_rules: SnapshotRules = SnapshotRules(),  # noqa: B008 - a frozen value
    results: ResultDesk | None = None,
) -> FastAPI:
    """The ASGI application.

    `tick_s`: between two messages of the live feed. `database`: an open one; without it there is no audit and no login.
    `names`: the host names it answers for; others than loopback need a login. `behind_proxy`: addresses or networks of
    the proxies whose headers name the client.
    `insecure`: other machines reach it without TLS, and every page says so.
    `departments`: their API and pages are mounted. `beside`: the roles that must be present for /readyz.
    `audit_folder`: for entries of the audit that the database does not take.
    `results`: reads and takes results; None: there are none.
    `sessions_file`: for sessions that count where it begins while the database is away.
    `synoptics`: drawings of the description.
    `snapshot_rules`: tolerances and the order of a restore.
    """
    if (login is not None and database is None) or (login is None and not names <= LOOPBACK_NAMES):
        raise ValueError("a login needs a database, and other hosts than this machine need a login")
    context = ConsoleContext(
        bus,
        clock,
        title=title,
        version=version,
        tick_s=tick_s,
        insecure=insecure,
        database=database,
        life=login.life if login else None,
        passwords=login.passwords if login else None,
        departments=departments,
        roles=beside,
        audit_folder=audit_folder,
        sessions_file=sessions_file,
        synoptics=synoptics,
        snapshot_rules=snapshot_rules,
        results=results,
    )
    routes = RouteTable(route_permissions(departments))
    audit = RequestAudit(context.audit_writer, clock, routes)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        async with context.open():
            yield

    app = FastAPI(
        title=f"{title}: countingroom",
        version=version,
        summary="Devices, commands, history and events of one experiment.",
        description='The live feed is a websocket at `/api/v1/live`. Errors are `{"cause": …}`.',
        openapi_tags=_TAGS,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        dependencies=[Depends(permitted)],
    )
    app.state.context = context
    app.state.routes = routes
    static = VersionedFiles(STATIC)
    app.state.pages = Pages(context, STATIC, static.address, departments)
    responses.install(app)
    app.include_router(api_router(departments))
    app.include_router(health.router)
    app.add_route("/openapi.json", _openapi, include_in_schema=False)
    app.include_router(app.state.pages.router)
    app.mount("/static", static, name="static")
    app.add_middleware(SessionMiddleware, sessions=context.sessions, audit=audit)
    app.add_middleware(OriginMiddleware, names=names, refused=audit.refused)
    if behind_proxy:
        app.add_middleware(ProxyMiddleware, trusted=behind_proxy)
    return app


async def _openapi(request: Request) -> Response:
    """The description of the API. It is made at the first request, in a thread, because that takes a quarter second."""
    app: FastAPI = request.app
    return responses.as_json(await asyncio.to_thread(app.openapi))
