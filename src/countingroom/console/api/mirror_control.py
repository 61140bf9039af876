"""The API of the control room: what may be done at upstreams, what would be sent, and what was answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from countingroom.console.api.commands import Argument, CommandBody, carry
from countingroom.console.api.devices import Console
from countingroom.console.auth.requester import requester
from countingroom.console.context import ConsoleContext
from countingroom.console.query_client import ask
from countingroom.console.responses import COMMAND_ANSWERS, as_json, example, refusals
from countingroom.console.route_permissions import RoutePermission
from countingroom.core import command_permissions
from countingroom.core.commands.row import reference
from countingroom.core.commands.upstreams import UPSTREAMS
from countingroom.core.errors import NotFound
from countingroom.core.mirror.control import (
    ANSWER_QUERY,
    CONTROL_KEY,
    DEPARTMENT,
    PLAN_QUERY,
    ActionAnswer,
    ActionPlan,
    ActionPlanQuery,
    AnswerQuery,
    UpstreamControl,
    UpstreamControlState,
)
from countingroom.core.policy import Permission

router = APIRouter(tags=["mirror"])
_TARGET = "upstream.{upstream}"


def _command(console: ConsoleContext, parameters: Mapping[str, str]) -> Permission:
    return command_permissions.of_upstream(parameters["command"])


_VIEW = RoutePermission(action=Permission.VIEW)
_OPERATE = RoutePermission(action=Permission.OPERATE, target=_TARGET)
ROUTES = {
    "GET /control": _VIEW,
    "GET /api/v1/mirror/upstreams": _VIEW,
    "POST /api/v1/mirror/upstreams/{upstream}/plan/{command}": RoutePermission(by=_command, target=_TARGET),
    "POST /api/v1/mirror/upstreams/{upstream}/commands/{command}": RoutePermission(by=_command, target=_TARGET),
    # Logs of the inside, as they are.
    "GET /api/v1/mirror/upstreams/{upstream}/answers/{id}": _OPERATE,
}
_SENT: dict[str, Any] = {
    "id": "8c1f0a37d2be4419",
    "action": "get_hltd_logs",
    "arguments": {"host": "fu-01"},
    "by": "anna",
    "time_ns": 1790000000000000000,
    "took_s": 0.42,
    "is_over": True,
    "status": 200,
    "bytes": 18204,
    "is_cut": False,
    "cause": None,
}
_PLAN: dict[str, Any] = {
    "mark": "5f0c6d2e9b1a4c33",
    "upstream": "farm",
    "action": "restart_hltd",
    "arguments": {"host": "fu-01"},
    "method": "GET",
    "address": "https://dqm.example.org/dqm/cr/exe?what=restart_hltd&host=fu-01",
    "secret": "as the cookie selenium-secret-secret",
    "is_change": True,
    "until_ns": 1790000120000000000,
    "left": 11,
}
_UPSTREAM: dict[str, Any] = {
    "name": "farm",
    "set": "production",
    "url": "https://dqm.example.org/dqm",
    "actions": ["get_hltd_logs", "restart_hltd"],
    "hosts": ["fu-01"],
    "per_minute": 12,
    "timeout_s": 30.0,
    "last": [_SENT],
}
_ACTION: dict[str, Any] = {
    "name": "info",
    "description": "Facts about the upstream itself.",
    "permission": "operate",
    "is_change": False,
    "arguments": [],
}


class ActionBody(BaseModel):
    """An action whose plan is asked for."""

    model_config = ConfigDict(
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={"example": {"arguments": {"host": "fu-01"}}},
    )

    arguments: Annotated[dict[str, Argument], Field(max_length=20)] = {}
    """As the action declares them."""


def controlled(console: ConsoleContext) -> tuple[UpstreamControl, ...]:
    """The upstreams that can be controlled, as the mirror published them."""
    state = console.latest.words.get(CONTROL_KEY)
    return state.upstreams if isinstance(state, UpstreamControlState) else ()


def _check_known(console: ConsoleContext, upstream: str) -> None:
    known = [one.name for one in controlled(console)]
    if upstream not in known:
        raise NotFound(
            f"no upstream {upstream!r} can be controlled",
            source="console",
            suggestion=f"there is: {', '.join(known) or 'none; see mirror.upstreams in the description'}",
        )


def actions() -> list[dict[str, Any]]:
    """All actions with their arguments, as a page and the command line need them."""
    return [
        {
            "name": row.name,
            "description": row.description,
            "permission": row.permission.value,
            "is_change": row.dangerous,
            "arguments": [msgspec.to_builtins(one) for one in row.arguments],
        }
        for row in UPSTREAMS.values()
    ]


@router.get(
    "/mirror/upstreams",
    summary="Upstreams, and what may be done at them",
    responses={
        200: example(
            {
                "upstreams": [_UPSTREAM],
                "actions": [_ACTION],
            }
        )
    },
)
async def get_upstreams(console: Console) -> Response:
    """`actions` of an upstream: those that the description permits there. `last`: what was sent, newest first, without
    the answers."""
    return as_json({"upstreams": controlled(console), "actions": actions()})


@router.post(
    "/mirror/upstreams/{upstream}/plan/{command}",
    summary="What would be sent for an action",
    responses={200: example(_PLAN), **refusals(403, 404, 409, 422, 503, 504)},
)
async def plan_action(
    upstream: str, command: str, console: Console, request: Request, body: ActionBody | None = None
) -> Response:
    """Nothing is sent by this. `mark` is given to the command as its argument `plan`: once, by the same user, with the
    same arguments, within two minutes."""
    _check_known(console, upstream)
    given = body.arguments if body else {}
    query = ActionPlanQuery(upstream=upstream, action=command, arguments=dict(given), by=requester(request).name)
    return as_json(msgspec.structs.asdict(await ask(console.bus, DEPARTMENT, PLAN_QUERY, query, ActionPlan)))


@router.post(
    "/mirror/upstreams/{upstream}/commands/{command}",
    summary="Send an action to an upstream",
    description=f"Each takes `plan` too, the mark of its plan. Actions:\n\n{reference(UPSTREAMS.values())}",
    status_code=202,
    responses=COMMAND_ANSWERS,
)
async def command_upstream(
    upstream: str, command: str, console: Console, request: Request, order: CommandBody | None = None
) -> Response:
    """Send what the plan says, once. The answer is kept: see `answers`."""
    _check_known(console, upstream)
    return await carry(console, request, DEPARTMENT, upstream, command, order)


@router.get(
    "/mirror/upstreams/{upstream}/answers/{id}",
    summary="The answer to an action",
    responses={200: example({"sent": _SENT, "text": "opened module 12\n"}), **refusals(403, 404, 503, 504)},
)
async def get_answer(upstream: str, id: str, console: Console) -> Response:
    """Its text, at most 256 KiB; `id` is that of the command. The last 20 of each upstream are kept, in the memory of
    the mirror and nowhere else."""
    query = AnswerQuery(upstream=upstream, id=id)
    return as_json(msgspec.structs.asdict(await ask(console.bus, DEPARTMENT, ANSWER_QUERY, query, ActionAnswer)))
