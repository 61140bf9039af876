"""The API of systems, as their agents report them for each partition they serve, and of commands to agents."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from countingroom.console.api.commands import CommandBody, carry
from countingroom.console.api.devices import Console
from countingroom.console.context import ConsoleContext
from countingroom.console.responses import COMMAND_ANSWERS, REFUSED, as_json, example
from countingroom.core import subjects
from countingroom.core.commands.row import reference
from countingroom.core.commands.system import SYSTEM
from countingroom.core.errors import NotFound
from countingroom.core.systems import Placement, SystemKind, SystemState

router = APIRouter(tags=["partitions"])
_SYSTEM: dict[str, Any] = {
    "system": "STS",
    "kind": "detector",
    "partition": "mCBM",
    "states": {"mCBM": {"system": "STS", "state": "Configuring_Step2", "common": "Configuring", "tag": "physics"}},
}


def systems(console: ConsoleContext) -> dict[str, dict[str, Any]]:
    """Every system with a state or a place, by name; its states by partition."""
    words = console.latest.words
    found: dict[str, dict[str, Any]] = {}
    places = words.get(subjects.MAPPING_KEY)
    if isinstance(places, Placement):
        for name, partition in places.detectors.items():
            found[name] = {"system": name, "kind": SystemKind.DETECTOR, "partition": partition, "states": {}}
    for word in words.values():
        if isinstance(word, SystemState):
            new: dict[str, Any] = {"system": word.system, "kind": word.kind, "partition": "", "states": {}}
            one = found.setdefault(word.system, new)
            if word.kind is SystemKind.DETECTOR and not isinstance(places, Placement):
                one["partition"] = word.partition
            one["states"][word.partition] = word
    return dict(sorted(found.items()))


def system(console: ConsoleContext, name: str) -> dict[str, Any]:
    """One system; NotFound with the names of all systems."""
    there = systems(console)
    if name not in there:
        names = ", ".join(there) or "none yet"
        raise NotFound(f"there is no system {name!r}", source="console", suggestion=f"systems: {names}")
    return there[name]


@router.get(
    "/systems", summary="Every system, as its agent reports it", responses={200: example({"systems": [_SYSTEM]})}
)
async def list_systems(console: Console) -> Response:
    """A global system has one state for each partition; a detector has one, and `partition` is where it stands."""
    return as_json({"systems": list(systems(console).values())})


@router.get(
    "/systems/{system}",
    summary="One system, with its configurations",
    responses={200: example({**_SYSTEM, "configurations": ()}), 404: REFUSED},
)
async def get_system(system: str, console: Console) -> Response:
    """`configurations` are those that can be selected for it."""
    one = _one(console, system)
    return as_json(one | {"configurations": await console.records.configurations.list(system)})


@router.post(
    "/systems/{system}/commands/{command}",
    summary="Command the agent of a system",
    description=f"The commands, with what they take as `arguments`:\n\n{reference(SYSTEM.values())}\n\n"
    "Agents of another kind may have more.",
    responses=COMMAND_ANSWERS,
    status_code=202,
)
async def command_system(
    system: str, command: str, console: Console, request: Request, order: CommandBody | None = None
) -> Response:
    """Send a command of the table, or one that its kind of agent has beyond it, to the agent of a system."""
    return await carry(console, request, "systems", _one(console, system)["system"], command, order)


_one = system
