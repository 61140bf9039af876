"""The command `partition`: partitions on the command line, through the same API as the pages."""

from __future__ import annotations

from typing import Annotated

import typer

from countingroom.cli.client import DEFAULT_URL, Url, fetch
from countingroom.cli.command_rows import add_commands
from countingroom.cli.feed import messages
from countingroom.cli.outcome import Wait
from countingroom.cli.output import Json
from countingroom.cli.partition_act import Partition, do
from countingroom.cli.partition_shown import checked, show, show_all, show_plan
from countingroom.cli.values import clock
from countingroom.core.commands.partition import PARTITION
from countingroom.core.subjects import EXPERIMENT

app = typer.Typer(no_args_is_help=True, help="See and lead partitions.")

GOAL_S = PARTITION["goal"].wait_s


@app.command("list")
def list_partitions(url: Url = DEFAULT_URL, json: Json = False) -> None:
    """Every partition, and the detectors that are in none."""
    import msgspec

    from countingroom.core.partitions import PartitionState

    found = fetch(url, "/api/v1/partitions", json)
    return show_all(msgspec.convert(found["partitions"], list[PartitionState]), found["unmapped"])


@app.command("show")
def show_partition(partition: Partition, url: Url = DEFAULT_URL, json: Json = False) -> None:
    """One partition, system by system, and what keeps it from getting on."""
    import msgspec

    from countingroom.core.partitions import PartitionState

    found = fetch(url, f"/api/v1/partitions/{checked(partition)}", json)
    holder = found["control"]["holder"] if found["control"] else ""
    return show(msgspec.convert(found["partition"], PartitionState), holder)


@app.command()
def watch(
    partition: Partition,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Stop after so many; 0: never.")] = 0,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """What happens to a partition, as it happens, until Ctrl-C."""
    import msgspec

    left = lines or -1
    for said in messages(url, json, devices=[checked(partition)], points=False, states=False, events=True):
        for event in said.get("events", []):
            if json:
                typer.echo(msgspec.json.encode(event))
            else:
                who = f"  ({event['principal']})" if event.get("principal") else ""
                typer.echo(f"{clock(event['time_ns'])}  {event['message']}{who}")
            left -= 1
            if not left:
                return


def goal(
    partition: Partition,
    state: Annotated[str, typer.Argument(help="Idle, QA_Active, Recording …", show_default=False)],
    tag: Annotated[str, typer.Option("--tag", help="Configuration tag to have there.")] = "",
    plan: Annotated[bool, typer.Option("--plan", help="Show the way and do nothing.")] = False,
    wait: Wait = GOAL_S,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Bring a partition to a state, by the steps that are needed and no others."""
    if plan:
        return show_way(partition, state, tag, url, json)
    return do(partition, "goal", {"state": state, "tag": tag or None}, wait, url, json)


@app.command("plan")
def show_way(
    partition: Partition,
    state: Annotated[str, typer.Argument(help="Idle, QA_Active, Recording …", show_default=False)],
    tag: Annotated[str, typer.Option("--tag", help="As if this tag were selected.")] = "",
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Show the way to a state: every step, its reason, what stays as it is, and the expected time. No step is done."""
    return _show_plan(partition, url, json, goal=state, tag=tag or None)


def _show_plan(partition: str, url: str, json: bool, **query: str | None) -> None:
    import msgspec

    from countingroom.core.partitions import Plan

    found = fetch(url, f"/api/v1/partitions/{checked(partition)}/plan", json, **query)
    return show_plan(msgspec.convert(found["plan"], Plan))


def reconfigure(
    partition: Partition,
    while_recording: Annotated[
        bool, typer.Option("--while-recording", help="Also during a run, whose conditions then change.")
    ] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Show what would change and do nothing.")] = False,
    wait: Wait = GOAL_S,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Give changed parameters to systems in place, without leaving their state."""
    if plan:
        return _show_plan(partition, url, json, goal="", reconfigure="true")
    return do(partition, "reconfigure", {"while_recording": while_recording or None}, wait, url, json)


def select(
    partition: Partition,
    tag: Annotated[str, typer.Argument(help="A tag that covers exactly its systems.", show_default=False)],
    system: Annotated[str, typer.Option("--system", help="Only for this one: its own configuration's tag.")] = "",
    wait: Wait = 10.0,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Choose what its systems are configured with at the next configure."""
    action, chosen = ("select_one", {"system": system, "tag": tag}) if system else ("select", {"tag": tag})
    do(partition, action, chosen, wait, url, json)


def sequence(
    partition: Partition,
    system: Annotated[str, typer.Option("--system", help="Whose parameter is scanned.", show_default=False)],
    parameter: Annotated[str, typer.Option("--parameter", help="Which one.", show_default=False)],
    values: Annotated[list[str], typer.Argument(metavar="VALUE…", help="One run for each.", show_default=False)],
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, help="How long a run lasts.")] = 60.0,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Runs one after the other, unattended: a parameter takes each of the values in turn."""
    scan = {"system": system, "parameter": parameter, "values": ",".join(values), "seconds": seconds}
    do(partition, "sequence", scan, 0.0, url, json)


def take(
    partition: Partition,
    force: Annotated[bool, typer.Option("--force", help="Also from the user who holds it; that is recorded.")] = False,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Take control of a partition; `_experiment` for the experiment as a whole."""
    do(partition, "force_control" if force else "take_control", {}, 10.0, url, json)


def move(
    detectors: Annotated[list[str], typer.Argument(metavar="DETECTOR…", show_default=False)],
    to: Annotated[str, typer.Option("--to", help="The partition they are in then.")] = "",
    out: Annotated[bool, typer.Option("--out", help="Into no partition.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also out of a run, or if a system is silent.")] = False,
    wait: Wait = 60.0,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Move detectors, all or none of them."""
    if bool(to) == out:
        raise typer.BadParameter("give --to PARTITION, or --out")
    arguments = {"detectors": ",".join(checked(name) for name in detectors), "to": to, "force": force}
    do(EXPERIMENT, "move", arguments, wait, url, json)


add_commands(
    app,
    "partition",
    {
        "goal": goal,
        "reconfigure": reconfigure,
        "select": select,
        "sequence": sequence,
        "take": take,
        "move": move,
    },
)
