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
    from countingroom.core.errors import Cause
    from countingroom.core.yaml.located import Problem
    from countingroom.devices.registry import Hosted
    from countingroom.experiment import Loaded

app = typer.Typer(help="Check a description without touching anything.")


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="The description, experiment.yaml.", show_default=False)],
    json: Json = False,
) -> None:
    """Check a description without touching anything."""
    from countingroom.experiment import Invalid, load_located
    from countingroom.runs.description import RunsSection

    hosted: dict[str, Hosted] = {}
    title, systems = "", 0
    try:
        loaded = load_located(file)
        title, systems = loaded.experiment.title, len(loaded.experiment.section(RunsSection).systems)
        hosted, problems = _built(loaded)
    except Invalid as invalid:
        problems = list(invalid.problems)
    if json:
        print_json({"valid": not problems, "problems": problems, "devices": [_facts(one) for one in hosted.values()]})
    elif problems:
        sys.stderr.write("".join(f"{problem}\n" for problem in problems))
    else:
        _print(file, title, hosted, systems)
    raise typer.Exit(2 if problems else 0)


def _built(loaded: Loaded) -> tuple[dict[str, Hosted], list[Problem]]:
    """Build every device as the device host does, without connecting it. Returns the problems this shows."""
    from countingroom.core.charts.check import Severity
    from countingroom.core.charts.check import check as check_chart
    from countingroom.core.errors import ConfigurationError
    from countingroom.core.units import is_unit
    from countingroom.devices.description import DevicesSection
    from countingroom.devices.registry import build
    from countingroom.devices.resources import SharedResources

    resources = SharedResources()
    hosted: dict[str, Hosted] = {}
    problems: list[Problem] = []
    for name, section in loaded.experiment.section(DevicesSection).items():
        try:
            hosted[name] = build(name, section, resources=resources)
        except ConfigurationError as error:
            problems += [_problem(loaded, name, cause) for cause in error.cause.causes or (error.cause,)]
            continue
        unknown = {point.unit: point.name for point in reversed(hosted[name].driver.points) if not is_unit(point.unit)}
        problems += [
            loaded.problem(("devices", name), f"point {point}: {unit!r} is not a unit; write it as V, uA, degC or g/s")
            for unit, point in unknown.items()
        ]
        behaviour = hosted[name].behaviour
        for chart in filter(None, (behaviour.chart, behaviour.channel_chart)):
            wrong = [finding for finding in check_chart(chart) if finding.severity is Severity.ERROR]
            problems += [
                loaded.problem(("devices", name), f"state machine {chart.name}: {finding.text}") for finding in wrong
            ]
    return hosted, problems


def _problem(loaded: Loaded, name: str, cause: Cause) -> Problem:
    """The problem at the key that the cause's source names (`devices.caen.points.3.lv_vMon`), or else at the device."""
    inside = cause.source.removeprefix(f"devices.{name}.")
    part, _, key = inside.partition(".") if inside != cause.source else ("", "", "")
    message = f"{cause.message}; {cause.suggestion}" if cause.suggestion else cause.message
    return loaded.problem(("devices", name, *filter(None, (part, key))), message)


def _print(file: Path, title: str, hosted: dict[str, Hosted], systems: int) -> None:
    count = len(hosted)
    under = f", {systems} system{'' if systems == 1 else 's'} under run control" if systems else ""
    typer.echo(f"{file}: {title}, {count} device{'' if count == 1 else 's'}{under}, nothing wrong")
    if not hosted:
        return
    columns = ("Device", "Title", "Driver", "Location", "Channels", "Points", "Commands")
    print_table(columns, (_facts(one).values() for one in hosted.values()))


def _facts(one: Hosted) -> dict[str, Any]:
    return {
        "device": one.name,
        "title": one.title,
        "driver": str(one.section.model_dump().get("driver", "")),
        "location": one.location,
        "channels": len(one.behaviour.channels),
        "points": len(one.driver.points),
        "commands": len(one.behaviour.commands),
    }
