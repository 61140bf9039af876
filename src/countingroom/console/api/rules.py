"""The API of rules: their published states, and the commands that arm and disarm them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import Field

from countingroom.console.api.commands import CommandBody, carry, check_command
from countingroom.console.api.devices import Console
from countingroom.console.auth.requester import requester
from countingroom.console.context import ConsoleContext
from countingroom.console.responses import COMMAND_ANSWERS, as_json, example, refusals
from countingroom.core import command_permissions, subjects
from countingroom.core.commands.row import reference
from countingroom.core.commands.rules import RULES
from countingroom.core.errors import Cause, NotFound, Refused
from countingroom.core.policy import Permission, decide
from countingroom.core.rules.states import RuleState

router = APIRouter(tags=["rules"])
_RULE: dict[str, Any] = {
    "rule": "bath_standby",
    "title": "Chiller to standby",
    "reason": "An empty hall needs no cooling.",
    "when": "0 22 * * * (Europe/Berlin)",
    "unless": "partition.mCBM is Recording",
    "actions": ["ramp chiller.setpoint_1 to 20 at 0.01 per s"],
    "armed": True,
    "phase": "waiting",
    "due_ns": 1790000000000000000,
    "firings": 12,
    "last": {"number": 12, "time_ns": 1789900000000000000, "evidence": {"state of partition mCBM": "Idle"}},
}

Name = Annotated[str, Field(max_length=100)]


@router.get(
    "/rules",
    summary="The rules of the description",
    responses={200: example({"rules": [_RULE]}, "By name. `last`: the last firing with its evidence and its actions.")},
)
async def list_rules(console: Console) -> Response:
    """As the alarm department published them."""
    return as_json({"rules": all_rules(console)})


@router.get(
    "/rules/{rule}",
    summary="One rule",
    responses={200: example({"rule": _RULE}), **refusals(404)},
)
async def get_rule(rule: Name, console: Console) -> Response:
    """Its firings before the last one are among the events: `GET /api/v1/events?department=alarms&source=<rule>`."""
    return as_json({"rule": _find(console, rule)})


@router.post(
    "/rules/{rule}/commands/{command}",
    summary="Arm or disarm a rule",
    description=f"The commands, with what they take as `arguments` beside the rule:\n\n{reference(RULES.values())}",
    responses=COMMAND_ANSWERS,
    status_code=202,
)
async def command_rule(
    rule: Name, command: str, console: Console, request: Request, order: CommandBody | None = None
) -> Response:
    """The rule may need a higher role than the route: `arming`."""
    _find(console, rule)
    check_command(command, RULES, "rules")
    principal, now_ns = requester(request).principal, console.clock.now_ns()
    if cause := decide(principal, command_permissions.of_rule(command), subjects.EXPERIMENT, now_ns=now_ns):
        raise Refused(cause)
    order = order or CommandBody()
    body = order.model_copy(update={"arguments": {**order.arguments, "rule": rule}})
    return await carry(console, request, "alarms", subjects.RULES, command, body)


def all_rules(console: ConsoleContext) -> list[RuleState]:
    """The published rules by name."""
    words = console.latest.words
    return [one for key in sorted(words) if isinstance(one := words[key], RuleState)]


def _find(console: ConsoleContext, rule: str) -> RuleState:
    found = console.latest.words.get(subjects.rule_key(rule)) if subjects.is_token(rule) else None
    if not isinstance(found, RuleState):
        raise NotFound(f"there is no rule {rule!r}", source="console", suggestion="list them: countingroom rules list")
    return found


def denied(console: ConsoleContext, request: Request) -> Cause | None:
    """Why this user may not arm or disarm any rule; None: he may those that need no higher role."""
    principal, now_ns = requester(request).principal, console.clock.now_ns()
    return decide(principal, Permission.OPERATE, subjects.EXPERIMENT, now_ns=now_ns)
