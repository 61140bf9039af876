"""The command `mirror report`: what a range of runs was like, as a PDF, a page, or JSON. It reads the public store, and
no description."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from countingroom.cli.mirror_site import Store, Title, store_url
from countingroom.cli.output import Json, print_json
from countingroom.core.errors import RequestError

_RANGE = re.compile(r"\s*(\d{1,10})\s*(?:(-)\s*(\d{1,10})?\s*)?")


def add_to(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command()(report)


def report(
    store: Store,
    runs: Annotated[
        str, typer.Option("--runs", help="First and last run: 390000-395000; 390000- for all from there on.")
    ] = "",
    last: Annotated[
        int, typer.Option("--last", min=1, max=1_000_000, help="Without --runs: over so many of the last runs.")
    ] = 100,
    set_name: Annotated[str, typer.Option("--set", help="production or playback.")] = "production",
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The PDF; in a folder it is named by its runs.", show_default=False),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="The same as a page that needs no other file.", show_default=False),
    ] = None,
    title: Title = "Experiment",
    json: Json = False,
) -> None:
    """Report what a range of runs was like: bad runs, clients that crashed or were stuck, keys, releases, rates.

    The same store gives the same file, so that a copy changes only when something changed.
    """
    if set_name not in ("production", "playback"):
        raise RequestError(f"there is no set {set_name!r}", source="--set", suggestion="give production or playback")
    if not (out or html or json):
        raise RequestError(
            "it is not said where the report goes",
            source="mirror report",
            suggestion="give --out FILE.pdf or --html FILE",
        )
    from countingroom.app.mirror_report import ReportPlan, make_report

    first, end = span(runs)
    plan = ReportPlan(
        store=store_url(store), title=title, set=set_name, first=first, last=end, count=last, pdf=out, html=html
    )
    made = make_report(plan)
    if json:
        print_json(made.report)
        return
    found = made.report
    for one in made.files:
        typer.echo(f"{one}: {found.runs.total} runs from {found.first} to {found.last}, {found.runs.bad} of them bad")


def span(runs: str) -> tuple[int | None, int | None]:
    """First and last run of `A-B`, `A-` or `A`; none for an empty text. RequestError for another text."""
    if not runs:
        return None, None
    match = _RANGE.fullmatch(runs)
    if match is None or not runs.isascii():
        raise RequestError(
            f"{runs!r} is no range of runs", source="--runs", code="wrong_range", suggestion="write it as 390000-395000"
        )
    first = int(match[1])
    return first, (int(match[3]) if match[3] else None) if match[2] else first
