"""Opens the database at the address that the description gives, and closes it at the end of the block."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from countingroom.core.clock import Clock
from countingroom.storage.database import Database
from countingroom.storage.description import StorageSection


@asynccontextmanager
async def opened(section: StorageSection, data: Path, clock: Clock) -> AsyncGenerator[Database]:
    """The open database of the experiment, with the present schema."""
    database = Database(section.address(data), clock=clock)
    try:
        await database.open()
        yield database
    finally:
        await database.close()
