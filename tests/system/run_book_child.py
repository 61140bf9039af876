"""Writes entries into the run book of a database that is away, tells when they are kept in the file, and waits."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from countingroom.core.clock import SystemClock
from countingroom.core.run_book import RunEnd, RunNote
from countingroom.runs.run_book_writer import RunBookWriter
from countingroom.storage.database import Database
from countingroom.storage.run_entries import BeganEntry, EndEntry, NoteEntry


async def main(url: str, folder: Path, run: int) -> None:
    writer = RunBookWriter(Database(url), SystemClock(), folder)
    writing = asyncio.create_task(writer.run())
    writer.write("A", BeganEntry(run=run, started_ns=10))
    for number in range(3):
        writer.write("A", NoteEntry(run=run, note=RunNote(time_ns=20, kind="comment", text=f"note {number}")))
    writer.write("A", EndEntry(run=run, end=RunEnd.STOPPED, ended_ns=30, ended_by="anna"))
    while not (writer.is_failing and list(folder.glob("waiting-*"))):
        await asyncio.sleep(0.05)
    sys.stdout.write("kept\n")
    sys.stdout.flush()
    await writing


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
