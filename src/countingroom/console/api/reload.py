"""The API of the reload: the description in force, what the edited one would change, and the command."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter, Request, Response

from countingroom.console.api.commands import CommandBody, carry
from countingroom.console.api.devices import Console
from countingroom.console.query_client import ask
from countingroom.console.responses import COMMAND_ANSWERS, as_json, example, refusals
from countingroom.console.route_permissions import RoutePermission
from countingroom.core.commands.description import DESCRIPTION
from countingroom.core.commands.row import reference
from countingroom.core.errors import LinkError, NotFound
from countingroom.core.policy import Permission
from countingroom.core.reload.messages import (
    DEPARTMENT,
    QUERY,
    STATE_KEY,
    TARGET,
    DescriptionInForce,
    ReloadAnswer,
    ReloadQuery,
)

router = APIRouter(tags=["description"])
ROUTES = {
    "GET /api/v1/description": RoutePermission(action=Permission.VIEW),
    "GET /api/v1/description/plan": RoutePermission(action=Permission.ADMINISTER),
    "POST /api/v1/description/commands/{command}": RoutePermission(action=Permission.ADMINISTER),
}


@router.get(
    "/description",
    summary="The description in force",
    responses={
        200: example(
            {
                "version": 4,
                "digest": "8c1f0a37d2be4419",
                "since_ns": 1790000000000000000,
                "by": "anna",
                "processes": {"devices": 4, "console": 4},
                "behind": [],
            }
        ),
        **refusals(404),
    },
)
async def get_description(console: Console) -> Response:
    """Its version, its fingerprint, since when, who reloaded it, and the version of each process of `up`. `behind`:
    the processes that do not have it yet."""
    state = console.latest.words.get(STATE_KEY)
    if not isinstance(state, DescriptionInForce):
        raise NotFound(
            "`countingroom up` has not told which description is in force",
            source="console",
            suggestion="processes that were started by `countingroom serve` alone have no reload: restart them",
        )
    return as_json({**msgspec.to_builtins(state), "behind": state.behind})


@router.get(
    "/description/plan",
    summary="What a reload of the edited description would change",
    responses={
        200: example(
            {
                "differs": True,
                "seconds": 0.5,
                "mistakes": [],
                "refusals": [],
                "warnings": [],
                "plan": {
                    "digest": "8c1f0a37d2be4419",
                    "changes": [
                        {
                            "path": "devices.caen",
                            "action": "changed",
                            "entails": "reconnects",
                            "keys": [{"key": "poll", "before": "1", "after": "0.5"}],
                            "processes": [],
                        }
                    ],
                },
            }
        ),
        **refusals(503),
    },
)
async def get_reload_plan(console: Console) -> Response:
    """The plan alone; it is not carried out. `mistakes`: of the edited files, with file and line. `refusals`: why it
    would not be done now. `seconds`: how long it would take, about."""
    try:
        answer = await ask(console.bus, DEPARTMENT, QUERY, ReloadQuery(), ReloadAnswer)
    except LinkError as error:
        raise LinkError(
            "`countingroom up` does not answer",
            code=error.cause.code,
            source="console",
            suggestion="the reload needs it: processes that were started by `countingroom serve` alone have none",
            causes=error.cause.causes,
        ) from error
    told = msgspec.to_builtins(answer)
    told.pop("type", None)
    return as_json({**told, "differs": answer.plan.differs})


@router.post(
    "/description/commands/{command}",
    summary="Reload the edited description",
    description=f"Commands:\n\n{reference(DESCRIPTION.values())}",
    status_code=202,
    responses=COMMAND_ANSWERS,
)
async def command_description(
    command: str, console: Console, request: Request, order: CommandBody | None = None
) -> Response:
    """Carry out a command to the description in force."""
    return await carry(console, request, DEPARTMENT, TARGET, command, order)
