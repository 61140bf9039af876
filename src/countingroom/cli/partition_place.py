"""Law: who is in control, which partitions there are and where detectors are changes here, whole or not at all."""

from __future__ import annotations

from typing import Annotated

import typer

from countingroom.cli.client import DEFAULT_URL, Url
from countingroom.cli.outcome import Wait
from countingroom.cli.output import Json
from countingroom.cli.partition_act import Partition, do
from countingroom.cli.partition_shown import checked
from countingroom.core.subjects import EXPERIMENT

app = typer.Typer()

Force = Annotated[bool, typer.Option("--force", help="Also where somebody does not answer.")]


@app.command()
def take(
    partition: Partition,
    force: Annotated[bool, typer.Option("--force", help="Also from whoever holds it; that is recorded.")] = False,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Take control of a partition; `_experiment` for the experiment as a whole."""
    do(partition, "force_control" if force else "take_control", {}, 10.0, url, json)


@app.command("hand-over")
def hand_over(
    partition: Partition,
    to: Annotated[str, typer.Argument(help="The user who has it then.", show_default=False)],
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Give control to somebody."""
    do(partition, "hand_over", {"to": to}, 10.0, url, json)


@app.command()
def release(partition: Partition, url: Url = DEFAULT_URL, json: Json = False) -> None:
    """Give control up."""
    do(partition, "release_control", {}, 10.0, url, json)


@app.command()
def move(
    detectors: Annotated[list[str], typer.Argument(metavar="DETECTOR…", show_default=False)],
    to: Annotated[str, typer.Option("--to", help="The partition they are in then.")] = "",
    out: Annotated[bool, typer.Option("--out", help="Into no partition.")] = False,
    force: Force = False,
    wait: Wait = 60.0,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Move detectors, all or none of them."""
    if bool(to) == out:
        raise typer.BadParameter("give --to PARTITION, or --out")
    arguments = {"detectors": ",".join(checked(name) for name in detectors), "to": to, "force": force}
    do(EXPERIMENT, "move", arguments, wait, url, json)


@app.command()
def create(
    partition: Partition,
    template: Annotated[str, typer.Option("--template", help="How it is brought up.")] = "cbm",
    title: Annotated[str, typer.Option("--title", help="For people.")] = "",
    wait: Wait = 10.0,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """A new partition, with no detectors yet."""
    do(EXPERIMENT, "create_partition", {"name": partition, "template": template, "title": title}, wait, url, json)


@app.command()
def delete(
    partition: Partition, force: Force = False, wait: Wait = 60.0, url: Url = DEFAULT_URL, json: Json = False
) -> None:
    """Take a partition away; with --force its detectors are moved out before."""
    do(EXPERIMENT, "delete_partition", {"name": partition, "force": force}, wait, url, json)
