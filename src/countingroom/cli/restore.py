"""The command `restore`: a folder made of a backup."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from countingroom.cli.backup import File, KeyFile, key_of

app = typer.Typer()


@app.command()
def restore(
    file: File,
    into: Annotated[
        Path, typer.Option("--into", help="New or empty folder for description and data.", show_default=False)
    ],
    key: KeyFile = None,
    database: Annotated[
        str, typer.Option("--database", help="Empty PostgreSQL database, for a backup of one.", show_default=False)
    ] = "",
) -> None:
    """Restore a backup into a new folder, from which the experiment can be started.

    Every byte is verified before anything is written. Nothing is sent to a device, and no run is continued. Stop the
    original before the restored experiment is started: both would command the same devices.
    """
    from countingroom.app.backup import restore_into

    restored = restore_into(file, into, typer.echo, key=key_of(key), database=database)
    for note in restored.notes:
        typer.echo(f"note        {note}")
    typer.echo(f"Restored. Start it with: countingroom up {restored.description} --data {restored.data}")
