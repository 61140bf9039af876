"""The API behind the one-time link of a message. The secret of the link, in the body, stands for a login.

Programs that check mails open every link; so only a POST from the page acknowledges, and the secret is in the
fragment of the address, which no browser sends.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Request, Response
from pydantic import Field

from countingroom.console.api.alarms import AlarmCommandBody, command_alarms
from countingroom.console.api.devices import Console
from countingroom.console.api.login import Body
from countingroom.console.auth.requester import Requester
from countingroom.console.context import ConsoleContext
from countingroom.console.middleware.audit import address
from countingroom.console.present import alarm_views
from countingroom.console.responses import as_json, example, refusals
from countingroom.core.accounts import User
from countingroom.core.errors import CountingRoomError, Denied
from countingroom.core.messages import Event, EventKind
from countingroom.core.notify.acknowledge_link import AcknowledgeLink
from countingroom.storage.acknowledge_links import AcknowledgeLinks

router = APIRouter(tags=["alarms"])

COMMENT = "by the link in a message"
_WAIT_S = 10.0


class LinkBody(Body):
    """The secret of a link."""

    token: Annotated[str, Field(max_length=200)]


class _Answer(msgspec.Struct):
    outcome: Event


@router.post(
    "/look_at_link",
    summary="The alarms that a link of a message acknowledges",
    responses={
        200: example(
            {
                "user": "anna",
                "expires_ns": 1790086400000000000,
                "alarms": [
                    {
                        "id": "point.chiller.internal_temp",
                        "occurrence": 3,
                        "priority": 2,
                        "now": {"title": "Julabo chiller / Bath", "occurrence": 3, "shown": "unacknowledged"},
                    }
                ],
            },
            "`occurrence` and `priority`: as the message told them; `now`: the present state, null at rest.",
        ),
        **refusals(403, 409, 422, 429, 503),
    },
)
async def look(console: Console, request: Request, body: LinkBody) -> Response:
    """Without effect: the link stays valid."""
    link, user = await _entered(console, request, body.token)
    return as_json({"user": user.name, "expires_ns": link.expires_ns, "alarms": _alarms(console, link)})


@router.post(
    "/acknowledge_by_link",
    summary="Acknowledge the alarms of a message by its link, once",
    responses={
        200: example(
            {"id": "6f1c", "outcome": {"kind": "done", "message": "acknowledge done", "command_id": "6f1c"}},
            "With a group of alarms `data` of the outcome tells which of them refused it.",
        ),
        **refusals(403, 404, 409, 422, 429, 503, 504),
    },
)
async def acknowledge(console: Console, request: Request, body: LinkBody) -> Response:
    """As the person of the link, with the rights of the account; for the occurrence and priority that the message told.
    A link that acknowledged no alarm can be used again."""
    links, (link, _) = console.records.acknowledge_links, await _entered(console, request, body.token)
    await links.use(body.token)
    order = AlarmCommandBody(alarms={**link.alarms}, arguments={"comment": COMMENT}, wait_s=_WAIT_S)
    try:
        answer = await command_alarms("acknowledge", console, request, order)
    except CountingRoomError:
        await links.give_back(link)
        raise
    if answer.status_code >= 400 or not _is_done(answer):
        await links.give_back(link)
    return answer


async def _entered(console: ConsoleContext, request: Request, token: str) -> tuple[AcknowledgeLink, User]:
    """The link, and from now on its account is the requester. Denied where the link is void."""
    accounts, _ = console.login()
    links: AcknowledgeLinks = console.records.acknowledge_links
    # Only void links are counted, as those that set a password: others at the same address cannot hinder a person.
    try:
        link, user = await links.look(token)
    except Denied:
        accounts.identity.limit_address(address(request.scope))
        raise
    request.scope["requester"] = Requester(principal=user.principal)
    request.scope["audited"] = {"alarms": link.alarms, "message": link.message}
    return link, user


def _is_done(answer: Response) -> bool:
    return msgspec.json.decode(answer.body, type=_Answer).outcome.kind is EventKind.DONE


def _alarms(console: ConsoleContext, link: AcknowledgeLink) -> list[dict[str, Any]]:
    """Each alarm as the message reported it, and as it is now."""
    present = alarm_views.all_alarms(console.latest.words)
    found: list[dict[str, Any]] = []
    for id, (occurrence, priority) in link.alarms.items():
        state = present.get(id)
        now = None
        if state is not None:
            now = {
                **{name: getattr(state, name) for name in ("title", "text", "priority", "occurrence", "since_ns")},
                "shown": state.shown,
                "acknowledged_by": state.acknowledged_by,
                "waits": state.base.needs_acknowledgement,
            }
        found.append({"id": id, "occurrence": occurrence, "priority": priority, "now": now})
    return found
