"""Commands for the run book: list, show, comment, flag, export. Entries are never deleted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from countingroom.cli.client import DEFAULT_URL, Client, Url, fetch
from countingroom.cli.command_rows import add_commands
from countingroom.cli.outcome import give, tell
from countingroom.cli.output import Json, listed, print_table
from countingroom.cli.run_refused import app as refused
from countingroom.core.errors import RequestError
from countingroom.core.times import duration

if TYPE_CHECKING:
    from countingroom.core.run_book import Run

app = typer.Typer(no_args_is_help=True, help="The run book: find, show, comment, judge, export.")

Number = Annotated[int, typer.Argument(metavar="RUN", min=1, help="Its number.", show_default=False)]
Partition = Annotated[str, typer.Option("--partition", "-p", help="Only of this partition.")]
From = Annotated[str, typer.Option("--from", help="Asked for at this time or later: -1d, 2026-11-22T06:00:00Z.")]
To = Annotated[str, typer.Option("--to", help="Asked for before this time.")]
Said = Annotated[str, typer.Option("--text", help="Occurs in its tag, members, notes or who asked for it.")]
Quality = Annotated[str, typer.Option("--quality", help="Judged so: good, bad, test …")]
Flag = Annotated[
    str, typer.Option("--flag", help="Flagged by run control: degraded, interrupted, incomplete, any or none.")
]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=100_000, help="So many, the newest.")]
FORMATS = (".csv", ".parquet", ".json")


@app.command("list")
def list_runs(
    partition: Partition = "",
    since: From = "",
    to: To = "",
    said: Said = "",
    quality: Quality = "",
    flag: Flag = "",
    limit: Limit = 30,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Runs, newest first."""
    found = fetch(url, "/api/v1/runs", json, **_filter(partition, since, to, said, quality, flag), limit=limit)
    rows: list[tuple[object, ...]] = []
    for run in _runs(found["runs"]):
        end = run.end.value if run.end else "open"
        comments = ["", *(note.text for note in run.notes if note.kind == "comment")]
        words = (end, ",".join(run.flagged), run.tag, run.quality, run.requested_by, comments[-1])
        rows.append((run.number, run.partition, *_times(run), *words))
    columns = ("run", "partition", "began", "lasted", "ended", "flags", "tag", "quality", "by", "comment")
    print_table(columns, rows, numbers=("run", "lasted"))


@app.command()
def show(number: Number, url: Url = DEFAULT_URL, json: Json = False) -> None:
    """One run: what it had, what happened in it, what it counted, why it ended."""
    found = fetch(url, f"/api/v1/runs/{number}", json)
    (run,) = _runs([found])
    began, lasted = _times(run)
    end = f"{run.end.value}{f' by {run.ended_by}' if run.ended_by else ''}" if run.end else "still open"
    typer.echo(f"Run {run.number} of {run.partition}: {end}{f', judged {run.quality}' if run.quality else ''}")
    typer.echo(f"asked for by {run.requested_by}, began {began}, lasted {lasted or '—'}, tag {run.tag or 'none'}")
    if run.cause:
        typer.echo("\n".join(run.cause.lines("  ")))
    for one in run.flags:
        until = f" until {_time(one.until_ns)}" if one.until_ns is not None and one.until_ns > one.since_ns else ""
        typer.echo(f"{one.flag.value}: {one.what}, {_time(one.since_ns)}{until}")
    for title, values in (("begin", run.conditions_begin), ("end", run.conditions_end)):
        if values:
            typer.echo(f"conditions at the {title}: {listed({name: had.value for name, had in values.items()})}")
    rows: list[tuple[str, ...]] = []
    for system in run.members:
        had = run.configurations.get(system)
        configuration = (had.tag, listed(had.parameters)) if had else ("", "")
        counted = {
            name.partition(".")[2]: value for name, value in run.counters.items() if name.startswith(f"{system}.")
        }
        rows.append((system, *configuration, run.versions.get(system, ""), listed(counted)))
    print_table(("system", "configuration", "parameters", "software", "counted"), rows)
    for note in run.notes:
        who = f" ({note.author})" if note.author else ""
        typer.echo(f"{_time(note.time_ns)}  {note.kind}  {note.system} {note.text}{who}".replace("  ", " ", 2))


def comment(
    number: Number,
    words: Annotated[str, typer.Argument(metavar="TEXT", show_default=False)],
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Say something about a run, while it goes on or later."""
    _note(number, "comment", {"text": words}, url, json)


def flag(
    number: Number,
    quality: Annotated[str, typer.Argument(help="good, bad, test …", show_default=False)],
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Judge a run."""
    _note(number, "flag", {"quality": quality}, url, json)


@app.command()
def export(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="FILE.csv, FILE.parquet or FILE.json", show_default=False)
    ],
    partition: Partition = "",
    since: From = "",
    to: To = "",
    said: Said = "",
    quality: Quality = "",
    flag: Flag = "",
    limit: Limit = 100_000,
    url: Url = DEFAULT_URL,
) -> None:
    """Runs into a file, a row a run."""
    if output.suffix not in FORMATS:
        raise RequestError(
            f"{output} is none of {', '.join(FORMATS)}",
            source="--output",
            code="wrong_format",
            suggestion="give -o runs.csv, runs.parquet or runs.json",
        )
    wanted = _filter(partition, since, to, said, quality, flag)
    with Client(url) as api:
        data = api.download("/api/v1/runs/export", **wanted, limit=limit, format=output.suffix[1:])
    output.write_bytes(data)
    typer.echo(f"{output}: {len(data):,} bytes")


add_commands(app, "run", {"comment": comment, "flag": flag})
number = typer.Typer(help="The numbers of runs.", no_args_is_help=True)
add_commands(number, "run number")
app.add_typer(number, name="number")
app.add_typer(refused, name="refused")


def _note(number: int, action: str, said: dict[str, Any], url: str, json: bool) -> None:
    with Client(url) as api:
        partition = api.get(f"/api/v1/runs/{number}")["partition"]
        answer = give(api, f"partitions/{partition}", action, {"arguments": {"run": number, **said}}, 10.0)
    tell(answer, json=json)


def _filter(partition: str, since: str, to: str, said: str, quality: str, flag: str) -> dict[str, Any]:
    return {
        "partition": partition or None,
        "from": since or None,
        "to": to or None,
        "text": said or None,
        "quality": quality or None,
        "flag": ("" if flag == "none" else flag) if flag else None,
    }


def _runs(plain: list[Any]) -> list[Run]:
    import msgspec

    from countingroom.core.run_book import Run

    return msgspec.convert(plain, list[Run])


def _times(run: Run) -> tuple[str, str]:
    """Start of the recording and its duration, as texts."""
    if run.started_ns is None:
        return f"{_time(run.asked_ns)} (not)", ""
    seconds = run.lasted_s()
    return _time(run.started_ns), "" if seconds is None else duration(seconds)


def _time(ns: int) -> str:
    from countingroom.core.times import format_time

    return format_time(ns // 1_000_000_000 * 1_000_000_000)
