"""The API of partitions: their state from the latest known state, plans by asking run control, and their commands."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import uuid4

import msgspec
from fastapi import APIRouter, Query, Request, Response

from countingroom.console.api.commands import CommandBody, build, carry
from countingroom.console.api.devices import Console
from countingroom.console.auth.requester import requester
from countingroom.console.context import ConsoleContext
from countingroom.console.present import partition_views, partition_words
from countingroom.console.query_client import ask
from countingroom.console.responses import COMMAND_ANSWERS, REFUSED, as_json, example, refusals
from countingroom.core import subjects
from countingroom.core.commands.partition import DIRECT, PARTITION
from countingroom.core.commands.row import CommandRow, reference
from countingroom.core.commands.runs import ABOUT_RUNS
from countingroom.core.errors import LinkError, NotFound
from countingroom.core.partitions import PartitionState
from countingroom.core.run_queries import PlanAnswer, PlanQuery
from countingroom.core.systems import Placement

router = APIRouter(tags=["partitions"])
_PARTITION: dict[str, Any] = {
    "partition": "mCBM",
    "template": "cbm",
    "state": "QA_Active",
    "since_ns": 1790000000000000000,
    "tag": "physics",
    "members": [{"system": "STS", "kind": "detector", "level": "Detectors", "seen": "Active", "own": "Active"}],
    "run": 0,
    "alive": True,
    "refusals": {"start": None, "stop": {"code": "not_allowed", "message": "stop is not allowed in QA_Active"}},
}


def partition_state(console: ConsoleContext, name: str) -> PartitionState:
    """The state of a partition; NotFound with the names of all partitions."""
    states = partition_words.partitions(console.latest.words)
    if name not in states:
        names = ", ".join(states) or "none yet"
        raise NotFound(f"there is no partition {name!r}", source="console", suggestion=f"partitions: {names}")
    return states[name]


def unmapped(console: ConsoleContext) -> list[str]:
    """The detectors that are in no partition."""
    places = console.latest.words.get(subjects.MAPPING_KEY)
    return sorted(one for one, at in places.detectors.items() if not at) if isinstance(places, Placement) else []


@router.get(
    "/partitions",
    summary="Every partition, and the detectors that are in none",
    responses={200: example({"partitions": [_PARTITION], "unmapped": ["TRD"]})},
)
async def list_partitions(console: Console, request: Request) -> Response:
    """`refusals`: every command, null where it may be given now, else the cause. Where `alive` is false it has no owner
    and the rest is its last known state."""
    states = partition_words.partitions(console.latest.words)
    shown = [_for_requester(console, request, one) for one in states.values()]
    return as_json({"partitions": shown, "unmapped": unmapped(console)})


def _for_requester(console: ConsoleContext, request: Request, state: PartitionState) -> dict[str, Any]:
    """The state with `alive`; among the refusals are those of this requester's role, and of a missing owner."""
    alive = partition_words.gone_since(console.device_rows, state.partition) is None
    denied = partition_views.denied(requester(request).principal, state.partition, console.clock.now_ns())
    gone = {} if alive else partition_views.gone(state.partition)
    shown = msgspec.structs.replace(state, refusals=state.refusals | gone | denied)
    return {**msgspec.to_builtins(shown), "alive": alive}


@router.get(
    "/partitions/{partition}",
    summary="One partition, with the user in control of it",
    responses={200: example({"partition": _PARTITION, "control": {"holder": "m.rossi", "token": 3}}), 404: REFUSED},
)
async def get_partition(partition: str, console: Console, request: Request) -> Response:
    """Members with the state as the partition sees it (`seen`) and the state of their own table (`own`)."""
    state = _for_requester(console, request, partition_state(console, partition))
    return as_json({"partition": state, "control": console.latest.words.get(subjects.control_key(partition))})


@router.get(
    "/partitions/{partition}/plan",
    summary="The plan to a goal: stages, reasons, expected time, and systems that stay as they are",
    responses={
        200: example(
            {
                "plan": {
                    "partition": "mCBM",
                    "goal": "Recording",
                    "tag": "physics",
                    "stages": [
                        {
                            "title": "TFC",
                            "steps": [{"system": "TFC", "action": "configure", "reason": "it is not configured"}],
                        }
                    ],
                    "kept": {"STS": "it has physics already"},
                    "expected_s": 12.4,
                    "obstacle": None,
                }
            }
        ),
        **refusals(404, 503),
    },
)
async def get_plan(
    partition: str,
    console: Console,
    goal: Annotated[str, Query(description="a state it can rest in: `Idle`, `QA_Active`, `Recording`")],
    tag: Annotated[str, Query(description="as it would be with this tag; empty: with what is selected")] = "",
    reconfigure: Annotated[
        bool, Query(description="only changes in place, in the present state, whatever `goal`")
    ] = False,
) -> Response:
    """The plan alone; it is not carried out."""
    partition_state(console, partition)
    question = PlanQuery(partition=partition, goal=goal, tag=tag, reconfigure=reconfigure)
    return as_json({"plan": (await ask(console.bus, "runs", "plan", question, PlanAnswer)).plan})


@router.get(
    "/partitions/{partition}/tags",
    summary="The tags that name a configuration for exactly its systems",
    responses={200: example({"tags": [{"name": "physics", "revision": 4, "systems": {"TFC": "default"}}]})},
)
async def get_tags(partition: str, console: Console) -> Response:
    """The tags that `select` takes."""
    state = partition_state(console, partition)
    systems = [member.system for member in state.members]
    return as_json({"tags": await console.records.tags.covering(systems)})


@router.post(
    "/partitions/{partition}/commands/{command}",
    summary="Command a partition",
    description=f"The commands, with what they take as `arguments`:\n\n{reference(PARTITION.values())}\n\n"
    "The runs of a deleted partition can still be commented on and judged. Where no owner of the partition answers, "
    "`stop` and `abort` are sent to its systems; `direct` in the answer says which accepted.",
    status_code=202,
    responses=COMMAND_ANSWERS,
)
async def command_partition(
    partition: str, command: str, console: Console, request: Request, order: CommandBody | None = None
) -> Response:
    """Send a command of the table to the owner of a partition, or to the experiment where only its runs are left."""
    try:
        partition_state(console, partition)
    except NotFound:
        if command not in _ABOUT_RUNS:
            raise
        # The runs of a deleted partition have no owner that could be asked: the experiment writes into the run book.
        return await carry(console, request, "runs", subjects.EXPERIMENT, command, order)
    if command not in DIRECT:
        return await carry(console, request, "runs", partition, command, order)
    order = (order or CommandBody()).model_copy(update={"id": (order and order.id) or uuid4().hex})
    try:
        return await carry(console, request, "runs", partition, command, order)
    except LinkError as error:
        sent = build(command, order, request, console.clock.now_ns())
        user = requester(request).name
        result = await console.direct_orders.send(partition_state(console, partition), sent, user=user, why=error)
        return as_json({"id": sent.id, "accepted": True, "direct": result}, 202)


_ABOUT_RUNS = tuple(row.name for row in ABOUT_RUNS)


def _add_short_route(row: CommandRow) -> None:
    async def command(partition: str, console: Console, request: Request, order: CommandBody | None = None) -> Response:
        return await command_partition(partition, row.name, console, request, order)

    router.add_api_route(
        f"/partitions/{{partition}}/{row.name}",
        command,
        methods=["POST"],
        summary=f"The command `{row.name}`",
        description=f"{row.description} The same as `commands/{row.name}`.",
        operation_id=f"partition_{row.name}",
        status_code=202,
        responses=COMMAND_ANSWERS,
    )


for _row in PARTITION.values():
    if _row.short_route:
        _add_short_route(_row)
