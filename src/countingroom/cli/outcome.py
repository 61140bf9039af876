"""Sending a command through the API and waiting for its outcome. A command that failed is raised with its Cause."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from countingroom.cli.client import Client, Remote
from countingroom.cli.output import print_json
from countingroom.core.errors import CountingRoomError, DeviceError

BEGIN_S = 10.0
"""Deadline for the start of a command, in seconds. A later start is refused."""

Wait = Annotated[float, typer.Option("--wait", min=0, max=600, help="Seconds to wait for the outcome; 0: do not wait.")]


def give(api: Client, target: str, command: str, body: dict[str, Any], wait: float) -> Any:
    """Send a command to a target of the API (`devices/caen`) and wait for its outcome."""
    told = {**body, "deadline_s": max(wait, BEGIN_S), "wait_s": wait}
    return api.post(f"/api/v1/{target}/commands/{command}", told, timeout_s=wait + 15.0)


def tell(answer: Any, *, json: bool) -> None:
    """Wait for the outcome. Raises Remote with the Cause if the command failed."""
    outcome = answer.get("outcome")
    if json:
        print_json(answer)
    elif outcome is None and "direct" in answer:
        typer.echo(answer["direct"]["message"])
    elif outcome is None:
        typer.echo(f"accepted; its outcome will be an event of {answer['id']}")
    elif outcome["kind"] != "failed":
        typer.echo(outcome["message"])
    raise_failed(answer)


def raise_failed(answer: Any) -> None:
    """Raise Remote with the Cause if the command failed."""
    outcome = answer.get("outcome")
    if outcome and outcome["kind"] == "failed":
        raise _failed(outcome)


def _failed(outcome: Any) -> CountingRoomError:
    import msgspec

    from countingroom.core.errors import Cause

    if outcome.get("cause"):
        return Remote(msgspec.convert(outcome["cause"], Cause))
    return DeviceError(outcome["message"], source=outcome["source"])
