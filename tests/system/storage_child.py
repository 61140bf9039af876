"""What this process says on its output is what the database acknowledged to it; it is killed at any moment."""

from __future__ import annotations

import asyncio
import sys

from countingroom.core.run_book import RunEnd, RunNote
from countingroom.storage.database import Database


async def main(url: str, name: str) -> None:
    """Take runs for ever, telling each thing once it is acknowledged."""
    database = Database(url)
    await database.open()
    for left in await database.runs.open_runs(name):
        await database.runs.close(left.number, RunEnd.OWNER_DIED)
        say("closed", left.number)
    say("ready", 0)
    while True:
        number = (await database.runs.reserve(name, "cbm", "anna")).number
        say("reserved", number)
        await database.runs.began(number, number)
        say("began", number)
        await database.runs.note(number, RunNote(time_ns=number, kind="comment", text=f"note of {number}"))
        say("noted", number)
        await database.runs.close(number, RunEnd.STOPPED)
        say("closed", number)


def say(word: str, number: int) -> None:
    """One line, out at once."""
    sys.stdout.write(f"{word} {number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
