"""The API of faults of simulated devices."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from countingroom.console.api.commands import Argument, CommandBody, build, refused_by
from countingroom.console.api.devices import Console
from countingroom.console.auth.requester import requester
from countingroom.console.command_client import send
from countingroom.console.responses import REFUSED, as_json, example
from countingroom.core import subjects
from countingroom.core.errors import NotFound

router = APIRouter(tags=["simulators"])


class Fault(BaseModel):
    """The body of a fault."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"arguments": {"channel": "0"}}})

    arguments: Annotated[dict[str, Argument], Field(default_factory=dict)]


@router.post(
    "/simulators/{device}/faults/{fault}",
    summary="Make a simulated device fail",
    responses={200: example({"id": "9a2e", "accepted": True}), 409: REFUSED, 503: REFUSED},
)
async def make_fault(
    device: str, fault: str, console: Console, request: Request, body: Fault | None = None
) -> Response:
    """`drop`, `restore`, `freeze`, `trip` …; an unknown name is refused with the list of faults."""
    if not subjects.is_token(device):
        raise NotFound(f"there is no simulator {device!r}", source="console")
    order = CommandBody(arguments=body.arguments if body else {})
    command = build(fault, order, request, console.clock.now_ns())
    reply = await send(console.bus, console.clock, "simulators", device, command, user=requester(request).name)
    return as_json({"id": command.id, "accepted": True}) if reply.accepted else refused_by(reply, device)
