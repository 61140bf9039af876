"""A console's audit writer on the database and the folder of its arguments: it writes entries, says `kept`, and waits.

Usage: audit_child.py DATABASE FOLDER NUMBER
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from countingroom.console.audit_writer import AuditWriter
from countingroom.core.accounts import AuditEntry, Outcome
from countingroom.core.clock import SystemClock
from countingroom.storage.database import Database


async def main(database: str, folder: str, number: str) -> None:
    clock = SystemClock()
    opened = Database(database)
    writer = AuditWriter(opened.audit, clock, Path(folder))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(writer.run())
        await asyncio.sleep(0)
        for index in range(int(number)):
            await writer.write(AuditEntry(time_ns=index, who="ann", what=f"act{index}", outcome=Outcome.ACCEPTED))
        print("kept", flush=True)


asyncio.run(main(*sys.argv[1:]))
