"""The command `system`: systems as their agents report them, and the commands to their agents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from countingroom.cli.client import DEFAULT_URL, Url, fetch
from countingroom.cli.command_rows import add_commands
from countingroom.cli.output import Json, listed, print_table
from countingroom.cli.partition_shown import checked

if TYPE_CHECKING:
    from countingroom.core.systems import SystemState

app = typer.Typer(no_args_is_help=True, help="See systems, and say what happened to them.")

System = Annotated[str, typer.Argument(metavar="SYSTEM", show_default=False)]


@app.command("list")
def list_systems(url: Url = DEFAULT_URL, json: Json = False) -> None:
    """Every detector and global system with its state, in each partition it serves."""
    found = fetch(url, "/api/v1/systems", json)
    columns = ("system", "kind", "partition", "state", "own state", "tag", "run", "comment")
    rows = (
        (one["system"], one["kind"], *_cells(one, state))
        for one in found["systems"]
        for state in _states(one) or [None]
    )
    print_table(columns, rows, numbers=("run",))


@app.command()
def show(system: System, url: Url = DEFAULT_URL, json: Json = False) -> None:
    """One system: its states, what it counted, and the configurations it has."""
    found = fetch(url, f"/api/v1/systems/{checked(system)}", json)
    typer.echo(f"{found['system']}: {found['kind']}, {found['partition'] or 'in no partition'}")
    for state in _states(found):
        at = f" in {state.partition}" if state.partition else ""
        typer.echo(f"{state.common} ({state.state}){at}, tag {state.tag or 'none'}  {state.comment}".rstrip())
        if state.cause:
            typer.echo("\n".join(state.cause.lines("  ")))
        if state.counters:
            typer.echo(f"  {listed(state.counters)}")
    rows = (
        (one["tag"], one["revision"], one["saved_by"], listed(one["parameters"]))
        for one in found.get("configurations", [])
    )
    print_table(("configuration", "revision", "by", "parameters"), rows, numbers=("revision",))


add_commands(app, "system")


def _states(of: Any) -> list[SystemState]:
    import msgspec

    from countingroom.core.systems import SystemState

    return msgspec.convert(list(of["states"].values()), list[SystemState])


def _cells(of: Any, state: SystemState | None) -> list[Any]:
    if state is None:
        return [of["partition"], "never heard", "", "", "", ""]
    said = state.cause.message if state.cause else state.comment
    at = state.partition or of["partition"]
    return [at, state.common, state.state, state.tag, state.run or "", said]
