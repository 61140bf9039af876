"""A console with a login over the small experiment, its people, and ways to come in as any of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from argon2 import PasswordHasher
from fastapi import FastAPI
from starlette.types import Message

from countingroom.console.app import Login, create
from countingroom.console.auth.passwords import Passwords
from countingroom.console.auth.sessions import SessionLifetime
from countingroom.console.context import ConsoleContext
from countingroom.console.middleware.origin import LOOPBACK_NAMES
from countingroom.core.accounts import AuditEntry
from countingroom.core.policy import Role
from countingroom.storage.database import Database
from tests.console.stage import Stage

PASSWORD = "correct horse battery"
HOST = "127.0.0.1:8080"
ORIGIN = {"origin": f"http://{HOST}"}
PEOPLE: dict[str, dict[str, Role]] = {
    "vera": {},
    "sam": {"*": Role.SHIFTER},
    "carla": {"device.cae?": Role.SHIFTER, "partition.mCBM": Role.EXPERT},
    "eve": {"*": Role.EXPERT},
    "adam": {"*": Role.ADMINISTRATOR},
}


def cheap() -> Passwords:
    """argon2id at the least cost there is."""
    return Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


def live_scope(headers: Mapping[str, str], address: str = "10.1.2.3", path: str = "/api/v1/live") -> dict[str, Any]:
    """The ASGI scope of a websocket of the live feed."""
    return {
        "type": "websocket",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "ws",
        "headers": [(name.encode(), value.encode()) for name, value in ({"host": HOST} | dict(headers)).items()],
        "client": (address, 40000),
        "subprotocols": [],
    }


class House:
    """A console that asks who comes."""

    def __init__(self, app: FastAPI, database: Database, passwords: Passwords) -> None:
        self.app = app
        self.database = database
        self.passwords = passwords

    @property
    def context(self) -> ConsoleContext:
        found: ConsoleContext = self.app.state.context
        return found

    def client(self, headers: Mapping[str, str] | None = None, address: str = "10.1.2.3") -> httpx.AsyncClient:
        """Somebody at that address."""
        transport = httpx.ASGITransport(app=self.app, client=(address, 40000))
        return httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}", headers=dict(headers or {}))

    async def browser(self, name: str) -> httpx.AsyncClient:
        """Logged in by a page: with cookie, origin and mark."""
        client = self.client(ORIGIN | {"x-countingroom": "console"})
        answer = await client.post("/api/v1/login", json={"name": name, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        page = (await client.get("/account")).text
        client.headers["x-countingroom"] = page.partition('<meta name="mark" content="')[2].partition('"')[0]
        return client

    async def program(self, name: str) -> httpx.AsyncClient:
        """With a token."""
        secret, _ = await self.database.sessions.create(name, lifetime_s=3600, origin="token")
        return self.client({"authorization": f"Bearer {secret}"})

    async def record(self) -> list[AuditEntry]:
        """What was written, newest first."""
        await self.context.audit_writer.settled()
        return list(await self.database.audit.find())

    async def knock(self, headers: Mapping[str, str]) -> Message:
        """The first answer to a websocket: accepted, or closed."""
        answers: list[Message] = []
        asked = iter([{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}])

        async def receive() -> Message:
            return next(asked)

        async def send(message: Message) -> None:
            answers.append(message)

        await self.app(live_scope(headers), receive, send)
        return answers[0]


@asynccontextmanager
async def house(
    here: Stage,
    *,
    life: SessionLifetime = SessionLifetime(idle_s=600, whole_s=3600),  # noqa: B008
    behind_proxy: tuple[str, ...] = (),
    insecure: bool = False,
    sessions_file: Path | None = None,
) -> AsyncGenerator[House]:
    """A console with a login, and its people, all with the same password."""
    database = Database("sqlite://", clock=here.clock)
    await database.open()
    passwords = cheap()
    for name, roles in PEOPLE.items():
        await database.users.create(name, "test", roles=roles)
        await database.users.set_password(name, await passwords.hash(PASSWORD))
    app = create(
        here.bus.client(),
        here.clock,
        title="Test hall",
        version="0.0.1",
        database=database,
        login=Login(life=life, passwords=passwords),
        names=LOOPBACK_NAMES | {"control.example"},
        behind_proxy=behind_proxy,
        insecure=insecure,
        sessions_file=sessions_file,
    )
    try:
        async with app.router.lifespan_context(app):
            await app.state.context.latest.ready()
            yield House(app, database, passwords)
    finally:
        await database.close()
