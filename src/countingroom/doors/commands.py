"""What the commands of a door do: those of CLU, and those of fliswarm as they are meant for a fleet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from countingroom.core import policy
from countingroom.core.clock import Clock
from countingroom.core.errors import Refused
from countingroom.core.fleet.observed import Health
from countingroom.core.fleet.states import NodeState
from countingroom.core.policy import Permission, Principal
from countingroom.core.subjects import EXPERIMENT
from countingroom.doors.door import Outcome
from countingroom.doors.grammar import Grammar
from countingroom.doors.keywords import SCHEMA, keyword_lines
from countingroom.doors.published_fleet import DoorView
from countingroom.doors.running import RunningCommand

_Handler = Callable[[RunningCommand, Mapping[str, Any]], Outcome]
_SHORT_ID = 12
"""Letters of the id of a container, as Docker shortens it."""


class DoorCommands:
    """The commands of one door."""

    def __init__(self, clock: Clock, grammar: Grammar, view: DoorView, principal: Principal, version: str) -> None:
        self._clock = clock
        self._grammar = grammar
        self._view = view
        self._principal = principal
        self._version = version
        self._handlers: dict[str, _Handler] = {
            "ping": self._ping,
            "version": self._tell_version,
            "help": self._help,
            "get_schema": self._schema,
            "get-command-model": self._model,
            "keyword": self._keyword,
            "multiline": self._multiline,
            "status": self._status,
        }

    def run(self, command: RunningCommand, values: Mapping[str, Any]) -> Outcome:
        """Carry out a command; Refused where the principal of the door may not."""
        if cause := policy.decide(self._principal, Permission.VIEW, EXPERIMENT, now_ns=self._clock.now_ns()):
            raise Refused(cause)
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
        nodes = [node for node in self._view.nodes.values() if node.cordon is None]
        command.info(enabledNodes=[node.node for node in nodes])
        for node in nodes:
            self._tell_node(command, node)
        command.done()

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
