"""The permission and the target that each route needs. A route without a row is refused.

The decision is made by `core/policy.py` alone; this table only says which question a route asks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from msgspec import Struct
from starlette.exceptions import WebSocketException
from starlette.requests import HTTPConnection

from countingroom.console.auth.requester import requester
from countingroom.console.context import ConsoleContext, context
from countingroom.core import command_permissions
from countingroom.core.commands.experiment import EXPERIMENT as EXPERIMENT_COMMANDS
from countingroom.core.commands.partition import PARTITION
from countingroom.core.errors import Cause, Refused
from countingroom.core.messages import Catalogue
from countingroom.core.policy import Permission, Principal, decide
from countingroom.core.subjects import EXPERIMENT

SET_DANGEROUS = "set_dangerous"


class RoutePermission(Struct, frozen=True, kw_only=True):
    """The permission that a route needs, and on which target."""

    action: Permission | None = None
    """None: open without a login, unless `by` is given."""
    target: str = EXPERIMENT
    """With the route's parameters in braces: `device.{device}`."""
    by: Callable[[ConsoleContext, Mapping[str, str]], Permission] | None = None
    """Computes the permission where it depends on the command."""

    def asks(self, console: ConsoleContext, parameters: Mapping[str, str]) -> tuple[Permission | None, str]:
        """(action, target) of a request with these parameters."""
        action = self.by(console, parameters) if self.by else self.action
        return action, self.target.format_map(parameters)


def _device_command(console: ConsoleContext, parameters: Mapping[str, str]) -> Permission:
    catalogue = console.latest.catalogues.get(parameters["device"])
    return _device_action(catalogue, parameters["command"])


def _device_action(catalogue: Catalogue | None, command: str) -> Permission:
    named = [spec for spec in catalogue.commands if spec.name == command] if catalogue else []
    return max((command_permissions.of_device(spec) for spec in named), key=_weight, default=Permission.OPERATE)


def _weight(action: Permission) -> bool:
    return action is Permission.ENDANGER


def _partition_command(console: ConsoleContext, parameters: Mapping[str, str]) -> Permission:
    return command_permissions.of_partition(parameters["command"])


def _experiment_command(console: ConsoleContext, parameters: Mapping[str, str]) -> Permission:
    return command_permissions.of_experiment(parameters["command"])


def _system_command(console: ConsoleContext, parameters: Mapping[str, str]) -> Permission:
    return command_permissions.of_system(parameters["command"])


def _notification_command(console: ConsoleContext, parameters: Mapping[str, str]) -> Permission:
    return command_permissions.of_notification(parameters["command"])


def _rule_command(console: ConsoleContext, parameters: Mapping[str, str]) -> Permission:
    return command_permissions.of_rule(parameters["command"])


OPEN = RoutePermission()
LOOK = RoutePermission(action=Permission.VIEW)
OF_DEVICE = RoutePermission(action=Permission.VIEW, target="device.{device}")
OF_PARTITION = RoutePermission(action=Permission.VIEW, target="partition.{partition}")
ADMINISTER = RoutePermission(action=Permission.ADMINISTER)

ROUTES: dict[str, RoutePermission] = {
    "GET /healthz": OPEN,
    "GET /readyz": OPEN,
    "GET /metrics": LOOK,
    "GET /": LOOK,
    "GET /devices/{device}": OF_DEVICE,
    "GET /trends": LOOK,
    "GET /synoptics/{name}": LOOK,
    "GET /events": LOOK,
    "GET /description": LOOK,
    "GET /login": OPEN,
    "GET /link": OPEN,
    "GET /account": LOOK,
    "GET /users": ADMINISTER,
    "GET /audit": ADMINISTER,
    "WS /api/v1/live": LOOK,
    "GET /api/v1/live": LOOK,
    "GET /api/v1/devices": LOOK,
    "GET /api/v1/devices/{device}": OF_DEVICE,
    "GET /api/v1/devices/{device}/points/{point}": OF_DEVICE,
    "POST /api/v1/devices/{device}/commands/{command}": RoutePermission(by=_device_command, target="device.{device}"),
    "POST /api/v1/simulators/{device}/faults/{fault}": RoutePermission(
        action=Permission.SIMULATE, target="device.{device}"
    ),
    "GET /api/v1/history": LOOK,
    "GET /api/v1/history/points": LOOK,
    "GET /api/v1/history/last": LOOK,
    "GET /api/v1/history/export": LOOK,
    "GET /api/v1/history/conditions": LOOK,
    "GET /api/v1/views": LOOK,
    "GET /api/v1/views/{view}": LOOK,
    "POST /api/v1/views/{view}/save_view": RoutePermission(action=Permission.OPERATE),
    "POST /api/v1/views/{view}/delete_view": RoutePermission(action=Permission.OPERATE),
    "GET /acknowledge": OPEN,
    # The secret of a link names the account, whose rights count: api/acknowledge_links.py and api/alarms.py decide.
    "POST /api/v1/look_at_link": OPEN,
    "POST /api/v1/acknowledge_by_link": OPEN,
    "GET /alarms": LOOK,
    "GET /alarms/figures": LOOK,
    "GET /interlocks": LOOK,
    "GET /api/v1/alarms": LOOK,
    "GET /api/v1/alarms/definitions": LOOK,
    "GET /api/v1/alarms/{alarm}": LOOK,
    "GET /api/v1/alarms/{alarm}/history": LOOK,
    # What it needs depends on the command and on each alarm in the body: api/alarms.py decides.
    "POST /api/v1/alarms/commands/{command}": LOOK,
    "GET /api/v1/notifications": LOOK,
    "GET /api/v1/notifications/duty": LOOK,
    "POST /api/v1/notifications/commands/{command}": RoutePermission(by=_notification_command),
    "GET /rules": LOOK,
    "GET /api/v1/rules": LOOK,
    "GET /api/v1/rules/{rule}": LOOK,
    "POST /api/v1/rules/{rule}/commands/{command}": RoutePermission(by=_rule_command),
    "GET /api/v1/events": LOOK,
    "GET /api/v1/events/export": LOOK,
    "GET /api/v1/mqtt": LOOK,
    "POST /api/v1/mqtt/clear": ADMINISTER,
    "GET /partitions/{partition}": OF_PARTITION,
    "GET /runs": LOOK,
    "GET /runs/compare": LOOK,
    "GET /runs/{number}": LOOK,
    "GET /configurations": LOOK,
    "GET /detectors": LOOK,
    "GET /api/v1/partitions": LOOK,
    "GET /api/v1/partitions/{partition}": OF_PARTITION,
    "GET /api/v1/partitions/{partition}/plan": OF_PARTITION,
    "GET /api/v1/partitions/{partition}/tags": OF_PARTITION,
    "POST /api/v1/partitions/{partition}/commands/{command}": RoutePermission(
        by=_partition_command, target="partition.{partition}"
    ),
    **{
        f"POST /api/v1/partitions/{{partition}}/{row.name}": RoutePermission(
            action=row.permission, target="partition.{partition}"
        )
        for row in PARTITION.values()
        if row.short_route
    },
    "GET /api/v1/experiment/move": LOOK,
    "POST /api/v1/experiment/commands/{command}": RoutePermission(by=_experiment_command),
    "GET /api/v1/apply/plan": LOOK,
    "POST /api/v1/apply": RoutePermission(action=EXPERIMENT_COMMANDS["apply"].permission),
    "POST /api/v1/systems/{system}/commands/{command}": RoutePermission(by=_system_command, target="system.{system}"),
    "GET /api/v1/systems": LOOK,
    "GET /api/v1/systems/{system}": LOOK,
    "GET /api/v1/configurations": LOOK,
    "GET /api/v1/configurations/export": LOOK,
    "GET /api/v1/configurations/{system}/history": LOOK,
    "GET /api/v1/configurations/{system}/{tag}": LOOK,
    "GET /api/v1/tags": LOOK,
    "GET /api/v1/tags/compare": LOOK,
    "GET /api/v1/tags/{name}": LOOK,
    "GET /api/v1/tags/{name}/history": LOOK,
    "GET /api/v1/runs": LOOK,
    "GET /api/v1/runs/export": LOOK,
    "GET /api/v1/runs/{number}": LOOK,
    "POST /api/v1/login": OPEN,
    "POST /api/v1/link": OPEN,
    "POST /api/v1/logout": LOOK,
    "GET /api/v1/me": LOOK,
    "POST /api/v1/me/password": LOOK,
    "GET /api/v1/users": ADMINISTER,
    "POST /api/v1/users": ADMINISTER,
    "POST /api/v1/users/{name}/grant": ADMINISTER,
    "POST /api/v1/users/{name}/link": ADMINISTER,
    "POST /api/v1/users/{name}/disable": ADMINISTER,
    "POST /api/v1/users/{name}/log_out": ADMINISTER,
    "GET /api/v1/audit": ADMINISTER,
}
"""Method and path of a route -> the permission it needs."""


class FoundRoute(Struct, frozen=True, kw_only=True):
    """The row of the table for a request."""

    template: str
    permit: RoutePermission
    parameters: dict[str, str]


class RouteTable:
    """Finds the row for a request."""

    def __init__(self, rows: Mapping[str, RoutePermission]) -> None:
        self._rows = [
            (method, template, re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(template))), rows[name])
            for name in sorted(rows, key=lambda name: "{" in name)  # a fixed path goes before one with parameters
            for method, _, template in [name.partition(" ")]
        ]

    def find(self, method: str, path: str) -> FoundRoute | None:
        """The row for this request; None where there is none. A websocket's method is `WS`."""
        method = "GET" if method == "HEAD" else method
        for of, template, pattern, permit in self._rows:
            if of == method and (match := pattern.fullmatch(path)):
                return FoundRoute(template=template, permit=permit, parameters=match.groupdict())
        return None


async def permitted(connection: HTTPConnection) -> None:
    """Dependency of every route: raises Refused where the policy denies it."""
    path = connection.scope["path"]
    routes: RouteTable = connection.app.state.routes
    found = routes.find(connection.scope.get("method", "WS"), path)
    cause = _unlisted(path) if found is None else _judge(context(connection), found, requester(connection).principal)
    if cause is None:
        return
    if connection.scope["type"] == "websocket":
        raise WebSocketException(1008, cause.code)
    raise Refused(cause)


def _judge(console: ConsoleContext, found: FoundRoute, principal: Principal) -> Cause | None:
    action, target = found.permit.asks(console, found.parameters)
    return None if action is None else decide(principal, action, target, now_ns=console.clock.now_ns())


def _unlisted(route: str) -> Cause:
    return Cause(
        code="denied",
        message=f"{route} is in no table of permissions",
        source="policy",
        suggestion="report it to the developers of this version",
    )


def check_point(console: ConsoleContext, catalogue: Catalogue, name: object, principal: Principal) -> None:
    """Refused where writing this point is dangerous and needs a higher role than the command `set` of other points."""
    point = next((one for one in catalogue.points if one.name == name), None)
    action = command_permissions.of_point(point)
    cause = decide(principal, action, f"device.{catalogue.device}", now_ns=console.clock.now_ns())
    if cause is not None:
        raise Refused(cause)


def denied_commands(principal: Principal, catalogue: Catalogue, now_ns: int) -> dict[str, Cause]:
    """The device's commands that this user may not give, and why; SET_DANGEROUS for `set` of a dangerous point."""
    target = f"device.{catalogue.device}"
    names = {spec.name for spec in catalogue.commands} | {"set"}
    verdicts = {
        name: decide(principal, _device_action(catalogue, name), target, now_ns=now_ns) for name in sorted(names)
    }
    if any(point.dangerous for point in catalogue.points):
        verdicts[SET_DANGEROUS] = decide(principal, Permission.ENDANGER, target, now_ns=now_ns)
    return {name: cause for name, cause in verdicts.items() if cause is not None}
