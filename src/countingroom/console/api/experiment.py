"""The API of commands of the experiment as a whole: moving, creating, deleting, configurations and tags."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from countingroom.console.api.commands import CommandBody, carry
from countingroom.console.api.devices import Console
from countingroom.console.query_client import ask
from countingroom.console.responses import COMMAND_ANSWERS, as_json, example, refusals
from countingroom.core import subjects
from countingroom.core.commands.experiment import EXPERIMENT
from countingroom.core.commands.row import reference
from countingroom.core.run_queries import MoveAnswer, MoveQuery

router = APIRouter(tags=["partitions"])


@router.get(
    "/experiment/move",
    summary="What a move of detectors would change in each partition",
    responses={
        200: example(
            {
                "effects": [
                    {
                        "partition": "mCBM",
                        "before": "QA_Active",
                        "after": "TFC_Active",
                        "joins": ["PSD"],
                        "leaves": [],
                        "configures": ["FLES", "QA"],
                        "run": 0,
                        "tag": "beam",
                        "fits": False,
                        "tags": ["beam-psd"],
                    }
                ],
                "obstacle": None,
            }
        ),
        **refusals(404, 503),
    },
)
async def get_move(
    console: Console,
    detectors: Annotated[str, Query(description="their names, separated by commas")],
    to: Annotated[str, Query(description="the partition; empty: no partition")] = "",
) -> Response:
    """The effects of a move, without moving. `obstacle`: why the move would be refused without force."""
    names = tuple(name.strip() for name in detectors.split(",") if name.strip())
    found = await ask(console.bus, "runs", "move", MoveQuery(detectors=names, to=to), MoveAnswer)
    return as_json({"effects": found.effects, "obstacle": found.obstacle})


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
