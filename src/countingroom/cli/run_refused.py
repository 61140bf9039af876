"""The commands `run refused`: entries that the run book did not take, and which are kept in files.

They work on the data folder and the database directly, on the computer that keeps the files, and need no login. What
they change is written to the audit.
"""

from __future__ import annotations

import asyncio
import getpass
import json as json_text
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from countingroom.cli.output import Json, print_json, print_table

if TYPE_CHECKING:
    from countingroom.storage.refused_entries import RefusedEntries, RefusedEntry

app = typer.Typer(no_args_is_help=True, help="Entries that the run book did not take: list, show, retry, discard.")

Experiment = Annotated[Path, typer.Argument(help="The description, experiment.yaml.", show_default=False)]
Data = Annotated[Path | None, typer.Option("--data", help="Data folder of the experiment.", show_default=False)]
Name = Annotated[str, typer.Argument(metavar="ENTRY", help="Its name, or the end of it.", show_default=False)]


@app.command("list")
def list_entries(experiment: Experiment, data: Data = None, json: Json = False) -> None:
    """Entries that the run book has refused, the oldest first."""
    from countingroom.core.times import format_time

    found = _entries(experiment, data).list()
    if json:
        print_json(found)
        return
    rows = [(one.name, format_time(one.time_ns), _what(one), one.reason.message) for one in found]
    print_table(("entry", "refused", "what", "reason"), rows)


@app.command()
def show(experiment: Experiment, name: Name, data: Data = None) -> None:
    """One entry as JSON: when and why it was refused, and what it says."""
    found = _entries(experiment, data).get(name)
    try:
        content = json_text.loads(found.entry)
    except ValueError:
        content = found.entry
    reason = "\n".join(found.reason.lines())
    kept = {"name": found.name, "time_ns": found.time_ns, "reason": reason, "entry": content}
    typer.echo(json_text.dumps(kept, indent=2))  # escaped: the text may be one that no terminal shows


@app.command()
def retry(experiment: Experiment, name: Name, data: Data = None) -> None:
    """Write an entry into the run book again, after its reason was removed. Refused again, it stays where it is."""
    _end(experiment, data, name, retried=True)


@app.command()
def discard(experiment: Experiment, name: Name, data: Data = None) -> None:
    """Delete an entry. The audit keeps its content."""
    _end(experiment, data, name, retried=False)


def _entries(experiment: Path, data: Path | None) -> RefusedEntries:
    from countingroom.app.data_folder import RUN_BOOK, default_data
    from countingroom.storage.refused_entries import RefusedEntries

    return RefusedEntries((data or default_data(experiment)).resolve() / RUN_BOOK)


def _what(refused: RefusedEntry) -> str:
    from countingroom.storage.run_entries import decode_entry

    try:
        return str(decode_entry(refused.entry.encode()))
    except ValueError:
        return "unreadable"


def _end(experiment: Path, data: Path | None, name: str, *, retried: bool) -> None:
    from countingroom.app.data_folder import default_data
    from countingroom.app.database import opened
    from countingroom.core.accounts import AuditEntry, Outcome
    from countingroom.core.clock import SystemClock
    from countingroom.core.errors import OutOfRange
    from countingroom.experiment import load
    from countingroom.storage.run_entries import decode_entry, store

    entries, clock = _entries(experiment, data), SystemClock()
    found = entries.get(name)

    async def run() -> None:
        async with opened(load(experiment).storage, (data or default_data(experiment)).resolve(), clock) as database:
            if retried:
                try:
                    entry = decode_entry(found.entry.encode())
                except ValueError as error:
                    raise OutOfRange(
                        f"the entry {found.name} cannot be read: {error}",
                        source="run refused",
                        suggestion="see it with `run refused show`, and discard it",
                    ) from error
                await store(database, entry)
            await database.audit.append(
                AuditEntry(
                    time_ns=clock.now_ns(),
                    who=_me(),
                    what="retry_entry" if retried else "discard_entry",
                    target=f"run_book.{found.name}",
                    origin="cli",
                    outcome=Outcome.ACCEPTED,
                    arguments={"entry": found.entry, "reason": found.reason.message},
                )
            )
            entries.remove(found.name)

    asyncio.run(run())
    typer.echo(f"{found.name}: {_what(found)} is {'in the run book' if retried else 'discarded'}")


def _me() -> str:
    try:
        return f"cli-{getpass.getuser()}"
    except (KeyError, OSError):
        return f"cli-{os.getuid()}"
