"""The database is known to /readyz: away, silent, or its driver missing."""

from __future__ import annotations

import asyncio
import sys

import pytest

from countingroom.console.database_watch import DatabaseWatch
from countingroom.core.errors import ConfigurationError, LinkError
from countingroom.storage.database import Database
from countingroom.storage.engine import SqlStore
from countingroom.testing.clock import FakeClock


class Answers:
    """A database that answers, refuses or hangs."""

    def __init__(self) -> None:
        self.error: LinkError | None = None
        self.free = asyncio.Event()
        self.free.set()

    async def ping(self) -> None:
        await self.free.wait()
        if self.error:
            raise self.error


async def test_a_database_that_fails_or_is_silent_is_a_trouble_until_it_answers() -> None:
    database, clock = Answers(), FakeClock()
    watch = DatabaseWatch(database, clock)
    running = asyncio.create_task(watch.run())
    try:
        await clock.advance(10)
        assert watch.troubles() == []
        database.error = LinkError("the database failed: no server", source="storage")
        await clock.advance(10)
        assert watch.troubles() == ["the database failed: no server"]
        database.error = None
        await clock.advance(10)
        assert watch.troubles() == []
        database.free.clear()
        await clock.advance(10)
        (trouble,) = watch.troubles()
        assert "the database has not answered for " in trouble
        database.free.set()
        await clock.advance(10)
        assert watch.troubles() == []
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_closed_database_does_not_answer() -> None:
    database = Database("sqlite:////nowhere/at/all.sqlite")
    with pytest.raises(LinkError):
        await database.ping()
    await database.close()


def test_a_postgresql_without_its_driver_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigurationError) as refused:
        SqlStore("postgresql://dcs@db.example/counting")
    assert "PostgreSQL needs the package psycopg" in refused.value.cause.message
    assert 'pip install "countingroom[postgres]"' in refused.value.cause.suggestion
