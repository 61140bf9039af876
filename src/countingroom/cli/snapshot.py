"""The command `snapshot`: setpoints as they were; take, compare, restore, mark as golden."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from countingroom.cli import completing, snapshot_shown
from countingroom.cli.client import DEFAULT_URL, Client, Url, fetch
from countingroom.cli.output import Json, print_json, print_table
from countingroom.cli.snapshot_restore import restore, stop
from countingroom.core.errors import ConfigurationError

DIFFERS = 3

app = typer.Typer(no_args_is_help=True, help="Setpoints as they were: take, compare, restore, mark as golden.")

Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="Of the snapshot.", show_default=False, autocompletion=completing.snapshots),
]
Reason = Annotated[str, typer.Option("--reason", "-m", help="Why, for the record.", show_default=False)]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="WHAT", help="Only these devices, points or patterns.", show_default=False),
]


@app.command()
def take(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A new name.", show_default=False)],
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="WHAT…",
            help="Devices, area:NAME, points DEVICE.POINT, patterns with *.",
            show_default=False,
            autocompletion=completing.devices_and_points,
        ),
    ],
    reason: Reason,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Save the present value of every point that can be written, with its readback."""
    with Client(url) as api:
        taken = api.post(f"{_path(name)}/take", {"points": what, "reason": reason})
    _tell(taken, json, snapshot_shown.summary_line(taken))


@app.command("list")
def list_snapshots(url: Url = DEFAULT_URL, json: Json = False) -> None:
    """All snapshots, the newest first."""
    found = fetch(url, "/api/v1/snapshots", json)["snapshots"]
    rows = (
        (
            one["name"],
            "golden" if one["golden"] else "",
            " ".join(one["scope"]),
            str(one["points"]),
            snapshot_shown.time_text(one["taken_ns"]),
            one["taken_by"],
            one["reason"],
        )
        for one in found
    )
    print_table(("name", "", "of", "points", "taken", "by", "reason"), rows, numbers=("points",))


@app.command()
def show(name: Name, url: Url = DEFAULT_URL, json: Json = False) -> None:
    """One snapshot: its points, and what was done with it."""
    snapshot_shown.print_snapshot(fetch(url, _path(name), json))


@app.command()
def compare(
    name: Name,
    other: Annotated[
        str,
        typer.Argument(
            metavar="[OTHER]", help="Another snapshot; else the present.", autocompletion=completing.snapshots
        ),
    ] = "",
    everything: Annotated[bool, typer.Option("--all", help="Equal points too.")] = False,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """What differs from the present, or from another snapshot. Status 3: something differs or is not known."""
    with Client(url) as api:
        found = api.get(f"{_path(name)}/compare", **{"with": other or None}, equal=str(everything or json).lower())
    if json:
        print_json(found)
    else:
        snapshot_shown.print_comparison(found, name, other or "now")
    if set(found["counts"]) - {"equal"}:
        raise typer.Exit(DIFFERS)


@app.command()
def plan(name: Name, only: Only = None, url: Url = DEFAULT_URL, json: Json = False) -> None:
    """What a restore would write, in its order, and why other points are left as they are."""
    snapshot_shown.print_plan(fetch(url, f"{_path(name)}/plan", json, only=only or None))


app.command()(restore)
app.command()(stop)


@app.command()
def restores(
    id: Annotated[str, typer.Argument(metavar="[ID]", help="One of them, point by point.")] = "",
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """The last restores: which points are restored, which failed and why, which were not tried."""
    if id:
        return snapshot_shown.print_restore(fetch(url, f"/api/v1/restores/{quote(id, safe='')}", json))
    found = fetch(url, "/api/v1/restores", json)["restores"]
    rows = (
        (
            one["id"],
            one["snapshot"],
            one["end"],
            snapshot_shown.result_text(one),
            snapshot_shown.time_text(one["started_ns"]),
            one["by"],
            one["reason"],
        )
        for one in found
    )
    return print_table(("id", "snapshot", "end", "points", "begun", "by", "reason"), rows)


@app.command()
def golden(
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="The snapshot to mark.", autocompletion=completing.snapshots)
    ] = "",
    reason: Annotated[str, typer.Option("--reason", "-m", help="Why, for the record.")] = "",
    remove: Annotated[bool, typer.Option("--remove", help="Remove the mark.")] = False,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Make a snapshot the golden one of its scope. Without a name: how the present differs from the golden ones."""
    if not name:
        return snapshot_shown.print_golden(fetch(url, "/api/v1/golden", json)["golden"])
    with Client(url) as api:
        answer = api.post(f"{_path(name)}/golden", {"golden": not remove, "reason": reason})
    done = f"{name} is not golden any more" if remove else f"{name} is golden for {answer['mark']['scope']}"
    return _tell(answer, json, done)


@app.command()
def delete(name: Name, reason: Reason, url: Url = DEFAULT_URL, json: Json = False) -> None:
    """Delete a snapshot. The record of what was done with it stays."""
    with Client(url) as api:
        answer = api.post(f"{_path(name)}/delete", {"reason": reason})
    _tell(answer, json, f"{name} is deleted")


@app.command()
def export(
    name: Name,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file; stdout where left out.")] = None,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """A snapshot as YAML, or as JSON with --json or where the file ends with .json."""
    form = "json" if json or (output and output.suffix == ".json") else "yaml"
    with Client(url) as api:
        document = api.download(f"{_path(name)}/export", format=form).decode()
    if output:
        output.write_text(document, encoding="utf-8")
    else:
        sys.stdout.write(document)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file of `export`.", show_default=False)],
    name: Annotated[str, typer.Option("--name", help="Another name than that of the file.")] = "",
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Add the snapshot of a file. Nothing is written to devices."""
    try:
        document = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}", source="snapshot import") from error
    with Client(url) as api:
        made = api.post("/api/v1/snapshots/import", {"document": document, "name": name})
    _tell(made, json, snapshot_shown.summary_line(made))


def _path(name: str) -> str:
    return f"/api/v1/snapshots/{quote(name, safe='')}"


def _tell(answer: Any, json: bool, done: str) -> None:
    if json:
        print_json(answer)
    else:
        typer.echo(done)
