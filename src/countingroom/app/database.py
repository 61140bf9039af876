"""Law: who opens the database closes it; where it is, the description says."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from countingroom.core.clock import Clock
from countingroom.storage.database import Database
from countingroom.storage.description import StorageSection


@asynccontextmanager
async def opened(section: StorageSection, data: Path, clock: Clock) -> AsyncGenerator[Database]:
    """The experiment's database, of our schema, while entered."""
    database = Database(section.address(data), clock=clock)
    try:
        await database.open()
        yield database
    finally:
        await database.close()
