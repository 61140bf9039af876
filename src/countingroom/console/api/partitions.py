"""Law: how a partition stands is read from the present; how it would get somewhere is asked of run control."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request, Response

from countingroom.console.api.commands import CommandBody, carry
from countingroom.console.api.devices import Here
from countingroom.console.auth.requester import requester
from countingroom.console.context import ConsoleContext
from countingroom.console.present import partition_alarms, partition_views
from countingroom.console.query_client import ask
from countingroom.console.responses import REFUSED, as_json, example
from countingroom.core import subjects
from countingroom.core.commands.partition import PARTITION
from countingroom.core.commands.row import CommandRow, reference
from countingroom.core.commands.runs import ABOUT_RUNS
from countingroom.core.errors import NotFound
from countingroom.core.partitions import PartitionState
from countingroom.core.run_queries import PlanAnswer, PlanQuery
from countingroom.core.systems import Placement

router = APIRouter(tags=["partitions"])
_ACCEPTED: dict[int | str, dict[str, Any]] = {
    200: example(
        {"id": "6f1c", "outcome": {"kind": "done", "message": "goal done", "command_id": "6f1c"}},
        "With wait_s: what came of it, `done` or `failed`.",
    ),
    202: example({"id": "6f1c", "accepted": True}, "Accepted; the outcome is an event with this command_id."),
    403: REFUSED,
    404: REFUSED,
    409: REFUSED,
    503: REFUSED,
    504: REFUSED,
}
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


def partition_state(here: ConsoleContext, name: str) -> PartitionState:
    """How it stands; NotFound, naming those there are."""
    there = partition_alarms.partitions(here.latest.words)
    if name not in there:
        told = ", ".join(there) or "none yet"
        raise NotFound(f"there is no partition {name!r}", source="console", suggestion=f"partitions: {told}")
    return there[name]


def unmapped(here: ConsoleContext) -> list[str]:
    """The detectors that are in no partition."""
    places = here.latest.words.get(subjects.MAPPING_KEY)
    return sorted(one for one, at in places.detectors.items() if not at) if isinstance(places, Placement) else []


@router.get(
    "/partitions",
    summary="Every partition, and the detectors that are in none",
    responses={200: example({"partitions": [_PARTITION], "unmapped": ["TRD"]})},
)
async def list_partitions(here: Here, request: Request) -> Response:
    """`refusals` says of every command whether it may be given now (null), else why not. Where `alive` is false nobody
    looks after it, and all else are last words."""
    there = partition_alarms.partitions(here.latest.words)
    told = [_for_viewer(here, request, one) for one in there.values()]
    return as_json({"partitions": told, "unmapped": unmapped(here)})


def _for_viewer(here: ConsoleContext, request: Request, state: PartitionState) -> dict[str, Any]:
    """The same, and whether anybody looks after it; what this person may not do, or nobody, is among the refusals."""
    alive = partition_alarms.gone_since(here.abnormal, state.partition) is None
    denied = partition_views.denied(requester(request).principal, state.partition, here.clock.now_ns())
    gone = {} if alive else partition_views.gone(state.partition)
    told = msgspec.structs.replace(state, refusals=state.refusals | gone | denied)
    return {**msgspec.to_builtins(told), "alive": alive}


@router.get(
    "/partitions/{partition}",
    summary="One partition, and who is in control of it",
    responses={200: example({"partition": _PARTITION, "control": {"holder": "m.rossi", "token": 3}}), 404: REFUSED},
)
async def get_partition(partition: str, here: Here, request: Request) -> Response:
    """Members as the partition sees them (`seen`) and as they say themselves (`own`)."""
    state = _for_viewer(here, request, partition_state(here, partition))
    return as_json({"partition": state, "control": here.latest.words.get(subjects.control_key(partition))})


@router.get(
    "/partitions/{partition}/plan",
    summary="How it would get to a goal: stages, reasons, how long, and who stays as it is",
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
        404: REFUSED,
        503: REFUSED,
    },
)
async def get_plan(
    partition: str,
    here: Here,
    goal: Annotated[str, Query(description="a state it can rest in: `Idle`, `QA_Active`, `Recording`")],
    tag: Annotated[str, Query(description="as it would be with this tag; empty: with what is selected")] = "",
) -> Response:
    """Nothing is done."""
    partition_state(here, partition)
    question = PlanQuery(partition=partition, goal=goal, tag=tag)
    return as_json({"plan": (await ask(here.bus, "runs", "plan", question, PlanAnswer)).plan})


@router.get(
    "/partitions/{partition}/tags",
    summary="The tags that name a configuration for exactly its systems",
    responses={200: example({"tags": [{"name": "physics", "revision": 4, "systems": {"TFC": "default"}}]})},
)
async def get_tags(partition: str, here: Here) -> Response:
    """The only ones it can be given as a whole."""
    state = partition_state(here, partition)
    systems = [member.system for member in state.members]
    return as_json({"tags": await here.records.tags.covering(systems)})


@router.post(
    "/partitions/{partition}/commands/{command}",
    summary="Command a partition",
    description=f"The commands, with what they take as `arguments`:\n\n{reference(PARTITION.values())}\n\n"
    "The runs of a deleted partition can still be commented on and judged.",
    status_code=202,
    responses=_ACCEPTED,
)
async def command_partition(
    partition: str, command: str, here: Here, request: Request, order: CommandBody | None = None
) -> Response:
    """Send a command of the table to the owner of a partition, or to the experiment where only its runs are left."""
    try:
        partition_state(here, partition)
    except NotFound:
        if command not in _ABOUT_RUNS:
            raise
        return await carry(here, request, "runs", subjects.EXPERIMENT, command, order)
    return await carry(here, request, "runs", partition, command, order)


_ABOUT_RUNS = tuple(row.name for row in ABOUT_RUNS)


def _add_short_route(row: CommandRow) -> None:
    async def command(partition: str, here: Here, request: Request, order: CommandBody | None = None) -> Response:
        return await command_partition(partition, row.name, here, request, order)

    router.add_api_route(
        f"/partitions/{{partition}}/{row.name}",
        command,
        methods=["POST"],
        summary=f"The command `{row.name}`",
        description=f"{row.description} The same as `commands/{row.name}`.",
        operation_id=f"partition_{row.name}",
        status_code=202,
        responses=_ACCEPTED,
    )


for _row in PARTITION.values():
    if _row.short_route:
        _add_short_route(_row)
