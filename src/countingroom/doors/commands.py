"""What the commands of a door do: those of CLU, and those of fliswarm as they are meant for a fleet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from countingroom.core.clock import Clock
from countingroom.core.fleet.observed import Health
from countingroom.core.fleet.states import NodeState
from countingroom.core.policy import Permission
from countingroom.doors.door import Outcome
from countingroom.doors.fleet_commands import FleetCommands
from countingroom.doors.grammar import Grammar
from countingroom.doors.keywords import SCHEMA, keyword_lines
from countingroom.doors.orders import FleetOrders
from countingroom.doors.published_fleet import DoorView
from countingroom.doors.running import RunningCommand
from countingroom.doors.simulation import Simulation
from countingroom.doors.talk import DoorTalk

_Handler = Callable[[RunningCommand, Mapping[str, Any]], Outcome]
_SHORT_ID = 12
"""Letters of the id of a container, as Docker shortens it."""


class DoorCommands:
    """The commands of one door."""

    def __init__(
        self,
        clock: Clock,
        grammar: Grammar,
        view: DoorView,
        orders: FleetOrders,
        *,
        actor: str,
        version: str,
        reason: str,
        images: Path | None,
        talk: DoorTalk,
    ) -> None:
        """`reason`: told with nodes that are disabled here. `images`: the folder of `simulate`."""
        self._grammar = grammar
        self._view = view
        self._orders = orders
        self._version = version
        fleet = FleetCommands(view, orders, reason or f"disabled at the door {actor}", self._tell_node)
        simulation = Simulation(clock, actor, images, self._enabled, orders)
        self._handlers: dict[str, _Handler] = {
            "ping": self._ping,
            "version": self._tell_version,
            "help": self._help,
            "get_schema": self._schema,
            "get-command-model": self._model,
            "keyword": self._keyword,
            "multiline": self._multiline,
            "status": self._status,
            "disable": fleet.disable,
            "enable": fleet.enable,
            "reconnect": fleet.reconnect,
            "reboot": fleet.reboot,
            "simulate": simulation.run,
            "talk": talk.run,
        }

    def run(self, command: RunningCommand, values: Mapping[str, Any]) -> Outcome:
        """Carry out a command; Refused where the principal of the door may not."""
        self._orders.check(Permission.VIEW)
        return self._handlers[command.name](command, values)

    # Of CLU.

    def _ping(self, command: RunningCommand, _: Mapping[str, Any]) -> None:
        command.done(text="Pong.")

    def _tell_version(self, command: RunningCommand, _: Mapping[str, Any]) -> None:
        command.done(version=self._version)

    def _help(self, command: RunningCommand, values: Mapping[str, Any]) -> None:
        command.help(self._grammar.help(values["words"]))

    def _schema(self, command: RunningCommand, _: Mapping[str, Any]) -> None:
        command.schema(SCHEMA)

    def _model(self, command: RunningCommand, values: Mapping[str, Any]) -> None:
        command.command_model(self._grammar.model(values["command_name"]))

    def _keyword(self, command: RunningCommand, values: Mapping[str, Any]) -> None:
        keyword = values["keyword"]
        if (lines := keyword_lines(keyword)) is None:
            command.fail(f"Keyword {keyword!r} is not part of the data model.")
            return
        for line in lines:
            command.info(text=line)
        command.done()

    def _multiline(self, command: RunningCommand, values: Mapping[str, Any]) -> None:
        command.connection.is_multiline = values["on"]
        command.done(text=f"Multiline mode is {'on' if values['on'] else 'off'}")

    # Of fliswarm.

    def _status(self, command: RunningCommand, _: Mapping[str, Any]) -> None:
        if doubt := self._view.doubt:
            command.warning(doubt)
        nodes, names = self._view.nodes, self._enabled()
        command.info(enabledNodes=names)
        for name in names:
            self._tell_node(command, nodes[name])
        command.done()

    def _enabled(self) -> list[str]:
        return [name for name, node in self._view.nodes.items() if node.cordon is None]

    def _tell_node(self, command: RunningCommand, node: NodeState) -> None:
        address, alive = node.address or "localhost", node.is_reachable
        row = [node.node, address, node.url or "NA", alive, alive]
        if not alive:
            command.warning(f"Node {address} is not pinging back.")
            command.info(node=row)
            if node.cause:
                command.warning(f"{node.node}: {node.cause.message}")
            return
        command.info(node=row)
        running = [
            one
            for _, one in self._view.instances(node.node)
            if one.is_known and one.health not in (None, Health.EXITED)
        ]
        if not running:
            command.warning(f"No containers running on {address}.")
            command.debug(container=[node.node, "NA"])
        for one in running:
            command.debug(container=[node.node, one.engine_id[:_SHORT_ID] or "NA"])
        for volume, device, is_there in self._volumes(node.node):
            if not is_there:
                command.warning(f"Volume {volume} not present in {node.node}.")
            command.debug(volume=[node.node, volume, is_there, device if is_there and device else "NA"])

    def _volumes(self, node: str) -> Iterator[tuple[str, str, bool]]:
        """(name, device, whether it is there): an engine makes a volume with the first instance that has it."""
        for name, service in self._view.services.items():
            there = [one for at, one in self._view.instances(node) if at == name]
            for volume, device in service.volumes.items() if there else ():
                yield volume, device, any(one.is_known and one.health is not None for one in there)
