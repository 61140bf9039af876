"""How the command line gives a command to a partition, to the experiment as a whole or to a system: one request."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from countingroom.cli import completing
from countingroom.cli.client import Client
from countingroom.cli.outcome import give, tell
from countingroom.cli.partition_shown import checked
from countingroom.core.subjects import EXPERIMENT

Partition = Annotated[
    str, typer.Argument(metavar="PARTITION", show_default=False, autocompletion=completing.partitions)
]


def do(target: str, action: str, arguments: dict[str, Any], wait: float, url: str, json: bool) -> None:
    """Give it, wait, print the outcome. Arguments that are None are left out."""
    path = "experiment" if target == EXPERIMENT else f"partitions/{checked(target)}"
    given = {name: value for name, value in arguments.items() if value is not None}
    with Client(url) as api:
        tell(give(api, path, action, {"arguments": given}, wait), json=json)


def say(system: str, action: str, arguments: dict[str, Any], wait: float, url: str, json: bool) -> None:
    """Give a command to the agent of a system. Without waiting, that it was accepted is all there is to print."""
    with Client(url) as api:
        answer = give(api, f"systems/{checked(system)}", action, {"arguments": arguments}, wait)
    if json or wait:
        return tell(answer, json=json)
    return typer.echo(f"{system}: {action}")
