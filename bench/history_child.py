"""A process that is the history: the bus's address and a file in, `{}` once it writes."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec

from countingroom.bus import nats
from countingroom.core.clock import SystemClock
from countingroom.history.description import HistorySection
from countingroom.history.duckdb_store import DuckStore
from countingroom.history.service import HistoryService


async def main() -> None:
    """Write until terminated."""
    given = msgspec.json.decode(sys.stdin.buffer.readline())
    bus = await nats.connect(given["url"], name="history")
    sys.stdout.write("{}\n")
    sys.stdout.flush()
    await HistoryService(bus, SystemClock(), HistorySection(), lambda: DuckStore(Path(given["file"]))).run()


if __name__ == "__main__":
    asyncio.run(main())
