"""Commands of `partition` that are written by hand: taking control, moving detectors, creating and deleting."""

from __future__ import annotations

from typing import Annotated

import typer

from countingroom.cli.client import DEFAULT_URL, Url
from countingroom.cli.outcome import Wait
from countingroom.cli.output import Json
from countingroom.cli.partition_act import Partition, do
from countingroom.cli.partition_shown import checked
from countingroom.core.subjects import EXPERIMENT

Force = Annotated[bool, typer.Option("--force", help="Also where somebody does not answer.")]


def take(
    partition: Partition,
    force: Annotated[bool, typer.Option("--force", help="Also from whoever holds it; that is recorded.")] = False,
    url: Url = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Take control of a partition; `_experiment` for the experiment as a whole."""
    do(partition, "force_control" if force else "take_control", {}, 10.0, url, json)


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


def delete(
    partition: Partition, force: Force = False, wait: Wait = 60.0, url: Url = DEFAULT_URL, json: Json = False
) -> None:
    """Take a partition away; with --force its detectors are moved out before."""
    do(EXPERIMENT, "delete_partition", {"name": partition, "force": force}, wait, url, json)
