"""The commands of fliswarm that act, as they are meant for a fleet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from countingroom.core.actor.messages import MessageCode
from countingroom.core.errors import Cause, CountingRoomError, OutOfRange, Refused
from countingroom.core.fleet.observed import Health
from countingroom.core.fleet.record import Phase
from countingroom.core.fleet.states import InstanceState, NodeState, ServiceState
from countingroom.core.values import Scalar
from countingroom.doors.node_choice import choose, known
from countingroom.doors.orders import FleetOrders
from countingroom.doors.published_fleet import DoorView
from countingroom.doors.running import RunningCommand

_UNREACHED = "Node {node} is not pinging back or the Docker daemon is not running. Try rebooting the computer."
_GIVEN_UP = (Phase.FAILED, Phase.ROLLED_BACK, Phase.ROLLING_BACK, Phase.HELD)

SEEN_S = 5.0
"""So long an effect of a command may take until it is published."""

TellNode = Callable[[RunningCommand, NodeState], None]


class FleetCommands:
    """Of one door."""

    def __init__(self, view: DoorView, orders: FleetOrders, reason: str, tell_node: TellNode) -> None:
        """`reason`: why nodes are disabled here. `tell_node`: the part of `status` about a node."""
        self._view = view
        self._orders = orders
        self._reason = reason
        self._tell_node = tell_node

    async def disable(self, command: RunningCommand, values: Mapping[str, Any]) -> None:
        """Leave nodes as they are, and out of what is commanded."""
        nodes = self._named(values["nodes_to_disable"], is_all=values["all"])
        used = [one.node for one in nodes if one.cordon is None]
        await self._each(command, [(name, "cordon", {"node": name, "reason": self._reason}) for name in used])
        await self._view.until(lambda: self._set_aside(used) == len(used), most_s=SEEN_S)

    async def enable(self, command: RunningCommand, values: Mapping[str, Any]) -> None:
        """Use nodes again."""
        nodes = self._named(values["nodes_to_enable"], is_all=values["all"])
        aside = [one.node for one in nodes if one.cordon]
        await self._each(command, [(name, "uncordon", {"node": name}) for name in aside])
        await self._view.until(lambda: not self._set_aside(aside), most_s=SEEN_S)

    async def reconnect(self, command: RunningCommand, values: Mapping[str, Any]) -> None:
        """Make what does not work on nodes again; with `force` also what works. It ends when all of it works."""
        nodes = choose(self._view.nodes, values["names"], values["category"])
        bad = [one for one in nodes if not one.is_reachable]
        for one in bad:
            command.warning(_UNREACHED.format(node=one.node))
        reached = [one.node for one in nodes if one.is_reachable]
        again = self._to_restart(command, reached, force=values["force"])
        results = await asyncio.gather(*(self._restart(command, name, again[name], reached) for name in again))
        for name in reached:
            if found := self._view.nodes.get(name):
                self._tell_node(command, found)
        if bad or not all(results):
            command.fail("Failed to reconnect one or more nodes.")

    async def reboot(self, command: RunningCommand, values: Mapping[str, Any]) -> None:
        """Restart computers."""
        nodes = choose(self._view.nodes, values["names"], values["category"])
        how: dict[str, Scalar] = {"hard": True} if values["hard"] else {}
        await self._each(command, [(one.node, "reboot", {"node": one.node, **how}) for one in nodes])

    def _named(self, names: Sequence[str], *, is_all: bool) -> list[NodeState]:
        nodes = self._view.nodes
        if is_all:
            return list(nodes.values())
        if not names:
            raise OutOfRange("No node is named.", suggestion="name nodes, or give --all")
        return known(nodes, list(dict.fromkeys(names)))

    async def _each(self, command: RunningCommand, orders: Sequence[tuple[str, str, Mapping[str, Scalar]]]) -> None:
        """Give commands to the fleet, all at once; it fails where one does."""
        ended = await asyncio.gather(
            *(self._give(command, node, action, arguments) for node, action, arguments in orders)
        )
        if causes := [cause for cause in ended if cause]:
            raise Refused(causes[0])

    async def _give(
        self, command: RunningCommand, node: str, action: str, arguments: Mapping[str, Scalar]
    ) -> Cause | None:
        try:
            await self._orders.give(command, action, arguments)
        except CountingRoomError as error:
            command.reply(MessageCode.ERROR, {"error": f"{node}: {error.cause.message}"})
            return error.cause
        return None

    def _set_aside(self, names: Sequence[str]) -> int:
        nodes = self._view.nodes
        return sum(name in nodes and nodes[name].cordon is not None for name in names)

    def _to_restart(self, command: RunningCommand, nodes: Sequence[str], *, force: bool) -> dict[str, list[str]]:
        """Service -> the nodes where its instances are made again; none where the keeper makes a missing one anyway."""
        found: dict[str, list[str]] = {}
        for name in nodes:
            for service, one in self._view.instances(name):
                if (one.health is Health.HEALTHY or one.is_over) and not force:
                    command.debug(text=f"{name}: {service} is running already.")
                    continue
                again = found.setdefault(service, [])
                if one.health is not None and name not in again:
                    again.append(name)
        return found

    async def _restart(self, command: RunningCommand, service: str, again: Sequence[str], nodes: Sequence[str]) -> bool:
        """Whether its instances on `nodes` work in the end."""
        try:
            if again:
                before = self._since(service)
                await self._orders.give(command, "restart", {"service": service, "nodes": ",".join(again)})
                await self._view.until(lambda: self._since(service) != before, most_s=SEEN_S)
        except CountingRoomError as error:
            command.warning(f"{service}: {error.cause.message}")
            return False
        await self._view.until(lambda: self._is_settled(service, nodes))
        state = self._view.services.get(service)
        if state is not None and _works(state, nodes):
            return True
        gone = self._gone(nodes)
        command.warning(f"{service}: {f'{gone[0]} is disabled or lost' if gone else _why(state)}")
        return False

    def _since(self, service: str) -> int:
        state = self._view.services.get(service)
        return state.since_ns if state else 0

    def _is_settled(self, service: str, nodes: Sequence[str]) -> bool:
        state = self._view.services.get(service)
        if state is None or state.phase in _GIVEN_UP:
            return True
        gone = self._gone(nodes)
        return _works(state, [name for name in nodes if name not in gone])

    def _gone(self, names: Sequence[str]) -> list[str]:
        """Nodes that were disabled or lost in the meantime; the command leaves them out."""
        nodes = self._view.nodes
        return [one for one in names if one not in nodes or nodes[one].cordon or not nodes[one].is_reachable]


def _works(state: ServiceState, nodes: Sequence[str]) -> bool:
    return all(_is_fine(one) for one in state.instances if one.node in nodes)


def _is_fine(one: InstanceState) -> bool:
    works = one.health is Health.HEALTHY or one.is_over
    return one.is_known and works and one.is_current and not one.doing


def _why(state: ServiceState | None) -> str:
    if state is None:
        return "it is not wanted any more"
    return state.cause.message if state.cause else f"its change is {state.phase.value.replace('_', ' ')}"
