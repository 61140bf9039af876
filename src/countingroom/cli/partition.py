"""The command `partition`: partitions on the command line, through the same API as the pages."""

from __future__ import annotations

from typing import Annotated

import typer

from countingroom.cli.client import DEFAULT_URL, Client, Url
from countingroom.cli.command_rows import add_commands
from countingroom.cli.feed import messages
from countingroom.cli.outcome import Wait
from countingroom.cli.output import Json, print_json
from countingroom.cli.partition_act import Partition, do
from countingroom.cli.partition_place import create, delete, move, take
from countingroom.cli.partition_shown import checked, show, show_all, show_plan
from countingroom.cli.values import clock
from countingroom.core.commands.partition import PARTITION

app = typer.Typer(no_args_is_help=True, help="See and lead partitions.")

GOAL_S = PARTITION["goal"].wait_s


@app.command("list")
def list_partitions(url: Url = DEFAULT_URL, json: Json = False) -> None:
    """Every partition, and the detectors that are in none."""
    import msgspec

    from countingroom.core.partitions import PartitionState

    with Client(url) as api:
        found = api.get("/api/v1/partitions")
    if json:
        return print_json(found)
    return show_all(msgspec.convert(found["partitions"], list[PartitionState]), found["unmapped"])


@app.command("show")
def show_partition(partition: Partition, url: Url = DEFAULT_URL, json: Json = False) -> None:
    """One partition, system by system, and what keeps it from getting on."""
    import msgspec

    from countingroom.core.partitions import PartitionState

    with Client(url) as api:
        found = api.get(f"/api/v1/partitions/{checked(partition)}")
    if json:
        return print_json(found)
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
    for said in messages(url, devices=[checked(partition)], points=False, states=False, events=True):
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
    """Bring a partition to a state, by whatever is needed and nothing else."""
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
    """The way to a state: every step, why, what stays as it is, and how long it should take. Nothing is done."""
    import msgspec

    from countingroom.core.partitions import Plan

    with Client(url) as api:
        found = api.get(f"/api/v1/partitions/{checked(partition)}/plan", goal=state, tag=tag or None)
    if json:
        return print_json(found)
    return show_plan(msgspec.convert(found["plan"], Plan))


def select(
    partition: Partition,
    tag: Annotated[str, typer.Argument(help="A tag that covers exactly its systems.", show_default=False)],
    system: Annotated[str, typer.Option("--system", help="Only for this one: its own configuration's tag.")] = "",
    wait: Wait = 10.0,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Choose what its systems are to be configured with. Nothing is configured by it."""
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


add_commands(
    app,
    "partition",
    {
        "goal": goal,
        "select": select,
        "sequence": sequence,
        "take": take,
        "move": move,
        "create": create,
        "delete": delete,
    },
)
