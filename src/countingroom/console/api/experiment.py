"""The API of commands of the experiment as a whole: moving, creating, deleting, configurations and tags."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from countingroom.console.api.commands import CommandBody, carry
from countingroom.console.api.devices import Console
from countingroom.console.responses import COMMAND_ANSWERS
from countingroom.core import subjects
from countingroom.core.commands.experiment import EXPERIMENT
from countingroom.core.commands.row import reference

router = APIRouter(tags=["partitions"])


@router.post(
    "/experiment/commands/{command}",
    summary="Command the experiment as a whole",
    description=f"The commands, with what they take as `arguments`:\n\n{reference(EXPERIMENT.values())}\n\n"
    "A value that is no scalar is JSON text.",
    responses=COMMAND_ANSWERS,
    status_code=202,
)
async def command_experiment(
    command: str, console: Console, request: Request, order: CommandBody | None = None
) -> Response:
    """Send a command of the table to the coordinator of the experiment."""
    return await carry(console, request, "runs", subjects.EXPERIMENT, command, order)
