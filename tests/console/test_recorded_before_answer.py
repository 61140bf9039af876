"""An answer leaves the console when its entry is in the audit, and does not wait for a database that fails."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from unittest.mock import patch

import pytest
from starlette.types import Message

from countingroom.console.auth.sessions import CLEAN_UP_S, KEPT_S, SessionLifetime, Sessions
from countingroom.core.accounts import AuditEntry
from countingroom.core.errors import LinkError
from countingroom.core.messages import Event, decode
from countingroom.storage.database import Database
from countingroom.testing.clock import FakeClock
from tests.console.people import HOST, House, house
from tests.console.stage import stage
from tests.patience import PATIENCE_S


async def _post(
    there: House, path: str, headers: Mapping[str, str], body: bytes
) -> tuple[int, tuple[AuditEntry, ...], list[Message]]:
    """(status, the audit at the moment in which the answer begins, the messages of the answer)."""
    answers: list[Message] = []
    stored: tuple[AuditEntry, ...] = ()

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal stored
        if not answers:
            stored = await there.database.audit.find()
        answers.append(message)

    given = {"host": HOST, "content-length": str(len(body))} | dict(headers)
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        "client": ("10.1.2.3", 40000),
        "server": ("127.0.0.1", 8080),
    }
    await there.app(scope, receive, send)
    return answers[0]["status"], stored, answers


async def _token(there: House, name: str) -> dict[str, str]:
    secret, _ = await there.database.sessions.create(name, lifetime_s=3600, origin="token")
    return {"authorization": f"Bearer {secret}", "content-type": "application/json"}


@pytest.mark.parametrize(
    ("name", "path", "body", "status", "what"),
    [
        ("adam", "/api/v1/users", b'{"name": "nora"}', 200, "users"),
        ("vera", "/api/v1/users", b'{"name": "nora"}', 403, "users"),
        ("adam", "/api/v1/users", b"[", 400, "users"),
    ],
)
async def test_an_action_is_in_the_audit_before_its_answer_begins(
    name: str, path: str, body: bytes, status: int, what: str
) -> None:
    clock = FakeClock()
    async with stage(clock) as here, house(here) as there:
        answered, stored, messages = await _post(there, path, await _token(there, name), body)
        assert answered == status
        assert [(one.who, one.what) for one in stored] == [(name, what)]
        assert (stored[0].cause is None) == (status == 200)
        assert messages[0]["type"] == "http.response.start"
        assert not messages[-1].get("more_body", False)
        assert len(await there.record()) == 1


async def test_an_answer_does_not_wait_for_a_database_that_fails() -> None:
    clock = FakeClock()
    async with (
        stage(clock) as here,
        here.bus.subscribe("events.console.audit") as events,
        house(here) as there,
    ):
        headers = await _token(there, "vera")

        async def full(*entries: AuditEntry) -> None:
            raise LinkError("database or disk is full", code="storage_failed")

        with patch.object(there.database.audit, "append", full):
            async with asyncio.timeout(PATIENCE_S):
                first, stored, _ = await _post(there, "/api/v1/users", headers, b'{"name": "nora"}')
                second, _, _ = await _post(there, "/api/v1/users", headers, b'{"name": "nora"}')
        assert (first, second, stored) == (403, 403, ())
        assert there.context.audit_writer.is_failing
        assert there.context.troubles()[0] == "the audit cannot be written now: 2 entries wait in memory"
        await clock.advance(2.0)
        assert [one.who for one in await there.record()] == ["vera", "vera"]
        told = [decode((await anext(events)).data, Event).message for _ in range(2)]
        assert told == [
            "the audit cannot be written now, 1 entry waits in memory: database or disk is full",
            "the audit is written again; the entries that waited go in",
        ]


async def test_an_answer_waits_for_a_hanging_database_for_a_moment_only() -> None:
    clock = FakeClock()
    async with stage(clock) as here, house(here) as there:
        headers = await _token(there, "vera")
        asked = asyncio.Event()

        async def hangs(*entries: AuditEntry) -> None:
            asked.set()
            await asyncio.Event().wait()

        with patch.object(there.database.audit, "append", hangs):
            answer = asyncio.create_task(_post(there, "/api/v1/users", headers, b'{"name": "nora"}'))
            await asked.wait()
            await clock.advance(0.4)
            assert not answer.done()
            await clock.advance(0.2)
            async with asyncio.timeout(PATIENCE_S):
                assert (await answer)[0] == 403


async def test_sessions_that_ended_long_ago_are_removed() -> None:
    clock = FakeClock()
    database = Database("sqlite://", clock=clock)
    await database.open()
    await database.users.create("vera", "test")
    secret, _ = await database.sessions.create("vera", lifetime_s=60)
    life = SessionLifetime(idle_s=600, whole_s=3600)
    cleaning = asyncio.create_task(Sessions(database, clock, life).remove_ended())
    try:
        await clock.advance(60 + CLEAN_UP_S)
        assert await database.sessions.find(secret) is not None
        async with asyncio.timeout(PATIENCE_S):
            while await database.sessions.find(secret) is not None:
                await clock.advance(CLEAN_UP_S)
        assert clock.monotonic() > KEPT_S
    finally:
        cleaning.cancel()
        await database.close()
