"""The command `history`: query recorded values and export them to a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from countingroom.cli import completing
from countingroom.cli.client import DEFAULT_URL, Client, Url, fetch
from countingroom.cli.output import Json, print_json, print_table
from countingroom.cli.values import QUALITIES

if TYPE_CHECKING:
    from countingroom.core.series import Series

app = typer.Typer(help="What was recorded: show it, or export it.", no_args_is_help=True)

Points = Annotated[
    list[str],
    typer.Argument(
        metavar="POINT…", help="Addresses, such as caen.0.lv_vMon.", autocompletion=completing.recorded_points
    ),
]
From = Annotated[str, typer.Option("--from", help="Since when: -1h, -2d12h, yesterday, 2026-11-22T06:00:00Z.")]
To = Annotated[str, typer.Option("--to", help="Until when.")]

_BLOCKS = "▁▂▃▄▅▆▇█"
_NOTHING = "nothing recorded"


@app.command()
def query(
    points: Points,
    since: From = "-1h",
    to: To = "now",
    most: Annotated[int, typer.Option("--max-points", min=10, help="Rows of a point; more samples are reduced.")] = 60,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Show points over a time range: every sample, or min, max and mean of equal intervals if there are many."""
    import msgspec

    from countingroom.core.series import Series

    start, end = map(_time, _range(since, to))
    with Client(url) as api:
        ask = api.exact if as_json else api.get
        answer = ask("/api/v1/history", **{"point": points, "from": start, "to": end, "max_points": most})
    found = msgspec.convert(answer.get("series", [answer]), list[Series])
    if as_json:
        print_json({"series": found})
        return
    for series in found:
        _show(series)


@app.command()
def last(
    points: Points,
    at: Annotated[str, typer.Option("--at", help="The last value at or before this time.")] = "now",
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """The last value of points."""
    import msgspec

    from countingroom.core.series import Last
    from countingroom.core.times import format_time

    moment, _ = _range(at, at)
    with Client(url) as api:
        ask = api.exact if as_json else api.get
        found = msgspec.convert(ask("/api/v1/history/last", point=points, at=_time(moment)), Last)
    if as_json:
        print_json(found)
        return
    rows: list[tuple[object, ...]] = []
    for name in dict.fromkeys(points):
        if reading := found.readings.get(name):
            rows.append((name, _number(reading.value), QUALITIES[reading.quality], format_time(reading.device_ns)))
        else:
            rows.append((name, "", _NOTHING, ""))
    print_table(("point", "value", "quality", "time"), rows, numbers=("value",))


@app.command("points")
def list_points(
    prefix: Annotated[str, typer.Argument(help="Only points whose address begins with this text, such as caen.")] = "",
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """List the points that have recorded values."""
    for name in fetch(url, "/api/v1/history/points", as_json, prefix=prefix)["points"]:
        typer.echo(name)


@app.command("stores")
def list_stores(url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """The further stores that get every sample too: health, and how far each of them is behind."""
    from countingroom.core.times import format_time

    found = fetch(url, "/api/v1/history/stores", as_json)
    rows = [
        (
            one["store"],
            one["kind"],
            one["health"].replace("_", " "),
            one["lag_s"],
            one["behind_values"],
            one["sequence"],
            f"{format_time(one['last_problem_ns'])} {one['last_problem']}" if one["last_problem"] else "",
        )
        for one in found["stores"]
    ]
    if not rows:
        typer.echo("the description has no further stores (history.stores)")
        return
    columns = ("store", "kind", "health", "lag [s]", "behind [values]", "at message", "last problem")
    print_table(columns, rows, numbers=("lag [s]", "behind [values]", "at message"))
    if not found["running"]:
        typer.echo("the history does not run: this is what it said last")


@app.command()
def conditions(
    points: Annotated[
        list[str], typer.Option("--points", help="An address, or a pattern such as 'caen.*.hv_vMon'; can be repeated.")
    ],
    run: Annotated[int | None, typer.Option("--run", help="Statistics from the start to the end of a run.")] = None,
    result: Annotated[int | None, typer.Option("--result", help="The same for a result of a calibration.")] = None,
    times: Annotated[
        Path | None,
        typer.Option("--times", help="Lines with a time, or with begin and end of an interval, separated by a comma."),
    ] = None,
    tolerance: Annotated[float, typer.Option("--tolerance", min=0, help="A sample holds at most so many s.")] = 125.0,
    worst: Annotated[str, typer.Option("--worst", help="Leave out values worse than good, uncertain, stale.")] = "bad",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="FILE.parquet or FILE.csv")] = None,
    data: Annotated[Path | None, typer.Option("--data", help="Data folder of an experiment that does not run.")] = None,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Join a run, times or intervals with the values of points: what held then, or min, max and means over them."""
    from countingroom.cli.conditions_shown import show

    show(
        data or url,
        points,
        run=run,
        result=result,
        times=times,
        tolerance_s=tolerance,
        worst=worst,
        output=output,
        as_json=as_json,
    )


@app.command()
def export(
    points: Points,
    output: Annotated[Path, typer.Option("--output", "-o", help="FILE.parquet or FILE.csv")],
    since: From = "-1d",
    to: To = "now",
    url: Url = DEFAULT_URL,
) -> None:
    """Export every sample of the points to a file."""
    import msgspec
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from countingroom.core.series import Samples
    from countingroom.history.export import sheet

    start, end = _range(since, to)
    console = Console(stderr=True)
    count = 0
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(), console=console
    )
    with Client(url) as api, sheet(output) as file, bar:
        task = bar.add_task("exporting", total=end - start)
        cursor: int | None = start
        while cursor is not None:
            page = api.exact("/api/v1/history/export", **{"point": points, "from": _time(cursor), "to": _time(end)})
            samples = msgspec.convert(page["samples"], Samples)
            file.add(points, samples)
            count += len(samples.time_ns)
            cursor = page["next_ns"]
            done = end if cursor is None else cursor
            bar.update(task, completed=done - start, description=f"{count:,} samples")
    console.print(f"{output}: {count:,} samples", highlight=False, markup=False)


@app.command()
def grafana(
    file: Annotated[Path, typer.Argument(help="The description, experiment.yaml.", show_default=False)],
    folder: Annotated[Path, typer.Argument(help="Folder for the files.", show_default=False)],
    store: Annotated[str, typer.Option("--store", help="The store that the dashboards ask; else the first one.")] = "",
    dashboards: Annotated[
        Path | None, typer.Option("--dashboards", help="Where Grafana finds the dashboards, on its machine.")
    ] = None,
) -> None:
    """Write data sources and dashboards for Grafana, from the description and its history.stores."""
    from countingroom.cli.grafana_files import write_files

    for path in write_files(file, folder, store, dashboards):
        typer.echo(str(path))


def _range(since: str, to: str) -> tuple[int, int]:
    import time

    from countingroom.core.times import parse_time

    now = time.time_ns()
    return parse_time(since, now_ns=now), parse_time(to, now_ns=now)


def _time(ns: int) -> str:
    """The time in a form that the API accepts for every instant."""
    from countingroom.core.times import format_time

    return format_time(ns)


def _show(series: Series) -> None:
    from countingroom.core.times import format_time

    columns = {"text": series.text} if series.text else {"mean": series.mean, "low": series.low, "high": series.high}
    rows: list[tuple[object, ...]] = []
    for row, (time, quality, count) in enumerate(zip(series.time_ns, series.quality, series.count, strict=True)):
        gap = row > 0 and count == 0
        cells = [_number(column[row]) for column in columns.values()]
        said = _NOTHING if gap else QUALITIES[quality]
        rows.append((format_time(time), *cells, said, "" if gap else count))
    title = f"{series.point}  {series.resolution}"
    print_table(("time", *columns, "quality", "samples"), rows, title=title, numbers=tuple(columns))
    if not series.text:
        typer.echo(sparkline(series.mean) + "\n")


def sparkline(values: Sequence[float | None]) -> str:
    """The numbers as a line of block characters (a sparkline); a blank for a missing number."""
    known = [value for value in values if value is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    span = (high - low) or 1.0
    return "".join(" " if value is None else _BLOCKS[round((value - low) / span * 7)] for value in values)


def _number(value: object) -> object:
    return f"{value:.6g}" if isinstance(value, float) else value
