"""The API of alarms: their published states, guidance and history by asking the alarm department, and its commands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from msgspec import structs
from pydantic import Field

from countingroom.console.api.commands import CommandBody, carry, check_command
from countingroom.console.api.devices import Console
from countingroom.console.auth.requester import requester
from countingroom.console.context import ConsoleContext
from countingroom.console.present import alarm_views
from countingroom.console.present.alarm_views import AlarmChoice, AlarmFilter
from countingroom.console.query_client import ask
from countingroom.console.responses import COMMAND_ANSWERS, as_json, example, refusals
from countingroom.core import command_permissions, subjects
from countingroom.core.alarms import identity
from countingroom.core.alarms.queries import (
    AlarmDetails,
    DefinitionAnswer,
    DefinitionQuery,
    HistoryAnswer,
    HistoryQuery,
)
from countingroom.core.alarms.states import HIGHEST_PRIORITY, LOWEST_PRIORITY, AlarmState
from countingroom.core.commands.alarms import ALARMS, MOST_ALARMS, listed, named
from countingroom.core.commands.row import reference
from countingroom.core.errors import Cause, CountingRoomError, NotFound, OutOfRange, Refused
from countingroom.core.notify.queries import OutboxAnswer, OutboxQuery
from countingroom.core.notify.told import with_messages
from countingroom.core.points import Point
from countingroom.core.policy import decide

router = APIRouter(tags=["alarms"])
_MOST_RECORDS = 1000
_MOST_NS = 2**63
_ALARM: dict[str, Any] = {
    "id": "point.chiller.internal_temp",
    "area": "cooling/chiller",
    "title": "Julabo chiller / Bath",
    "base": "unacknowledged",
    "shown": "unacknowledged",
    "under": "",
    "priority": 2,
    "text": "Bath 37.5 °C is above its alarm limit 35.0 °C",
    "advice": "Fill the bath, start it again.",
    "occurrence": 3,
    "since_ns": 1790000000000000000,
    "first_out": True,
}
_RECORD = {"time_ns": 1790000000000000000, "kind": "announced", "text": "announced, priority 2"}

Id = Annotated[str, Field(max_length=300)]
OneOccurrence = Annotated[int, Field(ge=0, lt=2**63)]
OnePriority = Annotated[int, Field(ge=HIGHEST_PRIORITY, le=LOWEST_PRIORITY)]


class AlarmCommandBody(CommandBody):
    """The body of a command to alarms."""

    model_config = CommandBody.model_config | {
        "json_schema_extra": {
            "example": {
                "alarms": {"point.chiller.internal_temp": [3, 2]},
                "arguments": {"comment": "I fill the bath"},
                "wait_s": 5,
            }
        }
    }

    alarms: Annotated[
        dict[Id, OneOccurrence | tuple[OneOccurrence, OnePriority] | None], Field(max_length=MOST_ALARMS)
    ] = {}
    """Identity of each alarm -> what the user saw of it: the number of the occurrence, or [occurrence, priority], or
    null where it does not matter."""


@router.get(
    "/alarms",
    summary="The alarms that are not at rest, by priority, then newest first",
    responses={
        200: example(
            {
                "alarms": [_ALARM],
                "total": 1,
                "counts": {"1": 0, "2": 1, "3": 0, "4": 0},
                "unacknowledged": 1,
                "shelved": 0,
                "areas": ["cooling", "cooling/chiller"],
            },
            "`total`: how many match; `counts` and `unacknowledged`: of all open alarms that stand for themselves.",
        )
    },
)
async def list_alarms(
    console: Console,
    state: Annotated[AlarmChoice, Query(description="`open`: neither normal nor shelved")] = AlarmChoice.OPEN,
    priority: Annotated[list[OnePriority] | None, Query(description="several may be given")] = None,
    area: Annotated[str, Query(max_length=300, description="this area and those below it")] = "",
    text: Annotated[str, Query(max_length=300, description="in identity, title, text, area or reason")] = "",
    limit: Annotated[int, Query(ge=1, le=100_000)] = 10_000,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    """An alarm that is normal and has no flag is in no list. `under` is the alarm that it is folded under."""
    alarms = alarm_views.all_alarms(console.latest.words)
    wanted = AlarmFilter(state=state, priorities=frozenset(priority or ()), area=area, text=text)
    found = alarm_views.ordered(one for one in alarms.values() if wanted.matches(one))
    _, waiting = alarm_views.newest_unacknowledged(alarms)
    return as_json(
        {
            "alarms": [_shown(one, alarms) for one in found[offset : offset + limit]],
            "total": len(found),
            "counts": {str(priority): count for priority, count in alarm_views.counts(alarms).items()},
            "unacknowledged": waiting,
            "shelved": sum(one.has_flag for one in alarms.values()),
            "areas": alarm_views.areas(alarms.values()),
        }
    )


def _shown(alarm: AlarmState, alarms: Mapping[str, AlarmState]) -> dict[str, Any]:
    return {
        **{name: getattr(alarm, name) for name in alarm.__struct_fields__},  # also those that have their default
        "shown": alarm.shown,
        "under": alarm_views.cause_of(alarm, alarms) if alarm_views.is_open(alarm) else "",
    }


@router.get(
    "/alarms/definitions",
    summary="What alarms mean and what to do, also of those at rest",
    responses={
        200: example({"definitions": [{"id": _ALARM["id"], "title": _ALARM["title"], "longest_shelf_s": 1800.0}]}),
        **refusals(503),
    },
)
async def list_definitions(
    console: Console,
    id: Annotated[list[Id], Query(description="identities of alarms", min_length=1, max_length=200)],
) -> Response:
    """Those that exist, in the order of the question."""
    return as_json({"definitions": await _definitions(console, id)})


@router.get(
    "/alarms/{alarm}",
    summary="One alarm with its guidance and its history",
    responses={
        200: example(
            {
                "alarm": _ALARM,
                "definition": {
                    "id": _ALARM["id"],
                    "condition": "above 35.0 °C",
                    "longest_shelf_s": 1800.0,
                    "guidance": {
                        "meaning": "The bath no longer cools.",
                        "do": ["Fill the bath."],
                        "time_to_act_s": 300.0,
                    },
                    "contact": "cooling on call",
                    "links": (),
                },
                "history": [_RECORD],
                "occurrences_30d": 4,
                "point": {"name": "internal_temp", "unit": "degC"},
                "problem": None,
            },
            "`alarm` is null while it is at rest. `problem`: why guidance and history are missing, where they are.",
        ),
        **refusals(404, 503),
    },
)
async def get_alarm(alarm: Id, console: Console) -> Response:
    """Without the alarm department `alarm` is its last published state."""
    alarms = alarm_views.all_alarms(console.latest.words)
    state = alarms.get(alarm)
    definition: AlarmDetails | None = None
    history, problem = HistoryAnswer(), None
    try:
        definition = next(iter(await _definitions(console, [alarm])), None)
        history = await _history(console, HistoryQuery(id=alarm))
    except CountingRoomError as error:
        if state is None:
            raise
        problem = error.cause
    if state is None and definition is None:
        raise _unknown(alarm)
    return as_json(
        {
            "alarm": None if state is None else _shown(state, alarms),
            "definition": definition,
            "history": history.records,
            "occurrences_30d": history.occurrences_30d,
            "point": None if state is None else _point(console, state),
            "problem": problem,
        }
    )


@router.get(
    "/alarms/{alarm}/history",
    summary="The history of one alarm, newest first",
    responses={
        200: example({"history": [_RECORD], "occurrences_30d": 4}),
        **refusals(404, 503),
    },
)
async def get_history(
    alarm: Id,
    console: Console,
    limit: Annotated[int, Query(ge=1, le=_MOST_RECORDS)] = 100,
    before_ns: Annotated[int | None, Query(ge=0, lt=2**63, description="only entries before this time")] = None,
) -> Response:
    """Announcements, returns, acknowledgements, shelves, comments, and the messages that were sent for it
    (`message`)."""
    found = await _history(console, HistoryQuery(id=alarm, limit=limit, before_ns=before_ns))
    return as_json({"history": found.records, "occurrences_30d": found.occurrences_30d})


async def _definitions(console: ConsoleContext, ids: Iterable[str]) -> tuple[AlarmDetails, ...]:
    question = DefinitionQuery(ids=tuple(ids))
    return (await ask(console.bus, "alarms", "definition", question, DefinitionAnswer)).definitions


async def _history(console: ConsoleContext, question: HistoryQuery) -> HistoryAnswer:
    """With the messages to people about this alarm, where the description has channels."""
    found = await ask(console.bus, "alarms", "history", question, HistoryAnswer)
    try:
        outbox = await ask(
            console.bus, "alarms", "notifications", OutboxQuery(alarm=question.id, limit=question.limit), OutboxAnswer
        )
    except CountingRoomError:  # the history alone is still of use
        return found
    # Messages from before the oldest record of a full page belong to a later page.
    oldest_ns = found.records[-1].time_ns if len(found.records) >= question.limit else 0
    newest_ns = question.before_ns or _MOST_NS
    messages = [
        one
        for one in (*outbox.pending, *outbox.ended)
        if oldest_ns <= (one.ended_ns or one.notification.created_ns) < newest_ns
    ]
    return structs.replace(found, records=with_messages(found.records, messages, question.id, question.limit))


def _point(console: ConsoleContext, state: AlarmState) -> Point | None:
    catalogue = console.latest.catalogues.get(state.device)
    points = catalogue.points if catalogue and state.point else ()
    return next((one for one in points if one.name == state.point), None)


def _unknown(alarm: str) -> NotFound:
    return NotFound(f"there is no alarm {alarm!r}", source="console", suggestion="list them: countingroom alarm list")


@router.post(
    "/alarms/commands/{command}",
    summary="Command alarms, many at once",
    description=f"The commands, with what they take as `arguments`:\n\n{reference(ALARMS.values())}\n\n"
    "Give the alarms in `alarms` of the body; there is no need to write them as JSON text into the arguments.",
    responses=COMMAND_ANSWERS,
    status_code=202,
)
async def command_alarms(
    command: str, console: Console, request: Request, order: AlarmCommandBody | None = None
) -> Response:
    """The role is checked for each alarm: on its device or partition, else on the experiment."""
    order = order or AlarmCommandBody()
    given = dict(order.arguments)
    alarms = order.alarms or named(str(given.pop("alarms", "") or "{}"))
    area = str(given.get("area") or "")
    _permit(console, request, command, alarms, whole=bool(area) or not alarms)
    check_command(command, ALARMS, "alarms")
    if not alarms and not area:
        raise OutOfRange(
            f"{command} names no alarm",
            code="missing_argument",
            source="console",
            suggestion='give "alarms": {"<identity>": <occurrence>}',
        )
    if alarms:
        given["alarms"] = listed(alarms)
    body = order.model_copy(update={"arguments": given})
    return await carry(console, request, "alarms", subjects.ALARMS, command, body)


def _permit(console: ConsoleContext, request: Request, command: str, alarms: Iterable[str], *, whole: bool) -> None:
    """Refused where the requester may not act on one of these alarms; `whole`: on alarms of the whole experiment."""
    principal, now_ns = requester(request).principal, console.clock.now_ns()
    action = command_permissions.of_alarm(command)
    targets = {identity.target(alarm) for alarm in alarms}
    for target in sorted(targets | ({subjects.EXPERIMENT} if whole else set[str]())):
        if cause := decide(principal, action, target, now_ns=now_ns):
            raise Refused(cause)


def denied_commands(console: ConsoleContext, request: Request) -> dict[str, Cause]:
    """The commands that this user may not give to alarms of the whole experiment, and why."""
    principal, now_ns = requester(request).principal, console.clock.now_ns()
    found = {
        name: decide(principal, row.permission, subjects.EXPERIMENT, now_ns=now_ns) for name, row in ALARMS.items()
    }
    return {name: cause for name, cause in found.items() if cause is not None}
