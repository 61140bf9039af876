"""The command `system`: systems as their agents report them, and the commands to their agents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from countingroom.cli.client import DEFAULT_URL, Client, Url
from countingroom.cli.command_rows import add_commands
from countingroom.cli.outcome import Wait
from countingroom.cli.output import Json, listed, print_json, print_table, table, text
from countingroom.cli.partition_act import do
from countingroom.cli.partition_shown import checked
from countingroom.core.subjects import EXPERIMENT

if TYPE_CHECKING:
    from countingroom.core.systems import SystemState

app = typer.Typer(no_args_is_help=True, help="See systems, and say what happened to them.")

System = Annotated[str, typer.Argument(metavar="SYSTEM", show_default=False)]


@app.command("list")
def list_systems(url: Url = DEFAULT_URL, json: Json = False) -> None:
    """Every detector and global system with its state, in each partition it serves."""
    with Client(url) as api:
        found = api.get("/api/v1/systems")
    if json:
        return print_json(found)
    made = table("", ("system", "kind", "partition", "state", "own state", "tag", "run", "comment"), numbers=("run",))
    for one in found["systems"]:
        for state in _states(one) or [None]:
            made.add_row(text(one["system"]), text(one["kind"]), *_cells(one, state))
    return print_table(made)


@app.command()
def show(system: System, url: Url = DEFAULT_URL, json: Json = False) -> None:
    """One system: its states, what it counted, and the configurations it has."""
    with Client(url) as api:
        found = api.get(f"/api/v1/systems/{checked(system)}")
    if json:
        return print_json(found)
    typer.echo(f"{found['system']}: {found['kind']}, {found['partition'] or 'in no partition'}")
    for state in _states(found):
        at = f" in {state.partition}" if state.partition else ""
        typer.echo(f"{state.common} ({state.state}){at}, tag {state.tag or 'none'}  {state.comment}".rstrip())
        if state.cause:
            typer.echo("\n".join(state.cause.lines("  ")))
        if state.counters:
            typer.echo(f"  {listed(state.counters)}")
    made = table("", ("configuration", "revision", "by", "parameters"), numbers=("revision",))
    for one in found.get("configurations", []):
        made.add_row(text(one["tag"]), text(one["revision"]), text(one["saved_by"]), text(listed(one["parameters"])))
    return print_table(made)


def create(
    system: System,
    kind: Annotated[str, typer.Option("--type", help="What it is, for people.")] = "",
    wait: Wait = 10.0,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """A detector that the description does not name. It is in no partition, and its agent comes by the bus."""
    do(EXPERIMENT, "create_detector", {"name": checked(system), "type": kind or None}, wait, url, json)


def delete(
    system: System,
    force: Annotated[bool, typer.Option("--force", help="Also when its agent does not answer.")] = False,
    wait: Wait = 10.0,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Forget a detector that is in no partition."""
    do(EXPERIMENT, "delete_detector", {"name": checked(system), "force": force}, wait, url, json)


add_commands(app, "system", {"create": create, "delete": delete})


def _states(of: Any) -> list[SystemState]:
    import msgspec

    from countingroom.core.systems import SystemState

    return msgspec.convert(list(of["states"].values()), list[SystemState])


def _cells(of: Any, state: SystemState | None) -> list[Any]:
    if state is None:
        return [text(of["partition"]), text("never heard"), *(text("") for _ in range(4))]
    said = state.cause.message if state.cause else state.comment
    at = state.partition or of["partition"]
    return [text(one) for one in (at, state.common, state.state, state.tag, state.run or "", said)]
