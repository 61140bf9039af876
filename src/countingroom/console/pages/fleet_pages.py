"""The pages of the fleet: the whole with its changes, one service, one node.

What they show comes with the live feed; the page brings the states of its first moment, and what its user may not do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from typing import Any

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from countingroom.console.auth.requester import requester
from countingroom.console.context import ConsoleContext
from countingroom.console.pages.page_set import Render
from countingroom.console.present import fleet_words
from countingroom.core import units
from countingroom.core.commands.fleet import FLEET
from countingroom.core.errors import NotFound
from countingroom.core.fleet.specs import InstanceId
from countingroom.core.fleet.states import FleetState, NodeState, ServiceState, node_key, service_key
from countingroom.core.fleet.usage import channel_of, device_of
from countingroom.core.policy import decide
from countingroom.core.subjects import EXPERIMENT

_OF_NODE = ("cpu", "memory", "disk", "clock_offset")
_OF_INSTANCE = ("cpu", "memory")
_MOST_USES = 40
"""Small trends on the page of a service with many instances."""


class FleetPages:
    """Three pages. Every action is a command of the API, which decides again."""

    def __init__(self, context: ConsoleContext, render: Render) -> None:
        self._context = context
        self._render = render

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route("/fleet", self.fleet)
        router.add_api_route("/services/{service}", self.service)
        router.add_api_route("/nodes/{node}", self.node)

    async def overview(self, request: Request) -> dict[str, Any]:
        """Empty: the overview has no part for the fleet."""
        return {}

    async def fleet(self, request: Request) -> HTMLResponse:
        """The whole fleet."""
        return self._render(request, "fleet.html", "fleet", "Fleet", data=self._data(request))

    async def service(self, request: Request, service: str) -> HTMLResponse:
        """One service: its instances, their log, the last steps of its change."""
        words = self._context.latest.words
        state = words.get(service_key(service))
        if not isinstance(state, ServiceState):
            raise NotFound(f"there is no service {service!r}", source="console", suggestion="see the page Fleet")
        partitions = fleet_words.partitions_of(words, state)
        use = [
            row
            for one in state.instances
            for row in self._use(one.node, channel_of(InstanceId(service, one.node, one.index)), _OF_INSTANCE)
        ]
        data = {
            **self._data(request, {service_key(service)}),
            "service": service,
            "partitions": partitions,
            "use": use[:_MOST_USES],
        }
        return self._render(request, "service.html", "service", service, above="Fleet", data=data)

    async def node(self, request: Request, node: str) -> HTMLResponse:
        """One node, and what runs on it."""
        if not isinstance(self._context.latest.words.get(node_key(node)), NodeState):
            raise NotFound(f"there is no node {node!r}", source="console", suggestion="see the page Fleet")
        keys = {
            key
            for key, word in self._context.latest.words.items()
            if isinstance(word, ServiceState) and any(one.node == node for one in word.instances)
        }
        use = list(self._use(node, "", _OF_NODE))
        data = {**self._data(request, {node_key(node), *keys}), "node": node, "device": device_of(node), "use": use}
        return self._render(request, "node.html", "node", node, above="Fleet", data=data)

    def _use(self, node: str, channel: str, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        """The points of a node, or of an instance on it, that have a small trend."""
        known = self._context.latest.catalogues.get(device_of(node))
        for point in known.points if known else ():
            if point.channel == channel and point.column in columns:
                yield {
                    "point": f"{device_of(node)}.{point.name}",
                    "of": node if channel else "",
                    "label": point.label,
                    "unit": units.written(point.unit),
                    "precision": point.precision,
                }

    def _data(self, request: Request, keys: Set[str] | None = None) -> dict[str, Any]:
        """The present states of these keys (None: of all), and why this user may not give a command, where that is
        so."""
        principal, now_ns = requester(request).principal, self._context.clock.now_ns()
        judged = {name: decide(principal, row.permission, EXPERIMENT, now_ns=now_ns) for name, row in FLEET.items()}
        states = {
            key: msgspec.to_builtins(word)
            for key, word in self._context.latest.words.items()
            if isinstance(word, FleetState | NodeState | ServiceState)
            and (keys is None or key in keys or isinstance(word, FleetState))
        }
        return {
            "fleet": states,
            "denied": {name: msgspec.to_builtins(cause) for name, cause in judged.items() if cause},
        }


pages = FleetPages
