"""The command `fsm`: it checks, prints and draws state machines from their tables. It needs no running experiment.

Exit status: 0 no error (warnings are possible), 1 at least one error, 2 a file cannot be read.
"""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from countingroom.cli.output import Json, print_json, print_table
from countingroom.cli.tables import Tables, read_tables
from countingroom.core.charts import draw as drawing
from countingroom.core.charts.chart import Chart
from countingroom.core.charts.check import Severity

app = typer.Typer(no_args_is_help=True, help="Check, show and draw state machines.")

File = Annotated[Path, typer.Argument(help="A table: CSV of state,event,next or YAML.", show_default=False)]
Files = Annotated[
    list[Path], typer.Argument(help="Tables (CSV or YAML), or a subsystem.cfg for all it names.", show_default=False)
]
Map = Annotated[Path | None, typer.Option("--map", help="CSV of private,common states.", show_default=False)]


class DrawingFormat(StrEnum):
    """The formats of a drawing."""

    MERMAID = "mermaid"
    DOT = "dot"
    SVG = "svg"


@app.command()
def check(files: Files, states: Map = None, json: Json = False) -> None:
    """Find unreachable states, dead ends, events declared twice and unused names."""
    read = read_tables(files, states)
    findings = read.findings()
    wrong = any(finding.severity is Severity.ERROR for finding in findings)
    if json:
        print_json({"tables": _facts(read), "findings": findings, "problems": read.problems})
    else:
        for file, one in read.tables.items():
            typer.echo(f"{file}: {len(one.chart.states)} states, {len(one.chart.rows)} transitions")
        for finding in findings:
            typer.echo(str(finding))
            if finding.suggestion:
                typer.echo(f"  → {finding.suggestion}")
        odd = sum(finding.severity is Severity.ODD for finding in findings)
        typer.echo(f"{len(findings) - odd} wrong, {odd} odd")
    _end_on_problems(read, told=json)
    raise typer.Exit(1 if wrong else 0)


@app.command()
def show(file: File, states: Map = None, json: Json = False) -> None:
    """Print a state machine: its states, what each allows, and where that leads."""
    chart = _one(file, states)
    if json:
        print_json(chart)
        return
    rows: list[tuple[str, ...]] = []
    for state in chart.states:
        marks = [mark for mark, here in (("initial", state == chart.initial), ("safe", state in chart.safe)) if here]
        name = f"{state} ({', '.join(marks)})" if marks else state
        for index, event in enumerate(chart.allowed(state) or ("",)):
            first = (name, chart.to_common(state)) if index == 0 else ("", "")
            rows.append((*first, event, chart.step(state, event) if event else ""))
    print_table(("State", "Common", "Event", "Leads to"), rows, title=chart.name)


@app.command()
def draw(
    file: File,
    states: Map = None,
    form: Annotated[DrawingFormat, typer.Option("--format", help="Format of the drawing.")] = DrawingFormat.MERMAID,
    present: Annotated[str | None, typer.Option("--state", help="State to highlight.", show_default=False)] = None,
) -> None:
    """Print a picture of a state machine."""
    chart = _one(file, states)
    if present is not None and present not in chart.states:
        raise typer.BadParameter(f"{present} is not one of its states: {', '.join(chart.states)}")
    match form:
        case DrawingFormat.MERMAID:
            typer.echo(drawing.mermaid(chart, present), nl=False)
        case DrawingFormat.DOT:
            typer.echo(drawing.dot(chart, present), nl=False)
        case DrawingFormat.SVG:
            typer.echo(drawing.svg(chart, present, standalone=True), nl=False)


def _one(file: Path, states: Path | None) -> Chart:
    read = read_tables([file], states)
    _end_on_problems(read)
    if len(read.tables) != 1:
        raise typer.BadParameter(f"{file} names {len(read.tables)} tables; give one of these")
    return next(iter(read.tables.values())).chart


def _end_on_problems(read: Tables, *, told: bool = False) -> None:
    if read.problems:
        if not told:
            sys.stderr.write("".join(f"{problem}\n" for problem in read.problems))
        raise typer.Exit(2)


def _facts(read: Tables) -> list[dict[str, object]]:
    return [
        {
            "file": file,
            "name": one.chart.name,
            "initial": one.chart.initial,
            "safe": one.chart.safe,
            "states": one.chart.states,
            "transitions": len(one.chart.rows),
        }
        for file, one in read.tables.items()
    ]
