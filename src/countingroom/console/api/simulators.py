"""Law: hardware that is simulated can be made to fail through the same door as everything else."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from countingroom.console.api.commands import Argument, CommandBody, build, refused_by
from countingroom.console.api.devices import Here
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
    summary="Make a simulated device go wrong",
    responses={200: example({"id": "9a2e", "accepted": True}), 409: REFUSED, 503: REFUSED},
)
async def make_fault(device: str, fault: str, here: Here, request: Request, body: Fault | None = None) -> Response:
    """`drop`, `restore`, `freeze`, `trip` …; a wrong name is refused with those there are."""
    if not subjects.is_token(device):
        raise NotFound(f"there is no simulator {device!r}", source="console")
    order = CommandBody(arguments=body.arguments if body else {})
    told = build(fault, order, request, here.clock.now_ns())
    reply = await send(here.bus, "simulators", device, told, user=requester(request).name)
    return as_json({"id": told.id, "accepted": True}) if reply.accepted else refused_by(reply, device)
