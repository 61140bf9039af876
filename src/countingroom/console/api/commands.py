"""The API of commands: sends a command to its owner under the name of the requester, and returns reply or outcome."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, StrictBool, StrictInt, StrictStr

from countingroom.console.api.devices import Console, catalogue
from countingroom.console.auth.requester import requester
from countingroom.console.command_client import not_in_time, send, send_and_wait
from countingroom.console.context import ConsoleContext
from countingroom.console.responses import COMMAND_ANSWERS, as_json, refusal
from countingroom.console.route_permissions import check_point
from countingroom.core.errors import Cause, NotFound
from countingroom.core.messages import Command, Reply

router = APIRouter(tags=["commands"])

LONGEST_S = 1e9
"""The most that a time of a client may differ, as a message of the bus can say it: 31 years."""

Argument = StrictBool | StrictInt | FiniteFloat | StrictStr | None


class CommandBody(BaseModel):
    """The body of a command."""

    model_config = ConfigDict(
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={"example": {"arguments": {"point": "0.hv_setV", "value": 120.0}, "wait_s": 10}},
    )

    channel: Annotated[str, Field(max_length=100)] = ""
    """For a command of a channel."""
    arguments: dict[str, Argument] = {}
    """As the command declares them; `set` takes `point` and `value`."""
    seen_state: str | None = None
    """The state that the user saw; refused when it has changed."""
    issued_ns: Annotated[int, Field(ge=0, lt=2**64)] | None = None
    """When the user decided, on the server's clock; refused when older than 2 s and `seen_state` is given."""
    age_s: Annotated[float, Field(ge=0, le=86_400)] | None = None
    """How long ago the user decided, by the client's own time: for a client that does not know the server's clock. It
    counts before `issued_ns`."""
    deadline_s: Annotated[float, Field(gt=0, le=3600)] = 10.0
    """It is not begun later than this."""
    wait_s: Annotated[float, Field(ge=0, le=600)] = 0.0
    """Wait that long for the outcome; 0: answer as soon as it is accepted."""
    id: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    """An id of the client, for a command that may have to be sent again: the same id acts once."""


def build(action: str, order: CommandBody, request: Request, now_ns: int) -> Command:
    """The command as a message of the bus."""
    address = request.client.host if request.client else ""
    age_s = 0.0 if order.issued_ns is None else max(-LONGEST_S, min(LONGEST_S, (now_ns - order.issued_ns) / 1e9))
    if order.age_s is not None:
        age_s = order.age_s
    return Command(
        id=order.id or uuid4().hex,
        action=action,
        channel=order.channel,
        arguments=dict(order.arguments),
        issued_ns=now_ns - round(age_s * 1e9),  # with `age_s` always the present time, whatever the client gave
        deadline_ns=now_ns + round(order.deadline_s * 1e9),
        within_s=order.deadline_s,
        age_s=age_s,
        seen_state=order.seen_state,
        origin=f"{'console' if 'origin' in request.headers else 'api'} {address}".strip(),
    )


def refused_by(reply: Reply, target: str) -> Response:
    """The refusal of the owner as an HTTP answer."""
    cause = reply.cause or Cause(
        code="refused",
        message=f"{target} refused and gave no reason",
        source=target,
        suggestion="look at the present state",
    )
    return refusal(cause)


@router.post(
    "/devices/{device}/commands/{command}",
    summary="Command a device",
    responses=COMMAND_ANSWERS,
    status_code=202,
)
async def command_device(
    device: str, command: str, console: Console, request: Request, order: CommandBody | None = None
) -> Response:
    """A command of the device's catalogue, or `set`. 503: it was not sent. 504: unknown, ask for the state."""
    found = catalogue(console.latest, device)
    if command == "set" and order is not None:
        check_point(console, found, order.arguments.get("point"), requester(request).principal)
    return await carry(console, request, "devices", device, command, order)


def check_command(command: str, known: Iterable[str], of: str) -> None:
    """NotFound for a command that is none of these. `of`: what has them, in the plural, for the message."""
    names = list(known)
    if command not in names:
        suggestion = f"choose one of {', '.join(names)}"
        raise NotFound(f"{of} have no command {command!r}", source="console", suggestion=suggestion)


async def carry(
    console: ConsoleContext, request: Request, department: str, target: str, action: str, order: CommandBody | None
) -> Response:
    """Send a command under the name of the requester; the answer is the owner's reply, or with `wait_s` the outcome."""
    body = order or CommandBody()
    command = build(action, body, request, console.clock.now_ns())
    user = requester(request).name
    if not body.wait_s:
        reply = await send(console.bus, console.clock, department, target, command, user=user)
        return as_json({"id": command.id, "accepted": True}, 202) if reply.accepted else refused_by(reply, target)
    reply, outcome = await send_and_wait(
        console.bus, console.clock, department, target, command, body.wait_s, user=user
    )
    if not reply.accepted:
        return refused_by(reply, target)
    if outcome is None:
        return refusal(not_in_time(command, department, target, body.wait_s), 504)
    await console.latest.catch_up(outcome.positions, command.id)  # what is asked next is answered with the effect
    return as_json({"id": command.id, "outcome": outcome})
