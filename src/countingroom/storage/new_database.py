"""The program that makes the tables of a database and ends: `python -m countingroom.storage.new_database URL`."""

from __future__ import annotations

import asyncio
import sys

from countingroom.core.clock import SystemClock
from countingroom.core.errors import CountingRoomError
from countingroom.storage.database import Database


async def _make(address: str) -> None:
    database = Database(address, clock=SystemClock())
    try:
        await database.open()
    finally:
        await database.close()


def main() -> None:
    """Make the tables in the database of the argument."""
    try:
        asyncio.run(_make(sys.argv[1]))
    except CountingRoomError:
        sys.exit(1)  # each role finds the same, and tells it


if __name__ == "__main__":
    main()
