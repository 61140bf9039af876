"""The API of messages to people about alarms: the outbox and the channels, and the test of a channel."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from countingroom.console.api.commands import CommandBody, carry, check_command
from countingroom.console.api.devices import Console
from countingroom.console.query_client import ask
from countingroom.console.responses import COMMAND_ANSWERS, as_json, example, refusals
from countingroom.core import subjects
from countingroom.core.commands.notifications import NOTIFICATIONS
from countingroom.core.commands.row import reference
from countingroom.core.notify.duty_query import MOST_TURNS, DutyAnswer, DutyQuery
from countingroom.core.notify.messages import OutboxEntry
from countingroom.core.notify.queries import OutboxAnswer, OutboxQuery

router = APIRouter(tags=["alarms"])
_ENTRY: dict[str, Any] = {
    "id": "5f0c2c1ed5a15b0c8a1de5a2f4a6f9c1",
    "channel": "mail",
    "kind": "first",
    "state": "dead",
    "title": "Julabo chiller / Bath",
    "attempt": 3,
    "error": "smtp.example.org:587 answers 550: no such user",
}
_TURN: dict[str, Any] = {
    "person": "anna",
    "from_ns": 1790000000000000000,
    "until_ns": 1790600000000000000,
    "channels": ["anna_mail"],
}


@router.get(
    "/notifications/duty",
    summary="The persons on duty now and next",
    responses={
        200: example({"calendars": [{"calendar": "shift", "zone": "Europe/Berlin", "turns": [_TURN]}]}),
        **refusals(503),
    },
)
async def list_duties(
    console: Console,
    turns: Annotated[int, Query(ge=1, le=MOST_TURNS, description="of each calendar")] = 3,
) -> Response:
    """The present turn of each calendar first. An empty person: none has the duty."""
    return as_json(await ask(console.bus, "alarms", "duty", DutyQuery(turns=turns), DutyAnswer))


@router.get(
    "/notifications",
    summary="The outbox of messages to people, and their channels",
    responses={
        200: example({"channels": [{"channel": "mail", "kind": "mail", "sent": 4}], "pending": [], "ended": [_ENTRY]}),
        **refusals(503),
    },
)
async def list_notifications(
    console: Console,
    channel: Annotated[str, Query(max_length=100, description="only of this channel")] = "",
    alarm: Annotated[str, Query(max_length=300, description="only those that tell of this alarm")] = "",
    limit: Annotated[int, Query(ge=0, le=1000, description="messages that ended")] = 50,
) -> Response:
    """`pending`: may still be sent, those that are due first come first. `ended`: sent, dead or cancelled, the last
    first. Texts and links are left out: a link may acknowledge an alarm."""
    question = OutboxQuery(channel=channel, alarm=alarm, limit=limit)
    found = await ask(console.bus, "alarms", "notifications", question, OutboxAnswer)
    return as_json(
        {
            "channels": found.channels,
            "pending": [_shown(one) for one in found.pending],
            "ended": [_shown(one) for one in found.ended],
        }
    )


def _shown(entry: OutboxEntry) -> dict[str, Any]:
    message = entry.notification
    return {
        "id": message.id,
        "channel": message.channel,
        "person": message.person,
        "kind": message.kind,
        "route": message.route,
        "title": message.title,
        "priority": message.priority,
        "alarms": [{"alarm": alarm, "occurrence": occurrence} for alarm, occurrence in message.alarms],
        "state": entry.state,
        "attempt": message.attempt,
        "is_repeat": message.is_repeat,
        "error": entry.error,
        "created_ns": message.created_ns,
        "due_ns": message.due_ns,
        "expires_ns": message.expires_ns,
        "ended_ns": entry.ended_ns,
    }


@router.post(
    "/notifications/commands/{command}",
    summary="Test a channel",
    description=f"The commands, with what they take as `arguments`:\n\n{reference(NOTIFICATIONS.values())}",
    responses=COMMAND_ANSWERS,
    status_code=202,
)
async def command_notifications(
    command: str, console: Console, request: Request, order: CommandBody | None = None
) -> Response:
    """With `wait_s` the answer has the outcome: whether the server of the channel took it, and what it said."""
    check_command(command, NOTIFICATIONS, "messages")
    return await carry(console, request, "alarms", subjects.NOTIFICATIONS, command, order)
