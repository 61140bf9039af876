"""The API of the fleet: nodes, services, the plan of a change, revisions, logs and commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import APIRouter, Query, Request, Response

from countingroom.console.api.commands import CommandBody, carry
from countingroom.console.api.devices import Console
from countingroom.console.context import ConsoleContext
from countingroom.console.query_client import ask
from countingroom.console.responses import COMMAND_ANSWERS, as_json, example, refusals
from countingroom.console.route_permissions import RoutePermission
from countingroom.core import command_permissions
from countingroom.core.commands.fleet import FLEET, TARGET
from countingroom.core.commands.row import reference
from countingroom.core.errors import Conflict, NotFound
from countingroom.core.fleet.queries import LONGEST_TAIL, FleetPlanAnswer, FleetPlanQuery, LogAnswer, LogQuery
from countingroom.core.fleet.states import FLEET_KEY, FleetState, NodeState, ServiceState, node_key, service_key
from countingroom.core.policy import Permission

router = APIRouter(tags=["fleet"])
DEPARTMENT = "fleet"
State = TypeVar("State", NodeState, ServiceState)


def _command(console: ConsoleContext, parameters: Mapping[str, str]) -> Permission:
    return command_permissions.of_fleet(parameters["command"])


_VIEW = RoutePermission(action=Permission.VIEW)
ROUTES = {
    "GET /fleet": _VIEW,
    "GET /services/{service}": _VIEW,
    "GET /nodes/{node}": _VIEW,
    "GET /api/v1/fleet": _VIEW,
    "GET /api/v1/fleet/plan": _VIEW,
    "GET /api/v1/fleet/revisions": _VIEW,
    "POST /api/v1/fleet/commands/{command}": RoutePermission(by=_command),
    "GET /api/v1/nodes": _VIEW,
    "GET /api/v1/nodes/{node}": _VIEW,
    "GET /api/v1/services": _VIEW,
    "GET /api/v1/services/{service}": _VIEW,
    "GET /api/v1/services/{service}/logs": _VIEW,
}
_INSTANCE: dict[str, Any] = {
    "node": "gfa1",
    "index": 0,
    "health": "healthy",
    "is_known": True,
    "since_ns": 1790000000000000000,
    "revision": 42,
    "is_current": True,
    "version": "2.4.1",
    "crashes": 0,
    "reason": "",
    "drift": [],
    "doing": "",
}
_SERVICE: dict[str, Any] = {
    "service": "camera",
    "title": "Guide cameras",
    "version": "2.4.1",
    "phase": "rolling",
    "target": 42,
    "revision": 42,
    "healthy": 11,
    "wanted": 12,
    "instances": [_INSTANCE],
    "waiting": ["others are being changed"],
    "cause": None,
}
_NODE: dict[str, Any] = {
    "node": "gfa1",
    "address": "sdss-gfa1",
    "engine": "processes",
    "url": "",
    "category": "gfa",
    "labels": {"category": "gfa"},
    "is_reachable": True,
    "since_ns": 1790000000000000000,
    "cause": None,
    "cordon": None,
    "warning": "",
    "pulls": [
        {
            "image": "hub:5000/camera:2.4.1",
            "done_bytes": 12000000,
            "whole_bytes": 40000000,
            "since_ns": 1790000000000000000,
        }
    ],
    "usb": [
        {
            "vendor": "0f18",
            "product": "000a",
            "serial": "ML0240108",
            "title": "FLI MicroLine ML4720",
            "place": "1-1.4",
            "paths": ["/dev/bus/usb/001/004"],
        }
    ],
    "boot": "6d3f0f0e-8f5c-4a56-9d0e-0a5b1d2c3e4f",
    "restarts": ["soft", "hard"],
    "reboot": {"is_hard": False, "by": "anna", "since_ns": 1790000000000000000, "step": "done", "cause": None},
    "instances": 1,
    "healthy": 1,
}


def _service(state: ServiceState) -> dict[str, Any]:
    return {**msgspec.to_builtins(state), "healthy": state.healthy, "wanted": len(state.instances)}


def _of(console: ConsoleContext, kind: type[State]) -> list[State]:
    return [word for _, word in sorted(console.latest.words.items()) if isinstance(word, kind)]


@router.get(
    "/fleet",
    summary="The fleet as a whole",
    responses={
        200: example(
            {
                "revision": 42,
                "by": "anna",
                "time_ns": 1790000000000000000,
                "comment": "camera 2.4.1",
                "keeper": "fleet at node1, process 4711, 8c1f0a37",
                "cause": None,
                "nodes": 23,
                "nodes_reachable": 22,
                "instances": 36,
                "healthy": 35,
            }
        ),
        **refusals(404),
    },
)
async def get_fleet(console: Console) -> Response:
    """The revision that was applied last, which process keeps the fleet, and how much of it works."""
    state = console.latest.words.get(FLEET_KEY)
    if not isinstance(state, FleetState):
        raise NotFound(
            "there is no fleet",
            source="console",
            suggestion="add nodes and services to the section fleet of the description, and start the role fleet",
        )
    nodes, services = _of(console, NodeState), _of(console, ServiceState)
    return as_json(
        {
            **msgspec.to_builtins(state),
            "nodes": len(nodes),
            "nodes_reachable": sum(one.is_reachable for one in nodes),
            "instances": sum(len(one.instances) for one in services),
            "healthy": sum(one.healthy for one in services),
        }
    )


@router.get(
    "/fleet/plan",
    summary="What applying the description, or an earlier revision, would change",
    responses={
        200: example(
            {
                "mark": "8c1f0a37d2be4419",
                "plan": {
                    "revision": 0,
                    "present": 41,
                    "changes": [
                        {
                            "kind": "replace",
                            "service": "camera",
                            "node": "gfa1",
                            "index": 0,
                            "what": ["image 2.4.0 → 2.4.1"],
                            "why": "the revision differs",
                            "pulls": "hub:5000/camera:2.4.1",
                        }
                    ],
                    "notes": [
                        {"kind": "waits", "service": "camera", "node": "gfa4", "text": "its node does not answer"}
                    ],
                    "gates": [
                        {
                            "service": "camera",
                            "instances": 12,
                            "max_parallel": 2,
                            "min_healthy": 10,
                            "canary": True,
                            "healthy_for_s": 60.0,
                            "start_period_s": 20.0,
                            "failures": 5,
                            "rollback": True,
                        }
                    ],
                    "stays": 15,
                },
            }
        ),
        **refusals(400, 404, 503),
    },
)
async def get_fleet_plan(console: Console, revision: Annotated[int, Query(ge=0)] = 0) -> Response:
    """The plan alone; it is not carried out. `revision`: an earlier one, for a rollback; 0: the description as it is on
    disk. Give `mark` to the command `apply`, so that it does what was seen or nothing."""
    answer = await ask(console.bus, DEPARTMENT, "plan", FleetPlanQuery(revision=revision), FleetPlanAnswer)
    return as_json({"mark": answer.mark, "plan": answer.plan})


@router.get(
    "/fleet/revisions",
    summary="The revisions of the fleet, newest first",
    responses={
        200: example(
            {"revisions": [{"number": 42, "by": "anna", "time_ns": 1790000000000000000, "comment": "camera 2.4.1"}]}
        ),
        **refusals(503),
    },
)
async def get_revisions(console: Console) -> Response:
    """What was wanted when, by whom."""
    if console.database is None:
        raise Conflict("this console has no database", code="no_database", source="fleet", suggestion="see storage")
    return as_json({"revisions": await console.database.fleet.revisions()})


@router.get("/nodes", summary="Every node", responses={200: example({"nodes": [_NODE]})})
async def get_nodes(console: Console) -> Response:
    """Their states, by name."""
    return as_json({"nodes": _of(console, NodeState)})


@router.get("/nodes/{node}", summary="One node", responses={200: example({**_NODE, "services": []}), **refusals(404)})
async def get_node(node: str, console: Console) -> Response:
    """Its state, and the instances on it by service."""
    state = console.latest.words.get(node_key(node))
    if not isinstance(state, NodeState):
        raise NotFound(f"there is no node {node!r}", source="console", suggestion="list them: /api/v1/nodes")
    on_it = [
        {"service": one.service, "instances": [here for here in one.instances if here.node == node]}
        for one in _of(console, ServiceState)
        if any(here.node == node for here in one.instances)
    ]
    return as_json({**msgspec.to_builtins(state), "services": on_it})


@router.get("/services", summary="Every service", responses={200: example({"services": [_SERVICE]})})
async def get_services(console: Console) -> Response:
    """Their states, by name."""
    return as_json({"services": [_service(one) for one in _of(console, ServiceState)]})


@router.get("/services/{service}", summary="One service", responses={200: example(_SERVICE), **refusals(404)})
async def get_service(service: str, console: Console) -> Response:
    """Its state with every instance, and the last steps of its change."""
    return as_json(_service(_found(console, service)))


@router.get(
    "/services/{service}/logs",
    summary="The last lines of the output of an instance",
    responses={200: example({"lines": ["exposing"], "times_ns": [1790000000000000000]}), **refusals(404, 503)},
)
async def get_logs(
    service: str,
    console: Console,
    node: Annotated[str, Query(max_length=200)],
    index: Annotated[int, Query(ge=0)] = 0,
    tail: Annotated[int, Query(ge=1, le=LONGEST_TAIL)] = 200,
    since_ns: Annotated[int, Query(ge=0, description="only lines from this time on, ns since the epoch")] = 0,
) -> Response:
    """Also of an instance that has ended, or was replaced. The websocket `/api/v1/fleet/logs` sends lines as they are
    written; its first message names instances, `{"of": [{"service": "camera", "node": "gfa1"}], "tail": 200}`."""
    query = LogQuery(service=service, node=node, index=index, tail=tail, since_ns=since_ns)
    answer = await ask(console.bus, DEPARTMENT, "logs", query, LogAnswer)
    return as_json({"lines": answer.lines, "times_ns": answer.times_ns})


@router.post(
    "/fleet/commands/{command}",
    summary="Command the fleet",
    description=f"Commands:\n\n{reference(FLEET.values())}",
    status_code=202,
    responses=COMMAND_ANSWERS,
)
async def command_fleet(command: str, console: Console, request: Request, order: CommandBody | None = None) -> Response:
    """Carry out a command to the fleet."""
    return await carry(console, request, DEPARTMENT, TARGET, command, order)


def _found(console: ConsoleContext, service: str) -> ServiceState:
    state = console.latest.words.get(service_key(service))
    if not isinstance(state, ServiceState):
        raise NotFound(f"there is no service {service!r}", source="console", suggestion="list them: /api/v1/services")
    return state
