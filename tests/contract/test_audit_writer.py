"""On every database: no entry of the audit is lost or doubled while the database is away, and none stops the others."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from countingroom.console.audit_writer import AuditWriter
from countingroom.core.accounts import AuditEntry, Outcome
from countingroom.core.clock import SystemClock
from countingroom.storage.audit import AuditFilter
from countingroom.storage.database import Database
from tests.contract.storage.postgres import Postgres
from tests.patience import PATIENCE_S

CHILD = Path(__file__).parents[1] / "system" / "audit_child.py"


@asynccontextmanager
async def writing(database: Database, folder: Path) -> AsyncIterator[AuditWriter]:
    writer = AuditWriter(database.audit, SystemClock(), folder)
    task = asyncio.create_task(writer.run())
    await asyncio.sleep(0)  # it runs now
    try:
        yield writer
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def entry(name: str) -> AuditEntry:
    return AuditEntry(time_ns=int.from_bytes(name.encode()[-7:]), who="ann", what=name, outcome=Outcome.ACCEPTED)


async def found(database: Database) -> list[str]:
    """What the audit holds, in the order in which it was written."""
    return [one.what for one in reversed(await database.audit.find(AuditFilter(limit=10_000)))]


async def written(writer: AuditWriter) -> None:
    async with asyncio.timeout(120):
        await writer.settled()


@asynccontextmanager
async def server_of(needs: Callable[[str], str]) -> AsyncIterator[tuple[Postgres, Database, str]]:
    """A PostgreSQL of this test alone, which it may end."""
    server = Postgres(needs("initdb"))
    await asyncio.to_thread(server.start)
    database = Database(url := server.database())
    try:
        await database.open()
        yield server, database, url
    finally:
        await database.close()
        await asyncio.to_thread(server.stop)


@pytest.mark.server
async def test_entries_outlive_a_postgresql_that_is_gone_and_a_console_that_is_killed(
    needs: Callable[[str], str], tmp_path: Path
) -> None:
    folder = tmp_path / "audit"
    async with server_of(needs) as (server, database, url):
        async with writing(database, folder) as writer:
            await writer.write(entry("before"))
            await written(writer)
        await asyncio.to_thread(server.halt)
        child = await asyncio.create_subprocess_exec(
            sys.executable, str(CHILD), url, str(folder), "6", stdout=asyncio.subprocess.PIPE
        )
        assert child.stdout
        assert await asyncio.wait_for(child.stdout.readline(), 120) == b"kept\n"
        os.kill(child.pid, signal.SIGKILL)
        await child.wait()
        async with writing(database, folder) as writer:  # the next console, also without a database, ends in order
            for name in ("next0", "next1"):
                await writer.write(entry(name))
        async with writing(database, folder) as writer:
            await writer.write(entry("last0"))
            async with asyncio.timeout(60):
                while not writer.is_failing:
                    await asyncio.sleep(0.02)
            assert "9 entries wait in " in writer.troubles()[0]
            await asyncio.to_thread(server.resume)
            await writer.write(entry("last1"))
            await written(writer)
            assert writer.lost == 0
        names = ["before", *(f"act{number}" for number in range(6)), "next0", "next1", "last0", "last1"]
        assert await found(database) == names
    assert list(folder.iterdir()) == []


@pytest.mark.server
async def test_each_of_many_entries_is_there_once_when_postgresql_ends_in_their_midst(
    needs: Callable[[str], str], tmp_path: Path
) -> None:
    async with server_of(needs) as (server, database, _), writing(database, tmp_path / "audit") as writer:
        names = [f"act{number:03}" for number in range(300)]

        async def act() -> None:
            for name in names:
                await writer.write(entry(name))

        acting = asyncio.create_task(act())
        while len(await found(database)) < 20:
            await asyncio.sleep(0)
        await asyncio.to_thread(server.halt)
        await asyncio.wait_for(acting, 300)
        await asyncio.to_thread(server.resume)
        await written(writer)
        assert await found(database) == names
        assert writer.lost == 0


GOOD = b'{"time_ns": %d, "who": "ann", "what": "good%d", "outcome": "accepted"}'
LONG = b"x" * 1_500_000
POISON = (
    b"",
    b"\0" * 40,
    b"\xff\xfe garbage",
    b"[" * 3000,
    b"{}",
    b'{"time_ns": "now", "who": 7, "what": null, "outcome": []}',
    b'{"time_ns": 5, "who": "a\\u0000b", "what": "nul", "outcome": "accepted"}',
    b'{"time_ns": 5, "who": "\\ud800", "what": "half", "outcome": "accepted"}',
    b'{"time_ns": 99999999999999999999999, "who": "a", "what": "late", "outcome": "accepted"}',
    b'{"time_ns": -1, "who": "a", "what": "early", "outcome": "accepted", "sequence": 1}',
    b'{"time_ns": 5, "who": "a", "what": "n", "outcome": "accepted", "arguments": {"x": 1e999, "y": {"z": []}}}',
    b'{"time_ns": 5, "who": "a", "what": "b", "outcome": "o", "arguments": {"x": 123456789012345678901234567890}}',
    *(
        b'{"time_ns": 5, "who": "a", "what": "b", "outcome": "accepted", "%s": "%s"}' % (name, LONG)
        for name in (b"who", b"what", b"target", b"origin", b"outcome")
    ),
    b'{"time_ns": 5, "who": "a", "what": "b", "outcome": "accepted", "arguments": {"%s": "\\u0000%s"}}' % (LONG, LONG),
    b'{"type": "note", "run": 1, "note": {}}',
)


async def test_a_poisoned_entry_stops_no_other(database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    folder.mkdir()
    lines = [line for number, bad in enumerate(POISON) for line in (bad, GOOD % (number, number))]
    (folder / "waiting-1.jsonl").write_bytes(b"\n".join(lines) + b"\n" + b'{"time_ns": 7, "who')
    async with writing(database, folder) as writer:
        await writer.write(entry("mine"))
        await written(writer)
        async with asyncio.timeout(PATIENCE_S):
            while list(folder.glob("waiting-*")):  # removed a moment after their entries are stored
                await asyncio.sleep(0.01)
    good = [one for one in await found(database) if one.startswith(("good", "mine"))]
    assert good == [*(f"good{number}" for number in range(len(POISON))), "mine"]
    assert list(folder.iterdir()) == []
