"""The API of restores of snapshots: the plan, the restore itself, its progress and its stop."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from countingroom.console.api.devices import Console
from countingroom.console.api.login import Body
from countingroom.console.auth.requester import requester
from countingroom.console.context import ConsoleContext
from countingroom.console.responses import REFUSED, as_json, example
from countingroom.console.route_permissions import RoutePermission
from countingroom.core.errors import Refused
from countingroom.core.policy import Permission, Principal, decide
from countingroom.core.snapshots.progress import KEY, Restore, RestoreProgress, progress

router = APIRouter(tags=["snapshots"])
_VIEW = RoutePermission(action=Permission.VIEW)
ROUTES = {
    "GET /api/v1/snapshots/{snapshot}/plan": _VIEW,
    "GET /api/v1/restores": _VIEW,
    "GET /api/v1/restores/{restore}": _VIEW,
    # What these need depends on the devices of the snapshot: the plan and the handlers decide.
    "POST /api/v1/snapshots/{snapshot}/restore": _VIEW,
    "POST /api/v1/restores/{restore}/stop": _VIEW,
}
Only = Annotated[list[str], Query(description="Devices, points or patterns: only these of the snapshot")]

_WRITE: dict[str, Any] = {
    "device": "caen",
    "point": "0.hv_setV",
    "label": "HV V set",
    "unit": "V",
    "words": {},
    "old": 280.0,
    "new": 300.0,
    "action": "set",
    "channel": "",
    "wait_s": 20.0,
    "is_dangerous": False,
    "reason": "step 50",
}


class BeginRestore(Body):
    """The confirmation of a plan."""

    digest: Annotated[str, Field(min_length=1, max_length=64)]
    """Of the plan that the user has seen; refused where the present one differs."""
    reason: Annotated[str, Field(max_length=500)]
    only: list[Annotated[str, Field(max_length=200)]] = []
    """As in the plan."""
    keep_going: bool = False
    """After a failure it goes on with other devices; otherwise it ends."""


@router.get(
    "/snapshots/{snapshot}/plan",
    summary="What a restore by the requester would do now",
    responses={
        200: example({"snapshot": "before the beam", "writes": [_WRITE], "left": [], "digest": "9f0c", "silent": []})
    },
)
async def plan_of_restore(snapshot: str, console: Console, request: Request, only: Only = []) -> Response:  # noqa: B006 - FastAPI copies it
    """The commands in their order, old and new values; and each point that is left as it is, with the reason: equal
    within its tolerance, not writable, refused by permission or interlock, its device away. Nothing is written."""
    service = console.snapshots
    return as_json(await service.plan(await service.store.get(snapshot), requester(request).principal, only))


@router.post(
    "/snapshots/{snapshot}/restore",
    summary="Restore a snapshot",
    status_code=202,
    responses={202: example({"id": "6f1c"}, "Begun; see /restores."), 403: REFUSED, 404: REFUSED, 409: REFUSED},
)
async def restore_snapshot(snapshot: str, console: Console, request: Request, body: BeginRestore) -> Response:
    """Sends the commands of the plan as the requester, one after the other; each is confirmed before the next. Each is
    judged by the device as any other. 409 where the plan has changed, or where a restore is under way."""
    service = console.snapshots
    begun = await service.restore(
        await service.store.get(snapshot),
        requester(request),
        body.reason,
        body.digest,
        keeps_going=body.keep_going,
        only=body.only,
    )
    request.scope["audited"] = {"restore": begun.id, "points": len(begun.writes)}
    return as_json({"id": begun.id}, 202)


@router.get("/restores", summary="The last restores")
async def list_restores(
    console: Console,
    snapshot: Annotated[str, Query(description="Only those of this one")] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
) -> Response:
    """The newest first, with what became of each point."""
    return as_json({"restores": await console.snapshots.store.restores(limit, snapshot)})


@router.get("/restores/{restore}", summary="One restore", responses={404: REFUSED})
async def get_restore(restore: str, console: Console) -> Response:
    """Which points are restored, which failed and why, which were not tried."""
    return as_json(await _find(console, restore))


@router.post("/restores/{restore}/stop", summary="Stop a restore", responses={403: REFUSED, 404: REFUSED, 409: REFUSED})
async def stop_restore(restore: str, console: Console, request: Request) -> Response:
    """No further command is sent, and the end of the one under way is not awaited. Allowed to the user who began it and
    to each user who may make one of its devices safe. The console that carries it out is told over the bus, also while
    the database is away."""
    present = console.latest.words.get(KEY)
    if not isinstance(present, RestoreProgress) or present.id != restore:
        present = progress(await _find(console, restore))
    _check_stop(console, requester(request).principal, present)
    await console.snapshots.restorer.stop(restore, requester(request).name)
    return as_json({"id": restore})


async def _find(console: ConsoleContext, id: str) -> Restore:
    present = console.snapshots.restorer.present
    return present if present and present.id == id else await console.snapshots.store.restore(id)


def _check_stop(console: ConsoleContext, principal: Principal, restore: RestoreProgress) -> None:
    """Refused where the user neither began it nor may make any of its devices safe."""
    now_ns = console.clock.now_ns()
    devices = (f"device.{device}" for device in restore.devices)
    refusals = [decide(principal, Permission.MAKE_SAFE, device, now_ns=now_ns) for device in devices]
    if restore.by != principal.name and all(refusals):
        raise Refused(next(cause for cause in refusals if cause))
