"""The command `alarm stats`: the figures of EEMUA 191 with their targets."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from countingroom.cli import completing
from countingroom.cli.client import DEFAULT_URL, Client, Url
from countingroom.cli.output import Json, print_json, print_table
from countingroom.core.plain_text import readable
from countingroom.core.times import duration

_PATH = "/api/v1/alarms/statistics"
_TIMEOUT_S = 120.0
"""A history of a million rows is counted in about 10 s, beside other work."""
_BLOCKS = " ▁▂▃▄▅▆▇█"
_LISTED = 10

From = Annotated[str, typer.Option("--from", help="Since when: -1d, -30d, yesterday, 2026-11-22T06:00:00Z.")]
To = Annotated[str, typer.Option("--to", help="Until when.")]
Area = Annotated[
    str, typer.Option("--area", "-a", help="Only this area and those below it.", autocompletion=completing.alarm_areas)
]
Operators = Annotated[int, typer.Option("--operators", min=1, max=100, help="Persons who share the alarms.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV instead of tables.")]
CsvTable = Annotated[
    str,
    typer.Option(
        "--table",
        help="Of --csv: figures, rates, floods, actors, chattering, fleeting, stale or acknowledged.",
    ),
]


def stats(
    since: From = "-1d",
    to: To = "now",
    area: Area = "",
    operators: Operators = 1,
    as_csv: Csv = False,
    table: CsvTable = "figures",
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Figures of EEMUA 191: rates, floods, worst actors, times to acknowledge, each with its target."""
    asked: dict[str, Any] = {"from": since, "to": to, "area": area, "operators": operators}
    with Client(url, timeout_s=_TIMEOUT_S) as api:
        if as_csv:
            sys.stdout.write(api.download(_PATH, **asked, format="csv", table=table).decode())
            return
        found = api.exact(_PATH, **asked)
    if json:
        print_json(found)
    else:
        _show(readable(found))


def _show(found: dict[str, Any]) -> None:
    counted = found["counted"]
    rows = (
        (one["title"], _value(one), one["target"], one["verdict"] if one["target"] else "") for one in found["figures"]
    )
    title = f"{_time(counted['from_ns'])} to {_time(counted['to_ns'])}: {counted['announced']} announced"
    print_table(("figure", "value", "target", "verdict"), rows, title=title, numbers=("value",))
    rates = [sum(one["counts"]) for one in counted["bins"]]
    typer.echo(f"alarms every {duration(counted['bin_ns'] / 1e9)}, at most {max(rates)}: {_bars(rates)}\n")
    for name, alarms in (("worst actors", counted["actors"]), ("chattering", counted["chattering"])):
        if alarms:
            told = ((one["count"], f"{100 * one['share']:.1f} %", one["id"], one["title"]) for one in alarms[:_LISTED])
            print_table(("count", "share", "alarm", "source"), told, title=name, numbers=("count", "share"))
    if floods := counted["floods"][-_LISTED:]:
        times = (
            (_time(one["begin_ns"]), _time(one["end_ns"]) if one["end_ns"] else "goes on", one["count"])
            for one in floods
        )
        print_table(("flood from", "to", "count"), times, numbers=("count",))


def _value(figure: dict[str, Any]) -> str:
    value = figure["value"]
    if value is None:
        return ""
    if figure["unit"] == "s":
        return duration(value)
    return f"{value:.3g} {figure['unit']}".rstrip() if value < 1000 else f"{value:.0f}"


def _time(time_ns: int) -> str:
    from countingroom.core.times import format_time

    return format_time(time_ns - time_ns % 1_000_000_000)


def _bars(rates: list[int]) -> str:
    """The rates as a line of block characters; a blank for zero."""
    most = max(rates, default=0) or 1
    return "".join(_BLOCKS[-(-rate * (len(_BLOCKS) - 1) // most)] for rate in rates)
