"""Law: what concerns more than one partition is asked of the experiment as a whole: moving, creating, configuring."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from countingroom.console.api.commands import CommandBody, carry
from countingroom.console.api.devices import Here
from countingroom.console.responses import REFUSED, example
from countingroom.core.subjects import EXPERIMENT

router = APIRouter(tags=["partitions"])


@router.post(
    "/experiment/commands/{command}",
    summary="Command the experiment as a whole",
    responses={
        200: example({"id": "6f1c", "outcome": {"kind": "done", "message": "move done", "command_id": "6f1c"}}),
        202: example({"id": "6f1c", "accepted": True}),
        403: REFUSED,
        409: REFUSED,
        503: REFUSED,
        504: REFUSED,
    },
    status_code=202,
)
async def command_experiment(command: str, here: Here, request: Request, order: CommandBody | None = None) -> Response:
    """`move {detectors: "A,B", to, force?}`, `create_partition {name, template}`, `delete_partition {name, force?}`,
    `create_detector`, `delete_detector`, `save_configuration {system, tag, parameters}`, `delete_configuration`,
    `save_tag {name, systems}`, `delete_tag`, `import {document}`. What is no scalar is JSON text."""
    return await carry(here, request, "runs", EXPERIMENT, command, order)
