"""The API of devices, from the latest known state. No request is passed on to a device."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from countingroom.console.auth.requester import requester
from countingroom.console.context import ConsoleContext, context
from countingroom.console.present.device_rows import aged
from countingroom.console.present.latest import Latest
from countingroom.console.responses import REFUSED, as_json, example
from countingroom.console.route_permissions import denied_commands
from countingroom.core import subjects
from countingroom.core.errors import Cause, NotFound
from countingroom.core.messages import Catalogue, DeviceState
from countingroom.core.policy import Principal
from countingroom.core.values import Reading

router = APIRouter(tags=["devices"])
Console = Annotated[ConsoleContext, Depends(context)]


def catalogue(latest: Latest, device: str) -> Catalogue:
    """The catalogue of a device; NotFound with the names of all devices."""
    found = latest.catalogues.get(device)
    if found is None:
        there = ", ".join(sorted(latest.catalogues)) or "none yet"
        raise NotFound(f"there is no device {device!r}", source="console", suggestion=f"devices: {there}")
    return found


def states(
    console: ConsoleContext, of: Catalogue, principal: Principal
) -> tuple[DeviceState | None, dict[str, DeviceState]]:
    """Its own state and those of its channels, where they were published. Refusals of the requester's role are among
    theirs."""
    latest = console.latest
    denied = denied_commands(principal, of, console.clock.now_ns())
    own = latest.states.get(subjects.device_key(of.device))
    channels = {
        channel: _for_requester(state, denied)
        for channel in of.channels
        if (state := latest.states.get(subjects.channel_key(of.device, channel))) is not None
    }
    return own and _for_requester(own, denied), channels


def _for_requester(state: DeviceState, denied: dict[str, Cause]) -> DeviceState:
    if not denied:
        return state
    known = {name: denied.get(name, cause) for name, cause in state.refusals.items()}
    return msgspec.structs.replace(state, refusals=known | {"set": denied["set"]} if "set" in denied else known)


def as_shown(console: ConsoleContext, device: str, point: str = "") -> dict[str, Reading]:
    """The readings of a device, or that of one point; aged where no host is known to serve it."""
    known = console.latest.readings.get(device, {})
    chosen = {name: known[name] for name in ([point] if point else known) if name in known}
    if console.device_rows.living().get(device, False):
        return chosen
    return {name: aged(reading) for name, reading in chosen.items()}


@router.get(
    "/devices",
    summary="Every device, with its state and what is abnormal",
    responses={
        200: example(
            {
                "devices": [
                    {
                        "device": "chiller",
                        "title": "Chiller",
                        "driver": "julabo",
                        "group": "Cooling",
                        "location": "socket://10.0.0.7:8000",
                        "simulated": False,
                        "state": {"device": "chiller", "state": "ON", "common": "on", "link": "connected"},
                        "channels": {},
                        "abnormal": {"1": 0, "2": 0, "3": 1},
                        "stale": 0,
                        "alive": True,
                    }
                ]
            }
        )
    },
)
async def list_devices(console: Console, request: Request) -> Response:
    """`abnormal` counts alarms by priority, `stale` the points without a valid reading."""
    who = requester(request).principal
    devices = tuple(console.latest.catalogues.values())
    return as_json({"devices": await console.long_work.all(_row(console, one, who) for one in devices)})


def _row(console: ConsoleContext, of: Catalogue, principal: Principal) -> dict[str, object]:
    own, channels = states(console, of, principal)
    summary = console.device_rows.summary(of.device)
    return {
        "device": of.device,
        "title": of.title,
        "driver": of.driver,
        "group": of.group,
        "location": of.location,
        "simulated": of.simulated,
        "state": own,
        "channels": {channel: state.state for channel, state in channels.items()},
        "abnormal": {str(level): count for level, count in enumerate(summary.priorities, 1)},
        "stale": summary.no_link,
        "alive": console.device_rows.living().get(of.device, False),
    }


@router.get(
    "/devices/{device}",
    summary="One device: catalogue, state and readings",
    responses={
        200: example(
            {
                "catalogue": {"device": "chiller", "title": "Chiller", "points": [], "commands": []},
                "state": {"device": "chiller", "state": "ON", "common": "on", "link": "connected"},
                "channels": {},
                "readings": {"internal_temp": [-12.48, 0, 1790000000000000000, 1790000000000000000]},
                "reasons": {"external_temp": "'21,5' is no number"},
                "alive": True,
            },
            "A reading is value, quality (0 good, 1 uncertain, 2 stale, 3 bad), device time and time of arrival in ns. "
            "`reasons`: why the quality of a point is not good, where that is known.",
        ),
        404: REFUSED,
    },
)
async def get_device(device: str, console: Console, request: Request) -> Response:
    """The whole catalogue with points, limits, commands and charts, and the present readings and states."""
    of = catalogue(console.latest, device)
    own, channels = states(console, of, requester(request).principal)
    readings = as_shown(console, device)
    return as_json(
        {
            "catalogue": of,
            "state": own,
            "channels": channels,
            "readings": {
                name: (one.value, one.quality, one.device_ns, one.received_ns) for name, one in readings.items()
            },
            "reasons": {name: one.reason for name, one in readings.items() if one.reason},
            "alive": console.device_rows.living().get(device, False),
        }
    )


@router.get(
    "/devices/{device}/points/{point}",
    summary="One point and its reading",
    responses={
        200: example(
            {
                "point": {"name": "internal_temp", "unit": "degC", "precision": 2},
                "reading": {"value": -12.48, "quality": 0, "device_ns": 1790000000000000000, "received_ns": 0},
            }
        ),
        404: REFUSED,
    },
)
async def get_point(device: str, point: str, console: Console) -> Response:
    """`reading` is null for a point that was never published. Its quality is stale while no host serves the device, or
    the bus is away."""
    of = catalogue(console.latest, device)
    found = next((one for one in of.points if one.name == point), None)
    if found is None:
        raise NotFound(
            f"{device} has no point {point!r}",
            source="console",
            suggestion=f"ask /api/v1/devices/{device} for its {len(of.points)} points",
        )
    return as_json({"point": found, "reading": as_shown(console, device, point).get(point)})
