"""The API of snapshots of setpoints: take, list, compare, mark as golden, delete, export and import."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from countingroom.console.api.devices import Console
from countingroom.console.api.login import Body
from countingroom.console.auth.requester import requester
from countingroom.console.responses import REFUSED, as_json, example
from countingroom.console.route_permissions import RoutePermission
from countingroom.core.errors import Denied
from countingroom.core.policy import Permission, decide
from countingroom.core.snapshots.compare import PointVerdict
from countingroom.core.snapshots.exchange import from_file, to_file
from countingroom.core.snapshots.values import checked_reason
from countingroom.core.subjects import EXPERIMENT

router = APIRouter(tags=["snapshots"])
_VIEW = RoutePermission(action=Permission.VIEW)
ROUTES = {
    "GET /snapshots": _VIEW,
    "GET /snapshots/{snapshot}": _VIEW,
    "GET /api/v1/snapshots": _VIEW,
    "GET /api/v1/snapshots/{snapshot}": _VIEW,
    "GET /api/v1/snapshots/{snapshot}/compare": _VIEW,
    "GET /api/v1/snapshots/{snapshot}/export": _VIEW,
    "GET /api/v1/golden": _VIEW,
    # What these need depends on the devices of the snapshot: the handlers decide.
    "POST /api/v1/snapshots/{snapshot}/take": _VIEW,
    "POST /api/v1/snapshots/{snapshot}/golden": _VIEW,
    "POST /api/v1/snapshots/{snapshot}/delete": _VIEW,
    "POST /api/v1/snapshots/import": RoutePermission(action=Permission.CONFIGURE),
}
Reason = Annotated[str, Field(max_length=500)]
LONGEST_FILE = 16 << 20
"""Bytes of an imported file."""

_SUMMARY = {
    "name": "before the beam",
    "scope": ["caen", "area:cooling"],
    "reason": "settings of the last good run",
    "taken_by": "anna",
    "taken_ns": 1790000000000000000,
    "imported_by": "",
    "imported_ns": 0,
    "devices": ["caen", "chiller"],
    "points": 84,
    "not_present": 0,
    "golden": None,
}
_ROW: dict[str, Any] = {
    "device": "caen",
    "point": "0.hv_setV",
    "label": "HV V set",
    "unit": "V",
    "words": {},
    "saved": 300.0,
    "other": 280.0,
    "difference": -20.0,
    "tolerance": 0.005,
    "verdict": "differs",
}


class Take(Body):
    """The points of a new snapshot, and the reason."""

    points: Annotated[list[Annotated[str, Field(max_length=200)]], Field(min_length=1, max_length=200)]
    """Devices (`caen`), areas (`area:cooling`), points (`caen.0.hv_setV`), and patterns of them."""
    reason: Reason


class Golden(Body):
    """Whether it is the golden one of its scope."""

    golden: bool = True
    reason: Reason


class Delete(Body):
    """Why it is deleted."""

    reason: Reason


class Import(Body):
    """A file that the export has made."""

    document: Annotated[str, Field(max_length=LONGEST_FILE)]
    name: Annotated[str, Field(max_length=100)] = ""
    """Another name than that of the file."""


@router.get("/snapshots", summary="Snapshots of setpoints", responses={200: example({"snapshots": [_SUMMARY]})})
async def list_snapshots(console: Console) -> Response:
    """Every snapshot without its points, the newest first."""
    return as_json({"snapshots": await console.snapshots.store.list()})


@router.get(
    "/golden",
    summary="How the present differs from the golden snapshots",
    responses={
        200: example(
            {
                "golden": [
                    {
                        "mark": {
                            "scope": "caen",
                            "snapshot": "before the beam",
                            "marked_by": "eve",
                            "marked_ns": 1790000000000000000,
                            "reason": "settings of the last good run",
                        },
                        "compared": 84,
                        "differs": 3,
                        "unknown": 0,
                    }
                ]
            }
        )
    },
)
async def golden_differences(
    console: Console, device: Annotated[str, Query(max_length=100, description="Only the points of this one")] = ""
) -> Response:
    """For each golden snapshot, of all devices or of one: how many points differ now."""
    return as_json({"golden": await console.snapshots.golden(device)})


@router.get("/snapshots/{snapshot}", summary="One snapshot with its points", responses={404: REFUSED})
async def get_snapshot(snapshot: str, console: Console) -> Response:
    """The points with values, units, qualities, times and readbacks, and what was done with it."""
    found = await console.snapshots.store.get(snapshot)
    actions = await console.snapshots.store.actions(snapshot)
    return as_json({"snapshot": found, "actions": actions})


@router.get(
    "/snapshots/{snapshot}/compare",
    summary="Compare a snapshot with the present, or with another",
    responses={200: example({"rows": [_ROW], "counts": {"differs": 1, "equal": 83}}), 404: REFUSED},
)
async def compare_snapshot(
    snapshot: str,
    console: Console,
    other: Annotated[str, Query(alias="with", description="Another snapshot; empty: the present")] = "",
    equal: Annotated[bool, Query(description="Whether rows that are equal are listed")] = True,
) -> Response:
    """Rows that differ come first. Each has the tolerance within which it counts as equal."""
    store = console.snapshots.store
    before = await store.get(snapshot)
    found = await console.snapshots.compared(before, await store.get(other) if other else None)
    rows = found.rows if equal else tuple(row for row in found.rows if row.verdict is not PointVerdict.EQUAL)
    return as_json({"rows": rows, "counts": found.counts})


@router.post(
    "/snapshots/{snapshot}/take",
    summary="Take a snapshot under this name",
    responses={200: example(_SUMMARY), 403: REFUSED, 404: REFUSED, 409: REFUSED, 422: REFUSED},
)
async def take_snapshot(snapshot: str, console: Console, request: Request, body: Take) -> Response:
    """409 where the name is taken: a snapshot is never overwritten. It needs the right to operate each device."""
    taken = await console.snapshots.take(snapshot, body.points, body.reason, requester(request).principal)
    return as_json(taken)


@router.post(
    "/snapshots/{snapshot}/golden",
    summary="Mark it as the golden one of its scope, or remove the mark",
    responses={403: REFUSED, 404: REFUSED, 409: REFUSED},
)
async def mark_snapshot(snapshot: str, console: Console, request: Request, body: Golden) -> Response:
    """It takes the place of the former one of the same scope. It needs the role expert on each of its devices."""
    service, principal = console.snapshots, requester(request).principal
    found = await service.store.get(snapshot)
    service.check_devices(principal, Permission.CONFIGURE, found)
    if not body.golden:
        await service.store.unmark(snapshot, principal.name, checked_reason(body.reason))
        return as_json({"mark": None})
    return as_json({"mark": await service.store.mark(snapshot, principal.name, checked_reason(body.reason))})


@router.post(
    "/snapshots/{snapshot}/delete",
    summary="Delete a snapshot",
    responses={200: example(_SUMMARY), 403: REFUSED, 404: REFUSED, 409: REFUSED},
)
async def delete_snapshot(snapshot: str, console: Console, request: Request, body: Delete) -> Response:
    """Its own user and administrators may; 409 while it is golden. The record of what was done with it stays."""
    store, principal = console.snapshots.store, requester(request).principal
    found = await store.get(snapshot)
    owner = found.imported_by or found.taken_by
    administers = decide(principal, Permission.ADMINISTER, EXPERIMENT, now_ns=console.clock.now_ns()) is None
    if owner != principal.name and not administers:
        raise Denied(
            f"the snapshot {snapshot} belongs to {owner}",
            source="snapshots",
            suggestion=f"ask {owner} or an administrator to delete it",
        )
    return as_json(await store.delete(snapshot, principal.name, checked_reason(body.reason)))


@router.get("/snapshots/{snapshot}/export", summary="A snapshot as a file", responses={404: REFUSED})
async def export_snapshot(
    snapshot: str, console: Console, form: Annotated[Literal["yaml", "json"], Query(alias="format")] = "yaml"
) -> Response:
    """YAML or JSON, for `import` here or elsewhere."""
    found = await console.snapshots.store.get(snapshot)
    text = await asyncio.to_thread(to_file, found, as_yaml=form == "yaml")
    headers = {"Content-Disposition": f'attachment; filename="snapshot.{form}"'}
    return Response(text, media_type=f"application/{form}", headers=headers)


@router.post(
    "/snapshots/import",
    summary="Import a snapshot from a file",
    responses={200: example(_SUMMARY), 409: REFUSED, 422: REFUSED},
)
async def import_snapshot(console: Console, request: Request, body: Import) -> Response:
    """It keeps the user and the time of the file; the record has who imported it. Nothing is written to devices."""
    found = await asyncio.to_thread(from_file, body.document)
    made = msgspec.structs.replace(
        found,
        name=body.name or found.name,
        imported_by=requester(request).name,
        imported_ns=console.clock.now_ns(),
    )
    return as_json(await console.snapshots.store.save(made))
