"""The command `check`: it checks a whole description, devices and state machines included.

It writes no file, opens no socket and connects to no device.

Exit status: 0 it can be used, 2 it cannot.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from countingroom.cli.output import Json, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from countingroom.cli.check_interlocks import InterlockFacts
    from countingroom.devices.registry import Hosted

app = typer.Typer(help="Check a description without touching anything.")


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="The description, experiment.yaml.", show_default=False)],
    json: Json = False,
) -> None:
    """Check a description without touching anything."""
    from countingroom.cli.checked_description import checked_description
    from countingroom.runs.description import RunsSection

    found = checked_description(file)
    problems, warnings = found.problems, found.warnings
    hosted: Mapping[str, Hosted] = {} if problems else found.hosted
    title, systems = "", 0
    if found.loaded:
        title, systems = found.loaded.experiment.title, len(found.loaded.experiment.section(RunsSection).systems)
    interlocks = found.interlocks
    if json:
        devices = [_facts(one) for one in hosted.values()]
        print_json(
            {
                "valid": not problems,
                "problems": problems,
                "warnings": warnings,
                "devices": devices,
                "interlocks": interlocks,
            }
        )
    else:
        sys.stderr.write("".join(f"{problem}\n" for problem in problems))
        sys.stderr.write("".join(f"warning: {warning}\n" for warning in warnings))
        if not problems:
            _print(file, title, hosted, systems, wrong=f"{len(warnings)} to look at" if warnings else "nothing wrong")
            _print_interlocks(interlocks)
    raise typer.Exit(2 if problems else 0)


def _print(file: Path, title: str, hosted: Mapping[str, Hosted], systems: int, *, wrong: str) -> None:
    count = len(hosted)
    under = f", {systems} system{'' if systems == 1 else 's'} under run control" if systems else ""
    typer.echo(f"{file}: {title}, {count} device{'' if count == 1 else 's'}{under}, {wrong}")
    if not hosted:
        return
    columns = ("Device", "Title", "Driver", "Location", "Channels", "Points", "Commands")
    print_table(columns, (_facts(one).values() for one in hosted.values()))


def _print_interlocks(rows: Sequence[InterlockFacts]) -> None:
    if not rows:
        return
    from countingroom.cli.check_interlocks import summary

    typer.echo(summary(rows))
    columns = ("Interlock", "Cause", "Vote", "Leads to", "Combinations", "Outcomes", "Evaluated in")
    print_table(
        columns,
        (
            (row.interlock, row.cause, row.vote, row.effects, row.combinations, row.outcomes, row.evaluated_in)
            for row in rows
        ),
    )


def _facts(one: Hosted) -> dict[str, Any]:
    return {
        "device": one.name,
        "title": one.title,
        "driver": str(one.section.model_dump().get("driver", "")),
        "location": one.location,
        "channels": len(one.behaviour.channels),
        "points": len(one.points),
        "commands": len(one.behaviour.commands),
    }
