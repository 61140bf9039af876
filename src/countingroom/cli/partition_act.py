"""Law: a command to a partition, or to the experiment as a whole, is one request and the outcome of it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from countingroom.cli.client import Client
from countingroom.cli.outcome import give, tell
from countingroom.cli.partition_shown import checked
from countingroom.core.subjects import EXPERIMENT

Partition = Annotated[str, typer.Argument(metavar="PARTITION", show_default=False)]


def do(target: str, action: str, arguments: dict[str, Any], wait: float, url: str, json: bool) -> None:
    """Give it, wait, tell. Arguments that are None are left out."""
    path = "experiment" if target == EXPERIMENT else f"partitions/{checked(target)}"
    given = {name: value for name, value in arguments.items() if value is not None}
    with Client(url) as api:
        tell(give(api, path, action, {"arguments": given}, wait), json=json)
