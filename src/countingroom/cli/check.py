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
    from countingroom.cli.check_interlocks import InterlockFacts
    from countingroom.core.yaml.located import Problem
    from countingroom.devices.registry import Hosted

app = typer.Typer(help="Check a description without touching anything.")


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="The description, experiment.yaml.", show_default=False)],
    json: Json = False,
) -> None:
    """Check a description without touching anything."""
    from countingroom.cli.check_alarms import AlarmCheck
    from countingroom.cli.check_configurations import wrong_configurations
    from countingroom.cli.check_derived import derived_problems
    from countingroom.cli.check_devices import build_devices
    from countingroom.cli.check_interlocks import InterlockCheck
    from countingroom.cli.check_points import point_warnings
    from countingroom.cli.check_snapshots import snapshot_warnings
    from countingroom.cli.check_synoptics import synoptic_problems
    from countingroom.cli.check_tracker import tracker_problems, tracker_warnings
    from countingroom.experiment import Invalid, load_with_problems
    from countingroom.runs.description import RunsSection

    hosted: dict[str, Hosted] = {}
    warnings: tuple[Problem, ...] = ()
    title, systems = "", 0
    interlocks: list[InterlockFacts] = []
    try:
        loaded = load_with_problems(file)
        title, systems = loaded.experiment.title, len(loaded.experiment.section(RunsSection).systems)
        hosted, found = build_devices(loaded)
        alarms, locks = AlarmCheck(loaded, hosted), InterlockCheck(loaded, hosted)
        warnings = (*loaded.warnings, *point_warnings(loaded, hosted), *alarms.warnings(), *locks.warnings())
        warnings = (*warnings, *tracker_warnings(loaded), *snapshot_warnings(loaded, hosted))
        found += [*derived_problems(loaded, hosted), *tracker_problems(loaded, hosted), *wrong_configurations(loaded)]
        found += synoptic_problems(loaded, hosted)
        problems = loaded.in_order([*found, *alarms.problems(), *locks.problems()])
        interlocks = [] if problems else locks.facts()
    except Invalid as invalid:
        problems = list(invalid.problems)
    if problems:
        hosted = {}
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


def _print(file: Path, title: str, hosted: dict[str, Hosted], systems: int, *, wrong: str) -> None:
    count = len(hosted)
    under = f", {systems} system{'' if systems == 1 else 's'} under run control" if systems else ""
    typer.echo(f"{file}: {title}, {count} device{'' if count == 1 else 's'}{under}, {wrong}")
    if not hosted:
        return
    columns = ("Device", "Title", "Driver", "Location", "Channels", "Points", "Commands")
    print_table(columns, (_facts(one).values() for one in hosted.values()))


def _print_interlocks(rows: list[InterlockFacts]) -> None:
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
