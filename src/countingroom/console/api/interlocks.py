"""The API of interlocks: their published states, their history by asking the alarm department, and their commands."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from countingroom.console.api.commands import CommandBody, carry, check_command
from countingroom.console.api.devices import Console
from countingroom.console.context import ConsoleContext
from countingroom.console.query_client import ask
from countingroom.console.responses import COMMAND_ANSWERS, as_json, example, refusals
from countingroom.console.route_permissions import RoutePermission
from countingroom.core import subjects
from countingroom.core.commands.interlocks import INTERLOCKS
from countingroom.core.commands.row import reference
from countingroom.core.errors import Cause, CountingRoomError, NotFound
from countingroom.core.interlocks.history import InterlockEntry, InterlockHistoryAnswer, InterlockHistoryQuery
from countingroom.core.interlocks.host_state import HostInterlockState
from countingroom.core.interlocks.states import InterlockState
from countingroom.core.policy import Permission

router = APIRouter(tags=["interlocks"])
ROUTES = {
    "GET /api/v1/interlocks": RoutePermission(action=Permission.VIEW),
    "GET /api/v1/interlocks/{interlock}": RoutePermission(action=Permission.VIEW),
    "GET /api/v1/interlocks/{interlock}/history": RoutePermission(action=Permission.VIEW),
    "POST /api/v1/interlocks/{interlock}/commands/{command}": RoutePermission(action=Permission.OPERATE),
}
_MOST_ROWS = 1000
_INTERLOCK: dict[str, Any] = {
    "name": "cooling_lost",
    "title": "Cooling lost",
    "is_tripped": True,
    "trip": 3,
    "tripped_ns": 1790000000000000000,
    "first_out": "bath_too_warm",
    "causes": [
        {
            "name": "bath_too_warm",
            "title": "Bath too warm",
            "vote": 1,
            "present_since_ns": 1789999998000000000,
            "tripped_ns": 1790000000000000000,
            "bypass": None,
            "would_trip": False,
            "inputs": [{"text": "chiller.bath is above 35", "truth": "true", "value": 36.2}],
        }
    ],
    "effects": [
        {"name": "hv_off", "title": "HV off", "does": "caen.0 off", "acting_ns": 1790000000000000000, "trouble": ""}
    ],
    "matrix": [{"cause": "bath_too_warm", "effect": "hv_off", "delay_ns": 0}],
    "proof_due_ns": 1800000000000000000,
    "is_proof_overdue": False,
    "unread": False,
}
_RECORD = {
    "time_ns": 1790000000000000000,
    "interlock": "cooling_lost",
    "kind": "trip",
    "name": "bath_too_warm",
    "trip": 3,
    "text": "Bath too warm: chiller.bath is above 35 (true)",
}

Name = Annotated[str, Field(max_length=100)]


@router.get(
    "/interlocks",
    summary="All interlocks, the tripped ones first",
    responses={200: example({"interlocks": [_INTERLOCK], "tripped": 1, "bypassed": 0})},
)
async def list_interlocks(console: Console) -> Response:
    """Those of the description. `bypassed`: causes that are bypassed now."""
    found = sorted(_all(console).values(), key=lambda one: (not one.is_tripped, one.name))
    return as_json(
        {
            "interlocks": [_shown(console, one) for one in found],
            "tripped": sum(one.is_tripped for one in found),
            "bypassed": sum(len(one.bypassed) for one in found),
        }
    )


@router.get(
    "/interlocks/{interlock}",
    summary="One interlock with its history",
    responses={
        200: example(
            {"interlock": _INTERLOCK, "hosts": [], "history": [_RECORD], "problem": None},
            "`hosts`: the device hosts that evaluate their part of it, or apply its safe outputs. `problem`: why the"
            " history is missing, where it is.",
        ),
        **refusals(404),
    },
)
async def get_interlock(interlock: Name, console: Console) -> Response:
    """Without the alarm department it is its last published state."""
    state = _one(console, interlock)
    history: tuple[InterlockEntry, ...] = ()
    problem: Cause | None = None
    try:
        history = await _history(console, InterlockHistoryQuery(interlock=interlock))
    except CountingRoomError as error:
        problem = error.cause
    answer = {"interlock": _shown(console, state), "hosts": _hosts(console, interlock)}
    return as_json({**answer, "history": history, "problem": problem})


@router.get(
    "/interlocks/{interlock}/history",
    summary="The history of one interlock, newest first",
    responses={200: example({"history": [_RECORD]}), **refusals(404, 503)},
)
async def get_interlock_history(
    interlock: Name,
    console: Console,
    limit: Annotated[int, Query(ge=1, le=_MOST_ROWS)] = 100,
    before_ns: Annotated[int | None, Query(ge=0, lt=2**63, description="only rows before this time")] = None,
) -> Response:
    """Trips, effects, resets, bypasses, proof tests."""
    _one(console, interlock)
    question = InterlockHistoryQuery(interlock=interlock, limit=limit, before_ns=before_ns)
    return as_json({"history": await _history(console, question)})


@router.post(
    "/interlocks/{interlock}/commands/{command}",
    summary="Reset an interlock, bypass a cause, record a proof test",
    description=f"The commands, with what they take as `arguments`:\n\n{reference(INTERLOCKS.values())}\n\n"
    "The interlock of the path need not be repeated. The role that the interlock declares is needed.",
    responses=COMMAND_ANSWERS,
    status_code=202,
)
async def command_interlock(
    interlock: Name, command: str, console: Console, request: Request, order: CommandBody | None = None
) -> Response:
    """The alarm department decides, by the role of the requester and the present state."""
    check_command(command, INTERLOCKS, "interlocks")
    order = order or CommandBody()
    body = order.model_copy(update={"arguments": {**order.arguments, "interlock": interlock}})
    return await carry(console, request, "alarms", subjects.INTERLOCKS, command, body)


def _all(console: ConsoleContext) -> dict[str, InterlockState]:
    return {one.name: one for one in console.latest.words.values() if isinstance(one, InterlockState)}


def _hosts(console: ConsoleContext, name: str) -> list[HostInterlockState]:
    """What device hosts publish of this interlock."""
    words = console.latest.words.values()
    return [one for one in words if isinstance(one, HostInterlockState) and one.name == name]


def _one(console: ConsoleContext, name: str) -> InterlockState:
    found = _all(console).get(name)
    if found is None:
        raise NotFound(
            f"there is no interlock {name!r}", source="console", suggestion="list them: countingroom interlock list"
        )
    return found


def _shown(console: ConsoleContext, state: InterlockState) -> dict[str, Any]:
    due_ns = state.proof_due_ns
    return {
        **msgspec.to_builtins(state),
        "is_tripped": state.is_tripped,
        "is_proof_overdue": due_ns is not None and due_ns <= console.clock.now_ns(),
    }


async def _history(console: ConsoleContext, question: InterlockHistoryQuery) -> tuple[InterlockEntry, ...]:
    return (await ask(console.bus, "alarms", "interlock_history", question, InterlockHistoryAnswer)).records
