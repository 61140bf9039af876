"""The command `backup`: everything of the running experiment in one file; verify and list such files.

It works on the data folder, as the account of the experiment, and asks no console.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from countingroom.cli.output import Json, print_json, print_table

if TYPE_CHECKING:
    from countingroom.app.backup import Backups
    from countingroom.backup.encryption import BackupKey

app = typer.Typer(help="Back up everything while it runs; verify and list backups.", invoke_without_command=True)

Data = Annotated[
    Path | None, typer.Option("--data", help="Data folder of the experiment; the one that runs.", show_default=False)
]
Experiment = Annotated[
    Path | None,
    typer.Option("--experiment", help="The description; the one that runs there.", show_default=False),
]
KeyFile = Annotated[
    Path | None,
    typer.Option("--key", help="File with the private key of age, for an encrypted backup.", show_default=False),
]
File = Annotated[Path, typer.Argument(help="The backup.", show_default=False)]


@app.callback(invoke_without_command=True)
def backup(
    context: typer.Context,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to", help="File or folder; the folder of the description, or `backups` in the data.", show_default=False
        ),
    ] = None,
    experiment: Experiment = None,
    data: Data = None,
    check: Annotated[
        bool | None,
        typer.Option(
            "--check/--no-check",
            help="Restore it into an empty folder and compare; as the description says.",
            show_default=False,
        ),
    ] = None,
    secrets: Annotated[
        bool, typer.Option("--secrets", help="Also the files with passwords and private keys; only encrypted.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Where another backup is being made, wait for its end.")] = False,
    json: Json = False,
) -> None:
    """Back up the running experiment: history, events, database, description. All of it is of one moment in time.

    Where the backup goes, how it is encrypted and how many are kept is in the section backup of the description.
    """
    if context.invoked_subcommand is not None:
        return
    from countingroom.backup.disk_space import megabytes

    made = _backups(experiment, data).make(to, _quiet if json else _say, check=check, secrets=secrets, wait=wait)
    taken = made.taken
    if json:
        facts: dict[str, Any] = {
            "file": str(made.path),
            "bytes": taken.bytes,
            "seconds": round(taken.seconds, 3),
            "held_ms": round(taken.held_ms, 3),
            "moment_ns": taken.manifest.moment_ns,
            "checked": made.checked,
            "removed": [str(path) for path in made.removed],
        }
        print_json(facts)
        return
    typer.echo(f"moment      {_time(taken.manifest.moment_ns)}; the database waited {taken.held_ms:.1f} ms for it")
    typer.echo(f"{made.path}: {megabytes(taken.bytes)} in {taken.seconds:.1f} s")


@app.command()
def verify(file: File, key: KeyFile = None, json: Json = False) -> None:
    """Check every byte of a backup, and show what is in it."""
    from countingroom.backup.opening import verified

    manifest, members = verified(file, _key(key))
    if json:
        import msgspec

        print_json({"manifest": msgspec.to_builtins(manifest), "members": msgspec.to_builtins(members)})
        return
    print_table(
        ("member", "bytes", "sha256"), ((one.name, one.size, one.sha256[:16]) for one in members), numbers=("bytes",)
    )
    typer.echo(
        f"{manifest.experiment} at {_time(manifest.moment_ns)}, made with version {manifest.program}: "
        f"{manifest.history_rows.get('raw_recent', 0) + manifest.history_rows.get('raw_settled', 0)} values, "
        f"{manifest.events.count} events, {sum(manifest.rows.values())} rows of the database, "
        f"last run {manifest.highest_run}. Nothing is wrong."
    )


@app.command("list")
def list_backups(
    experiment: Experiment = None,
    data: Data = None,
    folder: Annotated[Path | None, typer.Option("--folder", help="Another folder.", show_default=False)] = None,
    json: Json = False,
) -> None:
    """List the backups in the folder of the description, the newest first."""
    from countingroom.backup import folder as backup_folder
    from countingroom.backup.disk_space import megabytes

    if folder:
        own, found = "", backup_folder.backups(folder)
    else:
        made = _backups(experiment, data)
        own, found = made.identity, made.found()
    if json:
        facts = [
            {
                "file": str(one.path),
                "made_ns": one.made_ns,
                "bytes": one.bytes,
                "encrypted": one.encrypted,
                "of": one.of,
                "own": bool(own) and one.of == own,
            }
            for one in found
        ]
        print_json({"backups": facts})
        return
    rows = (
        (
            one.path,
            _time(one.made_ns),
            megabytes(one.bytes),
            "yes" if one.encrypted else "no",
            "this one" if own and one.of == own else one.of or "unknown",
        )
        for one in found
    )
    print_table(("file", "made", "size", "encrypted", "data folder"), rows, numbers=("size",))


@app.command("key")
def new_key(file: Annotated[Path, typer.Argument(help="New file for the private key.", show_default=False)]) -> None:
    """Make a key for encrypted backups, and print its public key.

    Keep the private key where the backups are not: without it they cannot be read. The public key is enough to make
    backups.
    """
    import os

    from countingroom.backup.encryption import BackupKey
    from countingroom.core.errors import RequestError

    key = BackupKey.new()
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise RequestError(
            f"{file} cannot be written: {error.strerror}", source="backup", suggestion="give the name of a new file"
        ) from error
    with os.fdopen(descriptor, "w") as stream:
        stream.write(f"# public key: {key.public}\n{key.private}\n")
    typer.echo(key.public)


def key_of(file: Path | None) -> BackupKey | None:
    """The private key in a file, or none."""
    from countingroom.backup.encryption import private_key

    return private_key(file) if file else None


_key = key_of


def _backups(experiment: Path | None, data: Path | None) -> Backups:
    from countingroom.app.backup import Backups
    from countingroom.app.data_folder import default_data, owner_of
    from countingroom.cli.running import running_experiment
    from countingroom.core.errors import ConfigurationError

    if experiment and data is None:
        data = default_data(experiment)
    if data is None:
        running, data = running_experiment()
        return Backups(experiment or running, data)
    owner = None if experiment else owner_of(data)
    if experiment is None and owner is None:
        raise ConfigurationError(
            f"nothing runs on {data}",
            source="--data",
            suggestion="start the experiment; or give its description with --experiment",
        )
    return Backups(experiment or Path(owner.description if owner else ""), data)


def _say(line: str) -> None:
    typer.echo(line)


def _quiet(_line: str) -> None:
    return


def _time(at_ns: int) -> str:
    from datetime import UTC, datetime

    return f"{datetime.fromtimestamp(at_ns / 1e9, UTC):%Y-%m-%d %H:%M:%S} UTC"
